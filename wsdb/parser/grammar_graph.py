"""CREATE TASK GRAPH, from the name on."""

from __future__ import annotations

from wsdb.core.errors import SpecError
from wsdb.core.graph import Rule, TaskGraph, applies_cycle
from wsdb.parser.clauses import comment
from wsdb.parser.cursor import Cursor
from wsdb.parser.statements import CreateTaskGraph


def create_task_graph(cursor: Cursor) -> CreateTaskGraph:
    """Parse CREATE TASK GRAPH.

    The place of rule n, counted from 0, is remembered as ``rule n``, those of its names and labels as ``task n``,
    ``label n``, ``other n`` and ``other label n``.
    """
    name = cursor.name("task graph")
    cursor.expect("(")
    rules: list[Rule] = []
    while True:
        rules.append(_rule(cursor, rules))
        if not cursor.accept(","):
            break
    cursor.expect(")")
    text = comment(cursor) if cursor.accept("COMMENT") else None
    spec = TaskGraph(name, tuple(rules), text)
    loop = applies_cycle(spec)
    if loop is not None:
        first = next(
            at for at, rule in enumerate(rules) if rule.verb == "applies" and rule.task.lower() == loop[0].lower()
        )
        raise SpecError(
            "WS333",
            f"tasks apply only where each other does: {' -> '.join(loop)}",
            span=cursor.spans[f"rule {first}"],
            hint="one task of the path has to apply everywhere",
            path=list(loop),
        )
    return CreateTaskGraph(span=cursor.span(0), spec=spec)


def _rule(cursor: Cursor, before: list[Rule]) -> Rule:
    start, at = cursor.at, len(before)
    task = _name(cursor, f"task {at}")
    if cursor.accept("APPLIES"):
        cursor.expect("WHEN")
        verb, label = "applies", None
    else:
        label = _label(cursor, f"label {at}", "APPLIES WHEN")
        verb = next((verb for verb in ("implies", "excludes") if cursor.accept(verb.upper())), "")
        if not verb:
            raise cursor.wrong("IMPLIES", "EXCLUDES")
    other = _name(cursor, f"other {at}")
    rule = Rule(task, label, verb, other, _label(cursor, f"other label {at}"))
    cursor.spans[f"rule {at}"] = cursor.span(start)
    if task.lower() == other.lower() and verb != "applies":
        raise SpecError(
            "WS332",
            f'a rule relates the labels of two tasks; both of these are of "{task}"',
            span=cursor.spans[f"rule {at}"],
            hint="a row has one label of a task; the others are excluded without a rule",
        )
    if rule in before:
        raise SpecError("WS332", f"the rule {rule.text} stands twice", span=cursor.spans[f"rule {at}"])
    return rule


def _name(cursor: Cursor, place: str) -> str:
    cursor.spans.pop("task", None)
    name = cursor.name("task")
    cursor.spans[place] = cursor.spans.pop("task")
    return name


def _label(cursor: Cursor, place: str, instead: str | None = None) -> str:
    token = cursor.token
    if instead is not None and token is not None and token.word:
        raise cursor.wrong("a label as a string in quotes", instead)
    cursor.spans.pop("label", None)
    label = cursor.string("label")
    cursor.spans[place] = cursor.spans.pop("label")
    return label
