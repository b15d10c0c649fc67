"""Notices: the sentences of a session, sorted into routine and warnings, and the trivial ones put together."""

from __future__ import annotations

import re

NAMED = re.compile(r"(?P<kind>task|labeling function|label model|feature set|model) (?P<name>\S+): (?P<done>[a-z]+)")
"""What CREATE, DROP and COMMENT ON say: many of them follow each other."""
ROUTINE = (
    NAMED,
    re.compile(r"model \S+@\d+: trained in .*"),
    re.compile(r".*: nothing has changed, (reused|version kept)"),
    re.compile(r"label matrix of task \S+: .*computed.*"),
    re.compile(r"labels of task \S+: .*"),
    re.compile(r"label model of task \S+ used .*"),
    re.compile(r"model \S+ exists already"),
    re.compile(r".* does not exist, skipped"),
)


def is_warning(notice: str) -> bool:
    """Return whether a notice asks for the user's attention.

    Examples
    --------
    >>> is_warning("labeling function lf_wire: created"), is_warning("task fraud: never votes: lf_wire")
    (False, True)
    """
    return not any(pattern.fullmatch(notice) for pattern in ROUTINE)


class Grouped:
    """Notices on their way to the reader; those that say the same of several objects become one."""

    def __init__(self) -> None:
        self._same: tuple[str, str] | None = None
        self._names: list[str] = []

    def add(self, notice: str) -> list[str]:
        """Take a notice and return the sentences that are complete now."""
        match = NAMED.fullmatch(notice)
        if match is None:
            return [*self.flush(), notice]
        same = (match["kind"], match["done"])
        done = self.flush() if same != self._same else []
        self._same = same
        self._names.append(match["name"])
        return done

    def flush(self) -> list[str]:
        """Return what is held back.

        Examples
        --------
        >>> group = Grouped()
        >>> group.add("labeling function a: created"), group.add("labeling function b: created")
        ([], [])
        >>> group.flush()
        ['2 labeling functions created: a, b']
        """
        if self._same is None:
            return []
        (kind, done), names = self._same, self._names
        self._same, self._names = None, []
        if len(names) == 1:
            return [f"{kind} {names[0]}: {done}"]
        return [f"{len(names)} {kind}s {done}: {', '.join(names)}"]
