"""``python -m stabtest`` is the command ``stabtest``."""

from stabtest.cli import main

if __name__ == "__main__":
    main()
