"""Catalog: the only reader and writer of the tables in schema wsdb."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import duckdb

from wsdb.catalog.derived import DerivedState
from wsdb.catalog.fingerprint import data_hash, metadata_hash
from wsdb.catalog.object_rows import (
    Parents,
    detail_of,
    kind_of,
    new_rows,
    parent_hash,
    task_of,
    text_of,
    with_references,
)
from wsdb.catalog.references import renamed
from wsdb.catalog.snapshot import CatalogSnapshot, Entry, StoredColumn, StoredMatrix, StoredModel
from wsdb.core.errors import CatalogError, StorageError
from wsdb.core.lf import LabelingFunction, Votes
from wsdb.core.payload import Payload
from wsdb.core.resources import read_sql
from wsdb.core.span import Span
from wsdb.core.task import Task
from wsdb.parser.render import Spec
from wsdb.parser.script import parse_one
from wsdb.parser.statements import KINDS, Create

FORMAT_VERSION = "2"
OF_TASK = (
    "matrices", "matrix_columns", "label_runs", "label_parameters", "serving", "split_counts", "vote_counts",
    "vote_pairs", "vote_sets", "vote_shares", "lf_dependencies", "label_scores", "label_bias", "label_reports",
    "label_confusion",
)  # fmt: skip
"""Tables whose rows go with their task."""


@lru_cache(maxsize=50_000)
def _spec_of(sql: str) -> Spec:
    """Return the spec of a stored statement; every statement reads the catalog, so that texts are parsed once."""
    statement = parse_one(sql)
    assert isinstance(statement, Create)
    spec: Spec = statement.spec  # type: ignore[attr-defined]
    return spec


@lru_cache(maxsize=50_000)
def _entry_of(
    kind: str, name: str, version: int, sql: str, comment: str | None, data: str, metadata: str, owner: str
) -> Entry:
    return Entry(kind, name, version, replace(_spec_of(sql), comment=comment), data, metadata, owner)


def _n_keys(entries: Mapping[tuple[str, str], Entry], task: str) -> int:
    """Return how many columns identify what a task labels: its key, and the position in a payload of many elements."""
    spec = entries["task", task.lower()].spec
    assert isinstance(spec, Task)
    payload = entries["payload", spec.payload.lower()].spec if spec.payload is not None else None
    return len(spec.keys) + (isinstance(payload, Payload) and payload.shape != "singleton")


class Catalog(DerivedState):
    """The objects of one database, through one connection.

    Parameters
    ----------
    connection : the session's DuckDB connection; transactions are the session's business
    database : the name under which the user's database is attached
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, database: str) -> None:
        super().__init__(connection, database)
        self._cached: tuple[object, dict[tuple[str, str], Entry]] = (None, {})

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
        """Return the objects, read anew only where one has changed: every statement asks for them."""
        (state,) = self._rows(
            "SELECT count(*), bit_xor(hash(id, name, version, sql, comment, data_hash, metadata_hash, created_by)) "
            f"FROM {self.table('objects')}"
        )
        if self._cached[0] != state:
            self._cached = state, self._read_entries()
        return dict(self._cached[1])

    def _read_entries(self) -> dict[tuple[str, str], Entry]:
        entries: dict[tuple[str, str], Entry] = {}
        for row in self._rows(
            "SELECT kind, name, version, sql, comment, data_hash, metadata_hash, created_by "
            f"FROM {self.table('objects')} ORDER BY rowid"
        ):
            entries[row[0], row[1].lower()] = _entry_of(*row)
        for key, entry in entries.items():
            if isinstance(entry.spec, LabelingFunction) and isinstance(entry.spec.body, Votes):
                body = entry.spec.body.of_task(_n_keys(entries, entry.spec.task))
                entries[key] = replace(entry, spec=replace(entry.spec, body=body))
        return entries

    def snapshot(self) -> CatalogSnapshot:
        """Return the catalog as a frozen value; empty where there is none yet."""
        if not self.exists():
            return CatalogSnapshot()
        columns: dict[str, list[StoredColumn]] = {}
        for task, *column in self._rows(
            "SELECT task, column_name, lf, source, input_hash, lf_version, votes "
            f"FROM {self.table('matrix_columns')} ORDER BY position"
        ):
            columns.setdefault(task.lower(), []).append(StoredColumn(*column))
        return CatalogSnapshot(
            entries=self._entries(),
            matrices={
                task.lower(): StoredMatrix(
                    rows, tuple(columns.get(task.lower(), ())), hashed, tuple(read), each, gold, *rest
                )
                for task, rows, hashed, read, each, gold, *rest in self._matrices()
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
            primitive_hashes={
                name.lower(): hashed
                for name, hashed in self._rows(f"SELECT name, input_hash FROM {self.table('primitive_runs')}")
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
            if if_not_exists:
                return "unchanged"
            if not or_replace:
                raise CatalogError(
                    "WS202",
                    f'{kind} "{old.name}" exists already',
                    span=span,
                    hint=f"CREATE OR REPLACE {kind.upper()} replaces it, IF NOT EXISTS keeps it",
                )
            if old.data_hash == data_hash(spec):
                if old.metadata_hash != metadata_hash(spec):
                    self._describe(spec)
                    return "commented"
                return "unchanged"
        self._store(spec, old, snapshot, parents)
        return "replaced" if old is not None else "created"

    def put_new(self, objects: Sequence[tuple[Spec, Parents]]) -> None:
        """Store objects that are new, each with its parents, in their order; later ones may name earlier ones.

        Raises
        ------
        CatalogError
            WS202 where one exists already.
        """
        snapshot = self.definitions()
        for spec, _ in objects:
            if snapshot.find(kind_of(spec), spec.name) is not None:
                raise CatalogError("WS202", f'{kind_of(spec)} "{spec.name}" exists already')
        self._append(objects, snapshot)

    def alter(self, entry: Entry, spec: Spec) -> None:
        """Store a new version of an object under its own name, made from the same relations as the one it replaces."""
        self._store(spec, entry, self.definitions(), self._relations(entry))

    def rename(self, kind: str, name: str, new_name: str, span: Span | None = None) -> None:
        """Give an object another name, in the specs that name it too; each of them gets a new version.

        Raises
        ------
        CatalogError
            WS202 where the name is taken.
        """
        snapshot = self.definitions()
        entry, taken = snapshot.entry(kind, name), snapshot.find(kind, new_name)
        if taken is not None and taken.name.lower() != entry.name.lower():
            raise CatalogError("WS202", f'{kind} "{taken.name}" exists already', span=span, hint="choose another name")
        spec = replace(entry.spec, name=new_name)
        self._store(spec, entry, snapshot, self._relations(entry))
        for other in snapshot.entries.values():
            if (kind, entry.name.lower()) in other.named:
                changed = renamed(other.spec, kind, entry.name, new_name)
                self._store(changed, other, snapshot, self._relations(other))
        self._con.execute(
            f"UPDATE {self.table('lineage_edges')} SET from_name = ? WHERE from_kind = ? AND lower(from_name) = ?",
            [new_name, kind, entry.name.lower()],
        )
        if new_name.lower() != entry.name.lower():
            self._con.execute(
                f"DELETE FROM {self.table('lineage_edges')} WHERE to_kind = ? AND lower(to_name) = ?",
                [kind, entry.name.lower()],
            )

    def _relations(self, entry: Entry) -> list[tuple[str, str]]:
        """Return what else than other objects an object is recorded as being made from."""
        return self._rows(
            f"SELECT from_kind, from_name FROM {self.table('lineage_edges')} WHERE to_kind = ? AND lower(to_name) = ? "
            "AND to_version = ? AND NOT list_contains(?, from_kind) ORDER BY rowid",
            [entry.kind, entry.name.lower(), entry.version, list(KINDS.values())],
        )

    def _store(
        self, spec: Spec, old: Entry | None, snapshot: CatalogSnapshot, parents: Sequence[tuple[str, str]]
    ) -> None:
        """Write an object as a new version, in place of `old` where there is one."""
        if old is None:
            self._append([(spec, parents)], snapshot)
            return
        kind, low = kind_of(spec), spec.name.lower()
        version, text, owner = self._newest([spec]).get((kind, low), 0) + 1, text_of(spec), getpass.getuser()
        data, metadata = data_hash(spec), metadata_hash(spec)
        # Updated in place, so that labeling functions keep their order, which is the order of matrix columns.
        self._con.execute(
            f"UPDATE {self.table('objects')} SET name = ?, version = ?, task = ?, sql = ?, comment = ?, "
            "data_hash = ?, metadata_hash = ?, created_at = now()::TIMESTAMP, created_by = ? "
            "WHERE kind = ? AND lower(name) = ?",
            [spec.name, version, task_of(spec), text, spec.comment, data, metadata, owner, kind, old.name.lower()],
        )
        if old.name.lower() != low:
            # A changed key moves a row to the end: all rows of the kind are moved, so that they keep their order.
            self._con.execute(
                f"UPDATE {self.table('objects')} SET id = CASE WHEN lower(name) = ? THEN ? ELSE id END WHERE kind = ?",
                [low, f"{kind}:{low}", kind],
            )
        every = with_references(spec, parents)
        self._con.execute(
            f"INSERT INTO {self.table('object_versions')} VALUES (?, ?, ?, ?, ?, ?, ?, now()::TIMESTAMP, ?)",
            [kind, spec.name, version, text, data, metadata, parent_hash(every, snapshot), owner],
        )
        self.edges(kind, spec.name, version, every)
        self._details(kind, old.name, spec)

    def _append(self, objects: Sequence[tuple[Spec, Parents]], snapshot: CatalogSnapshot) -> None:
        """Write objects that are new."""
        (now,) = self._rows("SELECT now()::TIMESTAMP")[0]
        newest = self._newest([spec for spec, _ in objects])
        for table, rows in new_rows(objects, snapshot, newest, getpass.getuser(), now).items():
            self._insert(table, rows)

    def _newest(self, specs: Sequence[Spec]) -> dict[tuple[str, str], int]:
        """Return the newest version that objects of these names have had, those that were dropped among them."""
        kinds, names = list({kind_of(spec) for spec in specs}), [spec.name.lower() for spec in specs]
        found = self._rows(
            f"SELECT kind, lower(name), max(version) FROM {self.table('object_versions')} "
            "WHERE list_contains(?, kind) AND list_contains(?, lower(name)) GROUP BY ALL",
            [kinds, names],
        )
        return {(kind, name): version for kind, name, version in found}

    def _details(self, kind: str, name: str, spec: Spec | None) -> None:
        """Write what the views show of a labeling function in columns of their own; None removes it."""
        if kind == "labeling function":
            self._con.execute(f"DELETE FROM {self.table('lf_details')} WHERE lower(lf) = ?", [name.lower()])
        if isinstance(spec, LabelingFunction):
            self._insert("lf_details", [detail_of(spec)])

    def _describe(self, spec: Spec) -> None:
        """Write what an object says of itself, without a new version."""
        kind = kind_of(spec)
        self._con.execute(
            f"UPDATE {self.table('objects')} SET sql = ?, comment = ?, metadata_hash = ? "
            "WHERE kind = ? AND lower(name) = ?",
            [text_of(spec), spec.comment, metadata_hash(spec), kind, spec.name.lower()],
        )
        self._details(kind, spec.name, spec)

    def comment(self, kind: str, name: str, text: str | None) -> None:
        """Set an object's comment."""
        self._describe(replace(self.definitions().entry(kind, name).spec, comment=text))

    def drop(self, kind: str, name: str) -> None:
        """Remove an object and what was derived from it; its old versions stay in object_versions."""
        low = [name.lower()]
        self._con.execute(f"DELETE FROM {self.table('objects')} WHERE kind = ? AND lower(name) = ?", [kind, *low])
        self._con.execute(
            f"DELETE FROM {self.table('lineage_edges')} WHERE to_kind = ? AND lower(to_name) = ?",
            [kind, *low],
        )
        self._details(kind, name, None)
        if kind == "task":
            self._con.execute(
                f"DELETE FROM {self.table('lineage_edges')} WHERE to_kind = 'labels' AND lower(to_name) = ?", low
            )
            for table in OF_TASK:
                self._con.execute(f"DELETE FROM {self.table(table)} WHERE lower(task) = ?", low)
        if kind == "primitive":
            self._con.execute(f"DELETE FROM {self.table('primitive_runs')} WHERE lower(name) = ?", low)
        if kind == "embedding":
            self._con.execute(f"DELETE FROM {self.table('embedding_files')} WHERE lower(name) = ?", low)
        if kind == "model":
            for table in ("model_versions", "tensors", "training", "serving", "trials", "studies"):
                self._con.execute(f"DELETE FROM {self.table(table)} WHERE lower(model) = ?", low)
