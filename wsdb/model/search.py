"""Search: several configurations are trained, and the one that is best on dev is kept.

Optuna proposes the configurations and stops bad ones early; it is imported only here, and only when a search runs.
Sources: tree-structured Parzen estimator, Bergstra et al., NeurIPS 2011; the median rule of Golovin et al., KDD 2017.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import numpy as np

from wsdb.core.duration import seconds_of
from wsdb.core.errors import EnvironmentError_, ModelError, SpecError, did_you_mean
from wsdb.model.spec import OPTIONS, TrainSpec

T = TypeVar("T")

ENCODING = frozenset(("buckets_bits", "word_ngrams", "char_ngrams", "min_rows", "text", "categories"))
"""Options that decide how rows are encoded; trials that agree in them read the rows once."""
_STARTUP, _WARMUP = 3, 2  # trials, and epochs of each, that the median rule lets pass
_ASKS = 10  # proposals for each trial until the space counts as used up


class Pruned(Exception):
    """Raised in a trial that falls behind."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"pruned at epoch {epoch}")
        self.epoch = epoch


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration that was tried.

    Attributes
    ----------
    number : from 1, in the order tried
    options : those that the search chose, by name; empty for the first, which is the model as it was written
    metric : of the score
    score : higher is better; that of the last epoch seen for a pruned trial, None for a failed one
    chosen : whether the model is this one; true for one trial
    seconds : wall time
    status : done, pruned or failed
    pruned_at : epoch at which a pruned trial ended, else None
    """

    number: int
    options: Mapping[str, Any]
    metric: str
    score: float | None
    chosen: bool
    seconds: float
    status: str
    pruned_at: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What a trial gives: its result, the score on dev, and whether the user interrupted it."""

    result: T
    score: float
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Searched(Generic[T]):
    """A finished search: the result of the chosen trial, all trials, and notices, one sentence each."""

    result: T
    trials: tuple[Trial, ...]
    notices: tuple[str, ...]


Report = Callable[[int, float], None]
"""Tells the search the score after an epoch (from 1); raises `Pruned` where the trial is to end."""


def space_of(kinds: Collection[str], shapes: Collection[str]) -> Mapping[str, tuple[Any, ...]]:
    """Return the values to choose from, by option, of what has an effect on the given inputs.

    Parameters
    ----------
    kinds : of the row's columns; see `wsdb.model.features.KINDS`
    shapes : of the payloads
    """
    space: dict[str, tuple[Any, ...]] = {
        "sharpen": ("auto", 1.0, 2.0, 4.0, 16.0),
        "lr": ("auto", 0.05, 0.2, 1.0),
        "class_weights": ("none", "balanced"),
        "dropout": (0.0, 0.1, 0.3),
    }
    if "text" in kinds:
        space |= {"char_ngrams": ("none", "3-5"), "word_ngrams": (1, 2, 3)}
    if set(kinds) - {"text"}:
        space["hidden"] = ("auto", 0, 32, 128)
    if "sequence" in shapes:
        space |= {"encoder": ("auto", "bow", "cnn", "lstm", "transformer"), "layers": ("auto", 1, 2)}
    if {"sequence", "set"} & set(shapes):
        space |= {"combine": ("attention", "mean", "max"), "encoder_lr": ("auto", 3e-4, 3e-3), "width": (32, 64, 128)}
    return MappingProxyType(space)


def free(space: Mapping[str, tuple[Any, ...]], spec: TrainSpec) -> dict[str, tuple[Any, ...]]:
    """Return the part of the space that a search may change, the value of `spec` first.

    An option in `spec.pin` stays as it is, and so does one that was given another value than its default. Where
    `spec.space` gives values, they are the space, and none but pins are left out.

    Raises
    ------
    SpecError  WS307 for a pin that is no option.
    """
    for name in spec.pin or ():
        if name.lower() not in OPTIONS:
            hint = did_you_mean(name, OPTIONS) or "pins are names of options"
            raise SpecError("WS307", f'pin "{name}" is not a model option', hint=hint, option="pin")
    pinned = {name.lower() for name in spec.pin or ()}
    left = {}
    for name, values in space.items() if spec.space is None else spec.space:
        own = getattr(spec, name)
        if name not in pinned and (spec.space is not None or own == OPTIONS[name].default):
            left[name] = (own, *(value for value in values if value != own))
    return left


def search(
    run: Callable[[TrainSpec, Report], Outcome[T]],
    spec: TrainSpec,
    space: Mapping[str, tuple[Any, ...]],
    metric: str,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Searched[T]:
    """Try configurations until the trials or the seconds are used up; keep the best, of equals the first.

    Ctrl-C ends the search, too, and keeps the best so far if the option on_interrupt says so and there is one.

    The first trial is `spec` itself and is never pruned, so that a search does not end below it on dev. With the same
    rows, spec and library versions the trials and the choice are the same; a budget of time is the exception.

    Parameters
    ----------
    run : trains one configuration; it tells its score after each epoch, and lets `Pruned` through
    spec : search, trials, budget, pin and seed are read; trials differ from it in options of `space`
    space : see `space_of`
    metric : name of the score, for the record
    clock : seconds, for the budget

    Raises
    ------
    SpecError  WS307 for a pin that is no option.
    EnvironmentError_  WS701 without Optuna.
    ModelError  that of the last trial if every one failed.
    """
    left = free(space, spec)
    study = _study(spec)
    proposals = _Proposals(study, left, spec)
    seconds = seconds_of(spec.budget)
    deadline = inf if seconds is None else clock() + seconds
    trials: list[Trial] = []
    best: Outcome[T] | None = None
    chosen, failure, interrupted = 0, None, False
    while len(trials) < spec.trials:
        if trials and clock() >= deadline:
            break
        asked = proposals.next()
        if asked is None:
            break
        last = asked.options.get("epochs", spec.epochs)
        seen = _Seen(asked.trial, lambda: clock() >= deadline, last, prune=bool(trials))
        started = clock()
        outcome, score, status, pruned_at = None, None, "done", None
        try:
            outcome = run(dataclasses.replace(spec, search="none", **asked.options), seen.report)
            score = outcome.score
        except KeyboardInterrupt:
            if best is None or spec.on_interrupt != "keep":
                raise
            interrupted = True
            break
        except Pruned as end:
            status, score, pruned_at = "pruned", seen.last, end.epoch
        except ModelError as error:
            if error.code != "WS511":
                raise
            status, failure = "failed", error
        proposals.told(asked, score, status)
        trials.append(Trial(len(trials) + 1, asked.options, metric, score, False, clock() - started, status, pruned_at))
        if outcome is not None and (best is None or outcome.score > best.score):
            best, chosen = outcome, len(trials)
        if outcome is not None and outcome.interrupted:
            interrupted = True
            break
    if best is None:
        assert failure is not None
        raise failure
    trials[chosen - 1] = dataclasses.replace(trials[chosen - 1], chosen=True)
    notices = [_notice(trials, chosen)]
    if interrupted:
        notices.append("the search was interrupted; the best configuration until then is kept")
    return Searched(best.result, tuple(trials), tuple(notices))


def _notice(trials: list[Trial], chosen: int) -> str:
    ended = {status: sum(one.status == status for one in trials) for status in ("pruned", "failed")}
    facts = "".join(f", {count} {status}" for status, count in ended.items() if count)
    options = ", ".join(f"{name} = {value}" for name, value in trials[chosen - 1].options.items())
    tried = f"{len(trials)} configuration{'s' * (len(trials) != 1)}"
    return f"search tried {tried}{facts}; trial {chosen} is the best ({options or 'as written'})"


class _Seen:
    """Passes a trial's scores on to the pruner; a trial ends, too, where the time is over before its last epoch."""

    def __init__(self, trial: Any, over: Callable[[], bool], last: int, *, prune: bool) -> None:
        self.trial, self.over, self.epochs, self.prune = trial, over, last, prune
        self.last: float | None = None

    def report(self, epoch: int, score: float) -> None:
        self.last = score
        self.trial.report(score, epoch)
        if self.prune and ((epoch < self.epochs and self.over()) or self.trial.should_prune()):
            raise Pruned(epoch)


@dataclass(frozen=True, slots=True)
class _Asked:
    trial: Any
    options: dict[str, Any]  # those that differ from the spec


class _Proposals:
    """Configurations that were not proposed before: first the spec, then those of the sampler or of the grid."""

    def __init__(self, study: Any, space: Mapping[str, tuple[Any, ...]], spec: TrainSpec) -> None:
        self.study, self.space = study, space
        self.tried: dict[tuple[int, ...], float | None] = {}
        self.size = int(np.prod([len(values) for values in space.values()], dtype=np.float64))
        study.enqueue_trial(dict.fromkeys(space, 0))
        if spec.search == "grid":
            for place in grid([len(values) for values in space.values()], spec.trials, spec.seed):
                study.enqueue_trial(dict(zip(space, place, strict=True)))

    def next(self) -> _Asked | None:
        """Return the next one, None where the space is used up."""
        for _ in range(_ASKS if len(self.tried) < self.size else 0):
            trial = self.study.ask()
            place = tuple(trial.suggest_categorical(name, range(len(self.space[name]))) for name in self.space)
            if place not in self.tried:
                self.tried[place] = None
                chosen = zip(self.space.items(), place, strict=True)
                return _Asked(trial, {name: values[at] for (name, values), at in chosen if at})
            known = self.tried[place]  # the same rows and options give the same score: tell it without training
            self.study.tell(trial, known) if known is not None else self.study.tell(trial, state=_state("FAIL"))
        return None

    def told(self, asked: _Asked, score: float | None, status: str) -> None:
        """Tell the sampler how a trial ended."""
        if status == "failed":
            self.study.tell(asked.trial, state=_state("FAIL"))
        elif status == "pruned":
            self.study.tell(asked.trial, state=_state("PRUNED"))
        else:
            self.study.tell(asked.trial, score)
            place = tuple(asked.trial.params[name] for name in self.space)
            self.tried[place] = score


def grid(sizes: list[int], most: int, seed: int) -> list[tuple[int, ...]]:
    """Return the points of a grid but the first, in an order drawn from `seed`, at most `most` of them.

    Examples
    --------
    >>> sorted(grid([2, 2], 9, 0))
    [(0, 1), (1, 0), (1, 1)]
    """
    total = int(np.prod(sizes, dtype=np.float64)) if sizes else 1
    if total <= 100_000:
        points = list(itertools.product(*(range(size) for size in sizes)))[1:]
        order = np.random.default_rng(seed).permutation(len(points))[:most]
        return [points[at] for at in order]
    drawn = np.random.default_rng(seed).integers(0, sizes, size=(4 * most, len(sizes)))
    found = dict.fromkeys(tuple(point) for point in drawn.tolist() if any(point))
    return list(found)[:most]


def _study(spec: TrainSpec) -> Any:
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if spec.search == "auto":
        sampler = optuna.samplers.TPESampler(seed=spec.seed, n_startup_trials=min(10, max(2, spec.trials // 3)))
    else:
        sampler = optuna.samplers.RandomSampler(seed=spec.seed)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=_WARMUP)
    return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)


def _state(name: str) -> Any:
    return _optuna().trial.TrialState[name]


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise EnvironmentError_(
            "WS701", "search needs Optuna, which is not installed", hint="pip install 'wsdb[torch]'"
        ) from error
    return optuna
