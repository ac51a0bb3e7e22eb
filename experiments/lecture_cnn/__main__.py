"""``python -m experiments.lecture_cnn``; the folder's README says what it reproduces."""

from experiments.frame.run import main

if __name__ == "__main__":
    main("lecture_cnn")
