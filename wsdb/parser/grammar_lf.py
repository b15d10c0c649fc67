"""CREATE LABELING FUNCTION, from the name on."""

from __future__ import annotations

from wsdb.core.errors import SpecError, SyntaxError_, did_you_mean
from wsdb.core.lf import Body, Expression, LabelingFunction, Python, Select, Template, Votes, VoteTogether, VoteWhen
from wsdb.parser.clauses import LABELING_FUNCTION_OPTIONS, choice_options, comment, distinct_names, once, tags, tasks
from wsdb.parser.cursor import Cursor
from wsdb.parser.statements import CreateLabelingFunction
from wsdb.parser.templates import template

LATER_BODIES = ("EXPLANATION", "MODEL", "SUGGESTION")


def create_labeling_function(cursor: Cursor) -> CreateLabelingFunction:
    """Parse CREATE LABELING FUNCTION; the clauses before the body may stand in any order."""
    name = cursor.name("labeling function")
    cursor.expect("FOR")
    own = tasks(cursor)
    fields = _clauses(cursor)
    start = cursor.at
    body, written_as = _body(cursor, own)
    if not isinstance(body, Python) and "columns" in fields:
        raise SpecError(
            "WS307",
            "option columns is for LANGUAGE python; a SQL body names its columns itself",
            span=cursor.spans["option columns"],
        )
    if len(own) > 1 and (written_as is not None or isinstance(body, Python | Votes)):
        raise SpecError(
            "WS336",
            "a labeling function for several TASKS has a SQL body: VOTE, AS expression or AS SELECT",
            span=cursor.span_of(start),
            hint="write one for each task",
        )
    if name.lower() in (other.lower() for other in fields.get("depends_on", ())):  # type: ignore[attr-defined]
        span = cursor.spans[f"dependency {name.lower()}"]
        raise SpecError("WS330", f'labeling function "{name}" cannot depend on itself', span=span)
    spec = LabelingFunction(name=name, task=own[0], body=body, tasks=own, template=written_as, **fields)  # type: ignore[arg-type]
    return CreateLabelingFunction(span=cursor.span(0), spec=spec)


def _clauses(cursor: Cursor) -> dict[str, object]:
    """Read the clauses between the tasks and the body."""
    fields: dict[str, object] = {}
    seen: set[str] = set()
    while True:
        if cursor.accept("WITH"):
            once(cursor, seen, "WITH")
            fields.update(choice_options(cursor, "labeling function", LABELING_FUNCTION_OPTIONS))
        elif cursor.accept("COMMENT"):
            once(cursor, seen, "COMMENT")
            fields["comment"] = comment(cursor)
        elif cursor.accept("KIND"):
            once(cursor, seen, "KIND")
            fields["kind"] = cursor.name("kind").lower()
        elif cursor.accept("TAGS"):
            once(cursor, seen, "TAGS")
            fields["tags"] = tags(cursor)
        elif cursor.accept("DEPENDS"):
            cursor.expect("ON")
            once(cursor, seen, "DEPENDS ON")
            fields["depends_on"] = distinct_names(cursor, "dependency", "WS330")
        elif cursor.accept("NONSERVABLE"):
            once(cursor, seen, "NONSERVABLE")
            fields["servable"] = False
        else:
            return fields


def _body(cursor: Cursor, own: tuple[str, ...]) -> tuple[Body, Template | None]:
    """Read the body and, where it is FROM TEMPLATE, what it was written as."""
    if cursor.accept("VOTE"):
        return _vote(cursor, own), None
    if cursor.accept("LANGUAGE"):
        cursor.expect("PYTHON")
        if cursor.accept("USING"):
            return Python(cursor.string("body"), using=True), None
        cursor.expect("AS")
        return Python(cursor.string("body")), None
    if cursor.accept("FROM"):
        if cursor.accept("VOTES"):
            return _votes(cursor), None
        if cursor.accept("TEMPLATE"):
            return template(cursor)
        for later in LATER_BODIES:
            if cursor.accept(later):
                raise SyntaxError_(
                    "WS103",
                    f"FROM {later} is not available in this version of wsdb",
                    span=cursor.span(cursor.at - 2),
                )
        raise cursor.wrong("VOTES", "TEMPLATE")
    if cursor.accept("AS"):
        query = any(cursor.peek(*words) for words in (("SELECT",), ("WITH",), ("FROM",), ("VALUES", "(")))
        text = cursor.rest("body", "an expression or a SELECT")
        return (Select(text) if query else Expression(text)), None
    raise cursor.wrong("VOTE", "AS", "LANGUAGE", "FROM VOTES", "FROM TEMPLATE")


def _vote(cursor: Cursor, own: tuple[str, ...]) -> Body:
    """Read ``'label' WHEN …``, or ``(task 'label', …) WHEN …`` with a label for each task in `own`.

    Raises
    ------
    SpecError
        WS336 where the tasks are not those of the labeling function, or one string stands for several.
    """
    start = cursor.at
    if not cursor.peek("("):
        cursor.spans.pop("label", None)
        label = cursor.string("label")
        if len(own) > 1:
            raise SpecError(
                "WS336",
                f"the labeling function votes on {len(own)} tasks, and VOTE names one label",
                span=cursor.spans["label"],
                hint=f"write VOTE ({', '.join(f'{task} …' for task in own)}) WHEN …, with the label of each",
            )
        cursor.expect("WHEN")
        return VoteWhen(label, cursor.rest("body", "a condition"))
    votes = _labels_of_tasks(cursor, own)
    missing = [task for task in own if task not in votes]
    if missing:
        raise SpecError(
            "WS336",
            f'VOTE has no label for task "{missing[0]}"',
            span=cursor.span(start),
            hint="leave the task out of FOR TASKS, or use AS with NULL for its label",
        )
    cursor.expect("WHEN")
    predicate = cursor.rest("body", "a condition")
    if len(own) == 1:
        return VoteWhen(votes[own[0]], predicate)
    return VoteTogether(tuple((task, votes[task]) for task in own), predicate)


def _labels_of_tasks(cursor: Cursor, own: tuple[str, ...]) -> dict[str, str]:
    """Read ``(task 'label', …)``; the place of each label is remembered as ``label <task>``."""
    spelled = {task.lower(): task for task in own}
    votes: dict[str, str] = {}
    cursor.expect("(")
    while True:
        cursor.spans.pop("voted task", None)
        named = cursor.name("voted task")
        task = spelled.get(named.lower())
        if task is None or task in votes:
            problem = "has two labels" if task is not None else "is not one that the labeling function votes on"
            raise SpecError(
                "WS336",
                f'task "{named}" {problem}',
                span=cursor.spans["voted task"],
                hint=did_you_mean(named, own) if task is None else None,
            )
        cursor.spans.pop("label", None)
        votes[task] = cursor.string("label")
        cursor.spans[f"label {task.lower()}"] = cursor.spans["label"]
        if not cursor.accept(","):
            break
    cursor.expect(")")
    cursor.spans["label"] = cursor.spans[f"label {next(iter(votes)).lower()}"]
    return votes


def _votes(cursor: Cursor) -> Votes:
    relation = cursor.relation("body")
    columns = cursor.names("vote column")
    if len(columns) < 2:
        raise SyntaxError_(
            "WS101",
            "FROM VOTES needs the key columns and the label column",
            span=cursor.spans["vote column"],
            hint="write FROM VOTES relation (key, label) or (key, source, label)",
        )
    confidence = cursor.name("confidence column") if cursor.accept("CONFIDENCE") else None
    # Which columns are keys is known once the task is: with as many columns as keys + 2, the one before the
    # label names the source. Until then all but the label stand in `keys`.
    return Votes(relation, columns[:-1], None, columns[-1], confidence)
