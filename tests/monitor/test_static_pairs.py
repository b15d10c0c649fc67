"""What labeling functions have in common by their text."""

from __future__ import annotations

import json

import duckdb
import pytest

from wsdb.monitor import static_pairs as module
from wsdb.monitor.static_pairs import Reads, constants_of, static_pairs


def constants(query: str) -> set[str]:
    (text,) = duckdb.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0]
    return set(constants_of(json.loads(text)))


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("body LIKE '%Win money%'", {"win money"}),
        ("regexp_matches(body, '^cash.*')", {"cash"}),
        ("score > 4 AND price > 2.50 AND rate = 1e3 AND low = -5", {"4", "2.5", "1000", "-5"}),
        ("seen = true AND note IS NOT NULL AND flag = 0 AND other = 1", set()),
        ("lang IN ('en', 'de')", {"en", "de"}),
        ("body LIKE '%'", set()),
    ],
)
def test_constants_are_read_off_the_tree(predicate: str, expected: set[str]) -> None:
    assert constants(f"SELECT {predicate} FROM mails") == expected


def test_pairs_name_what_they_share_and_keep_the_order_of_the_functions() -> None:
    reads = {
        "b": Reads(frozenset({"body", "score"}), frozenset({"money"})),
        "a": Reads(frozenset({"BODY"}), frozenset({"Money"}), frozenset({"terms"})),
        "c": Reads(frozenset({"other"}), frozenset(), frozenset({"TERMS"})),
        "d": Reads(),
    }
    assert static_pairs(reads) == [
        ("b", "a", "shared_constant: money"),
        ("b", "a", "shared_column: body"),
        ("a", "c", "shared_primitive: terms"),
    ]


def test_what_too_many_have_in_common_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.COMMON, "column", 3)
    reads = {f"lf_{at}": Reads(frozenset({"body"})) for at in range(4)}
    assert static_pairs(reads) == []
    assert len(static_pairs(dict(list(reads.items())[:3]))) == 3


def test_labels_and_keys_tell_nothing() -> None:
    reads = {name: Reads(frozenset({"id", "body"}), frozenset({"spam"})) for name in "ab"}
    assert static_pairs(reads, ["Spam", "ID"]) == [("a", "b", "shared_column: body")]


def test_a_long_constant_is_cut() -> None:
    reads = {name: Reads(constants=frozenset({"x" * 100})) for name in "ab"}
    assert static_pairs(reads)[0].reason == "shared_constant: " + "x" * 39 + "…"
