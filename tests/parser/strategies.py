"""Hypothesis strategies: specs of all five kinds, with odd names and odd SQL."""

from __future__ import annotations

from hypothesis import strategies as st

from wsdb.core.lf import Body, Expression, LabelingFunction, Python, Select, Votes, VoteWhen
from wsdb.core.specs import FeatureSet, LabelModelSpec, ModelSpec
from wsdb.core.sqltext import ident
from wsdb.core.task import Gold, Split, Task
from wsdb.parser.render import Spec

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


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """A task with any of its clauses."""
    binary = draw(st.booleans())
    size = (2, 2) if binary else (2, 5)
    labels = tuple(draw(st.lists(STRINGS, min_size=size[0], max_size=size[1], unique=True)))
    shares = [draw(st.integers(1, 10**6)) for _ in labels]
    balance = draw(st.sampled_from([None, "uniform", tuple(share / sum(shares) for share in shares)]))
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
        name=draw(NAMES),
        relation=draw(RELATIONS),
        keys=draw(names()),
        kind="binary" if binary else "multiclass",
        labels=labels,
        balance=balance,
        gold=gold,
        split=split,
        comment=draw(COMMENTS),
    )


BODIES: st.SearchStrategy[Body] = st.one_of(
    st.builds(VoteWhen, STRINGS, SQL),
    st.builds(Expression, SQL),
    st.builds(Select, SQL.map(lambda sql: f"SELECT id, 'spam' AS label FROM t WHERE {sql}")),
    st.builds(Python, STRINGS.filter(bool) | st.sampled_from(["a$$b", "x$", "$py", "def f(b):\n  return '$$ $py$'"])),
    st.builds(Python, st.sampled_from(["pack.module:function"]), st.just(True)),
    st.builds(Votes, RELATIONS, names(), st.none(), NAMES),
)


@st.composite
def labeling_functions(draw: st.DrawFn) -> LabelingFunction:
    """A labeling function with any body and options."""
    body = draw(BODIES)
    return LabelingFunction(
        name=draw(NAMES),
        task=draw(NAMES),
        body=body,
        on_error=draw(st.sampled_from(["raise", "abstain"])),
        columns=draw(names()) if isinstance(body, Python) and draw(st.booleans()) else (),
        enabled=draw(st.booleans()),
        comment=draw(COMMENTS),
    )


LABEL_MODELS = st.builds(
    LabelModelSpec,
    NAMES,
    NAMES,
    st.sampled_from(["auto", "majority"]),
    st.sampled_from(["auto", "lf", "annotator"]),
    st.sampled_from(["never", "anchor"]),
    COMMENTS,
)
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
        labels_sql=draw(st.none() | st.just("SELECT id, label FROM g")),
        options=draw(OPTIONS),
        comment=draw(COMMENTS),
    )


SPECS: st.SearchStrategy[Spec] = st.one_of(tasks(), labeling_functions(), LABEL_MODELS, FEATURE_SETS, models())
