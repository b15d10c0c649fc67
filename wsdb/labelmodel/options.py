"""Options: how a label model is fitted, apart from its method."""

from __future__ import annotations

from dataclasses import dataclass, fields

from wsdb.core.errors import SpecError, did_you_mean

PRIORS = ("auto", "uniform", "declared")
STRUCTURES = ("auto", "none", "static", "learned", "declared")


@dataclass(frozen=True, slots=True)
class Options:
    """How a label model is fitted; `methods.APPLIES` says which of these a method knows.

    Attributes
    ----------
    max_iter : most iterations, at least 1; None is the method's own
    tol : mean change of a row's probabilities at which iterations stop, at least 0; None is the method's own
    abstain_informative : an abstain is evidence as well, log P(source abstains | class)
    prior : ``auto``: the given class balance, else that of gold rows, else the method's own; ``uniform``: all
        classes alike, whatever is given; ``declared``: the given one only
    structure : what is known of sources that repeat each other. ``auto``: learned from the votes, exact copies
        count once, and pairs declared as dependent share their weight; ``none``: all votes count fully;
        ``learned``: the votes alone; ``static``: as auto, and all given pairs count; ``declared``: only given pairs
    calibrate : fit one temperature where gold rows are passed and 100 of them are covered
    """

    max_iter: int | None = None
    tol: float | None = None
    abstain_informative: bool = False
    prior: str = "auto"
    structure: str = "auto"
    calibrate: bool = True

    def __post_init__(self) -> None:
        for name, word, choices in (("prior", self.prior, PRIORS), ("structure", self.structure, STRUCTURES)):
            if word not in choices:
                hint = did_you_mean(word, choices) or f"one of {', '.join(choices)}"
                raise SpecError("WS308", f'unknown {name} "{word}"', hint=hint, choices=list(choices))
        if self.max_iter is not None and self.max_iter < 1:
            raise SpecError("WS308", f"max_iter must be at least 1, not {self.max_iter}")
        if self.tol is not None and not self.tol >= 0:
            raise SpecError("WS308", f"tol must be at least 0, not {self.tol:g}")

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the options that are not at their default."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) != field.default)

    @property
    def learns(self) -> bool:
        """Sources that repeat others are found in the votes."""
        return self.structure in ("auto", "learned", "static")


DEFAULTS = Options()
"""Every option at its default."""
