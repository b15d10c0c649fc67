"""Everything that is assumed about characters, over all of Unicode, against DuckDB and polars."""

from __future__ import annotations

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from tests.engine.match.differ import compared
from wsdb.engine.match.charset import (
    _BLOCKS,
    _CASELESS,
    CaseMap,
    case_map,
    complement,
    intersect,
    of_chars,
    orbit,
    preimage,
    union,
)

EVERY = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.register("given", pa.table({"id": EVERY, "body": [chr(code) for code in EVERY]}))
    con.execute("CREATE TABLE t AS FROM given")
    return con


@pytest.mark.slow
def test_classes_and_foldings_are_duckdbs_for_every_character(con: duckdb.DuckDBPyConnection) -> None:
    patterns = [r"^\s$", r"^\w$", r"^\d$", "^.$", "(?s)^.$", r"^\W$", r"^[^a]$", r"(?i)^\w$", r"(?i)^[\Wk]$", r"\b"]
    patterns += [f"^[[:{name}:]]$" for name in ("alpha", "space", "punct", "print", "graph", "cntrl", "word", "^lower")]
    patterns += [f"(?i)^{char}$" for char in "iIksSß中ж"] + [
        "(?i)^[a-z]$",
        "(?i)^[^k]$",
        "(?i)^[!-z]$",
        "(?i)^[^[:^upper:]]$",
    ]
    bodies = [f"regexp_matches(body, '{pattern}')" for pattern in patterns]
    bodies += [
        f"regexp_matches({case}(body), '{pattern}')" for case in ("lower", "upper") for pattern in ("^[ki]$", r"^\W")
    ]
    bodies += [
        "body ILIKE 'K'",
        "lower(body) = 'i'",
        "upper(body) = 'S'",
        "length(body) = 1",
        "strlen(body) > 2",
        "body LIKE '_'",
    ]
    assert compared(con, bodies)[0] == len(bodies)


def test_orbits_are_what_duckdb_folds(con: duckdb.DuckDBPyConnection) -> None:
    cased = [code for low, high in _BLOCKS for code in range(low, high + 1) if chr(code).isalpha()]
    con.execute(
        "CREATE OR REPLACE TABLE cased AS SELECT DISTINCT body FROM t WHERE lower(body) <> body OR upper(body) <> body"
    )
    con.execute("INSERT INTO cased SELECT unnest(?)", [["\u0345", "\u1fbe", "\u03c2"]])
    for block in range(0, len(cased), 60):
        part = cased[block : block + 60]
        rows = con.execute(
            f"SELECT {', '.join(f'regexp_matches(body, $a{at})' for at in range(len(part)))}, unicode(body) FROM cased",
            {f"a{at}": f"(?i)^\\x{{{code:x}}}$" for at, code in enumerate(part)},
        ).fetchall()
        for at, code in enumerate(part):
            assert {row[-1] for row in rows if row[at]} | {code} == orbit(code), hex(code)


def test_caseless_blocks_do_not_fold(con: duckdb.DuckDBPyConnection) -> None:
    inside = "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in _CASELESS)
    found = con.execute("SELECT id FROM t WHERE regexp_matches(body, ?)", [f"(?i)^[{inside}]$"]).fetchall()
    assert of_chars(row[0] for row in found) == union(_CASELESS)
    changed = con.execute("SELECT id FROM t WHERE lower(body) <> body OR upper(body) <> body").fetchall()
    assert not intersect(of_chars(row[0] for row in changed), _CASELESS)


@pytest.mark.parametrize("function", ["lower", "upper"])
def test_lower_and_upper_map_each_character_by_itself(con: duckdb.DuckDBPyConnection, function: str) -> None:
    changes = case_map(con, function).changes
    whole = "".join(map(chr, EVERY[1:]))
    assert con.execute(f"SELECT {function}(?)", [whole]).fetchall()[0][0] == "".join(
        chr(changes.get(code, code)) for code in EVERY[1:]
    )
    ascii_ = {chr(code): chr(to) for code, to in changes.items() if code > 127 and to < 128}
    assert ascii_ == ({"\u212a": "k", "\u0130": "i"} if function == "lower" else {"\u017f": "S", "\u0131": "I"})


def test_sets_are_complemented_and_intersected() -> None:
    some = of_chars([1, 2, 3, 9])
    assert some == ((1, 3), (9, 9))
    assert complement(complement(some)) == some
    assert intersect(some, complement(some)) == ()
    case = CaseMap({65: 97})
    assert preimage(((97, 97),), case) == ((65, 65), (97, 97))
    assert preimage(((65, 66),), case) == ((66, 66),)
    assert preimage(((65, 65),), case) == ()


def test_a_nul_and_long_texts_are_ordinary_texts() -> None:
    con = duckdb.connect()
    long = "a" * 1_000_000
    con.register("given", pl.DataFrame({"id": [1, 2, 3, 4], "body": [f"{long}free\0b", "\0", long, ""]}).to_arrow())
    con.execute("CREATE TABLE t AS FROM given")
    bodies = ["body LIKE '%free_b'", "regexp_matches(body, 'free.b$')", r"regexp_matches(body, '^\x00')", "body = ''"]
    bodies += [
        r"regexp_matches(body, '\bfree\b')",
        "contains(body, '')",
        "regexp_matches(body, '')",
        "length(body) > 1000000",
    ]
    assert compared(con, bodies)[0] == len(bodies)
