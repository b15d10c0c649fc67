"""Catalog: the only reader and writer of the tables in schema wsdb."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import duckdb

from wsdb.catalog.fingerprint import data_hash, digest, metadata_hash
from wsdb.catalog.snapshot import CatalogSnapshot, Entry, StoredColumn, StoredMatrix, StoredModel
from wsdb.core.errors import CatalogError, StorageError
from wsdb.core.lf import LabelingFunction, Votes
from wsdb.core.resources import read_sql
from wsdb.core.span import Span
from wsdb.core.specs import LabelModelSpec
from wsdb.core.sqltext import ident
from wsdb.core.task import Task
from wsdb.parser.render import Spec, render
from wsdb.parser.script import parse_one
from wsdb.parser.statements import KINDS, Create

FORMAT_VERSION = "1"


def kind_of(spec: Spec) -> str:
    """Return the kind of object a spec describes, as error messages name it."""
    return (
        KINDS[[Task, LabelingFunction, LabelModelSpec].index(type(spec))]
        if isinstance(spec, Task | LabelingFunction | LabelModelSpec)
        else ("model" if hasattr(spec, "tasks") else "feature set")
    )


@lru_cache(maxsize=50_000)
def _spec_of(sql: str) -> Spec:
    """Return the spec of a stored statement; every statement reads the catalog, so that texts are parsed once."""
    statement = parse_one(sql)
    assert isinstance(statement, Create)
    spec: Spec = statement.spec  # type: ignore[attr-defined]
    return spec


class Catalog:
    """The objects of one database, through one connection.

    Parameters
    ----------
    connection : the session's DuckDB connection; transactions are the session's business
    database : the name under which the user's database is attached
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, database: str) -> None:
        self._con = connection
        self.database = database

    def table(self, name: str) -> str:
        """Return the full SQL name of a table, view or macro of schema wsdb."""
        return f"{ident(self.database)}.wsdb.{ident(name)}"

    def exists(self) -> bool:
        """Return whether this database holds anything of wsdb's.

        Raises
        ------
        StorageError
            WS603 where it was written by a wsdb with another layout.
        """
        found = self._rows(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'wsdb' AND table_name = 'objects'",
            [self.database],
        )
        if not found:
            return False
        versions = self._rows(f"SELECT value FROM {self.table('settings')} WHERE name = 'format_version'")
        version = versions[0][0] if versions else None
        if version != FORMAT_VERSION:
            raise StorageError(
                "WS603",
                f"the database has wsdb format {version}, this version reads format {FORMAT_VERSION}",
                hint="open it with the version of wsdb that wrote it",
            )
        return True

    def create(self) -> None:
        """Make the schema where it is not there yet."""
        if self.exists():
            return
        for statement in read_sql("catalog.sql").split(";\n"):
            if statement.strip():
                self._con.execute(statement)
        self._insert("settings", [("format_version", FORMAT_VERSION)])

    def definitions(self) -> CatalogSnapshot:
        """Return the objects alone, without what was derived from them; empty where there is no catalog yet."""
        return CatalogSnapshot(entries=self._entries()) if self.exists() else CatalogSnapshot()

    def _entries(self) -> dict[tuple[str, str], Entry]:
        entries: dict[tuple[str, str], Entry] = {}
        for kind, name, version, sql, comment, data, metadata, owner in self._rows(
            "SELECT kind, name, version, sql, comment, data_hash, metadata_hash, created_by "
            f"FROM {self.table('objects')} ORDER BY rowid"
        ):
            spec = replace(_spec_of(sql), comment=comment)
            entries[kind, name.lower()] = Entry(kind, name, version, spec, data, metadata, owner)
        for key, entry in entries.items():
            if isinstance(entry.spec, LabelingFunction) and isinstance(entry.spec.body, Votes):
                of = entries["task", entry.spec.task.lower()].spec
                body = entry.spec.body.of_task(len(of.keys) if isinstance(of, Task) else 0)
                entries[key] = replace(entry, spec=replace(entry.spec, body=body))
        return entries

    def snapshot(self) -> CatalogSnapshot:
        """Return the catalog as a frozen value; empty where there is none yet."""
        if not self.exists():
            return CatalogSnapshot()
        columns: dict[str, list[StoredColumn]] = {}
        for task, column, lf, source, hashed in self._rows(
            f"SELECT task, column_name, lf, source, input_hash FROM {self.table('matrix_columns')} ORDER BY position"
        ):
            columns.setdefault(task.lower(), []).append(StoredColumn(column, lf, source, hashed))
        return CatalogSnapshot(
            entries=self._entries(),
            matrices={
                task.lower(): StoredMatrix(rows, keys, tuple(columns.get(task.lower(), ())))
                for task, rows, keys in self._rows(f"SELECT task, n_rows, keys_hash FROM {self.table('matrices')}")
            },
            label_runs={
                task.lower(): hashed
                for task, hashed in self._rows(f"SELECT task, input_hash FROM {self.table('label_runs')}")
            },
            models={
                model.lower(): StoredModel(version, hashed, tuple(tasks))
                for model, version, hashed, tasks in self._rows(
                    "SELECT model, max(version), arg_max(input_hash, version), arg_max(tasks, version) "
                    f"FROM {self.table('model_versions')} GROUP BY model"
                )
            },
            serving={
                task.lower(): (model, version)
                for task, model, version in self._rows(f"SELECT task, model, version FROM {self.table('serving')}")
            },
        )

    # ------------------------------------------------------------------------------------------------- objects

    def put(
        self,
        spec: Spec,
        *,
        or_replace: bool = False,
        if_not_exists: bool = False,
        parents: Sequence[tuple[str, str]] = (),
        span: Span | None = None,
    ) -> str:
        """Store an object and return what was done: ``created``, ``replaced``, ``commented`` or ``unchanged``.

        A spec of equal meaning makes no new version.

        Raises
        ------
        CatalogError
            WS202 where it exists already and nothing was said of that.
        """
        kind, snapshot = kind_of(spec), self.definitions()
        old = snapshot.find(kind, spec.name)
        if old is not None:
            spec = replace(spec, name=old.name)  # names are compared without case; the first spelling stays
        data, metadata = data_hash(spec), metadata_hash(spec)
        if old is not None:
            if if_not_exists:
                return "unchanged"
            if not or_replace:
                raise CatalogError(
                    "WS202",
                    f'{kind} "{old.name}" exists already',
                    span=span,
                    hint=f"CREATE OR REPLACE {kind.upper()} replaces it, IF NOT EXISTS keeps it",
                )
            if old.data_hash == data:
                if old.metadata_hash != metadata:
                    self.comment(kind, old.name, spec.comment)
                    return "commented"
                return "unchanged"
        newest = self._rows(
            f"SELECT max(version) FROM {self.table('object_versions')} WHERE kind = ? AND lower(name) = ?",
            [kind, spec.name.lower()],
        )[0][0]
        version, text, owner = (newest or 0) + 1, render(replace(spec, comment=None)), getpass.getuser()
        task = spec.task if isinstance(spec, LabelingFunction | LabelModelSpec) else None
        if old is not None:
            # Updated in place, so that labeling functions keep their order, which is the order of matrix columns.
            self._con.execute(
                f"UPDATE {self.table('objects')} SET name = ?, version = ?, task = ?, sql = ?, comment = ?, "
                "data_hash = ?, metadata_hash = ?, created_at = now()::TIMESTAMP, created_by = ? "
                "WHERE kind = ? AND lower(name) = ?",
                [
                    spec.name,
                    version,
                    task,
                    text,
                    spec.comment,
                    data,
                    metadata,
                    owner,
                    kind,
                    spec.name.lower(),
                ],
            )
        else:
            self._con.execute(
                f"INSERT INTO {self.table('objects')} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, now()::TIMESTAMP, ?)",
                [
                    f"{kind}:{spec.name.lower()}",
                    kind,
                    spec.name,
                    version,
                    task,
                    text,
                    spec.comment,
                    data,
                    metadata,
                    owner,
                ],
            )
        parent_hash = digest(
            *(found.data_hash for of, name in parents if (found := snapshot.find(of, name)) is not None)
        )
        self._con.execute(
            f"INSERT INTO {self.table('object_versions')} VALUES (?, ?, ?, ?, ?, ?, ?, now()::TIMESTAMP, ?)",
            [kind, spec.name, version, text, data, metadata, parent_hash, owner],
        )
        self.edges(kind, spec.name, version, parents)
        return "replaced" if old is not None else "created"

    def edges(self, kind: str, name: str, version: int, parents: Iterable[tuple[str, str]]) -> None:
        """Replace what an object is recorded as being made from."""
        self._con.execute(
            f"DELETE FROM {self.table('lineage_edges')} WHERE to_kind = ? AND lower(to_name) = ? AND to_version = ?",
            [kind, name.lower(), version],
        )
        self._insert("lineage_edges", [(of, parent, kind, name, version) for of, parent in parents])

    def comment(self, kind: str, name: str, text: str | None) -> None:
        """Set an object's comment."""
        self._con.execute(
            f"UPDATE {self.table('objects')} SET comment = ?, metadata_hash = ? WHERE kind = ? AND lower(name) = ?",
            [text, digest(text), kind, name.lower()],
        )

    def drop(self, kind: str, name: str) -> None:
        """Remove an object and what was derived from it; its old versions stay in object_versions."""
        low = [name.lower()]
        self._con.execute(f"DELETE FROM {self.table('objects')} WHERE kind = ? AND lower(name) = ?", [kind, *low])
        self._con.execute(
            f"DELETE FROM {self.table('lineage_edges')} WHERE to_kind = ? AND lower(to_name) = ?",
            [kind, *low],
        )
        if kind == "task":
            self._con.execute(
                f"DELETE FROM {self.table('lineage_edges')} WHERE to_kind = 'labels' AND lower(to_name) = ?", low
            )
            for table in ("matrices", "matrix_columns", "label_runs", "label_parameters", "serving"):
                self._con.execute(f"DELETE FROM {self.table(table)} WHERE lower(task) = ?", low)
        if kind == "model":
            for table in ("model_versions", "tensors", "training", "serving"):
                self._con.execute(f"DELETE FROM {self.table(table)} WHERE lower(model) = ?", low)

    # ------------------------------------------------------------------------------------------- derived state

    def put_matrix(self, task: str, n_rows: int, keys_hash: str, columns: Sequence[tuple[Any, ...]]) -> None:
        """Record a label matrix.

        Parameters
        ----------
        columns : (column_name, lf, source, input_hash, votes, seconds); seconds None keeps the recorded figure
        """
        old = {
            name: (seconds, at)
            for name, seconds, at in self._rows(
                f"SELECT column_name, seconds, computed_at FROM {self.table('matrix_columns')} WHERE lower(task) = ?",
                [task.lower()],
            )
        }
        (now,) = self._rows("SELECT now()::TIMESTAMP")[0]
        for table in ("matrices", "matrix_columns"):
            self._con.execute(f"DELETE FROM {self.table(table)} WHERE lower(task) = ?", [task.lower()])
        self._insert("matrices", [(task, n_rows, keys_hash, now)])
        rows = []
        for position, (name, lf, source, hashed, votes, seconds) in enumerate(columns):
            kept = old.get(name, (None, now)) if seconds is None else (seconds, now)
            rows.append((task, position, name, lf, source, hashed, votes, *kept))
        self._insert("matrix_columns", rows)

    def put_label_run(
        self, task: str, run: Mapping[str, Any], parameters: Sequence[tuple[Any, ...]], lfs: Sequence[str]
    ) -> None:
        """Record the fit of a label model, its parameters (lf, class, accuracy … n) and whose votes it read."""
        (last,) = self._rows(f"SELECT max(run) FROM {self.table('label_runs')} WHERE lower(task) = ?", [task.lower()])[
            0
        ]
        number = (last or 0) + 1
        for table in ("label_runs", "label_parameters"):
            self._con.execute(f"DELETE FROM {self.table(table)} WHERE lower(task) = ?", [task.lower()])
        names = (
            "method",
            "chosen",
            "reason",
            "regime",
            "notices",
            "n_rows",
            "n_patterns",
            "input_hash",
            "fit",
        )
        self._con.execute(
            f"INSERT INTO {self.table('label_runs')} VALUES (?, ?, {', '.join('?' * len(names))}, ?, now()::TIMESTAMP)",
            [task, number, *(run[name] for name in names), run["seconds"]],
        )
        self._insert("label_parameters", [(task, number, *row) for row in parameters])
        self._con.execute(
            f"DELETE FROM {self.table('lineage_edges')} WHERE to_kind = 'labels' AND lower(to_name) = ?",
            [task.lower()],
        )
        self.edges("labels", task, number, [("labeling function", lf) for lf in lfs])

    def put_model(
        self,
        name: str,
        *,
        tasks: Sequence[str],
        features: Sequence[str],
        manifest: Mapping[str, Any],
        weights: bytes,
        history: Sequence[Mapping[str, Any]],
        input_hash: str,
        facts: Mapping[str, Any],
        sql: str,
    ) -> int:
        """Store a trained model as a new version, let it serve its tasks, and return the version."""
        (last,) = self._rows(
            f"SELECT max(version) FROM {self.table('model_versions')} WHERE lower(model) = ?", [name.lower()]
        )[0]
        version = (last or 0) + 1
        self._con.execute(
            f"INSERT INTO {self.table('model_versions')} "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, now()::TIMESTAMP, ?)",
            [
                name, version, list(tasks), list(features), json.dumps(manifest), input_hash,
                facts["n_rows"], facts["epochs"], facts["valid_loss"], len(weights), facts["seconds"], sql,
                getpass.getuser(),
            ],
        )  # fmt: skip
        self._con.execute(
            f"INSERT INTO {self.table('tensors')} VALUES (?, ?, 'safetensors', ?)", [name, version, weights]
        )
        self._insert(
            "training",
            [(name, version, row["epoch"], row["task"], row["split"], row["loss"], row["seconds"]) for row in history],
        )
        for task in tasks:
            self._con.execute(f"DELETE FROM {self.table('serving')} WHERE lower(task) = ?", [task.lower()])
        self._insert("serving", [(task, name, version, None) for task in tasks])
        self._con.execute(f"UPDATE {self.table('serving')} SET since = now()::TIMESTAMP WHERE since IS NULL")
        return version

    def serve_task(self, task: str) -> tuple[str, int] | None:
        """Let the newest remaining model that has `task` serve it; return it, or None where there is none."""
        self._con.execute(f"DELETE FROM {self.table('serving')} WHERE lower(task) = ?", [task.lower()])
        found = self._rows(
            f"SELECT model, version FROM {self.table('model_versions')} "
            "WHERE list_contains(list_transform(tasks, lambda t: lower(t)), ?) ORDER BY created_at DESC LIMIT 1",
            [task.lower()],
        )
        if not found:
            return None
        self._con.execute(f"INSERT INTO {self.table('serving')} VALUES (?, ?, ?, now()::TIMESTAMP)", [task, *found[0]])
        model, version = found[0]
        return model, version

    # -------------------------------------------------------------------------------------------------- basics

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._con.execute(sql, list(parameters)).fetchall()

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._con.executemany(f"INSERT INTO {self.table(table)} VALUES ({marks})", [list(row) for row in rows])
