"""The terms of explain_row add up to the stored probabilities, whatever the shape of the task."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

import wsdb

SETUP = """
CREATE TABLE queries AS
SELECT i AS qid, list_transform(range(1 + i % 6), lambda x: chr(97 + ((x * 7 + i * 3) % 11)::INTEGER)) AS tokens,
       i % 5 AS n, i % 3 AS m
FROM range(40) t(i);
CREATE PAYLOAD tokens ON queries AS SEQUENCE (tokens);
CREATE PAYLOAD choices ON queries AS SET (tokens);
"""
TASKS = {
    "sequence": (
        "tag",
        """
        CREATE TASK tag ON queries KEY (qid) PAYLOAD tokens TYPE MULTICLASS ('x', 'y', 'z');
        CREATE LF one FOR TASK tag AS CASE WHEN value < 'd' THEN 'x' WHEN value < 'g' THEN 'y' END;
        CREATE LF two FOR TASK tag AS CASE WHEN value IN ('a', 'd', 'g') THEN 'z' WHEN value < 'f' THEN 'x' END;
        CREATE LF three FOR TASK tag AS CASE WHEN pos = 1 THEN 'y' WHEN value > 'h' AND qid % 2 = 0 THEN 'z' END;
        """,
    ),
    "spans": (
        "span",
        """
        CREATE TASK span ON queries KEY (qid) PAYLOAD tokens TYPE MULTICLASS ('O', 'B-a', 'I-a', 'B-b', 'I-b');
        CREATE LF one FOR TASK span AS CASE WHEN value < 'd' THEN 'B-a' WHEN value = 'e' THEN 'B-b' END;
        CREATE LF two FOR TASK span AS CASE WHEN value IN ('a', 'd') THEN 'B-a' WHEN value = 'k' THEN 'O' END;
        CREATE LF three FOR TASK span AS CASE WHEN pos = 1 THEN 'B-b' WHEN pos = 2 AND n = 1 THEN 'I-b' END;
        """,
    ),
    "select": (
        "pick",
        """
        CREATE TASK pick ON queries KEY (qid) PAYLOAD choices TYPE SELECT;
        CREATE LF one FOR TASK pick VOTE 'yes' WHEN value < 'd' AND n > 0;
        CREATE LF two FOR TASK pick VOTE 'no' WHEN value > 'f' AND n < 4;
        CREATE LF three FOR TASK pick AS CASE WHEN value = 'b' THEN 'yes' WHEN n = 3 THEN 'no' END;
        CREATE LF four FOR TASK pick AS CASE WHEN m = 1 AND value IN ('a', 'b', 'c', 'k') THEN 'yes' END;
        """,
    ),
    "bitvector": (
        "about",
        """
        CREATE TASK about ON queries KEY (qid) TYPE BITVECTOR ('p', 'q', 'r');
        CREATE LF one FOR TASK about AS CASE n WHEN 0 THEN ['p'] WHEN 1 THEN ['p', 'q'] WHEN 2 THEN [] END;
        CREATE LF two FOR TASK about AS CASE m WHEN 0 THEN ['q'] WHEN 1 THEN ['r', 'q'] END;
        CREATE LF three FOR TASK about VOTE 'p' WHEN qid % 7 < 3;
        """,
    ),
    "ordinal": (
        "size",
        """
        CREATE TASK size ON queries KEY (qid) TYPE ORDINAL ('s', 'm', 'l');
        CREATE LF one FOR TASK size AS
            SELECT qid, ['s', 'm', 'l'][m + 1] AS label, 0.3 + n / 10 AS confidence FROM queries;
        CREATE LF two FOR TASK size AS CASE WHEN n = 4 THEN 'l' WHEN n = 0 THEN 's' END;
        CREATE LF three FOR TASK size AS SELECT qid, ['m', 'l'] AS label FROM queries WHERE n > 2;
        """,
    ),
    "one of": (
        "kind",
        """
        CREATE TASK kind ON queries KEY (qid) TYPE MULTICLASS ('a', 'b', 'c')
            CLASS BALANCE ('a' = 0.5, 'b' = 0.3, 'c' = 0.2);
        CREATE LF one FOR TASK kind AS
            SELECT qid, CASE n WHEN 0 THEN ['a', 'b'] WHEN 1 THEN ['c'] END AS label FROM queries;
        CREATE LF two FOR TASK kind AS CASE m WHEN 0 THEN 'b' WHEN 1 THEN 'a' END;
        """,
    ),
    "confidence": (
        "sure",
        """
        CREATE TASK sure ON queries KEY (qid) TYPE BINARY ('no', 'yes');
        CREATE LF one FOR TASK sure AS SELECT qid, 'yes' AS label, n / 4 AS confidence FROM queries WHERE m > 0;
        CREATE LF two FOR TASK sure AS CASE m WHEN 0 THEN 'no' WHEN 1 THEN 'yes' END;
        """,
    ),
    "graph": (
        "fact",
        """
        CREATE TASK intent ON queries KEY (qid) TYPE MULTICLASS ('fact', 'weather');
        CREATE TASK fact ON queries KEY (qid) TYPE MULTICLASS ('age', 'height', 'other');
        CREATE TASK GRAPH g (fact APPLIES WHEN intent 'fact', fact 'age' IMPLIES intent 'fact');
        CREATE LF i1 FOR TASK intent AS CASE WHEN n < 3 THEN 'fact' WHEN m = 2 THEN 'weather' END;
        CREATE LF i2 FOR TASK intent AS CASE WHEN m = 0 THEN 'fact' WHEN n = 4 THEN 'weather' END;
        CREATE LF f1 FOR TASK fact AS CASE n WHEN 0 THEN 'age' WHEN 1 THEN 'height' END;
        CREATE LF f2 FOR TASK fact AS CASE m WHEN 0 THEN 'age' WHEN 1 THEN 'other' END;
        CREATE LF both FOR TASKS (intent, fact) AS
            CASE WHEN n = 2 THEN {'intent': 'fact', 'fact': 'height'}
            WHEN n = 3 THEN {'intent': 'weather', 'fact': NULL} END;
        CREATE LABEL MODEL lm FOR TASKS (intent, fact) GRAPH g;
        """,
    ),
}


@pytest.fixture
def session() -> Iterator[wsdb.Session]:
    with wsdb.connect() as made:
        made.execute(SETUP)
        yield made


def probabilities(terms: dict[str, dict[str, float]], *, alone: bool) -> dict[str, float]:
    """What the terms give without the total: a softmax, or for each label a logistic function."""
    labels = terms["probability"].keys()
    parts = [values for name, values in terms.items() if name != "probability"]
    logs = {label: sum(values.get(label, 0.0) for values in parts) for label in labels}
    if alone:
        return {label: 1 / (1 + math.exp(-log)) for label, log in logs.items()}
    top = max(logs.values())
    mass = {label: math.exp(log - top) for label, log in logs.items()}
    return {label: value / sum(mass.values()) for label, value in mass.items()}


@pytest.mark.parametrize("shape", TASKS)
def test_terms_add_up_to_the_stored_probabilities(session: wsdb.Session, shape: str) -> None:
    task, statements = TASKS[shape]
    session.execute(statements)
    rows = session.sql(f"SELECT * FROM labels('{task}')").fetchall()
    names = [column[0] for column in session.sql(f"SELECT * FROM labels('{task}') LIMIT 0").description]
    keys = names[: names.index("label")]
    covered = 0
    for row in rows[:: 1 + len(rows) // 25]:
        found = dict(zip(names, row, strict=True))
        key = ", ".join(str(found[name]) for name in keys)
        terms: dict[str, dict[str, float]] = {}
        totals: dict[str, float] = {}
        for at, (term, evidence) in enumerate(
            session.sql(f"SELECT term, evidence FROM explain_row('{task}', '{key}')").fetchall()
        ):
            if term == "total":
                totals = evidence
            else:
                terms[term if term == "probability" else f"{term} {at}"] = evidence
        shown = {label: terms["probability"][label] for label in found["probs"]}
        assert shown == pytest.approx(found["probs"], abs=1e-9)
        if not found["covered"]:
            assert not totals
            continue
        covered += 1
        assert probabilities(terms, alone=shape == "bitvector") == pytest.approx(terms["probability"], abs=1e-9)
        for label, total in totals.items():
            parts = sum(values.get(label, 0.0) for name, values in terms.items() if name != "probability")
            assert parts == pytest.approx(total) or (math.isinf(parts) and math.isinf(total))
    assert covered > 5
