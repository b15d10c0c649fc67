"""The rows that an object has in the tables of schema wsdb, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from wsdb.catalog.fingerprint import data_hash, digest, metadata_hash
from wsdb.catalog.references import references
from wsdb.catalog.snapshot import CatalogSnapshot, Entry
from wsdb.core.lf import LabelingFunction
from wsdb.core.specs import LabelModelSpec
from wsdb.parser.render import Spec, render
from wsdb.parser.statements import KINDS

Parents = Sequence[tuple[str, str]]
"""What an object is made from, as (kind, name)."""


def kind_of(spec: Spec) -> str:
    """Return the kind of object a spec describes, as error messages name it."""
    return KINDS[type(spec)]


def text_of(spec: Spec) -> str:
    """Return the canonical text of a spec as it is stored, its comment apart."""
    return render(replace(spec, comment=None))


def task_of(spec: Spec) -> str | None:
    """Return the task that a labeling function or a label model is stored with."""
    return spec.task if isinstance(spec, LabelingFunction | LabelModelSpec) else None


def detail_of(lf: LabelingFunction) -> tuple[Any, ...]:
    """Return the row of lf_details of a labeling function."""
    return (lf.name, list(lf.tasks), list(lf.tags), list(lf.depends_on), lf.kind, lf.servable, lf.enabled)


def parent_hash(parents: Parents, snapshot: CatalogSnapshot) -> str:
    """Return the hash of the objects that an object is made from."""
    return digest(*(found.data_hash for of, name in parents if (found := snapshot.find(of, name)) is not None))


def with_references(spec: Spec, parents: Parents) -> list[tuple[str, str]]:
    """Return what a spec is made from: its parents, and the objects that it names besides."""
    named = {(kind, name.lower()) for kind, name in parents}
    return [*parents, *(pair for pair in references(spec) if (pair[0], pair[1].lower()) not in named)]


def new_rows(
    objects: Sequence[tuple[Spec, Parents]],
    snapshot: CatalogSnapshot,
    newest: Mapping[tuple[str, str], int],
    owner: str,
    now: datetime,
) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of new objects by table; later ones may be made from earlier ones.

    Parameters
    ----------
    newest : by kind and lower-cased name, the newest version that an object of that name has had
    """
    tables = ("objects", "object_versions", "lineage_edges", "lf_details")
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in tables}
    entries = dict(snapshot.entries)
    for spec, parents in objects:
        kind, low, text = kind_of(spec), spec.name.lower(), text_of(spec)
        version, data, metadata = newest.get((kind, low), 0) + 1, data_hash(spec), metadata_hash(spec)
        every = with_references(spec, parents)
        made = parent_hash(every, CatalogSnapshot(entries=entries))
        rows["objects"].append(
            (f"{kind}:{low}", kind, spec.name, version, task_of(spec), text, spec.comment, data, metadata, now, owner)
        )
        rows["object_versions"].append((kind, spec.name, version, text, data, metadata, made, now, owner))
        rows["lineage_edges"] += [(of, parent, kind, spec.name, version) for of, parent in every]
        rows["lf_details"] += [detail_of(spec)] if isinstance(spec, LabelingFunction) else []
        entries[kind, low] = Entry(kind, spec.name, version, spec, data, metadata, owner)
    return rows
