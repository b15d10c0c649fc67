"""CREATE TASK, from the name on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wsdb.core.errors import SpecError, SyntaxError_, did_you_mean
from wsdb.core.task import MAX_LABELS, SELECT_LABELS, Gold, Split, Task, unknown_label
from wsdb.parser.clauses import TASK_OPTIONS, choice_options, comment, distinct_names, once, repeated
from wsdb.parser.cursor import Cursor
from wsdb.parser.statements import CreateTask

LATER_TYPES = ("REGRESSION",)
TYPES = ("BINARY", "MULTICLASS", "BITVECTOR", "SELECT", "ORDINAL")
SPLIT_NAMES = {
    "train": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "val": "dev",
    "test": "test",
}


def create_task(cursor: Cursor) -> CreateTask:
    """Parse CREATE TASK; its clauses may stand in any order."""
    name = cursor.name("task")
    cursor.expect("ON")
    relation = cursor.relation()
    if cursor.peek("("):
        raise cursor.wrong("KEY")
    fields: dict[str, object] = {}
    seen: set[str] = set()
    while not cursor.done:
        for words, clause, read in TASK_CLAUSES:
            if cursor.accept(*words):
                once(cursor, seen, clause)
                fields.update(read(cursor))
                break
        else:
            raise cursor.wrong(*(" ".join(words) for words, _, _ in TASK_CLAUSES))
    for clause in ("KEY", "TYPE"):
        if clause not in seen:
            raise cursor.wrong(clause)
    shares = fields.pop("shares", None)
    spec = Task(name=name, relation=relation, **fields)  # type: ignore[arg-type]
    check_kind(cursor, spec, with_shares=shares is not None)
    if isinstance(shares, dict):
        spec = check_balance(cursor, spec, shares)
    return CreateTask(span=cursor.span(0), spec=spec)


def check_kind(cursor: Cursor, spec: Task, *, with_shares: bool) -> None:
    """Raise where a clause does not fit the type of the task.

    Raises
    ------
    SpecError
        WS303 a balance that the type cannot have; WS330 SELECT without a payload, multilabel_absent of another type
        than BITVECTOR, a task that depends on itself.
    """
    balance = cursor.spans.get("balance")
    if spec.kind == "select":
        if spec.payload is None:
            raise SpecError(
                "WS330",
                "a SELECT task picks one element of a payload, and no payload is named",
                span=cursor.spans["type"],
                hint="write PAYLOAD name; CREATE PAYLOAD … AS SET makes one",
            )
        if spec.balance is not None or with_shares:
            raise SpecError(
                "WS303", "a SELECT task has no CLASS BALANCE: one element of each row is picked", span=balance
            )
    if spec.kind == "bitvector" and spec.balance == "uniform":
        raise SpecError(
            "WS303",
            "CLASS BALANCE UNIFORM says nothing about a BITVECTOR task, whose labels are independent",
            span=balance,
            hint="give the share of rows that have each label: CLASS BALANCE ('a' = 0.2, 'b' = 0.7)",
        )
    if "option multilabel_absent" in cursor.spans and spec.kind != "bitvector":
        raise SpecError(
            "WS330",
            f"option multilabel_absent is for BITVECTOR tasks; this one is {spec.kind.upper()}",
            span=cursor.spans["option multilabel_absent"],
        )
    if spec.name.lower() in (other.lower() for other in spec.depends_on):
        span = cursor.spans[f"dependency {spec.name.lower()}"]
        raise SpecError("WS330", f'task "{spec.name}" cannot depend on itself', span=span)


def check_balance(cursor: Cursor, spec: Task, shares: dict[str, float]) -> Task:
    """Return the task with its balance in label order.

    Raises
    ------
    SpecError
        WS302 unknown label; WS303 a share missing or out of range, or shares that do not sum to 1, as they have to
        where a row has one label.
    """
    span = cursor.spans.get("balance")
    if spec.labels_from is not None:
        raise SpecError("WS303", "CLASS BALANCE with shares needs its labels listed, not MULTICLASS FROM", span=span)
    for label in shares:
        if label not in spec.labels:
            raise unknown_label(spec, label).at(cursor.spans.get(f"share {label}", span))
    missing = [label for label in spec.labels if label not in shares]
    if missing:
        raise SpecError("WS303", f"CLASS BALANCE gives no share for {', '.join(map(repr, missing))}", span=span)
    many = spec.kind == "bitvector"
    for label, share in shares.items():
        place = cursor.spans.get(f"share {label}", span)
        if many and not 0 < share < 1:
            raise SpecError("WS303", f"the share of '{label}' must be between 0 and 1, not {share:g}", span=place)
        if share <= 0:
            raise SpecError("WS303", f"the share of '{label}' must be above 0, not {share:g}", span=place)
    total = sum(shares.values())
    if not many and abs(total - 1) > 0.01:
        raise SpecError("WS303", f"the shares of CLASS BALANCE must sum to 1; they sum to {total:g}", span=span)
    scale = 1.0 if many or abs(total - 1) < 1e-9 else total  # what SHOW CREATE printed stays as it is
    return replace(spec, balance=tuple(shares[label] / scale for label in spec.labels))


def _key(cursor: Cursor) -> dict[str, object]:
    return {"keys": distinct_names(cursor, "key column", "WS301")}


def _labels(cursor: Cursor) -> tuple[str, ...]:
    start = cursor.at
    cursor.expect("(")
    labels = [cursor.string("a label")]
    while cursor.accept(","):
        labels.append(cursor.string("a label"))
    cursor.expect(")")
    span = cursor.span(start)
    cursor.spans["labels"] = span
    twice = repeated(labels)
    if twice is not None:
        raise SpecError("WS301", f"label '{twice}' is listed twice", span=span)
    if len(labels) < 2:
        raise SpecError("WS301", f"a task needs at least two labels, this one has {len(labels)}", span=span)
    if len(labels) > MAX_LABELS:
        raise SpecError("WS301", f"a task has at most {MAX_LABELS} labels", span=span)
    return tuple(labels)


def _type(cursor: Cursor) -> dict[str, object]:
    for later in LATER_TYPES:
        if cursor.accept(later):
            raise SyntaxError_(
                "WS103",
                f"TYPE {later} is not available in this version of wsdb",
                span=cursor.span(cursor.at - 1),
                hint=f"this version has {', '.join(TYPES[:-1])} and {TYPES[-1]}",
            )
    kind = next((word for word in TYPES if cursor.accept(word)), None)
    if kind is None:
        raise cursor.wrong(*TYPES)
    cursor.spans["type"] = cursor.span(cursor.at - 1)
    if kind == "SELECT":
        return {"kind": "select", "labels": SELECT_LABELS}
    if kind == "MULTICLASS" and cursor.accept("FROM"):
        return {"kind": "multiclass", "labels": (), "labels_from": cursor.relation("labels")}
    if kind == "BINARY" and not cursor.peek("("):
        return {"kind": "binary", "labels": ("no", "yes")}
    labels = _labels(cursor)
    if kind == "BINARY" and len(labels) != 2:
        raise SpecError(
            "WS301",
            f"a BINARY task has two labels, this one lists {len(labels)}",
            span=cursor.spans["labels"],
            hint="use TYPE MULTICLASS",
        )
    return {"kind": kind.lower(), "labels": labels}


def _balance(cursor: Cursor) -> dict[str, object]:
    start = cursor.at
    cursor.spans["balance"] = cursor.span()
    if cursor.accept("AUTO"):
        return {"balance": None}
    if cursor.accept("UNIFORM"):
        return {"balance": "uniform"}
    if not cursor.accept("("):
        raise cursor.wrong("AUTO", "UNIFORM", "(")
    shares: dict[str, float] = {}
    while True:
        cursor.spans.pop("share", None)
        label = cursor.string("a label")
        cursor.spans[f"share {label}"] = cursor.span(cursor.at - 1)
        cursor.expect("=")
        shares[label] = cursor.number("a share")
        if not cursor.accept(","):
            break
    cursor.expect(")")
    cursor.spans["balance"] = cursor.span(start)
    return {"shares": shares}


def _gold(cursor: Cursor) -> dict[str, object]:
    relation = f"({cursor.parenthesis('gold')})" if cursor.peek("(") else cursor.relation("gold")
    column = cursor.names("gold column") if cursor.peek("(") else ("label",)
    if len(column) != 1:
        raise SyntaxError_("WS101", "GOLD takes one label column", span=cursor.spans["gold column"])
    return {"gold": Gold(relation, column[0])}


def _split(cursor: Cursor) -> dict[str, object]:
    if cursor.accept("BY"):
        return {"split": Split(cursor.name("split column"))}
    if not cursor.accept("HASH"):
        raise cursor.wrong("BY", "HASH")
    column = cursor.names("split column")
    start = cursor.at
    cursor.expect("(")
    shares: list[tuple[str, float]] = []
    while True:
        cursor.spans.pop("split", None)
        word = cursor.name("split")
        if word.lower() not in SPLIT_NAMES:
            raise SpecError(
                "WS304",
                f'unknown split "{word}"; splits are train, dev and test',
                span=cursor.spans["split"],
                hint=did_you_mean(word, SPLIT_NAMES),
            )
        shares.append((SPLIT_NAMES[word.lower()], cursor.number("a percentage")))
        if not cursor.accept(","):
            break
    cursor.expect(")")
    total = sum(share for _, share in shares)
    if abs(total - 100) > 1e-9 or min(share for _, share in shares) < 0:
        raise SpecError(
            "WS304",
            f"the shares of SPLIT HASH are percentages that sum to 100, not {total:g}",
            span=cursor.span(start),
        )
    if len(column) != 1:
        raise SyntaxError_("WS101", "SPLIT HASH takes one column", span=cursor.spans["split column"])
    return {"split": Split(column[0], tuple(shares))}


def _role(cursor: Cursor) -> dict[str, object]:
    for role in ("PRIMARY", "ANCILLARY"):
        if cursor.accept(role):
            return {"role": role.lower()}
    raise cursor.wrong("PRIMARY", "ANCILLARY")


TASK_CLAUSES: tuple[tuple[tuple[str, ...], str, Callable[[Cursor], dict[str, object]]], ...] = (
    (("KEY",), "KEY", _key),
    (("PAYLOAD",), "PAYLOAD", lambda cursor: {"payload": cursor.name("payload")}),
    (("TYPE",), "TYPE", _type),
    (("CLASS", "BALANCE"), "CLASS BALANCE", _balance),
    (("GOLD",), "GOLD", _gold),
    (("SPLIT",), "SPLIT", _split),
    (("ROLE",), "ROLE", _role),
    (("DEPENDS", "ON"), "DEPENDS ON", lambda cursor: {"depends_on": distinct_names(cursor, "dependency", "WS330")}),
    (("WITH",), "WITH", lambda cursor: dict(choice_options(cursor, "task", TASK_OPTIONS))),
    (("COMMENT",), "COMMENT", lambda cursor: {"comment": comment(cursor)}),
)
