"""DuckDB's parse tree of an expression as a few kinds of node, the same for DuckDB 1.5 and 2.0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from wsdb.core.sqltext import ident, literal
from wsdb.engine.match.pattern import Unprovable


@dataclass(frozen=True, slots=True)
class Column:
    """A column reference by its parts as written."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A constant: text, an integer, a decimal, a truth value or NULL."""

    value: str | int | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator that DuckDB has as a function."""

    name: str
    args: tuple[Sql, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """``and or not isnull in between = <> < <= > >= distinct same``, and ``date`` and ``bool`` for casts to them."""

    op: str
    args: tuple[Sql, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """``CASE``: (condition, answer) pairs and the answer otherwise."""

    arms: tuple[tuple[Sql, Sql], ...]
    otherwise: Sql


Sql = Column | Value | Call | Op | Case
_COMPARE = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "<>",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
    "COMPARE_DISTINCT_FROM": "distinct",
    "COMPARE_NOT_DISTINCT_FROM": "same",
}
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


def expression(parsed: dict[str, Any] | None) -> Sql:
    """Return the one expression of ``SELECT (expression)``, whose tree DuckDB gave; None did not parse.

    Raises
    ------
    Unprovable
        where it is anything else, or holds a node that is not known.
    """
    if parsed is None or len(parsed["statements"]) != 1:
        raise Unprovable
    node = parsed["statements"][0]["node"]
    if node.get("type") != "SELECT_NODE" or len(node["select_list"]) != 1 or node["from_table"]["type"] != "EMPTY":
        raise Unprovable
    if any(node.get(key) for key in ("modifiers", "where_clause", "group_expressions", "having", "qualify", "sample")):
        raise Unprovable
    if node["cte_map"]["map"]:
        raise Unprovable
    return _node(node["select_list"][0])


def _node(node: dict[str, Any]) -> Sql:
    read = _KINDS.get(node.get("class", ""))
    if read is None:
        raise Unprovable
    return read(node)


def _all(nodes: list[dict[str, Any]]) -> tuple[Sql, ...]:
    return tuple(_node(node) for node in nodes)


def _column(node: dict[str, Any]) -> Sql:
    return Column(tuple(node["column_names"]))


def _function(node: dict[str, Any]) -> Sql:
    path = node.get("qualified_name", {}).get("path", [node.get("schema", ""), node["function_name"]])
    if any(part not in ("", "main") for part in path[:-1]) or node.get("catalog"):
        raise Unprovable
    if node.get("filter") or node.get("distinct") or node.get("export_state") or node["order_bys"].get("orders"):
        raise Unprovable
    given = node.get("children") or []
    if "arguments" in node:
        if any(argument.get("name") for argument in node["arguments"]):
            raise Unprovable
        given = [argument["expression"] for argument in node["arguments"]]
    name, args = node["function_name"].lower(), _all(given)
    return Case(((args[0], args[1]),), args[2]) if name == "if" and len(args) == 3 else Call(name, args)


def _comparison(node: dict[str, Any]) -> Sql:
    if node["type"] not in _COMPARE:
        raise Unprovable
    return Op(_COMPARE[node["type"]], (_node(node["left"]), _node(node["right"])))


def _conjunction(node: dict[str, Any]) -> Sql:
    return Op("and" if node["type"] == "CONJUNCTION_AND" else "or", _all(node["children"]))


def _operator(node: dict[str, Any]) -> Sql:
    args = node.get("children") or []
    match node["type"]:
        case "OPERATOR_NOT":
            return Op("not", _all(args))
        case "OPERATOR_IS_NULL":
            return Op("isnull", _all(args))
        case "OPERATOR_IS_NOT_NULL":
            return Op("not", (Op("isnull", _all(args)),))
        case "COMPARE_IN":
            return Op("in", _all(args))
        case "COMPARE_NOT_IN":
            return Op("not", (Op("in", _all(args)),))
    raise Unprovable


def _between(node: dict[str, Any]) -> Sql:
    if node["type"] != "COMPARE_BETWEEN":
        raise Unprovable
    return Op("between", (_node(node["input"]), _node(node["lower"]), _node(node["upper"])))


def _case(node: dict[str, Any]) -> Sql:
    arms = tuple((_node(check["when_expr"]), _node(check["then_expr"])) for check in node["case_checks"])
    return Case(arms, _node(node["else_expr"]))


def _cast(node: dict[str, Any]) -> Sql:
    target = node["type_expr"]["type_name"] if "type_expr" in node else node["cast_type"]["id"]
    if node.get("try_cast") or target.upper() not in ("DATE", "BOOLEAN", "BOOL"):
        raise Unprovable
    child = _node(node["child"])
    if target.upper() == "DATE":
        return Op("date", (child,))
    if child in (Value("t"), Value("f")):  # how DuckDB 1.5 writes TRUE and FALSE
        return Value(child == Value("t"))
    return Op("bool", (child,))


def _constant(node: dict[str, Any]) -> Sql:
    if "literal" in node:
        kind, text = node["literal"]["kind"], node["literal"].get("text", "")
        if kind == "NULL_LITERAL":
            return Value(None)
        if kind == "STRING":
            return Value(text)
        if kind == "BOOLEAN":
            return Value(text == "true")
        if kind in ("INTEGER", "NUMERIC"):
            return _number(text)
        raise Unprovable
    value, type_ = node["value"], node["value"]["type"]
    if value["is_null"]:
        return Value(None)
    if type_["id"] in ("VARCHAR", "BOOLEAN") or type_["id"] in _INTEGERS:
        return Value(value["value"])
    if type_["id"] == "DECIMAL" and isinstance(value["value"], int):
        return Value(Decimal(value["value"]).scaleb(-type_["type_info"]["scale"]))
    raise Unprovable


def _number(text: str) -> Value:
    """Return a number as DuckDB 2.0 writes it; one with an exponent is a double, which is left alone."""
    digits = text.removeprefix("-")
    whole, point, fraction = digits.partition(".")
    if not (whole + fraction).isdigit() or not digits.isascii():
        raise Unprovable
    if not point:
        number = int(text)
        if abs(number) >= 1 << 62:
            raise Unprovable
        return Value(number)
    if len(whole + fraction) > 30:
        raise Unprovable
    return Value(Decimal(text))


_KINDS: dict[str, Callable[[dict[str, Any]], Sql]] = {
    "COLUMN_REF": _column,
    "CONSTANT": _constant,
    "FUNCTION": _function,
    "COMPARISON": _comparison,
    "CONJUNCTION": _conjunction,
    "OPERATOR": _operator,
    "BETWEEN": _between,
    "CASE": _case,
    "CAST": _cast,
}
_INFIX = {"~~": "LIKE", "!~~": "NOT LIKE", "~~*": "ILIKE", "!~~*": "NOT ILIKE", "^@": "^@"}


def shown(sql: Sql) -> str:
    """Return an expression as short SQL text, for EXPLAIN."""
    match sql:
        case Column(path):
            return ".".join(part if part.isidentifier() and part.islower() else ident(part) for part in path)
        case Value(value):
            return literal(value) if isinstance(value, str) else "NULL" if value is None else str(value).lower()
        case Call(name, args) if name in _INFIX and len(args) == 2:
            return f"{shown(args[0])} {_INFIX[name]} {shown(args[1])}"
        case Call(name, args):
            return f"{name}({', '.join(map(shown, args))})"
        case Op("isnull", args):
            return f"{shown(args[0])} IS NULL"
        case Op("not", (Op("isnull", args),)):
            return f"{shown(args[0])} IS NOT NULL"
        case Op("in", args):
            return f"{shown(args[0])} IN ({', '.join(map(shown, args[1:]))})"
        case Op("between", args):
            return f"{shown(args[0])} BETWEEN {shown(args[1])} AND {shown(args[2])}"
        case Op("not", args):
            return f"NOT ({shown(args[0])})"
        case Op("date" | "bool" as op, args):
            return f"{shown(args[0])}::{'DATE' if op == 'date' else 'BOOLEAN'}"
        case Op(op, args):
            word = {"distinct": "IS DISTINCT FROM", "same": "IS NOT DISTINCT FROM"}.get(op, op.upper())
            return f" {word} ".join(map(shown, args))
        case Case():
            return "CASE"
