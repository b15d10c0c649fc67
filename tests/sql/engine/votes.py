"""Labeling functions for tests/sql/engine/python.test."""

from __future__ import annotations

import pyarrow as pa


def money(batch: pa.RecordBatch) -> list[str | None]:
    return ["spam" if "money" in body else None for body in batch["body"].to_pylist()]
