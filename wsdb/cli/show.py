"""``wsdb show``: what a database holds, without changing it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wsdb.cli.run import json_option, open_session

if TYPE_CHECKING:
    from wsdb.cli.output import Output
    from wsdb.cli.runner import Runner

KINDS = {
    "task": "TASK",
    "lf": "LABELING FUNCTION",
    "labeling-function": "LABELING FUNCTION",
    "label-model": "LABEL MODEL",
    "feature-set": "FEATURE SET",
    "model": "MODEL",
    "payload": "PAYLOAD",
    "primitive": "PRIMITIVE",
    "task-graph": "TASK GRAPH",
    "slice": "SLICE",
    "tag": "TAG",
    "transformation-function": "TRANSFORMATION FUNCTION",
    "constraint": "CONSTRAINT",
    "embedding": "EMBEDDING",
    "source": "SOURCE",
}
"""The words for a kind, in the singular, and how SQL writes it."""

OVERVIEW = (
    """
    SELECT t.name AS task, (SELECT count(*) FROM {home}.lfs l WHERE lower(l.task) = lower(t.name)) AS lfs,
           m.n_rows AS rows, r.chosen AS label_model, t.comment
    FROM {home}.tasks t LEFT JOIN {home}.matrices m ON lower(m.task) = lower(t.name)
    LEFT JOIN {home}.label_runs r ON lower(r.task) = lower(t.name) ORDER BY t.created_at, t.name
    """,
    """
    SELECT l.name AS labeling_function, l.task, l.version,
           (SELECT sum(c.votes) FROM {home}.matrix_columns c
            WHERE lower(c.lf) = lower(l.name) AND lower(c.task) = lower(l.task))::BIGINT AS votes, l.comment
    FROM {home}.lfs l ORDER BY l.task, l.created_at, l.name
    """,
    "SELECT name AS label_model, task, version, comment FROM {home}.label_models ORDER BY task, name",
    "SELECT name AS feature_set, version, comment FROM {home}.feature_sets ORDER BY name",
    """
    SELECT v.model, v.version, list_aggregate(v.tasks, 'string_agg', ', ') AS tasks, v.n_rows AS rows, v.epochs,
           v.valid_loss, v.bytes, date_trunc('second', v.created_at) AS created_at
    FROM {home}.models m JOIN {home}.model_versions v ON lower(v.model) = lower(m.name)
    QUALIFY row_number() OVER (PARTITION BY v.model ORDER BY v.version DESC) = 1 ORDER BY v.created_at, v.model
    """,
    """
    SELECT task, what, n_rows AS rows, date_trunc('second', computed_at) AS computed_at,
           date_trunc('second', age) AS age, definition_changed FROM {home}.freshness ORDER BY task, computed_at, what
    """,
)
"""The queries of the overview; one without rows is left out."""


def database_option(required: bool) -> str:
    """Return the help text of ``--db`` of the commands that look at a database."""
    other = "" if required else ", else :memory:"
    return f"The database file. Default: $WSDB_DB, else the only .duckdb file in the current directory{other}."


def only_database() -> str | None:
    """Return the one database file of the current directory, None where there is none.

    Raises
    ------
    UsageError
        where there are several
    """
    found = sorted(str(path) for path in Path.cwd().glob("*.duckdb"))
    if len(found) > 1:
        names = ", ".join(Path(path).name for path in found)
        raise click.UsageError(f"there are several databases here ({names}); choose one with --db")
    return Path(found[0]).name if found else None


def existing(database: str | None) -> str:
    """Return the path of a database that is there."""
    path = database or only_database()
    if path is None:
        raise click.UsageError("there is no .duckdb file in this directory; give one with --db")
    if "://" not in path and not Path(path).is_file():
        raise click.UsageError(f'there is no database "{path}"')
    return path


EXAMPLES = """\b
Examples:
  wsdb show                       an overview: tasks, labeling functions, models, how old all is
  wsdb show lfs                   a list
  wsdb show lf lf_wire            the statement that makes it, and what is known of it
  wsdb show model detector --db labels.duckdb
"""


@click.command(epilog=EXAMPLES)
@click.argument("kind", required=False)
@click.argument("name", required=False)
@click.option("--db", "database", metavar="PATH", envvar="WSDB_DB", help=database_option(required=True))
@json_option
def show(kind: str | None, name: str | None, database: str | None, as_json: bool) -> None:
    """Show what a database holds: all of it, the objects of a KIND, or the one called NAME.

    KIND is task, lf, label-model, feature-set, model, payload, primitive, task-graph, slice, tag,
    transformation-function, constraint, embedding or source (or the plural). The database is opened for reading only:
    nothing is computed or refreshed.
    """
    from wsdb.cli.output import JsonOutput, TextOutput
    from wsdb.cli.runner import OK, Runner

    written = None
    if kind is not None:
        singular = kind.lower().replace("_", "-").removesuffix("s")
        written = KINDS.get(singular)
        if written is None:
            raise click.BadParameter(f'"{kind}" is none of {", ".join(KINDS)}', param_hint="KIND")
    path = existing(database)
    output: Output = JsonOutput(statements=False) if as_json else TextOutput(quiet=True)
    with open_session(path, {}, output, read_only=True) as session:
        runner = Runner(session, output, quiet=True, leave=True)
        code = runner.play(statements(written, name)) if written else overview(session, runner, path)
    if code != OK:
        sys.exit(code)


def statements(kind: str, name: str | None) -> str:
    """Return the SQL that shows a kind, or one object of it."""
    from wsdb.core.sqltext import ident

    if name is None:
        return f"SHOW {kind}S"
    script = f"SHOW CREATE {kind} {ident(name)};\nDESCRIBE {kind} {ident(name)};\n"
    return script + (f"SHOW VERSIONS OF MODEL {ident(name)}" if kind == "MODEL" else "")


def overview(session: object, runner: Runner, path: str) -> int:
    """Show the objects of every kind."""
    from wsdb.cli.output import TextOutput
    from wsdb.cli.stored import mark, stored
    from wsdb.cli.tables import Line
    from wsdb.core.sqltext import ident

    since = mark(session, path)
    if not stored(session, since).tasks:
        if isinstance(runner.output, TextOutput):
            runner.output.lines([Line(f"{path} holds no task yet; CREATE TASK makes one")])
        return 0
    home = f"{ident(since.database)}.wsdb"
    for query in OVERVIEW:
        code = runner.play(query.format(home=home), hide_empty=True)
        if code:
            return code
    return 0
