"""Model: a trained model in Python, as `db.model('m')` gives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsdb.catalog.snapshot import CatalogSnapshot
from wsdb.core.errors import CatalogError
from wsdb.core.span import Span
from wsdb.core.specs import ModelSpec
from wsdb.core.sqltext import literal
from wsdb.parser.statements import ShowCode
from wsdb.session.rooms import Result, Rooms


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version of a model as it is stored.

    Attributes
    ----------
    name : the model's, as its definition spells it
    version : its number, from 1
    manifest : everything about the network but its arrays
    weights : the arrays, in safetensors
    """

    name: str
    version: int
    manifest: Mapping[str, Any]
    weights: bytes = field(repr=False)


def stored_version(rooms: Rooms, name: str, snapshot: CatalogSnapshot, span: Span | None = None) -> StoredVersion:
    """Return the newest version of a model, or the one that ``name@version`` says.

    Raises
    ------
    CatalogError
        WS201 where there is no such model, WS207 where it has no such version.
    """
    plain, mark, wanted = name.partition("@")
    spec = snapshot.model(plain, span)
    rows = rooms.engine.rows(
        f"SELECT version, manifest, t.bytes FROM {rooms.engine.table('model_versions')} "
        f"JOIN {rooms.engine.table('tensors')} AS t USING (model, version) "
        "WHERE lower(model) = ? AND (? OR version = TRY_CAST(? AS INTEGER)) ORDER BY version DESC LIMIT 1",
        [spec.name.lower(), not mark, wanted],
    )
    if not rows:
        stored = snapshot.models.get(spec.name.lower())
        newest = stored.version if stored is not None else 0
        raise CatalogError(
            "WS207", f'"{spec.name}" has no version "{wanted}"; its newest is {newest}', span=span, name=name
        )
    version, manifest, weights = rows[0]
    return StoredVersion(spec.name, version, json.loads(manifest), weights)


def code_of(version: StoredVersion) -> str:
    """Return the resolved specification of a network and the text of its module, as SHOW CODE prints them."""
    from wsdb.model.module import source_of

    return source_of(version.manifest, version.weights)


def show_code(stmt: ShowCode, rooms: Rooms) -> Result:
    """Show a model as code: what its declaration came to, and the network's text, a row for each line."""
    snapshot = rooms.catalog.snapshot()
    text = code_of(stored_version(rooms, stmt.name, snapshot, stmt.at("model")))
    return Result.of(("code",), [(line,) for line in text.splitlines()])


class Model:
    """A trained model.

    Attributes
    ----------
    name : str
    version : int
    spec : ModelSpec
        The definition, with every option's effective value.
    manifest : dict
        What is stored of the version but its arrays: features, network, tasks, calibration.
    labels : dict of str to tuple of str
        The labels of each task, in the order of its probabilities.
    """

    def __init__(self, query: Callable[[str], Any], stored: StoredVersion, spec: ModelSpec, source: str) -> None:
        self.name, self.version, self.spec = stored.name, stored.version, spec
        self.manifest: dict[str, Any] = dict(stored.manifest)
        self.labels = {task["name"]: tuple(task["labels"]) for task in stored.manifest["tasks"]}
        self._stored, self._query, self._source = stored, query, source
        self._module: Any = None

    @property
    def module(self) -> Any:
        """The network as a `torch.nn.Module`, with its trained parameters, in evaluation mode.

        It is made at the first use, and is the caller's own: what is changed on it changes no prediction.

        Raises
        ------
        EnvironmentError_
            WS701 where torch is not installed.
        """
        if self._module is None:
            from wsdb.model.module import module_of

            self._module = module_of(self._stored.manifest, self._stored.weights)
        return self._module

    @property
    def code(self) -> str:
        """The resolved specification and the text of the module: what SHOW CODE FOR MODEL prints."""
        return code_of(self._stored)

    def metrics(self, relation: str | None = None, by: str | None = None) -> Any:
        """Return the scores against gold as a DuckDB relation: what ``evaluate('model@version', relation)`` gives.

        Parameters
        ----------
        relation : name of a relation, or a SELECT in parentheses; None is what the model is trained from
        by : ``split``, ``slice``, …, as for evaluate

        Raises
        ------
        ModelError
            WS502 where the relation does not have what the model reads.
        """
        source = relation or self._source
        more = f", by => {literal(by)}" if by is not None else ""
        return self._query(f"FROM evaluate({literal(f'{self.name}@{self.version}')}, {source}{more})")

    def __repr__(self) -> str:
        tasks = ", ".join(f"{task} ({len(labels)} labels)" for task, labels in self.labels.items())
        return f"Model({self.name}@{self.version}: {tasks})"
