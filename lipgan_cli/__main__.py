"""`python -m lipgan_cli` is `lipgan`."""

from lipgan_cli.cli import main

if __name__ == "__main__":
    main()
