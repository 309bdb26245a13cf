"""`python -m musicmed_live` is the command `musicmed-live`."""

from musicmed_live.cli import main

if __name__ == "__main__":
    main()
