"""Embedding: vectors of tokens from a file, for the payloads of models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Embedding:
    """Vectors of tokens, read once from a file and kept in the database.

    Attributes
    ----------
    name : unique among embeddings, compared without case
    file : the path as it was written; its ending says how it is read
    """

    name: str
    file: str
    comment: str | None = None

    @property
    def stored(self) -> str:
        """The name of the table in schema wsdb: ``token`` VARCHAR and ``vector`` FLOAT[d], in the file's order."""
        return f"embedding_{self.name}"
