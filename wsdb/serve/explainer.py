"""The scalar functions that explain rows: what speaks for a prediction, and which slices a network sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from wsdb.serve.served import Served

EXPLAIN = "wsdb_explain_needs_a_python_session_with_wsdb_attached"
EXPLAINED = "STRUCT(task VARCHAR, pos BIGINT, label VARCHAR, feature VARCHAR, attribution DOUBLE)[]"
SEEN = "wsdb_slices_needs_a_python_session_with_wsdb_attached"
SLICES = "STRUCT(payload VARCHAR, slice VARCHAR, pos BIGINT, prob DOUBLE)[]"
RULES = "wsdb_rules_need_a_python_session_with_wsdb_attached"
BROKEN = "STRUCT(kind VARCHAR, name VARCHAR, rule VARCHAR, tasks VARCHAR[], before BOOLEAN, after BOOLEAN)[]"


class Explainer:
    """The functions of one database instance.

    Parameters
    ----------
    model : returns the loaded model of a key
    """

    def __init__(self, model: Callable[[str], Served]) -> None:
        self.model = model
        # DuckDB keeps no reference that outlives a connection.
        self.explained, self.seen, self.checked = self.explain, self.see, self.check

    def explain(self, keys: pa.ChunkedArray, tasks: pa.ChunkedArray, tops: pa.ChunkedArray, rows: Any) -> pa.Array:
        """Return for each row a list of (task, pos, label, feature, attribution), by task and element.

        Parameters
        ----------
        keys : the model version, the same in every row
        tasks : the task, or NULL for all
        tops : how many attributions of each label, or NULL for all
        """
        from wsdb.model.attribution import attribute

        kind = pa.list_(
            pa.struct(
                [
                    ("task", pa.string()),
                    ("pos", pa.int64()),
                    ("label", pa.string()),
                    ("feature", pa.string()),
                    ("attribution", pa.float64()),
                ]
            )
        )
        batch = rows.combine_chunks() if isinstance(rows, pa.ChunkedArray) else rows
        if len(batch) == 0:
            return pa.array([], kind)
        served = self.model(keys[0].as_py())
        wanted, top = tasks[0].as_py(), tops[0].as_py()
        found: list[list[dict[str, Any]]] = [[] for _ in range(len(batch))]
        for task in served.tasks:
            name = task["name"]
            if wanted is not None and name.lower() != wanted.lower():
                continue
            answer = attribute(served.predictor, batch, name, top, task.get("threshold"))
            places = [None] * len(answer.rows) if answer.pos is None else answer.pos.tolist()
            for row, pos, label, parts in zip(answer.row.tolist(), places, answer.labels, answer.rows, strict=True):
                said = {"task": name, "pos": pos, "label": label}
                found[row] += [{**said, "feature": feature, "attribution": value} for feature, value in parts]
        return pa.array(found, kind)

    def see(self, keys: pa.ChunkedArray, rows: Any) -> pa.Array:
        """Return for each row a list of (payload, slice, pos, probability of membership) that the network knows.

        Of slices of rows payload and pos are NULL. Each element of a payload is there once more with the slice NULL, so
        that it is known which elements a row has.
        """
        fields = {"payload": pa.string(), "slice": pa.string(), "pos": pa.int64(), "prob": pa.float64()}
        kind = pa.list_(pa.struct(list(fields.items())))
        batch = rows.combine_chunks() if isinstance(rows, pa.ChunkedArray) else rows
        if len(batch) == 0:
            return pa.array([], kind)
        predictor = self.model(keys[0].as_py()).predictor
        found: list[list[dict[str, Any]]] = [[] for _ in range(len(batch))]
        for payload, indptr in predictor.elements(batch).items():
            for row, number in zip(found, np.diff(indptr).tolist(), strict=True):
                row += [{"payload": payload, "pos": pos} for pos in range(1, number + 1)]
        for place, scores in predictor.slice_members(batch).items():
            probs, names = scores.probabilities.tolist(), predictor.slices[place]
            ends = np.arange(len(batch) + 1) if scores.indptr is None else scores.indptr
            for at, row in enumerate(found):
                for pos, own in enumerate(probs[ends[at] : ends[at + 1]], start=1):
                    where = {} if scores.indptr is None else {"payload": place, "pos": pos}
                    row += [{**where, "slice": name, "prob": p} for name, p in zip(names, own, strict=True)]
        return pa.array(found, kind)

    def check(self, keys: pa.ChunkedArray, rows: Any) -> pa.Array:
        """Return for each row a list of the model's rules, each with whether the row breaks it, before and after."""
        texts = pa.string()
        fields = {"kind": texts, "name": texts, "rule": texts, "tasks": pa.list_(texts)}
        kind = pa.list_(pa.struct([*fields.items(), ("before", pa.bool_()), ("after", pa.bool_())]))
        batch = rows.combine_chunks() if isinstance(rows, pa.ChunkedArray) else rows
        if len(batch) == 0:
            return pa.array([], kind)
        served = self.model(keys[0].as_py())
        known = [{"kind": r.kind, "name": r.name, "rule": r.text, "tasks": list(r.tasks)} for r in served.rules]
        before, after = (part.tolist() for part in served.violations(batch))
        return pa.array(
            [
                [{**rule, "before": one, "after": two} for rule, one, two in zip(known, *row, strict=True)]
                for row in zip(before, after, strict=True)
            ],
            kind,
        )
