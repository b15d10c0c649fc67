"""Stored: what a database holds after a run, and what of it the run has computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from wsdb.core.sqltext import ident, literal


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task.

    Attributes
    ----------
    rows : of its label matrix; None where there is none yet
    computed, reused : columns of the label matrix, in this run
    labels : ``computed`` or ``reused`` in this run; None where there are none
    relations : its tables and views that are made for reading
    """

    name: str
    rows: int | None
    computed: int
    reused: int
    labels: str | None
    relations: list[str]


@dataclass(frozen=True, slots=True)
class StoredModel:
    """The newest version of a model; `trained` says whether this run made it."""

    name: str
    version: int
    tasks: list[str]
    trained: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What is in schema wsdb of a database."""

    database: str
    tasks: list[StoredTask]
    models: list[StoredModel]

    @property
    def computed(self) -> list[str]:
        """What the run has computed, in words."""
        found = []
        for task in self.tasks:
            columns = f"{task.computed} of {task.computed + task.reused} vote columns" if task.computed else ""
            parts = [part for part in (columns, "labels" if task.labels == "computed" else "") if part]
            found += [f"{' and '.join(parts)} of {task.name}"] if parts else []
        return found + [f"model {model.name}@{model.version}" for model in self.models if model.trained]

    @property
    def reused(self) -> list[str]:
        """What the run has found up to date, in words."""
        found = []
        for task in self.tasks:
            columns = f"{task.reused} vote column{'s' * (task.reused != 1)}" if task.reused else ""
            parts = [part for part in (columns, "labels" if task.labels == "reused" else "") if part]
            found += [f"{' and '.join(parts)} of {task.name}"] if parts else []
        return found + [f"model {model.name}@{model.version}" for model in self.models if not model.trained]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {**asdict(self), "computed": self.computed, "reused": self.reused}


@dataclass(frozen=True, slots=True)
class Mark:
    """The database and the time of its own clock when a run began."""

    database: str
    path: str
    time: Any


def mark(session: Any, path: str) -> Mark:
    """Return where and when a run begins."""
    database, now = session.connection.execute("SELECT current_database(), now()::TIMESTAMP").fetchall()[0]
    return Mark(database, path, now)


def stored(session: Any, since: Mark) -> Stored:
    """Read what a database holds; `since` divides what is computed from what is reused."""
    run = session.connection.execute
    home = ident(since.database) + ".wsdb."
    where = f"database_name = {literal(since.database)} AND schema_name = 'wsdb'"
    if run(f"SELECT 1 FROM duckdb_tables() WHERE {where} AND table_name = 'objects'").fetchall() == []:
        return Stored(since.path, [], [])
    names = {name.lower() for (name,) in run(f"SELECT view_name FROM duckdb_views() WHERE {where}").fetchall()}
    fresh = run(
        f"SELECT lower(task), count(*) FILTER (computed_at >= ?), count(*) FILTER (computed_at < ?) "
        f"FROM {home}matrix_columns GROUP BY 1",
        [since.time, since.time],
    ).fetchall()
    columns = {task: (int(new), int(old)) for task, new, old in fresh}
    tasks = run(
        f"SELECT t.name, m.n_rows, r.computed_at >= ? FROM {home}tasks t "
        f"LEFT JOIN {home}matrices m ON lower(m.task) = lower(t.name) "
        f"LEFT JOIN {home}label_runs r ON lower(r.task) = lower(t.name) ORDER BY t.created_at, t.name",
        [since.time],
    ).fetchall()
    models = run(
        f"SELECT m.name, v.version, v.tasks, v.created_at >= ? FROM {home}models m "
        f"JOIN {home}model_versions v ON lower(v.model) = lower(m.name) "
        f"QUALIFY row_number() OVER (PARTITION BY m.name ORDER BY v.version DESC) = 1 ORDER BY v.created_at, m.name",
        [since.time],
    ).fetchall()
    return Stored(
        since.path,
        [
            StoredTask(
                name,
                rows,
                *columns.get(name.lower(), (0, 0)),
                None if new is None else "computed" if new else "reused",
                [
                    f"wsdb.{kind}_{name}"
                    for kind in ("labels", "label_matrix", "label_votes")
                    if f"{kind}_{name}".lower() in names
                ],
            )
            for name, rows, new in tasks
        ],
        [StoredModel(name, int(version), list(tasks), bool(new)) for name, version, tasks, new in models],
    )
