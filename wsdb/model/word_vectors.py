"""Pretrained vectors: the tokens of lists, and the words of a singleton payload's text, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from wsdb.core.errors import ModelError
from wsdb.model.arrays import Ragged
from wsdb.model.parts import PayloadInput

PRETRAINED = "pretrained"
"""Array of rows of the table, int32; 0 for none."""
WORDS = "words."
"""The words of singleton payload p that its embedding knows are the Ragged words.p: ``pretrained`` int32 (E,)."""
_BETWEEN = r"[^\p{L}\p{N}_']+"


@dataclass(frozen=True, slots=True)
class Embedding:
    """Vectors of tokens.

    Attributes
    ----------
    name : as the payload's `embedding` says it
    tokens : string array of length v, distinct
    vectors : float32 array of shape (v, d)
    """

    name: str
    tokens: pa.Array
    vectors: np.ndarray


def look_up(values: pa.Array, tokens: pa.Array) -> np.ndarray:
    """Return the row of each value, or of its small letters, in a table whose row 0 is nothing; int32 (E,).

    Parameters
    ----------
    tokens : string array; token i is row i + 1
    """
    tokens = pc.cast(tokens, pa.large_string())
    exact = pc.index_in(values, tokens, skip_nulls=True)
    small = pc.index_in(pc.utf8_lower(values), tokens, skip_nulls=True)
    return np.asarray(pc.fill_null(pc.add(pc.coalesce(exact, small), 1), 0)).astype(np.int32)


def word_rows(payload: PayloadInput, batch: pa.RecordBatch | pa.StructArray, tokens: pa.Array) -> Ragged:
    """Split the text columns of a singleton payload into words, and keep those that the table has.

    Raises
    ------
    ModelError  WS503 if no column is text, WS504 if one is missing.
    """
    is_struct = isinstance(batch, pa.StructArray)
    names = [item.name for item in batch.type] if is_struct else batch.schema.names
    columns = batch.flatten() if is_struct else batch.columns
    texts = []
    for name, _ in payload.columns:
        if name not in names:
            raise ModelError(
                "WS504", f"payload {payload.name} was trained on column {name}: it is missing", column=name
            )
        column = columns[names.index(name)]
        if pt.is_string(column.type) or pt.is_large_string(column.type) or pt.is_null(column.type):
            texts.append(pc.fill_null(pc.cast(column, pa.large_string()), ""))
    if not texts:
        raise ModelError(
            "WS503",
            f"payload {payload.name} has no VARCHAR column whose words embedding {payload.embedding} could give",
            payload=payload.name,
        )
    whole = pc.binary_join_element_wise(*texts, pa.scalar(" ", pa.large_string()))
    words = pc.split_pattern_regex(whole, _BETWEEN)
    found = look_up(pc.list_flatten(words), tokens)
    row = np.repeat(np.arange(len(words)), np.asarray(pc.list_value_length(words)))[found > 0]
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(row, minlength=len(words)), dtype=np.int64)])
    return Ragged(indptr, {PRETRAINED: found[found > 0]})


def tokens_to_arrays(name: str, tokens: pa.Array) -> dict[str, np.ndarray]:
    """Return tokens as two arrays: their UTF-8 bytes, and how many each has."""
    texts = [value.encode() for value in tokens.to_pylist()]
    lengths = np.array([len(text) for text in texts], np.int32)
    return {f"{name}.token_bytes": np.frombuffer(b"".join(texts), np.uint8), f"{name}.token_lengths": lengths}


def tokens_of_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> pa.Array:
    """Return the tokens that `tokens_to_arrays` gave."""
    data, lengths = arrays[f"{name}.token_bytes"].tobytes(), arrays[f"{name}.token_lengths"]
    ends = np.cumsum(lengths)
    texts = [data[end - size : end].decode() for size, end in zip(lengths, ends, strict=True)]
    return pa.array(texts, pa.large_string())
