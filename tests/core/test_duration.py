from __future__ import annotations

import duckdb
import pytest

from wsdb.core.duration import seconds_of


@pytest.mark.parametrize(
    "text",
    [
        "10 minutes",
        "1 hour 30 minutes",
        "90s",
        "2.5 hours",
        "00:10:00",
        "1:05",
        "250 ms",
        " 3 Days ",
        "1 week 2 d",
        "5 min",
    ],
)
def test_a_length_of_time_is_that_of_duckdb(text: str) -> None:
    ((expected,),) = duckdb.execute(f"SELECT epoch(INTERVAL '{text}')").fetchall()
    assert seconds_of(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "soon", "10", "1 month", "-3 minutes", "10 minutes!", "none"])
def test_what_is_no_length_of_time_is_none(text: str) -> None:
    assert seconds_of(text) is None
