from __future__ import annotations

import random

import duckdb
import pytest

from tests.engine.match.differ import compared, kernels

TYPES = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    *("DOUBLE", "FLOAT", "DECIMAL(4,1)", "DECIMAL(9,2)", "DECIMAL(18,0)", "DECIMAL(18,6)"),
)
EDGES = {
    "TINYINT": (-128, 127),
    "SMALLINT": (-32768, 32767),
    "INTEGER": (-(2**31), 2**31 - 1),
    "BIGINT": (-(2**63), 2**63 - 1),
    "UTINYINT": (0, 255),
    "USMALLINT": (0, 65535),
    "UINTEGER": (0, 2**32 - 1),
    "UBIGINT": (0, 2**64 - 1),
    "DOUBLE": ("'nan'", "'inf'", "'-inf'", "-0.0", "0.1", "2.5", "1e300", "5e-324"),
    "FLOAT": ("'nan'", "'inf'", "'-inf'", "-0.0", "0.1", "2.5", "1e30", "16777217"),
    "DECIMAL(4,1)": ("-999.9", "999.9", "2.5", "0.1"),
    "DECIMAL(9,2)": ("-9999999.99", "9999999.99", "2.50", "0.10", "0.01"),
    "DECIMAL(18,0)": ("-999999999999999999", "999999999999999999"),
    "DECIMAL(18,6)": ("-999999999999.999999", "999999999999.999999", "2.5", "0.1", "0.000001"),
}
CONSTANTS = (
    *(
        "0",
        "1",
        "-1",
        "2",
        "3",
        "127",
        "128",
        "-128",
        "-129",
        "255",
        "256",
        "32767",
        "65536",
        "2147483647",
        "2147483648",
    ),
    *(
        "-2147483649",
        "4294967296",
        "99999999999999",
        "2.5",
        "-2.5",
        "0.1",
        "0.10",
        "-0.0",
        "0.000001",
        "0.0000000001",
        "2.0",
    ),
    *("999.9", "999.95", "9999999.99", "16777217", "9007199254740993", "1e3", "123456789012345678901234567890"),
)


def comparison(rng: random.Random, column: str) -> str:
    a, b, c = (rng.choice(CONSTANTS) for _ in range(3))
    return rng.choice(
        (
            f"{column} {rng.choice(('=', '<>', '<', '<=', '>', '>='))} {a}",
            f"{column} {rng.choice(('=', '<>', '<', '<=', '>', '>='))} {a}",
            f"{a} {rng.choice(('=', '<>', '<', '<=', '>', '>='))} {column}",
            f"{column} {rng.choice(('', 'NOT '))}BETWEEN {a} AND {b}",
            f"{column} {rng.choice(('', 'NOT '))}IN ({a}, {b}, {rng.choice((c, 'NULL'))})",
            f"{column} IS {rng.choice(('', 'NOT '))}DISTINCT FROM {a}",
            f"NOT ({column} > {a} AND {column} < {b}) OR {column} IS NULL",
        )
    )


def numbers(seed: int, count: int) -> tuple[int, int]:
    con = duckdb.connect()
    con.execute(f"CREATE TABLE t (id INTEGER, {', '.join(f'c{at} {type_}' for at, type_ in enumerate(TYPES))})")
    for row in range(12):
        values = [
            str(EDGES[type_][row]) if row < len(EDGES[type_]) else ("NULL", "0", "1", "2", "3")[row % 5]
            for type_ in TYPES
        ]
        con.execute(f"INSERT INTO t VALUES ({row}, {', '.join(values)})")
    rng = random.Random(seed)
    bodies = [comparison(rng, f"c{rng.randrange(len(TYPES))}") for _ in range(count)]
    return compared(con, bodies)


def test_comparisons_of_numbers_answer_what_duckdb_answers() -> None:
    known, cells = numbers(1, 250)
    assert known > 150
    assert cells > 1_500


@pytest.mark.slow
def test_many_comparisons_of_numbers_answer_what_duckdb_answers() -> None:
    known = sum(numbers(seed, 300)[0] for seed in range(2, 30))
    assert known > 5_000


def test_dates_and_truth_values_answer_what_duckdb_answers() -> None:
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE t AS SELECT id, d::DATE AS d, f FROM (VALUES (1, '2020-01-01', true), (2, '1969-12-31', false), "
        "(3, 'infinity', NULL), (4, '-infinity', true), (5, NULL, false), (6, '0001-01-01', true), "
        "(7, '9999-12-31', NULL), (8, '0044-03-15 (BC)', NULL)) AS v(id, d, f)"
    )
    bodies = [
        f"d {op} {date}" for op in ("=", "<>", "<", "<=", ">", ">=") for date in ("DATE '2020-01-01'", "'1969-12-31'")
    ]
    bodies += [
        "d BETWEEN '0001-01-01' AND DATE '2020-01-01'",
        "d IN ('2020-01-01', '9999-12-31')",
        "d NOT IN ('2020-01-01')",
    ]
    bodies += [
        "f",
        "NOT f",
        "f = TRUE",
        "f <> TRUE",
        "f = FALSE",
        "f IS TRUE",
        "f IS NOT TRUE",
        "f IS FALSE",
        "f IS NULL",
    ]
    bodies += [
        "f AND d > '2000-01-01'",
        "f OR d > '2000-01-01'",
        "(d > '2000-01-01') IS TRUE",
        "f IS DISTINCT FROM TRUE",
    ]
    bodies += ["f AND NULL", "f OR NULL", "f OR TRUE", "d IS NOT NULL", "NOT (f OR d IS NULL)"]
    assert compared(con, bodies)[0] == len(bodies)
    strange = ["d > '2020-1-1'", "d > '2020-02-30'", "d > 'today'", "d > TIMESTAMP '2020-01-01'", "f = 1", "d = NULL"]
    assert kernels(con, strange) == [None] * len(strange)
