"""The vote patterns of a label matrix as a stored table, patched where rows or columns change.

Beside it may stand a table of changes: what patches have added and taken away since a fit counted the patterns, so that
the next fit reads these only. It ends where patterns are counted anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from wsdb.core.task import Task
from wsdb.engine.compile import packed_words
from wsdb.engine.rows import GOLD, SPLIT

FEW = 0.3
"""Where more than this share of the rows changed, all patterns are counted anew."""


class Patterns:
    """The stored patterns of one task: split, gold code, packed words and the number of rows.

    Parameters
    ----------
    database : the name under which the database is attached
    table, changes, matrix : full SQL names of the patterns, of their changes and of the label matrix
    columns : the vote columns in the order in which they are packed
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        task: Task,
        database: str,
        table: str,
        changes: str,
        matrix: str,
        columns: Sequence[str],
    ) -> None:
        self._con, self._task, self._database = con, task, database
        self._table, self._changes, self._matrix = table, changes, matrix
        self._words = packed_words(columns, len(task.labels))

    def count(self) -> None:
        """Count all patterns."""
        self.drop()
        self._con.execute(f"CREATE OR REPLACE TABLE {self._table} AS {self._counted('count(*)', self._matrix)}")

    def drop(self) -> None:
        """Forget the patterns; they are counted when they are asked for."""
        self._con.execute(f"DROP TABLE IF EXISTS {self._table}")
        self._con.execute(f"DROP TABLE IF EXISTS {self._changes}")

    def keep_changes(self) -> None:
        """From now on, keep what patches change; forget what they have changed."""
        self._con.execute(f"CREATE OR REPLACE TABLE {self._changes} AS FROM {self._table} LIMIT 0")

    def has_changes(self) -> bool:
        """Return whether changes are kept, and are fewer than the patterns themselves by far."""
        if not has_table(self._con, self._database, f"changes_{self._task.name}"):
            return False
        (few,) = self._con.execute(
            f"SELECT (SELECT count(*) FROM {self._changes}) <= {FEW} * (SELECT count(*) FROM {self._table})"
        ).fetchall()[0]
        return bool(few)

    def exists(self) -> bool:
        """Return whether there are stored patterns."""
        return has_table(self._con, self._database, f"patterns_{self._task.name}")

    def take(self, rows: str, sign: int) -> str:
        """Return the name of a temporary table of the patterns of some rows, as numbers to add or to take away.

        Parameters
        ----------
        rows : SQL of a relation with the columns of the matrix
        sign : 1 or -1
        """
        name = f"__wsdb_patch_{'new' if sign > 0 else 'old'}"
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {self._counted(f'{sign} * count(*)', rows)}")
        return f"temp.main.{name}"

    def patch(self, *changes: str) -> None:
        """Add the numbers of temporary tables to the stored patterns and drop those tables."""
        names = ["split", "gold", *(f"word_{at}" for at in range(len(self._words)))]
        listed = ", ".join(names)
        every = " UNION ALL ".join(f"FROM {name}" for name in changes)
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE __wsdb_patch AS SELECT {listed}, sum(n)::BIGINT AS n FROM ({every}) "
            f"GROUP BY {listed} HAVING sum(n) <> 0"
        )
        same = " AND ".join(f"p.{name} IS NOT DISTINCT FROM c.{name}" for name in names)
        if has_table(self._con, self._database, f"changes_{self._task.name}"):
            self._con.execute(f"INSERT INTO {self._changes} FROM temp.main.__wsdb_patch")
        patch = "temp.main.__wsdb_patch AS c"
        new = f"SELECT * FROM {patch} WHERE NOT EXISTS (FROM {self._table} AS p WHERE {same})"
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE __wsdb_patterns AS {new}")
        self._con.execute(f"UPDATE {self._table} AS p SET n = p.n + c.n FROM {patch} WHERE {same}")
        self._con.execute(f"DELETE FROM {self._table} WHERE n = 0")
        self._con.execute(f"INSERT INTO {self._table} FROM temp.main.__wsdb_patterns")
        for name in ("temp.main.__wsdb_patch", "temp.main.__wsdb_patterns", *changes):
            self._con.execute(f"DROP TABLE {name}")

    def _counted(self, number: str, relation: str) -> str:
        words = "".join(f", {word} AS word_{at}" for at, word in enumerate(self._words))
        return f"SELECT {SPLIT} AS split, {GOLD} AS gold{words}, {number} AS n FROM {relation} GROUP BY ALL"


def has_table(con: duckdb.DuckDBPyConnection, database: str, name: str) -> bool:
    """Return whether schema wsdb of an attached database has a table."""
    found = con.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'wsdb' AND lower(table_name) = ?",
        [database, name.lower()],
    )
    return bool(found.fetchall())
