"""The command ``wsdb``."""

from __future__ import annotations

import sys
from typing import Any

import click

from wsdb import __version__
from wsdb.cli.run import run
from wsdb.cli.show import show
from wsdb.cli.sql import sql

EXAMPLES = """\b
Examples:
  wsdb run labels.sql                       run a script; a second run computes only what has changed
  wsdb show                                 what a database holds
  wsdb sql                                  an interactive prompt
  wsdb sql -c "FROM lf_summary('fraud')"    one query
"""


class Commands(click.Group):
    """The commands; Ctrl-C outside of a statement ends each of them with 130."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(130)


@click.group(
    cls=Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="wsdb %(version)s")
def main() -> None:
    """Weak supervision in SQL, inside DuckDB.

    Write labeling functions as SQL; get a label matrix, de-noised labels, trained models and their predictions as
    tables of the same database.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


for command in (run, sql, show):
    main.add_command(command)
