"""``python -m wsdb`` is the command ``wsdb``."""

from wsdb.cli.main import main

if __name__ == "__main__":
    main(prog_name="wsdb")
