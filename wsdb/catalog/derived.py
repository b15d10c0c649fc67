"""DerivedState: what was computed from objects: primitives, label matrices, label runs, trained models."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from typing import Any

from wsdb.catalog.snapshot import StoredMatrix
from wsdb.catalog.tables import Tables


class DerivedState(Tables):
    """Records of what was computed, in the tables of schema wsdb."""

    def put_primitive(self, name: str, n_rows: int, input_hash: str | None) -> None:
        """Record that a primitive was computed, from inputs of this hash; None where they were not hashed."""
        self._con.execute(f"DELETE FROM {self.table('primitive_runs')} WHERE lower(name) = ?", [name.lower()])
        (now,) = self._rows("SELECT now()::TIMESTAMP")[0]
        self._insert("primitive_runs", [(name, n_rows, input_hash, now)])

    def put_embedding(self, name: str, n_tokens: int, dims: int, content_hash: str) -> None:
        """Record the file that an embedding was read from."""
        self._con.execute(f"DELETE FROM {self.table('embedding_files')} WHERE lower(name) = ?", [name.lower()])
        (now,) = self._rows("SELECT now()::TIMESTAMP")[0]
        self._insert("embedding_files", [(name, n_tokens, dims, content_hash, now)])

    def rename_record(self, kind: str, name: str, new_name: str) -> None:
        """Give the record of an embedding's file or of a primitive's run its new name."""
        table = self.table({"embedding": "embedding_files", "primitive": "primitive_runs"}[kind])
        self._con.execute(f"UPDATE {table} SET name = ? WHERE lower(name) = ?", [new_name, name.lower()])

    def _matrices(self) -> list[tuple[Any, ...]]:
        rows = self._rows(
            "SELECT task, n_rows, rows_hash, row_columns, column_hashes, gold_hash, hash_probe, storage, views_hash "
            f"FROM {self.table('matrices')}"
        )
        # An empty string is NULL after EXPORT and IMPORT DATABASE by some versions of DuckDB.
        return [(*row[:4], tuple(zip(row[3], row[4] or (), strict=False)), row[5] or "", *row[6:]) for row in rows]

    def put_matrix(
        self, task: str, matrix: StoredMatrix, measured: Mapping[str, tuple[int, float | None, bool]]
    ) -> None:
        """Record a label matrix.

        Parameters
        ----------
        measured : by column its votes, its seconds (None keeps what is recorded), and whether it was computed now
        """
        old = {
            name: kept
            for name, *kept in self._rows(
                f"SELECT column_name, votes, seconds, computed_at FROM {self.table('matrix_columns')} "
                "WHERE lower(task) = ?",
                [task.lower()],
            )
        }
        (now,) = self._rows("SELECT now()::TIMESTAMP")[0]
        for table in ("matrices", "matrix_columns"):
            self._con.execute(f"DELETE FROM {self.table(table)} WHERE lower(task) = ?", [task.lower()])
        hashes = [hashed for _, hashed in matrix.column_hashes]
        facts = (matrix.rows_hash, list(matrix.row_columns), hashes, matrix.gold_hash, matrix.hash_probe)
        self._insert("matrices", [(task, matrix.n_rows, matrix.storage, *facts, matrix.views_hash, now)])
        rows = []
        for position, column in enumerate(matrix.columns):
            votes, seconds, at = old.get(column.name, (None, None, now))
            if column.name in measured:
                votes, spent, computed = measured[column.name]
                seconds = spent if spent is not None else seconds
                at = now if computed else at
            known = (column.name, column.lf, column.source, column.input_hash, column.version)
            rows.append((task, position, *known, votes, seconds, at))
        self._insert("matrix_columns", rows)

    def shape_of_run(self, task: str) -> str | None:
        """Return the regime of a task's current label run: lf, annotator, majority, or the shape of the task."""
        found = self._rows(f"SELECT regime FROM {self.table('label_runs')} WHERE lower(task) = ?", [task.lower()])
        return found[0][0] if found else None

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
        trials: Sequence[tuple[Any, ...]] = (),
    ) -> int:
        """Store a trained model as a new version, let it serve its tasks, and return the version.

        Parameters
        ----------
        trials : rows of table trials without their first two columns: what a search tried
        """
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
        self._insert("trials", [(name, version, *row) for row in trials])
        for task in tasks:
            self._con.execute(f"DELETE FROM {self.table('serving')} WHERE lower(task) = ?", [task.lower()])
        self._insert("serving", [(task, name, version, None) for task in tasks])
        self._con.execute(f"UPDATE {self.table('serving')} SET since = now()::TIMESTAMP WHERE since IS NULL")
        return version

    def put_study(self, model: str, version: int, study: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Store a study of a model version in place of an older one; rows are those of table studies after `study`."""
        self._con.execute(
            f"DELETE FROM {self.table('studies')} WHERE lower(model) = ? AND version = ? AND study = ?",
            [model.lower(), version, study],
        )
        self._insert("studies", [(model, version, study, *row) for row in rows])

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
