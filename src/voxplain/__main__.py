"""`python -m voxplain` is the command line."""

from voxplain.cli import main

if __name__ == "__main__":
    main()
