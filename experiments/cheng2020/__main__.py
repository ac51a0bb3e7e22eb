"""``python -m experiments.cheng2020``; the folder's README says what it reproduces."""

from experiments.frame.run import main

if __name__ == "__main__":
    main("cheng2020")
