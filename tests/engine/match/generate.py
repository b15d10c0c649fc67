"""Patterns, texts and predicates for differential tests: nasty ones more often than tame ones."""

from __future__ import annotations

import random
from collections.abc import Sequence

from wsdb.core.sqltext import literal
from wsdb.engine.match.pattern import Alt, At, Cat, Chars, Node, Repeat

SPECIAL = (
    *("\u212a", "\u017f", "\u0131", "\u0130", "\u00df", "\u1e9e", "\u03a3", "\u03c2", "\u03c3", "\u00b5", "\u03bc"),
    *("e\u0301", "\u00e9", "\u00c9", "\U0001f600", "\u200d", "\0", "\n", "\r\n", "\v", "\f", "\t", "\u00a0", "\u2028"),
    *("\u0085", "\uff15", "\u0665", "\u0416", "\u0436", "\u1c80", "\u4e2d", "\ufb01", "\U0010ffff", "\ufeff", "\x7f"),
)
_ASCII = "abkKsSiI01_ -.$%^'\"\\|()[]{}?*+#/:!"
_CLASSES = (r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", "[[:alpha:]]", "[[:space:]]", "[[:^punct:]]", "[^[:^word:]k]")
_RANGES = ("a-k", "A-S", "0-9", "!-z", "i", "k", "s", "_", "é", "к", "Ж", r"\n", r"\x00-\x1f", r"\]", r"\-", "^", " ")
_TEXT = (
    "k",
    "s",
    "i",
    "ab",
    "Kk",
    "SIK",
    "free",
    "k s",
    ".",
    r"\.",
    r"\$",
    "é",
    "Ж",
    "ß",
    "中",
    "\U0001f600",
    r"\x{212A}",
)
_WORDS = (
    *("free", "kiss", "sky", "free money", "k", "is", "skiing", "KISS", "miss.", "a_b", "call now", "$100", "ki-ss"),
    *(
        "understandings",
        "internationalisation",
        "internationalisations",
        "caf\u00e9",
        "\u4e2d\u6587",
        "f\u0130sk",
        "si",
    ),
)
_PLACES = ("^", "$", r"\b", r"\A", r"\z")
_FLAGS = ("(?i)", "(?s)", "(?m)", "(?i:", "(?s:", "(?-i:", "(?im:", "(?:", "(", "(?P<n>")


def pattern(rng: random.Random, depth: int = 0) -> str:
    """Return a regular expression; not all of them compile or are known."""
    out = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        roll = rng.random()
        if roll < 0.4:
            item = rng.choice(_TEXT)
        elif roll < 0.5:
            item = rng.choice(_CLASSES)
        elif roll < 0.62:
            inside = "".join(rng.choice((*_RANGES, *_CLASSES[:6])) for _ in range(rng.randint(1, 3)))
            item = f"[{rng.choice(('', '', '^'))}{inside}]"
        elif roll < 0.72:
            out.append(rng.choice(_PLACES))
            continue
        elif roll < 0.77:
            item = "."
        elif roll < 0.95 and depth < 2:
            flags = rng.choice(_FLAGS)
            arms = "|".join(pattern(rng, depth + 1) for _ in range(rng.choice((1, 2, 2, 3))))
            item = f"{flags}{arms}" if flags.endswith(")") else f"{flags}{arms})"
        else:
            item = rng.choice((*SPECIAL, "", "|", "a||b", "()", r"\B", r"\pL", "a**", "{", "x{2,1}", r"\Qk.\E", "]"))
        if rng.random() < 0.25 and not item.startswith("(?i)"):
            item += rng.choice(("*", "+", "?", "*?", "+?", "{2}", "{0,2}", "{1,}", "{3}?"))
        out.append(item)
    return "".join(out)


def literal_text(rng: random.Random, longest: int = 4) -> str:
    """Return a short text as it stands in literals."""
    return "".join(rng.choice((*SPECIAL, *_ASCII, "free", "ab")) for _ in range(rng.randint(0, longest)))


def like_pattern(rng: random.Random) -> str:
    """Return a pattern of LIKE."""
    parts = [
        rng.choice(("%", "_", "%", literal_text(rng, 2), "k", "i", "ab", "!", "!%")) for _ in range(rng.randint(0, 5))
    ]
    return "".join(parts)


def matching(rng: random.Random, node: Node) -> str:
    """Return a text that a tree may match, but for its places."""
    match node:
        case Chars(ranges):
            if not ranges:
                return ""
            low, high = rng.choice(ranges)
            code = rng.choice((low, high, rng.randint(low, high), min(high, max(low, ord(rng.choice(SPECIAL)[0])))))
            return "" if 0xD800 <= code <= 0xDFFF else chr(code)
        case Cat(parts):
            return "".join(matching(rng, part) for part in parts)
        case Alt(arms):
            return matching(rng, rng.choice(arms))
        case Repeat(inner, low, high):
            count = rng.randint(low, low + 2 if high is None else min(high, low + 2))
            return "".join(matching(rng, inner) for _ in range(count))
        case At():
            return ""


def mutated(rng: random.Random, text: str) -> str:
    """Return a text with some characters changed, added, removed or in the other case."""
    chars = list(text)
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        at = rng.randint(0, len(chars))
        char = rng.choice((*SPECIAL, *_ASCII, "k", "s", "i", " ", "\n"))
        chars[at : at + rng.choice((0, 1, 1))] = [
            rng.choice((char, "", chars[at].swapcase() if at < len(chars) else char))
        ]
    return "".join(chars)


def texts(rng: random.Random, nodes: Sequence[Node], count: int) -> list[str]:
    """Return texts near to what some patterns match, and fixed ones."""
    found = ["", "k", "\n", "\u212a", "a" * 40, "free", " k "]
    while len(found) < count:
        text = mutated(rng, matching(rng, rng.choice(nodes)))[:60]
        found.append(rng.choice((text, text, text, f"{rng.choice(SPECIAL)}{text}", f"{text}{rng.choice(_ASCII)}")))
    return found


def quoted(text: str) -> str:
    """Return SQL of a text; a NUL cannot stand in a literal."""
    return literal(text) if "\0" not in text else " || chr(0) || ".join(map(literal, text.split("\0")))


def keywords(rng: random.Random, column: str) -> str:
    """Return a predicate that looks for words: what many labeling functions are."""
    words = [rng.choice(_WORDS) for _ in range(rng.choice((1, 1, 2, 3)))]
    place = rng.choice(("", r"\b", r"\b"))
    choice = f"({'|'.join(words)})" if len(words) > 1 or rng.random() < 0.3 else words[0]
    text = rng.choice(("", "(?i)")) + place + choice + rng.choice(("", "", "s?")) + rng.choice((place, place, ""))
    contains = f"contains({column}, {literal(words[0])})"
    return rng.choice(
        (f"regexp_matches({column}, {literal(text)})",) * 3 + (contains, f"{column} ILIKE '%{words[0]}%'")
    )


def predicate(rng: random.Random) -> str:
    """Return a predicate over the text column ``body``."""
    column = rng.choice(("body", "body", "body", "lower(body)", "upper(body)"))
    roll = rng.random()
    if rng.random() < 0.25:
        return keywords(rng, column)
    if roll < 0.6:
        options = rng.choice(("", "", "", "i", "s", "m", "is", "l", "il", "c", "sn"))
        function = rng.choice(("regexp_matches", "regexp_matches", "regexp_full_match"))
        given = f", {literal(options)}" if options else ""
        return f"{function}({column}, {quoted(pattern(rng))}{given})"
    if roll < 0.78:
        negated = rng.choice(("", "NOT "))
        escape = rng.choice(("", "", " ESCAPE '!'"))
        return f"{column} {negated}{rng.choice(('LIKE', 'ILIKE'))} {quoted(like_pattern(rng))}{escape}"
    if roll < 0.9:
        function = rng.choice(("contains", "starts_with", "prefix", "suffix", "ends_with"))
        return f"{function}({column}, {quoted(literal_text(rng, 2))})"
    if roll < 0.95:
        return f"{column} {rng.choice(('=', '<>', 'IS DISTINCT FROM'))} {quoted(literal_text(rng, 1))}"
    values = [quoted(literal_text(rng, 1)) for _ in range(rng.randint(1, 3))] + ["NULL"] * (rng.random() < 0.3)
    return f"{column} {rng.choice(('IN', 'NOT IN'))} ({', '.join(values)})"
