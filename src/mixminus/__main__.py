"""``python -m mixminus`` is the command line."""

from mixminus.cli import main

if __name__ == "__main__":
    main()
