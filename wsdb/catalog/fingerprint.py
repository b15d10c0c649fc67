"""Fingerprints: pure functions from canonical text and parents to short hashes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache

from wsdb.core.lf import LabelingFunction
from wsdb.parser.render import Spec, essence, render


def digest(*parts: object) -> str:
    """Return 16 hex digits of the SHA-256 of `parts`, kept apart from each other.

    >>> digest("ab", "c") == digest("a", "bc")
    False
    """
    text = "\x1e".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def data_hash(spec: Spec) -> str:
    """Return the hash of what a spec means: its canonical text without comments, layout and what only describes it."""
    return digest(essence(render(undescribed(spec))))


def metadata_hash(spec: Spec) -> str:
    """Return the hash of what a spec says of itself without changing any result."""
    if isinstance(spec, LabelingFunction):
        return digest(spec.comment, spec.kind, *spec.tags, spec.servable)
    return digest(spec.comment)


@lru_cache(maxsize=50_000)
def votes_hash(lf: LabelingFunction) -> str:
    """Return the hash of what the votes of a labeling function depend on in its definition.

    A name, another one that it depends on and whether it is enabled change what is done with votes, not the votes.
    """
    return digest(essence(render(undescribed(replace(lf, name="lf", depends_on=(), enabled=True)))))


def undescribed(spec: Spec) -> Spec:
    """Return a spec without its comment and, for a labeling function, without KIND, TAGS and NONSERVABLE."""
    if isinstance(spec, LabelingFunction):
        return replace(spec, comment=None, kind=None, tags=(), servable=True)
    return replace(spec, comment=None)
