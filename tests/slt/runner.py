"""Runs a `.test` file against a wsdb session; tests/sql/README.md describes the format.

The runner knows a session only as `Db` below, so tests/slt/test_runner.py can prove it against a made-up one.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.slt.records import IGNORE, SEPARATOR, Record, SltFile, read_slt
from tests.slt.values import rows_as_lines, same_line

ROOT = Path(__file__).resolve().parents[2]
UPDATE = "WSDB_UPDATE_GOLDEN"


class Db(Protocol):
    """What the runner needs of a session."""

    notices: list[str]

    def execute(self, sql: str) -> Any:
        """Run `sql`; the result has fetchall()."""

    def close(self) -> None:
        """Close the database."""


class SltFailure(AssertionError):
    """A record that did not do what its file says; the message shows place, SQL and difference."""


class SltSkip(Exception):
    """A file that this environment cannot run; the message is the reason."""


def data_folder() -> Path:
    """Return the folder with the shared data sets: $WSDB_DATA, else ../shared/data beside the repository."""
    return Path(os.environ.get("WSDB_DATA") or ROOT.parent / "shared" / "data")


def duckdb_major() -> int:
    """Return the first number of the installed DuckDB's version."""
    import duckdb

    return int(duckdb.__version__.split(".")[0])


def _installed(module: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(module) is not None


REQUIREMENTS: dict[str, Callable[[], bool]] = {
    "duckdb2": lambda: duckdb_major() >= 2,
    "duckdb1": lambda: duckdb_major() < 2,
    "torch": _installed("torch"),
    "spark": _installed("pyspark"),
    "onnx": _installed("onnxruntime"),
    "data": lambda: data_folder().is_dir(),
}


@dataclass
class Runner:
    """Runs `.test` files.

    Parameters
    ----------
    connect : callable
        Opens a session on a database file, given as a string.
    errors : tuple of exception types
        What `statement error` accepts; any other exception is a defect and fails the file with its traceback.
    update : bool
        Write what was found into the file instead of failing, where only the expected part differs.
    """

    connect: Callable[[str], Db]
    errors: tuple[type[Exception], ...]
    update: bool = field(default_factory=lambda: os.environ.get(UPDATE, "") not in ("", "0"))

    def run(self, path: Path) -> int:
        """Run the file at `path` on a fresh database; return how many expected parts were rewritten."""
        file = read_slt(path)
        with tempfile.TemporaryDirectory(prefix="slt_", ignore_cleanup_errors=True) as folder:
            run = _Run(self, file, Path(folder))
            try:
                run.all()
            finally:
                run.close()
                if run.rewrites:
                    path.write_text(rewritten(file, run.rewrites), encoding="utf-8")
        return len(run.rewrites)


class _Run:
    """The state of one file's run: the open session, the variables, the rewrites so far."""

    def __init__(self, runner: Runner, file: SltFile, folder: Path) -> None:
        self.runner = runner
        self.file = file
        self.folder = folder
        self.rewrites: list[tuple[Record, list[str]]] = []
        self.places = {"TMP": str(folder), "DATA": str(data_folder()), "ROOT": str(ROOT)}
        self.variables: dict[str, str] = {}
        self.database = folder / f"{re.sub(r'[^A-Za-z0-9_]', '_', file.path.stem)}.duckdb"
        self.db: Db | None = None

    def all(self) -> None:
        for record in self.file.records:
            if all(self._holds(c, record) for c in record.only_if) and not any(
                self._holds(c, record) for c in record.skip_if
            ):
                _DO[record.kind](self, record)

    def close(self) -> None:
        if self.db is not None:
            self.db.close()
            self.db = None

    # Directives

    def require(self, record: Record) -> None:
        if not self._holds(record.words[0], record):
            raise SltSkip(f"requires {record.words[0]}")

    def load(self, record: Record) -> None:
        self.close()
        path = Path(self._filled(record.words[0], record))
        self.database = path if path.is_absolute() else self.folder / path

    def restart(self, record: Record) -> None:
        self.close()
        self._open()

    def set(self, record: Record) -> None:
        self.variables[record.words[0]] = self._filled(" ".join(record.words[1:]), record)

    # Statements

    def ok(self, record: Record) -> None:
        self._execute(record)

    def notice(self, record: Record) -> None:
        self._execute(record)
        self._compare(record, _message_lines("\n".join(self._open().notices)))

    def error(self, record: Record) -> None:
        sql = self._filled(record.sql, record)
        try:
            _fetch(self._open(), sql)
        except self.runner.errors as error:
            self._compare(record, _message_lines(str(error)))
        else:
            raise self._failure(record, "the statement succeeded, but an error is expected")

    def query(self, record: Record) -> None:
        rows = self._execute(record)
        for row in rows:
            if len(row) != len(record.types):
                raise self._failure(
                    record,
                    f'"query {record.types}" names {len(record.types)} columns, the result has {len(row)}',
                )
        lines = rows_as_lines(rows, record.types)
        self._compare(record, sorted(lines) if record.rowsort else lines, types=record.types)

    # Parts

    def _open(self) -> Db:
        if self.db is None:
            self.db = self.runner.connect(str(self.database))
        return self.db

    def _execute(self, record: Record) -> list[tuple[Any, ...]]:
        sql = self._filled(record.sql, record)
        try:
            return _fetch(self._open(), sql)
        except self.runner.errors as error:
            raise self._failure(record, f"unexpected error:\n{error}") from error

    def _holds(self, condition: str, record: Record) -> bool:
        if condition not in REQUIREMENTS:
            known = ", ".join(sorted(REQUIREMENTS))
            raise self._failure(record, f'unknown condition "{condition}"; choose from {known}')
        return REQUIREMENTS[condition]()

    def _filled(self, text: str, record: Record) -> str:
        """Return `text` with each ${NAME} replaced."""

        values = self.places | self.variables

        def value(found: re.Match[str]) -> str:
            if found[1] not in values:
                raise self._failure(record, f"unknown variable {found[0]}; there are {', '.join(sorted(values))}")
            return values[found[1]]

        return re.sub(r"\$\{(\w+)\}", value, text)

    def _placed(self, line: str) -> str:
        """Return `line` with this machine's folders written as ${TMP}, ${DATA} and ${ROOT}."""
        for name, place in sorted(self.places.items(), key=lambda item: -len(item[1])):
            line = line.replace(place, f"${{{name}}}")
        return line

    def _compare(self, record: Record, actual: list[str], types: str = "") -> None:
        actual = [self._placed(line) for line in actual]
        wanted = list(record.expected)
        for name, value in self.variables.items():
            wanted = [line.replace(f"${{{name}}}", value) for line in wanted]
        if record.rowsort:
            wanted.sort()
        if same_lines(wanted, actual, types):
            return
        if self.runner.update:
            self.rewrites.append((record, merged(wanted, actual, types)))
            return
        diff = "\n".join(difflib.unified_diff(wanted, actual, "expected", "actual", lineterm="", n=99))
        raise self._failure(record, f"different result:\n{diff}\n({UPDATE}=1 rewrites the expected part)")

    def _failure(self, record: Record, message: str) -> SltFailure:
        return SltFailure(f"{self.file.path}:{record.line}\n{record.sql}\n{SEPARATOR}\n{message}")


_DO: dict[str, Callable[[_Run, Record], None]] = {
    "require": _Run.require,
    "load": _Run.load,
    "restart": _Run.restart,
    "set": _Run.set,
    "ok": _Run.ok,
    "notice": _Run.notice,
    "error": _Run.error,
    "query": _Run.query,
}


def _fetch(db: Db, sql: str) -> list[tuple[Any, ...]]:
    """Run `sql` to its end; an engine may raise only while rows are fetched."""
    result = db.execute(sql)
    rows = result.fetchall() if result is not None else None
    return [tuple(row) for row in rows or []]


def _message_lines(text: str) -> list[str]:
    """Return a message's lines without blank ones: DuckDB has one before LINE, and it would end a record."""
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def same_lines(expected: list[str], actual: list[str], types: str = "") -> bool:
    """Return whether the lines are the same, one by one."""
    return len(expected) == len(actual) and all(
        same_line(wanted, got, types) for wanted, got in zip(expected, actual, strict=True)
    )


def merged(expected: list[str], actual: list[str], types: str = "") -> list[str]:
    """Return `actual`, with those expected lines kept that hold an ignored part and still match."""
    volatile = [line for line in expected if IGNORE in line]
    lines: list[str] = []
    for line in actual:
        kept = next((old for old in volatile if same_line(old, line, types)), None)
        if kept is not None:
            volatile.remove(kept)
        lines.append(line if kept is None else kept)
    return lines


def rewritten(file: SltFile, rewrites: list[tuple[Record, list[str]]]) -> str:
    """Return the file's text with the expected parts of `rewrites` replaced."""
    lines = list(file.lines)
    for record, expected in sorted(rewrites, key=lambda item: item[0].expected_at, reverse=True):
        lines[record.expected_at : record.expected_at + len(record.expected)] = expected
    return "\n".join(lines)
