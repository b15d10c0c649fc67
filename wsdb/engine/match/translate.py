"""SQL expressions to predicates; what is not provably DuckDB's meaning raises `Unprovable`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import duckdb

from wsdb.engine.match import number
from wsdb.engine.match.charset import case_map, preimage
from wsdb.engine.match.like import like
from wsdb.engine.match.pattern import (
    BEGIN,
    END,
    Node,
    Unprovable,
    alt,
    anchored_at_ends,
    cat,
    has_boundary,
    mapped,
    searched,
    text,
)
from wsdb.engine.match.predicate import Always, And, Compare, Flag, Known, Missing, Not, OneOf, Or, Predicate, Search
from wsdb.engine.match.re2 import options, parse
from wsdb.engine.match.sqltree import Call, Case, Column, Op, Sql, Value, shown

LENGTHS = {
    "length": "length",
    "len": "length",
    "char_length": "length",
    "character_length": "length",
    "strlen": "bytes",
}
CASES = {"lower": "lower", "lcase": "lower", "upper": "upper", "ucase": "upper"}
LIKES = {
    **{"~~": (False, False), "!~~": (False, True), "like_escape": (False, False), "not_like_escape": (False, True)},
    **{"~~*": (True, False), "!~~*": (True, True), "ilike_escape": (True, False), "not_ilike_escape": (True, True)},
}
"""Whether case does not matter, and whether it is negated."""
AFFIXES = {
    **{"contains": (False, False), "prefix": (True, False), "starts_with": (True, False), "^@": (True, False)},
    **{"suffix": (False, True), "ends_with": (False, True)},
}
"""Whether the literal stands at the begin, and whether at the end."""
REGEXPS = {"regexp_matches": False, "regexp_full_match": True}
FUNCTIONS = frozenset({*LENGTHS, *CASES, *LIKES, *AFFIXES, *REGEXPS})
"""Every function whose meaning is taken for DuckDB's own; a macro of such a name ends that."""


@dataclass
class Translator:
    """Turns the expressions of one labeling function into predicates.

    Attributes
    ----------
    con : for DuckDB's own lower() and upper()
    types : column name as stored -> DuckDB type
    relation : lower-cased bare name of the relation, by which columns may be qualified; empty for none
    columns : columns read so far
    shown : short texts of the predicates so far
    patterns : (pattern, options, whole) of the regular expressions so far, which DuckDB has to compile
    """

    con: duckdb.DuckDBPyConnection
    types: Mapping[str, str]
    relation: str
    columns: dict[str, None] = field(default_factory=dict)
    shown: dict[str, None] = field(default_factory=dict)
    patterns: list[tuple[str, str]] = field(default_factory=list)

    def predicate(self, sql: Sql) -> Predicate:
        """Return the predicate of a truth value.

        Raises
        ------
        Unprovable
            where any part of it is not provable.
        """
        match sql:
            case Op("and", args):
                return And(tuple(map(self.predicate, args)))
            case Op("or", args):
                return _either([self.predicate(arg) for arg in args])
            case Op("not", (arg,)):
                return Not(self.predicate(arg))
            case Value(bool() | None as value):
                return Always(value)
        self.shown[shown(sql)] = None
        match sql:
            case Column():
                return Flag(self.column(sql, "BOOLEAN"))
            case Op("isnull", (Column() as column,)):
                return Missing(self.column(column))
            case Op("between", (left, low, high)):
                return And((self.compare(">=", left, low), self.compare("<=", left, high)))
            case Op("in", (left, *values)):
                return self.member(left, values)
            case Op("=" | "<>" | "<" | "<=" | ">" | ">=" as op, (left, right)):
                if isinstance(left, Value) or (isinstance(left, Op) and left.op == "date"):
                    return self.compare(number.FLIPPED[op], right, left)
                return self.compare(op, left, right)
            case Op("distinct" | "same" as op, (left, right)):
                return self.same(left, right, op == "same")
            case Call():
                return self.call(sql)
        raise Unprovable

    def column(self, column: Column, type_: str | None = None) -> str:
        """Return the stored name of a column, where it has a type if one is given."""
        path = [part.lower() for part in column.path]
        low = {name.lower(): name for name in self.types}
        if len(path) == 2 and path[0] == self.relation and path[0] not in low:
            path = path[1:]
        if len(path) != 1 or path[0] not in low:
            raise Unprovable
        name = low[path[0]]
        if type_ is not None and self.types[name] != type_:
            raise Unprovable
        self.columns[name] = None
        return name

    def text(self, sql: Sql) -> tuple[str, str]:
        """Return a text column and ``lower`` or ``upper`` where that is applied to it."""
        case = ""
        if isinstance(sql, Call) and sql.name in CASES and len(sql.args) == 1:
            case, sql = CASES[sql.name], sql.args[0]
        if not isinstance(sql, Column):
            raise Unprovable
        return self.column(sql, "VARCHAR"), case

    def search(self, column: str, case: str, node: Node) -> Predicate:
        """Return the search of a tree in a column after lower() or upper()."""
        node = searched(node)
        if not case:
            return Search(column, node)
        change = case_map(self.con, case)
        return Search(column, mapped(node, lambda ranges: preimage(ranges, change)), case * has_boundary(node))

    def compare(self, op: str, left: Sql, right: Sql) -> Predicate:
        """Return ``left op constant``."""
        if op == "<>":
            return Not(self.compare("=", left, right))
        if isinstance(right, Value) and right.value is None:
            raise Unprovable
        if isinstance(left, Call) and left.name in LENGTHS and len(left.args) == 1 and isinstance(left.args[0], Column):
            column = self.column(left.args[0], "VARCHAR")
            return number.compare(column, LENGTHS[left.name], "VARCHAR", op, _constant(right))
        if isinstance(left, Column) and self.types[self.column(left)] != "VARCHAR":
            column = self.column(left)
            return self.typed(column, self.types[column], op, right)
        column, case = self.text(left)
        value = _constant(right)
        if op != "=" or not isinstance(value, str):
            raise Unprovable
        if case:
            return self.search(column, case, cat([BEGIN, text(value), END]))
        return OneOf(column, (value,))

    def typed(self, column: str, type_: str, op: str, right: Sql) -> Predicate:
        """Return the comparison of a number, date or truth value."""
        if type_ == "BOOLEAN" and op == "=" and isinstance(right, Value) and isinstance(right.value, bool):
            return Flag(column) if right.value else Not(Flag(column))
        if type_ == "DATE" and isinstance(right, Op) and right.op == "date":
            right = right.args[0]
        if not number.is_number(type_):
            raise Unprovable
        return number.compare(column, "value", type_, op, _constant(right))

    def member(self, left: Sql, values: list[Sql]) -> Predicate:
        """Return ``left IN (constants)``; a NULL among them makes a miss unknown."""
        given = [value for value in values if value != Value(None)]
        unknown = len(given) < len(values)
        if isinstance(left, Column) and self.types[self.column(left)] == "VARCHAR":
            constants = [_constant(value) for value in given]
            texts = tuple(value for value in constants if isinstance(value, str))
            if len(texts) < len(constants):
                raise Unprovable
            found: Predicate = OneOf(self.column(left), texts)
        else:
            found = _either([self.compare("=", left, value) for value in given])
        if not given:
            raise Unprovable
        return Or((found, Always(None))) if unknown else found

    def same(self, left: Sql, right: Sql, same: bool) -> Predicate:
        """Return ``IS [NOT] DISTINCT FROM`` a constant, ``IS TRUE`` and ``IS FALSE`` among them."""
        if isinstance(left, Op) and left.op == "bool" and isinstance(right, Value) and isinstance(right.value, bool):
            inner = self.predicate(left.args[0])
            equal = inner if right.value else Not(inner)
        elif right == Value(None) and isinstance(left, Column):
            found: Predicate = Missing(self.column(left))
            return found if same else Not(found)
        else:
            equal = self.compare("=", left, right)
        certain = And((equal, Not(_unknown(equal))))
        return certain if same else Not(certain)

    def call(self, sql: Call) -> Predicate:
        """Return the predicate of a text function."""
        name, args = sql.name, sql.args
        constants = [_constant(arg) for arg in args[1:]]
        if not args or not all(isinstance(value, str) for value in constants):
            raise Unprovable
        texts = [str(value) for value in constants]
        if name in AFFIXES and len(args) == 2:
            begin, end = AFFIXES[name]
            column, case = self.text(args[0])
            return self.search(column, case, cat([*[BEGIN] * begin, text(texts[0]), *[END] * end]))
        if name in LIKES and len(args) == 2 + name.endswith("_escape"):
            return self.like(args[0], texts, *LIKES[name])
        if name in REGEXPS and len(args) in (2, 3):
            return self.regexp(args[0], texts, REGEXPS[name])
        raise Unprovable

    def like(self, left: Sql, texts: list[str], ignore_case: bool, negated: bool) -> Predicate:
        """Return LIKE or ILIKE, which is LIKE of both sides in lower case."""
        column, case = self.text(left)
        pattern, escape = texts[0], texts[1] if len(texts) == 2 else None
        if ignore_case:
            if case == "upper" or (escape is not None and escape.isalpha()):
                raise Unprovable
            case = "lower"
            pattern = _lowered(pattern, case_map(self.con, "lower").changes)
        found = self.search(column, case, like(pattern, escape))
        return Not(found) if negated else found

    def regexp(self, left: Sql, texts: list[str], whole: bool) -> Predicate:
        """Return regexp_matches or regexp_full_match."""
        column, case = self.text(left)
        letters = texts[1] if len(texts) == 2 else ""
        flags, literal = options(letters)
        node = parse(texts[0], flags, literal)
        if not anchored_at_ends(node):
            raise Unprovable
        self.patterns.append((texts[0], letters))
        return self.search(column, case, cat([BEGIN, node, END]) if whole else node)


def _constant(sql: Sql) -> object:
    if not isinstance(sql, Value) or sql.value is None:
        raise Unprovable
    return sql.value


def _lowered(text: str, changes: Mapping[int, int]) -> str:
    return "".join(chr(changes.get(ord(char), ord(char))) for char in text)


def _unknown(predicate: Predicate) -> Predicate:
    """Return where a leaf, or the negation of one, is NULL."""
    match predicate:
        case Not(part):
            return _unknown(part)
        case Search(column) | OneOf(column) | Compare(column) | Flag(column) | Known(column):
            return Missing(column)
        case Missing():
            return Always(False)
    raise Unprovable


def _either(parts: list[Predicate]) -> Predicate:
    """Return OR, with the searches of one column as one search of alternatives: they are NULL together."""
    joined: dict[object, Predicate] = {}
    for part in parts:
        place: object = (part.column, part.case) if isinstance(part, Search) else part
        before = joined.get(place)
        if isinstance(part, Search) and isinstance(before, Search):
            joined[place] = Search(part.column, alt([before.node, part.node]), part.case)
        else:
            joined[place] = part
    return next(iter(joined.values())) if len(joined) == 1 else Or(tuple(joined.values()))


Answer = Callable[[Sql], int | None]


def arms_of(sql: Sql, translator: Translator, code: Answer) -> tuple[tuple[Predicate, int | None], ...]:
    """Return (predicate, code) pairs of which the first that holds answers; without one, NULL."""
    if not isinstance(sql, Case):
        return ((Always(True), code(sql)),)
    found: list[tuple[Predicate, int | None]] = []
    for condition, answer in sql.arms:
        holds = translator.predicate(condition)
        found += [(_both(holds, inner), value) for inner, value in arms_of(answer, translator, code)]
        if isinstance(answer, Case):
            found.append((holds, None))
    return (*found, *arms_of(sql.otherwise, translator, code))


def _both(one: Predicate, other: Predicate) -> Predicate:
    return one if other == Always(True) else And((one, other))
