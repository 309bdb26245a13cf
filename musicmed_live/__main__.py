"""`python -m musicmed_live` is the command `musicmed-live`."""


def main() -> None:
    """Run the command. What it is made of is loaded only now: a server's processes load this module, too."""
    from musicmed_live.cli import main as run

    run()


if __name__ == "__main__":
    main()
