"""`python -m topsellers`."""

from topsellers.cli.main import main

if __name__ == "__main__":
    main()
