"""Fingerprints: pure functions from canonical text and parents to short hashes."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from wsdb.parser.render import Spec, essence, render


def digest(*parts: object) -> str:
    """Return 16 hex digits of the SHA-256 of `parts`, kept apart from each other.

    >>> digest("ab", "c") == digest("a", "bc")
    False
    """
    text = "\x1e".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def data_hash(spec: Spec) -> str:
    """Return the hash of what a spec means: its canonical text without comments, layout and COMMENT."""
    return digest(essence(render(replace(spec, comment=None))))


def metadata_hash(spec: Spec) -> str:
    """Return the hash of what a spec says of itself without changing any result."""
    return digest(spec.comment)
