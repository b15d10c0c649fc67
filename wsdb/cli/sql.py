"""``wsdb sql``: one query, statements from stdin, or a prompt."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from wsdb.cli.run import json_option, open_session, var_option
from wsdb.cli.show import database_option, only_database

if TYPE_CHECKING:
    from wsdb.cli.output import Output


EXAMPLES = """\b
Examples:
  wsdb sql
  wsdb sql --db labels.duckdb -c "FROM lf_summary('phishing')"
  wsdb sql --csv -c "FROM labels('phishing')" > labels.csv
  echo "SHOW TASKS" | wsdb sql --json
"""


@click.command(epilog=EXAMPLES)
@click.option("--db", "database", metavar="PATH", envvar="WSDB_DB", help=database_option(required=False))
@click.option("-c", "--command", "command", metavar="SQL", help="Run these statements and end.")
@var_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print rows as CSV.")
@click.option("--read-only", is_flag=True, help="Open the database without the right to write.")
def sql(
    database: str | None, command: str | None, variables: dict[str, str], as_json: bool, as_csv: bool, read_only: bool
) -> None:
    """Run SQL, from -c, from stdin, or at an interactive prompt.

    At the prompt a statement ends with a semicolon and may take several lines; .help lists the commands.
    """
    from wsdb.cli.output import JsonOutput, TextOutput
    from wsdb.cli.runner import OK, Runner

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    path = database or only_database() or ":memory:"
    output: Output = JsonOutput() if as_json else TextOutput(quiet=as_csv, mode="csv" if as_csv else "table")
    with open_session(path, variables, output, read_only=read_only) as session:
        if command is None and sys.stdin.isatty():
            from wsdb.cli.prompt import Prompt

            Prompt(session, Runner(session, output), path).loop()
            return
        runner = Runner(session, output, leave=True)
        code = runner.play(sys.stdin.read() if command is None else command)
        output.close()
    if code != OK:
        sys.exit(code)
