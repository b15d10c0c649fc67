"""Hypothesis strategies: specs of every kind, with odd names and odd SQL."""

from __future__ import annotations

from hypothesis import strategies as st

from wsdb.core.constraint import Constraint
from wsdb.core.embedding import Embedding
from wsdb.core.graph import Rule, TaskGraph
from wsdb.core.lf import Body, Expression, LabelingFunction, Python, Select, Votes, VoteTogether, VoteWhen
from wsdb.core.payload import SHAPES, Payload, Primitive, Spans
from wsdb.core.slice import Slice, Tag
from wsdb.core.source import Source
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec
from wsdb.core.sqltext import ident
from wsdb.core.task import SELECT_LABELS, TASK_KINDS, Gold, Split, Task
from wsdb.core.transformation import TransformationFunction
from wsdb.parser.clauses import LABEL_MODEL_METHODS
from wsdb.parser.cursor import Cursor, tokens_of
from wsdb.parser.render import Spec, value
from wsdb.parser.templates import template

PRINTABLE = st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc", "Zl", "Zp"))
NAMES = st.one_of(
    st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True),
    st.sampled_from(
        [
            "select",
            "Task",
            "IF",
            "not",
            "set",
            "my page",
            'a "quoted" name',
            "größe",
            "数据",
            "1st",
            "a.b",
            "semi;colon",
            "--x",
        ]
    ),
    st.text(PRINTABLE, min_size=1, max_size=8),
)
STRINGS = st.one_of(
    st.sampled_from(["it's", "", "a;b", "-- no comment", "/* none */", "$$", "two\nlines", "tab\t", "\\", "'; DROP"]),
    st.text(PRINTABLE, max_size=10),
)
RELATIONS = st.one_of(
    NAMES.map(ident),
    st.tuples(NAMES, NAMES).map(lambda pair: f"{ident(pair[0])}.{ident(pair[1])}"),
    st.sampled_from(["mails", "main.mails", "'data/mails.parquet'"]),
)
COMMENTS = st.none() | STRINGS
SQL = st.sampled_from(
    [
        "body ILIKE '%wire; transfer%'",
        "length(body) > 3 -- not short\n AND x",
        "score /* a ) bracket */ BETWEEN 1 AND 2",
        "CASE WHEN a = $$x;y$$ THEN 'spam' END",
        "list_contains(['a', ')'], tag)",
        '"odd "" name" IS NULL',
        "x\n  AND y",
    ]
)


def names(most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    """Different names, compared without case."""
    return st.lists(NAMES, min_size=1, max_size=most, unique_by=str.lower).map(tuple)


def others(name: str) -> st.SearchStrategy[tuple[str, ...]]:
    """Different names, none of them `name`; none at all half of the time."""
    return st.just(()) | names().filter(lambda found: name.lower() not in [other.lower() for other in found])


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """A task with any of its clauses."""
    name = draw(NAMES)
    kind = draw(st.sampled_from(TASK_KINDS))
    size = 2 if kind == "binary" else 5
    labels = tuple(draw(st.lists(STRINGS, min_size=2, max_size=size, unique=True)))
    shares = [draw(st.integers(1, 10**6)) for _ in labels]
    balance = draw(st.sampled_from([None, "uniform", tuple(share / sum(shares) for share in shares)]))
    if kind == "select":
        labels, balance = SELECT_LABELS, None
    if kind == "bitvector":
        balance = draw(st.none() | st.just(tuple(share / (10**6 + 1) for share in shares)))
    gold = draw(
        st.none()
        | st.builds(Gold, RELATIONS, NAMES)
        | st.builds(Gold, st.just("(SELECT id, label FROM g WHERE x IN (1, 2))"), NAMES | st.just("label"))
    )
    split = draw(
        st.none()
        | st.builds(Split, NAMES)
        | st.builds(
            Split, NAMES, st.sampled_from([(("train", 80.0), ("dev", 10.0), ("test", 10.0)), (("train", 100.0),)])
        )
    )
    return Task(
        name=name,
        relation=draw(RELATIONS),
        keys=draw(names()),
        kind=kind,
        labels=labels,
        balance=balance,
        gold=gold,
        split=split,
        payload=draw(NAMES if kind == "select" else st.none() | NAMES),
        depends_on=draw(others(name)),
        role=draw(st.sampled_from(["primary", "ancillary"])),
        multilabel_absent=draw(st.sampled_from(["abstain", "no"])) if kind == "bitvector" else "abstain",
        comment=draw(COMMENTS),
    )


BODIES: st.SearchStrategy[Body] = st.one_of(
    st.builds(VoteWhen, STRINGS, SQL),
    st.builds(Expression, SQL),
    st.builds(Select, SQL.map(lambda sql: f"SELECT id, 'spam' AS label FROM t WHERE {sql}")),
    st.builds(Python, STRINGS.filter(bool) | st.sampled_from(["a$$b", "x$", "$py", "def f(b):\n  return '$$ $py$'"])),
    st.builds(Python, st.sampled_from(["pack.module:function"]), st.just(True)),
    st.builds(Votes, RELATIONS, names(), st.none(), NAMES, st.none() | NAMES),
)
TEMPLATES = st.one_of(
    st.tuples(
        st.just("keyword"),
        st.fixed_dictionaries(
            {
                "col": NAMES,
                "label": STRINGS,
                "words": st.lists(STRINGS.filter(bool), min_size=1, max_size=3).map(tuple),
            },
            optional={"whole_words": st.just(False), "ignore_case": st.just(False)},
        ),
    ),
    st.tuples(
        st.just("regex"),
        st.fixed_dictionaries(
            {"col": NAMES, "label": STRINGS, "pattern": STRINGS}, optional={"ignore_case": st.just(True)}
        ),
    ),
    st.tuples(
        st.just("lookup"),
        st.fixed_dictionaries({"col": NAMES, "table": NAMES, "label": STRINGS}, optional={"key": NAMES})
        | st.fixed_dictionaries({"col": NAMES, "table": NAMES, "labels": NAMES}, optional={"key": NAMES}),
    ),
    st.tuples(
        st.just("threshold"),
        st.fixed_dictionaries(
            {"col": NAMES, "label": STRINGS, "above": st.integers(-9, 0)}, optional={"at_most": st.floats(1, 2)}
        ),
    ),
)


@st.composite
def labeling_functions(draw: st.DrawFn) -> LabelingFunction:
    """A labeling function with any body and clauses, for one task or several."""
    name, own = draw(NAMES), draw(names())
    written_as = None
    if len(own) > 1:
        pairs = st.tuples(*(st.tuples(st.just(task), STRINGS) for task in own))
        body = draw(st.builds(VoteTogether, pairs, SQL) | st.builds(Expression, SQL))
    elif draw(st.booleans()):
        body = draw(BODIES)
    else:
        kind, options = draw(TEMPLATES)
        text = f"TEMPLATE {kind} ({', '.join(f'{key} = {value(option)}' for key, option in options.items())})"
        body, written_as = template(Cursor(text, tokens_of(text), at=1))
    return LabelingFunction(
        name=name,
        task=own[0],
        body=body,
        on_error=draw(st.sampled_from(["raise", "abstain"])),
        columns=draw(names()) if isinstance(body, Python) and draw(st.booleans()) else (),
        enabled=draw(st.booleans()),
        tasks=own,
        depends_on=draw(others(name)),
        kind=draw(st.none() | NAMES.map(str.lower)),
        tags=tuple(draw(st.lists(STRINGS, max_size=2, unique=True))),
        servable=draw(st.booleans()),
        template=written_as,
        comment=draw(COMMENTS),
    )


@st.composite
def label_models(draw: st.DrawFn) -> LabelModelSpec:
    """A label model with any of its options, for one task or several."""
    own = draw(names())
    return LabelModelSpec(
        name=draw(NAMES),
        task=own[0],
        tasks=own,
        method=draw(st.sampled_from(LABEL_MODEL_METHODS)),
        regime=draw(st.sampled_from(["auto", "lf", "annotator"])),
        use_dev=draw(st.sampled_from(["never", "anchor", "select"])),
        graph=draw(st.none() | NAMES),
        structure=draw(st.sampled_from(["auto", "none", "static", "learned", "declared"])),
        prior=draw(st.sampled_from(["auto", "uniform", "declared"])),
        abstain_informative=draw(st.booleans()),
        calibrate=draw(st.booleans()),
        max_iter=draw(st.none() | st.integers(1, 10**6)),
        tol=draw(st.none() | st.floats(1e-12, 1)),
        comment=draw(COMMENTS),
    )


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    """A payload with any of its clauses."""
    name, shape = draw(NAMES), draw(st.sampled_from(SHAPES))
    sources = draw(others(name))
    of = NAMES.filter(lambda other: other.lower() != name.lower())
    spans = draw(st.none() | st.builds(Spans, of, NAMES)) if shape != "singleton" and not sources else None
    keys = draw(st.just(()) | names())
    embedding, frozen = draw(st.just((None, True)) | st.tuples(NAMES, st.booleans()))
    return Payload(name, draw(RELATIONS), keys, shape, draw(names()), sources, spans, embedding, frozen, draw(COMMENTS))


PRIMITIVES = st.builds(
    Primitive,
    NAMES,
    RELATIONS,
    st.just(()) | names(),
    SQL.map(lambda sql: f"SELECT id, length(body) AS n FROM mails WHERE {sql}"),
    COMMENTS,
)


@st.composite
def task_graphs(draw: st.DrawFn) -> TaskGraph:
    """A task graph whose rules lead from earlier tasks to later ones, so that none is in a circle."""
    tasks = draw(st.lists(NAMES, min_size=2, max_size=4, unique_by=str.lower))
    pairs = st.tuples(st.integers(0, len(tasks) - 1), st.integers(0, len(tasks) - 1)).filter(lambda p: p[0] < p[1])
    rules = []
    for one, two in draw(st.lists(pairs, min_size=1, max_size=4)):
        verb = draw(st.sampled_from(["implies", "excludes", "applies"]))
        label = None if verb == "applies" else draw(STRINGS)
        rules.append(Rule(tasks[one], label, verb, tasks[two], draw(STRINGS)))
    return TaskGraph(draw(NAMES), tuple(dict.fromkeys(rules)), draw(COMMENTS))


FEATURE_SETS = st.builds(FeatureSet, NAMES, RELATIONS, names(), st.sampled_from([True, False, None]), COMMENTS)
OPTIONS = st.dictionaries(
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    st.one_of(
        st.booleans(),
        st.none(),
        st.integers(-(10**12), 10**12),
        st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: int(x) if x.is_integer() else x),
        STRINGS,
        st.lists(STRINGS, min_size=1, max_size=3).map(tuple),
        st.lists(st.tuples(st.sampled_from(["lr", "hidden"]), st.just(("auto", 0.5))), min_size=1, max_size=2)
        .map(dict)
        .map(lambda lists: tuple(lists.items())),
    ),
    max_size=3,
).map(lambda options: tuple(sorted(options.items())))


@st.composite
def models(draw: st.DrawFn) -> ModelSpec:
    """A model with any of its clauses."""
    weights = st.sampled_from([1.0, 2.0, 0.5, 1e-7])
    star = draw(st.booleans())
    return ModelSpec(
        name=draw(NAMES),
        tasks=tuple((name, draw(weights)) for name in draw(names())),
        source=draw(RELATIONS | st.just("(SELECT * FROM mails WHERE (a))")),
        columns=("*",) if star else draw(names()),
        excluded=draw(names()) if star and draw(st.booleans()) else (),
        feature_sets=draw(names()) if draw(st.booleans()) else (),
        payloads=draw(st.just(()) | names()),
        slices=draw(st.just(()) | st.just(("*",)) | names()),
        augment=draw(st.just(()) | names()),
        labels_from=draw(st.sampled_from([(), ("SELECT id, label FROM g",), ("SELECT id, a FROM g", "FROM h")])),
        options=draw(OPTIONS),
        comment=draw(COMMENTS),
    )


QUERIES = SQL.map(lambda sql: f"SELECT id FROM mails WHERE {sql}")
TAGS = st.lists(STRINGS, max_size=2, unique=True).map(tuple)
GROUPS = st.sampled_from([Slice, Tag]).flatmap(
    lambda make: st.builds(make, NAMES, RELATIONS, st.just(()) | names(), SQL | QUERIES, COMMENTS)
)
ROWS = st.one_of(
    GROUPS,
    st.builds(TransformationFunction, NAMES, RELATIONS, QUERIES, COMMENTS),
    st.builds(Constraint, NAMES, names(), SQL, COMMENTS),
    st.builds(Embedding, NAMES, STRINGS, COMMENTS),
    st.builds(Source, NAMES, RELATIONS, QUERIES, TAGS, COMMENTS),
)
SPECS: st.SearchStrategy[Spec] = st.one_of(
    tasks(),
    task_graphs(),
    payloads(),
    PRIMITIVES,
    labeling_functions(),
    label_models(),
    FEATURE_SETS,
    models(),
    ROWS,
)
