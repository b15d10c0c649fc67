"""FROM TEMPLATE: options in, and the SQL body that they stand for out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wsdb.core.errors import SpecError, did_you_mean
from wsdb.core.lf import Body, Expression, Template, VoteWhen
from wsdb.core.specs import Option
from wsdb.core.sqltext import ident, literal
from wsdb.parser.clauses import TYPE_TEXTS, options, unknown_option
from wsdb.parser.cursor import Cursor

BOUNDS = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
EDGE = r"[^\pL\pN_]"
"""What may stand next to a whole word: anything but a letter of any script, a digit or an underscore."""
NUMBER = "a number"
METRICS = {"cosine": "list_cosine_distance", "euclidean": "list_distance"}
"""The distances of the near template, as functions of two lists of numbers."""
ONE_OR_EACH = {"lookup": "keys that are found", "near": "rows that are near"}
"""Templates that vote for one label, or for the one that a column has."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of template.

    Attributes
    ----------
    expand : the body for options that are checked, with defaults filled in
    required, optional : what each option must be: a type, or `NUMBER`
    defaults : the values of optional options that are not given; such a value is not kept in the spec
    """

    expand: Callable[[Mapping[str, Option]], Body]
    required: Mapping[str, type | str]
    optional: Mapping[str, type | str] = field(default_factory=dict)
    defaults: Mapping[str, Option] = field(default_factory=dict)

    @property
    def allowed(self) -> dict[str, type | str]:
        """All its options."""
        return {**self.required, **self.optional}


def template(cursor: Cursor) -> tuple[Body, Template]:
    """Read ``kind (option = value, …)`` and return the body it stands for, and the template.

    Raises
    ------
    SpecError
        WS307 for an option it does not have; WS335 for an unknown template, an option that is missing or of another
        type, and bounds that no number keeps.
    """
    start = cursor.at - 1
    cursor.spans.pop("template", None)
    name = cursor.name("template").lower()
    kind = KINDS.get(name)
    if kind is None:
        raise SpecError(
            "WS335",
            f'there is no template "{name}"',
            span=cursor.spans["template"],
            hint=did_you_mean(name, KINDS) or f"templates are {', '.join(KINDS)}",
        )
    given = options(cursor)
    cursor.spans["body"] = cursor.span(start)
    _check(cursor, name, kind, given)
    kept = tuple(sorted((key, value) for key, value in given.items() if kind.defaults.get(key) != value))
    if "option label" in cursor.spans:
        cursor.spans["label"] = cursor.spans["option label"]
    return kind.expand({**kind.defaults, **given}), Template(name, kept)


def _check(cursor: Cursor, name: str, kind: Kind, given: Mapping[str, Option]) -> None:
    for key, value in given.items():
        place = cursor.spans[f"option {key}"]
        if key not in kind.allowed:
            raise unknown_option(f"{name} template", key, kind.allowed, place)
        wanted = kind.allowed[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number if isinstance(wanted, str) else isinstance(value, wanted)):
            text = wanted if isinstance(wanted, str) else TYPE_TEXTS[wanted]
            raise SpecError("WS335", f"option {key} of a {name} template must be {text}", span=place)
    for key in kind.required:
        if key not in given:
            raise SpecError("WS335", f"a {name} template needs the option {key}", span=cursor.spans["body"])
    if name == "keyword" and "" in given["words"]:  # type: ignore[operator]
        raise SpecError("WS335", "a keyword template has an empty word", span=cursor.spans["option words"])
    if name == "threshold":
        _check_bounds(cursor, given)
    if name in ONE_OR_EACH and ("label" in given) == ("labels" in given):
        raise SpecError(
            "WS335",
            f"a {name} template has either label, one label for all {ONE_OR_EACH[name]}, or labels, a column",
            span=cursor.spans["body"],
        )
    if name == "near":
        _check_near(cursor, given)


def _check_near(cursor: Cursor, given: Mapping[str, Option]) -> None:
    metric, radius = given.get("metric", "cosine"), given["radius"]
    if metric not in METRICS:
        raise SpecError(
            "WS335",
            f"a near template has no metric '{metric}'",
            span=cursor.spans["option metric"],
            hint=did_you_mean(str(metric), METRICS) or f"metrics are {', '.join(METRICS)}",
        )
    if float(radius) < 0:  # type: ignore[arg-type]
        raise SpecError("WS335", "nothing is nearer than 0", span=cursor.spans["option radius"])


def _check_bounds(cursor: Cursor, given: Mapping[str, Option]) -> None:
    lower = [float(value) for key in ("above", "at_least") if (value := given.get(key)) is not None]  # type: ignore[arg-type]
    upper = [float(value) for key in ("below", "at_most") if (value := given.get(key)) is not None]  # type: ignore[arg-type]
    problem = None
    if not lower and not upper:
        problem = f"a threshold template needs one of {', '.join(BOUNDS)}"
    elif len(lower) > 1 or len(upper) > 1:
        problem = "a threshold template has one lower bound (above or at_least) and one upper bound (below or at_most)"
    elif (
        lower
        and upper
        and (lower[0] > upper[0] or (lower[0] == upper[0] and not {"at_least", "at_most"} <= set(given)))
    ):
        problem = "no number keeps both bounds"
    if problem is not None:
        raise SpecError("WS335", problem, span=cursor.spans["body"])


# -------------------------------------------------------------------------------------------------------- expansions


def _keyword(given: Mapping[str, Option]) -> Body:
    words = given["words"]
    assert isinstance(words, tuple)
    found = "|".join(re.sub(r"[!-/:-@\[-^`{-~]", r"\\\g<0>", str(word)) for word in words)
    pattern = f"(?:^|{EDGE})(?:{found})(?:{EDGE}|$)" if given["whole_words"] else f"(?:{found})"
    return _matches(given, pattern)


def _regex(given: Mapping[str, Option]) -> Body:
    return _matches(given, str(given["pattern"]))


def _matches(given: Mapping[str, Option], pattern: str) -> Body:
    flags = f", {literal('i')}" if given["ignore_case"] else ""
    column = ident(str(given["col"]))
    return VoteWhen(str(given["label"]), f"regexp_matches({column}, {literal(pattern)}{flags})")


def _lookup(given: Mapping[str, Option]) -> Body:
    column, relation = ident(str(given["col"])), _relation(str(given["table"]))
    key = ident(str(given.get("key") or given["col"]))
    # The inner SELECT hides the relation's other columns, so that `col` is always the column of the task's relation.
    if given.get("label") is not None:
        found = f"SELECT __key FROM (SELECT {key} AS __key FROM {relation} AS __lookup) WHERE __key IS NOT NULL"
        return VoteWhen(str(given["label"]), f"{column} IN ({found})")
    labels = ident(str(given["labels"]))
    pairs = f"SELECT {key} AS __key, {labels} AS __label FROM {relation} AS __lookup"
    return Expression(f"(SELECT __label FROM ({pairs}) WHERE __key = {column})")


def _near(given: Mapping[str, Option]) -> Body:
    """Vote where the distance to the nearest exemplar is at most the radius; of equally near ones the first label."""
    distance, radius, column = METRICS[str(given["metric"])], repr(given["radius"]), ident(str(given["col"]))
    key, labels = ident(str(given.get("key") or given["col"])), given.get("labels")
    shown = f", {ident(str(labels))} AS __label" if labels else ""
    exemplars = f"(SELECT CAST({key} AS DOUBLE[]) AS __vector{shown} FROM {_relation(str(given['exemplars']))} AS __of)"
    vector = f"CAST({column} AS DOUBLE[])"
    if not labels:
        every = f"(SELECT list(__vector) FROM {exemplars} WHERE __vector IS NOT NULL)"
        nearest = f"list_min(list_transform({every}, lambda __e: {distance}({vector}, __e)))"
        # Of a NULL array DuckDB makes a list of NULLs, which has no distance; what has no length is no list.
        return VoteWhen(str(given["label"]), f"CASE WHEN len({column}) > 0 THEN {nearest} <= {radius} END")
    every = f"(SELECT list({{'v': __vector, 'label': __label}}) FROM {exemplars} WHERE "
    every += "__vector IS NOT NULL AND __label IS NOT NULL)"
    near = f"list_transform({every}, lambda __e: {{'d': {distance}({vector}, __e.v), 'label': __e.label}})"
    nearest = f"list_min(list_filter({near}, lambda __n: __n.d <= {radius}))"
    return Expression(f"CASE WHEN len({column}) > 0 THEN ({nearest}).label END")


def _relation(text: str) -> str:
    """Return the SQL of a relation that an option names: a path in quotes, or a name of one to three parts."""
    if "/" in text or text.lower().endswith((".csv", ".parquet", ".json")):
        return literal(text)
    return ".".join(ident(part) for part in text.split("."))


def _threshold(given: Mapping[str, Option]) -> Body:
    column = ident(str(given["col"]))
    parts = [f"{column} {sign} {given[bound]!r}" for bound, sign in BOUNDS.items() if bound in given]
    return VoteWhen(str(given["label"]), " AND ".join(parts))


KINDS: dict[str, Kind] = {
    "keyword": Kind(
        _keyword,
        {"col": str, "words": tuple, "label": str},
        {"whole_words": bool, "ignore_case": bool},
        {"whole_words": True, "ignore_case": True},
    ),
    "regex": Kind(_regex, {"col": str, "pattern": str, "label": str}, {"ignore_case": bool}, {"ignore_case": False}),
    "lookup": Kind(_lookup, {"col": str, "table": str}, {"key": str, "label": str, "labels": str}),
    "near": Kind(
        _near,
        {"col": str, "exemplars": str, "radius": NUMBER},
        {"key": str, "label": str, "labels": str, "metric": str},
        {"metric": "cosine"},
    ),
    "threshold": Kind(_threshold, {"col": str, "label": str}, dict.fromkeys(BOUNDS, NUMBER)),
}
"""The templates by name."""
