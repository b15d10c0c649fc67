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
        return max(self.widest, folded(self.name))


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
    """Return a table in the first form that fits.

    That is: as it is; two columns, wrapped; long texts that all rows share told below, and headers of two lines; all
    that the rows share told below, and texts cut; turned; in blocks.
    """
    if total([column.natural for column in columns]) <= width:
        return table(columns, [column.natural for column in columns])
    if len(columns) == 2 and not columns[1].right:
        return properties(columns, width)
    rows_agree = [column for column in columns[1:] if n > 1 and len(set(column.texts)) == 1]
    for same in ([column for column in rows_agree if column.widest >= LONG], rows_agree):
        rest = [column for column in columns if column not in same]
        below = [Line(text, "note") for text in _told(same, min(width, PROSE))]
        widths = fit(rest, width, cutting=same is rows_agree)
        if widths is not None:
            return table(rest, widths) + below
    return (turned(rest, n, width) if n <= TURNED else blocks(rest, width)) + below


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


def fit(columns: list[Cells], width: int, *, cutting: bool = True) -> list[int] | None:
    """Return widths with which the columns stand side by side, None where there are none.

    Headers take two lines where one is too wide, and texts are cut where `cutting` allows it.
    """
    widths = [column.folded for column in columns]
    floors = [
        w if column.right or not cutting else min(w, max(NARROWEST, folded(column.name)))
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


def halves(name: str, width: int | None = None) -> list[str]:
    """Return a header as two lines, broken behind an underscore or at a space, as narrow as it gets.

    With `width`, return it as one line where that is wide enough, and cut it to that.

    Examples
    --------
    >>> halves("learned_acc"), halves("ip_in_url"), halves("accuracy"), halves("learned_acc", 11)
    (['learned_', 'acc'], ['ip_', 'in_url'], ['accuracy'], ['learned_acc'])
    """
    if width is not None and cell_len(name) <= width:
        return [name]
    places = [match.end() for match in re.finditer(r"[_ ]+", name) if match.start() > 0 and match.end() < len(name)]
    choices = [[name[:at].rstrip(" "), name[at:]] for at in places] or [[name]]
    best = min(choices, key=lambda lines: max(cell_len(line) for line in lines))
    return best if width is None else [cut(line, width) for line in best]


def folded(name: str) -> int:
    """Return how wide a header of two lines is."""
    return max(cell_len(line) for line in halves(name))


# ------------------------------------------------------------------------------------------------------------ shapes


def table(columns: list[Cells], widths: list[int]) -> list[Line]:
    """Return columns side by side."""
    heads = [halves(column.name, w) for column, w in zip(columns, widths, strict=True)]
    height = max(len(head) for head in heads)
    heads = [[""] * (height - len(head)) + head for head in heads]
    lines = [Line(_joined([head[level] for head in heads], columns, widths), "head") for level in range(height)]
    lines.append(Line((" " * GAP).join("─" * w for w in widths), "rule"))
    rows = zip(*(column.texts for column in columns), strict=True)
    return lines + [Line(_joined(list(row), columns, widths)) for row in rows]


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
            text = (" " * GAP).join(
                set_cell_size(cell, size) for cell, size in zip([name, *cells], [names, *[rest] * n], strict=True)
            )
            lines.append(Line(text.rstrip(), "head" if at == 0 and n > 1 else "row"))
        if at == 0 and n > 1:
            lines.append(Line((" " * GAP).join("─" * size for size in [names, *[rest] * n]), "rule"))
    return lines


def blocks(columns: list[Cells], width: int) -> list[Line]:
    """Return a table as several ones below each other, each with the first column."""
    key, *others = (_at_most(column, max(width // 3, NARROWEST)) for column in columns)
    whole = _balanced(key, others, width, [column.natural for column in others])
    tight = _balanced(key, others, width, [column.folded for column in others])
    lines: list[Line] = []
    for block in whole if len(whole) == len(tight) else tight:
        widths = fit([key, *block], width) or [column.folded for column in [key, *block]]
        lines += ([Line("")] if lines else []) + table([key, *block], widths)
    return lines


def _balanced(key: Cells, others: list[Cells], width: int, sizes: list[int]) -> list[list[Cells]]:
    """Return the columns as few blocks of about the same width."""
    packed = _packed(key, others, width, sizes)
    while width and len(narrower := _packed(key, others, width - 1, sizes)) == len(packed):
        packed, width = narrower, width - 1
    return packed


def _packed(key: Cells, others: list[Cells], width: int, sizes: list[int]) -> list[list[Cells]]:
    """Return the columns as blocks that fit next to `key`."""
    packed: list[list[Cells]] = [[]]
    room = width - key.folded
    for column, size in zip(others, sizes, strict=True):
        if packed[-1] and room < size + GAP:
            packed.append([])
            room = width - key.folded
        packed[-1].append(column)
        room -= size + GAP
    return packed


def _at_most(column: Cells, width: int) -> Cells:
    return Cells(cut(column.name, width), [cut(text, width) for text in column.texts], column.right)


# ------------------------------------------------------------------------------------------------------------- cells


def texts(values: list[Any], kind: str) -> list[str]:
    """Return the values of a column as text; the decimal points of floats stand below each other."""
    if kind not in ("FLOAT", "DOUBLE"):
        return [plain(value) for value in values]
    shown = [number(value) for value in values]
    places = [len(text.split(".")[1]) for text in shown if "." in text and "e" not in text]
    large = any(value is not None and math.isfinite(value) and abs(value) >= 0.01 for value in values)
    most = min(max(places, default=0), 4 if large else 6)
    padded = []
    for value, text in zip(values, shown, strict=True):
        if value is not None and math.isfinite(value) and "e" not in text:
            digits = min(most, max(4 - before(value), 0))
            text = f"{value:.{digits}f}"
            text += " " * (most - digits + (digits == 0 and most > 0))
        padded.append(text)
    return padded


def before(value: float) -> int:
    """Return how many digits a number has before the point; those of a fraction are none."""
    return math.floor(math.log10(abs(value))) + 1 if abs(value) >= 1 else 0


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
        longer = f"{line} {word}" if line else word
        if line and cell_len(longer) > width:
            lines.append(line)
            longer = indent + word
        while cell_len(longer) > width:
            head = chop_cells(longer, width)[0]
            lines.append(head)
            longer = indent + longer[len(head) :]
        line = longer
    return [*lines, line] if line or not lines else lines
