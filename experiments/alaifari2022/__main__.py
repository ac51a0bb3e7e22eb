"""``python -m experiments.alaifari2022``; the folder's README says what it reproduces."""

from experiments.frame.run import main

if __name__ == "__main__":
    main("alaifari2022")
