"""``wsdb run``: SQL files, in order, in one database."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsdb.cli.output import Output


def variables(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Read ``--var name=value``."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f'"{text}" is not NAME=VALUE')
        found[name.strip()] = value
    return found


def var_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--var``."""
    return click.option(
        "--var",
        "variables",
        metavar="NAME=VALUE",
        multiple=True,
        callback=variables,
        help="Set a variable that SQL reads as getvariable('NAME'). Its value is a string. May be given several times.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON Lines: one object a line.")(command)


def open_session(database: str, given: dict[str, str], output: Output, **options: Any) -> Any:
    """Open a database and set variables; where that fails, say why and exit with 3."""
    from wsdb.cli.runner import UNOPENED, spoken
    from wsdb.core.sqltext import ident, literal
    from wsdb.session.session import connect

    try:
        session = connect(database, **options)
    except Exception as error:
        if not spoken(error):
            raise
        output.error(error, None, None)
        sys.exit(UNOPENED)
    for name, value in given.items():
        session.connection.execute(f"SET VARIABLE {ident(name)} = {literal(value)}")
    return session


def read(file: str) -> str:
    """Return the text of a SQL file, or of stdin for ``-``."""
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.BadParameter(f'"{file}" is not UTF-8 text: {error.reason} at byte {error.start}') from error


def default_database(files: Sequence[str]) -> str:
    """Return the database of a run without ``--db``: named as the first file, in the current directory."""
    return ":memory:" if files[0] == "-" else f"{Path(files[0]).stem}.duckdb"


EXAMPLES = """\b
Examples:
  wsdb run labels.sql
  wsdb run tasks.sql models.sql --db fraud.duckdb
  wsdb run labels.sql --var data=../pages --json > run.jsonl
  cat labels.sql | wsdb run -
"""


@click.command(epilog=EXAMPLES)
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option(
    "--db",
    "database",
    metavar="PATH",
    envvar="WSDB_DB",
    help="The database file, made where it is missing, or :memory:. Default: $WSDB_DB, else the name of the "
    "first file with .duckdb, in the current directory.",
)
@var_option
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Print results and warnings, nothing else.")
def run(files: tuple[str, ...], database: str | None, variables: dict[str, str], as_json: bool, quiet: bool) -> None:
    """Run SQL files in order, in one database.

    The files hold any mix of DuckDB's SQL and wsdb's statements. FILE may be - for stdin. The run stops at the first
    statement that fails; each statement is a transaction of its own, so what was done before it stays. A second run
    computes only what has changed.

    Exit codes: 0 done; 1 a statement failed; 2 wrong usage; 3 the database cannot be opened; 130 interrupted.

    A comment line "--: text" directly above a query is printed as the heading of its result.
    """
    from wsdb.cli.output import JsonOutput, TextOutput
    from wsdb.cli.runner import OK, Runner
    from wsdb.cli.stored import mark, stored

    begin = time.perf_counter()
    scripts = [(None if file == "-" else file, read(file)) for file in files]
    path = database or default_database(files)
    output: Output = JsonOutput() if as_json else TextOutput(quiet=quiet)
    with open_session(path, variables, output) as session:
        since = mark(session, path)
        runner = Runner(session, output, quiet=quiet, leave=True)
        for file, text in scripts:
            code = runner.play(text, file)
            if code != OK:
                break
        else:
            output.summary(stored(session, since), time.perf_counter() - begin)
    if code != OK:
        sys.exit(code)
