"""Tables: rows as lines of text that fit a width and show every column."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.cells import cell_len, chop_cells, set_cell_size

from wsdb.cli.values import Rows

GAP = 2
MAX_ROWS = 40
NARROWEST = 14
"""Text is cut down to this width before a table is broken into blocks."""
LONG = 24
"""A column whose rows all say the same is told once, below the table, where it is at least this wide."""
TURNED = 3
"""A table of so few rows that does not fit is turned: a line per column."""
PROSE = 100
"""Sentences are no wider than this, however wide the window."""

Role = Literal["head", "rule", "row", "note", "text"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of output and what it is, so that it can be coloured."""

    text: str
    role: Role = "row"


@dataclass(slots=True)
class Cells:
    """A column as text.

    Attributes
    ----------
    name : its header
    texts : one a row
    right : whether it stands at the right
    """

    name: str
    texts: list[str]
    right: bool

    @property
    def widest(self) -> int:
        """The width of its widest cell, the header aside."""
        return max((cell_len(text) for text in self.texts), default=0)

    @property
    def natural(self) -> int:
        """The width it takes when nothing is cut."""
        return max(self.widest, cell_len(self.name))

    @property
    def folded(self) -> int:
        """The width it takes when its header is broken at underscores."""
        return max(self.widest, max(cell_len(part) for part in parts(self.name)))


def render(rows: Rows, width: int) -> list[Line]:
    """Return a result as lines that are at most `width` wide.

    Every column is shown. Where they do not fit side by side: what is the same in all rows is told once below, headers
    break at underscores, long texts are cut, a table of few rows is turned, and any other is broken into blocks that
    repeat its first column.
    """
    columns = [
        Cells(clean(column.name), texts([row[at] for row in rows.rows], column.type), column.numeric)
        for at, column in enumerate(rows.columns)
    ]
    if not rows.rows:
        return [*_names(columns, width), Line("(no rows)", "note")]
    raw = _raw(rows, width)
    lines = raw if raw is not None else _fitted(columns, len(rows.rows), width)
    hidden = rows.total - len(rows.rows)
    if hidden > 0:
        lines.append(Line(f"… {hidden:,} more row{'s' * (hidden != 1)}", "note"))
    return lines


def _names(columns: list[Cells], width: int) -> list[Line]:
    """Return the names of the columns of a table without rows."""
    if total([column.natural for column in columns]) <= width:
        return table(columns, [column.natural for column in columns])
    return [Line(text, "head") for text in wrap(", ".join(column.name for column in columns), width)]


def _raw(rows: Rows, width: int) -> list[Line] | None:
    """Return plans and statements, texts of several lines, as they are; None for any other table."""
    last = [row[-1] for row in rows.rows]
    if len(rows.columns) > 2 or not any(isinstance(text, str) and "\n" in text.strip() for text in last):
        return None
    if len(rows.columns) == 2 and len(rows.rows) > 1:
        return None
    lines: list[Line] = []
    for text in last:
        lines += [Line(clean(line), "text") for line in str(text).strip("\n").split("\n")]
    return lines


def _fitted(columns: list[Cells], n: int, width: int) -> list[Line]:
    if total([column.natural for column in columns]) <= width:
        return table(columns, [column.natural for column in columns])
    if len(columns) == 2 and not columns[1].right:
        return properties(columns, width)
    same: list[Cells] = []
    if n > 1:
        same = [column for column in columns[1:] if column.widest >= LONG and len(set(column.texts)) == 1]
        if not same or total([c.folded for c in columns if c not in same]) > width:
            same = [column for column in columns[1:] if len(set(column.texts)) == 1]
        columns = [column for column in columns if column not in same]
    below = [Line(text, "note") for text in _told(same, min(width, PROSE))]
    widths = fit(columns, width)
    if widths is not None:
        return table(columns, widths) + below
    if n <= TURNED:
        return turned(columns, n, width) + below
    return blocks(columns, width) + below


def _told(same: list[Cells], width: int) -> list[str]:
    """Return what is the same in all rows as lines: the short values in one, each long one by itself."""
    short = [f"{column.name} = {column.texts[0].strip()}" for column in same if column.widest < LONG]
    lines = wrap("in all rows: " + ", ".join(short), width, "  ") if short else []
    for column in same:
        if column.widest >= LONG:
            lines += wrap(f"{column.name}: {column.texts[0].strip()}", width, "  ")
    return lines


# ------------------------------------------------------------------------------------------------------------ widths


def total(widths: Sequence[int]) -> int:
    """Return the width of a table of columns so wide."""
    return sum(widths) + GAP * max(len(widths) - 1, 0)


def fit(columns: list[Cells], width: int) -> list[int] | None:
    """Return widths with which the columns stand side by side, None where there are none."""
    widths = [column.folded for column in columns]
    floors = [
        w if column.right else min(w, max(NARROWEST, max(cell_len(part) for part in parts(column.name))))
        for column, w in zip(columns, widths, strict=True)
    ]
    if total(floors) > width:
        return None
    while total(widths) > width:
        slack = [w - floor for w, floor in zip(widths, floors, strict=True)]
        at = max((at for at, more in enumerate(slack) if more > 0), key=lambda at: widths[at])
        widths[at] -= 1
    for at, column in enumerate(columns):  # headers stay whole where there is room
        wider = [*widths[:at], max(widths[at], cell_len(column.name)), *widths[at + 1 :]]
        if total(wider) <= width:
            widths = wider
    return widths


def parts(name: str) -> list[str]:
    """Return the parts of a header that may stand on lines of their own.

    Examples
    --------
    >>> parts("learned_acc")
    ['learned_', 'acc']
    """
    return re.findall(r"[^_ ]*[_ ]+|[^_ ]+", name) or [name or " "]


def broken(name: str, width: int) -> list[str]:
    """Return a header as lines of at most `width`."""
    lines = [""]
    for part in parts(name):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return [cut(line.rstrip(), width) for line in lines]


# ------------------------------------------------------------------------------------------------------------ shapes


def table(columns: list[Cells], widths: list[int]) -> list[Line]:
    """Return columns side by side."""
    heads = [broken(column.name, w) for column, w in zip(columns, widths, strict=True)]
    height = max(len(head) for head in heads)
    heads = [[""] * (height - len(head)) + head for head in heads]
    lines = [
        Line(_joined([head[level] for head in heads], columns, widths), "head") for level in range(height)
    ]
    lines.append(Line((" " * GAP).join("─" * w for w in widths), "rule"))
    for at in range(len(columns[0].texts)):
        lines.append(Line(_joined([column.texts[at] for column in columns], columns, widths)))
    return lines


def _joined(texts: list[str], columns: list[Cells], widths: list[int]) -> str:
    cells = []
    for text, column, width in zip(texts, columns, widths, strict=True):
        text = cut(text, width)
        space = " " * (width - cell_len(text))
        cells.append(space + text if column.right else text + space)
    return (" " * GAP).join(cells).rstrip()


def properties(columns: list[Cells], width: int) -> list[Line]:
    """Return a table of two columns whose second one is wrapped, not cut."""
    first = min(columns[0].natural, max(width // 3, NARROWEST))
    rest = width - first - GAP
    heads = [columns[0].name, columns[1].name]
    widths = [first, min(rest, columns[1].natural)]
    lines = table([Cells(heads[0], [], columns[0].right), Cells(heads[1], [], False)], widths)
    for key, text in zip(columns[0].texts, columns[1].texts, strict=True):
        for at, piece in enumerate(wrap(text, rest) or [""]):
            lines.append(Line(_joined([key if at == 0 else "", piece], columns, [first, rest])))
    return lines


def turned(columns: list[Cells], n: int, width: int) -> list[Line]:
    """Return a table with a line per column."""
    names = max(cell_len(column.name) for column in columns)
    names = min(names, width // 2)
    rest = max((width - names - GAP * n) // n, 1)
    rest = min(rest, max(column.widest for column in columns))
    lines = []
    for at, column in enumerate(columns):
        wrapped = [wrap(text.strip(), rest) or [""] for text in column.texts]
        for level in range(max(len(pieces) for pieces in wrapped)):
            cells = [pieces[level] if level < len(pieces) else "" for pieces in wrapped]
            name = cut(column.name, names) if level == 0 else ""
            text = (" " * GAP).join(set_cell_size(cell, size) for cell, size in
                                    zip([name, *cells], [names, *[rest] * n], strict=True))
            lines.append(Line(text.rstrip(), "head" if at == 0 and n > 1 else "row"))
        if at == 0 and n > 1:
            lines.append(Line((" " * GAP).join("─" * size for size in [names, *[rest] * n]), "rule"))
    return lines


def blocks(columns: list[Cells], width: int) -> list[Line]:
    """Return a table as several ones below each other, each with the first column."""
    key, rest = columns[0], list(columns[1:])
    first = min(key.folded, max(width // 3, NARROWEST))
    lines: list[Line] = []
    while rest:
        here = [rest.pop(0)]
        while rest and fit([_at_most(key, first), *here, rest[0]], width) is not None:
            here.append(rest.pop(0))
        shown = [_at_most(key, first), *here]
        widths = fit(shown, width)
        if widths is None:
            widths = [min(first, width // 3), width - min(first, width // 3) - GAP]
        lines += ([Line("")] if lines else []) + table(shown, widths)
    return lines


def _at_most(column: Cells, width: int) -> Cells:
    return Cells(column.name, [cut(text, width) for text in column.texts], column.right)


# ------------------------------------------------------------------------------------------------------------- cells


def texts(values: list[Any], kind: str) -> list[str]:
    """Return the values of a column as text; the decimal points of floats stand below each other."""
    if kind not in ("FLOAT", "DOUBLE"):
        return [plain(value) for value in values]
    shown = [number(value) for value in values]
    places = [len(text.split(".")[1]) for text in shown if "." in text and "e" not in text]
    most = min(max(places, default=0), 6)
    padded = []
    for value, text in zip(values, shown, strict=True):
        if value is not None and math.isfinite(value) and "e" not in text:
            digits = max(min(most, 3 - exponent(value)), 1) if most else 0
            text = f"{value:.{digits}f}"
            text += " " * (most - digits)
        padded.append(text)
    return padded


def exponent(value: float) -> int:
    """Return the power of ten of a number's first digit, at least zero."""
    return max(math.floor(math.log10(abs(value))), 0) if value else 0


def number(value: float | None) -> str:
    """Return a float with four significant digits.

    Examples
    --------
    >>> number(0.123456), number(1234.5678), number(2.0), number(1.5e-7), number(None)
    ('0.1235', '1235', '2.0', '1.5e-07', 'NULL')
    """
    if value is None:
        return "NULL"
    if not math.isfinite(value):
        return str(value)
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.4g}"
    digits = 3 - math.floor(math.log10(abs(value))) if value else 1
    text = f"{value:.{max(digits, 0)}f}"
    if "." not in text:
        return text
    text = text.rstrip("0")
    return text + "0" if text.endswith(".") else text


def plain(value: Any) -> str:
    """Return any value as the text of a cell.

    Examples
    --------
    >>> plain(None), plain(True), plain({"a": 0.12345, "b": None}), plain(["x", 1])
    ('NULL', 'true', '{a: 0.1235, b: NULL}', '[x, 1]')
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{clean(str(key))}: {plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(plain(item) for item in value) + "]"
    return clean(str(value))


UNSEEN = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u00ad]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    r"""Return `text` on one line: no control characters, nothing that takes no width.

    Examples
    --------
    >>> clean("two\nlines\x1b[31m")
    'two lines?[31m'
    """
    text = UNSEEN.sub("", text)
    text = re.sub(r"\s*\n\s*", " ", text.replace("\r\n", "\n")) if "\n" in text and text.strip() else text
    return CONTROL.sub("?", text.replace("\t", " "))


def cut(text: str, width: int) -> str:
    """Return `text` in at most `width` cells, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 1, 0)).rstrip() + "…"


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Return `text` as lines of at most `width` cells, broken at spaces; all but the first are indented."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        lead = indent if lines else ""
        if line and cell_len(lead + line + " " + word) > width:
            lines.append(lead + line)
            line = word
        else:
            line = f"{line} {word}" if line else word
        while cell_len(line) > width - len(indent):
            head, *rest = chop_cells(line, width - len(indent))
            lines.append((indent if lines else "") + head)
            line = "".join(rest)
    if line or not lines:
        lines.append((indent if lines else "") + line)
    return lines
