"""TrainSpec: how to train. OPTIONS says the same to the SQL front end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from wsdb.core.errors import SpecError, did_you_mean
from wsdb.model.option import Option


def _option(default: Any, description: str, **facts: Any) -> Any:
    return field(default=default, metadata={"description": description, **facts})


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """How to train. Every option has a default; the defaults are one configuration for all data.

    A value outside its range raises SpecError WS307. The fields' meanings are in `OPTIONS`.
    """

    epochs: int = _option(15, "most passes over the training rows", low=1, high=1000)
    batch_size: int | str = _option(
        "auto",
        "rows per step; auto is 64 to 1024, growing with the rows, and less for networks with hidden units on few rows",
        low=1,
        high=65536,
        choices=("auto",),
    )
    lr: float | str = _option(
        "auto",
        "step size of Adagrad for sparse inputs; dense ones of a linear map use a tenth; auto is 0.125 with a shared "
        "layer, else 0.5",
        low=1e-6,
        high=100,
        choices=("auto",),
    )
    seed: int = _option(0, "seed of the order of rows, of dropout and of first weights", low=0, high=2**31 - 1)
    hidden: int | str = _option(
        "auto",
        "width of the shared layer over all columns but text; 0 for none",
        low=0,
        high=4096,
        choices=("auto",),
    )
    pairs: str = _option(
        "auto",
        "weights for pairs of what text and what other columns say, in a network without hidden units; auto is for "
        "models without slices whose held-out rows gain much by them",
        choices=("auto", "all", "none"),
    )
    buckets_bits: int = _option(18, "each text column hashes into 2^buckets_bits buckets", low=8, high=24)
    word_ngrams: int = _option(2, "longest run of neighboring words that makes a text feature", low=1, high=4)
    char_ngrams: str = _option(
        "none",
        "lengths of the character runs inside words that make text features",
        choices=("none", "3", "3-4", "3-5"),
    )
    min_rows: int = _option(2, "rows a text feature must occur in", low=1, high=1_000_000)
    sharpen: float | str = _option(
        "auto", "labels are raised to this power before training", low=0.1, high=100, choices=("auto",)
    )
    min_label_prob: float = _option(
        0.0,
        "labels whose likeliest class is less probable are left out, of rows and elements; of a bitvector each "
        "label for itself",
        low=0,
        high=1,
    )
    valid_share: float = _option(0.1, "share of labeled rows held out, chosen by key", low=0, high=0.5)
    patience: int | str = _option(
        "auto",
        "epochs without a better held-out loss before a task stops; auto is 3, and 256 steps of networks with hidden "
        "units",
        low=1,
        high=1000,
        choices=("auto",),
    )
    early_stop: bool = _option(True, "keep the epoch of the best held-out loss")
    calibrate: str = _option(
        "temperature",
        "calibration on held-out labels of the task, or on 100 gold rows of dev",
        choices=("temperature", "none"),
    )
    prior_match: float | str = _option(
        "auto",
        "share of the offset that brings decisions to the class balance, or to that of the labels if it is not known; "
        "auto is 1 with two labels, else 0.5",
        low=0,
        high=1,
        choices=("auto",),
    )
    class_weights: str = _option("none", "weigh rows by the rarity of their class", choices=("none", "balanced"))
    uncovered: str = _option("drop", "rows without a label: dropped, or taught the prior", choices=("drop", "prior"))
    task_balance: str = _option(
        "fixed",
        "how the losses of tasks add up: by the weights given, or by weights learned from their uncertainty",
        choices=("fixed", "uncertainty"),
    )
    threshold: str = _option(
        "auto",
        "where a label begins: the likeliest (argmax), or of BINARY and BITVECTOR tasks the threshold of the best f1 "
        "or accuracy on dev; auto is argmax, but for ordinal tasks the expected label, cut so that the labels get the "
        "shares of prior_match",
        choices=("auto", "argmax", "f1", "accuracy"),
    )
    encoder: str = _option(
        "auto",
        "blocks over a sequence: none (bow), each element alone (mlp), cnn, lstm or transformer",
        choices=("auto", "bow", "mlp", "cnn", "lstm", "transformer"),
    )
    layers: int | str = _option("auto", "blocks of the encoder", low=1, high=12, choices=("auto",))
    width: int = _option(64, "width of the states of elements, an even number", low=2, high=1024)
    combine: str = _option(
        "attention", "how a payload reads the elements of others", choices=("attention", "mean", "max")
    )
    encoder_lr: float | str = _option(
        "auto",
        "step size of AdamW for shared layers and the encoders of payloads; auto is 0.001, and 0.003 for shared layers "
        "alone on 2,000 rows or more",
        low=1e-7,
        high=1,
        choices=("auto",),
    )
    warmup: float = _option(0.1, "share of the steps over which encoder_lr rises to its value", low=0, high=1)
    clip: float = _option(1.0, "longest gradient of shared layers and encoders in a step; 0 for any", low=0, high=1000)
    slice_mode: str = _option(
        "auto",
        "how slices are learned: experts and attention over them, more weight for their rows, or not at all; auto is "
        "attention, over text, vectors, sequences and sets only for slices whose held-out rows gain by it",
        choices=("auto", "attention", "weight", "none"),
    )
    dropout: float = _option(0.0, "share of inputs hidden at random while training", low=0, high=0.9)
    weight_decay: float | str = _option(
        "auto", "L2 penalty of linear maps and tables; auto is larger for vectors", low=0, high=10, choices=("auto",)
    )
    device: str = _option("auto", "where to train", choices=("auto", "cpu", "cuda", "mps"))
    precision: str = _option(
        "auto",
        "arithmetic of the network; auto is bf16 on cuda, else fp32",
        choices=("auto", "fp32", "bf16"),
    )
    loss: str = _option("soft", "train on probabilities, or on the likeliest label", choices=("soft", "hard"))
    allow_gold: bool = _option(False, "train though a feature or a labeling function reads the gold labels")
    augment_policy: str = _option(
        "random",
        "how transformation functions are composed: any, by augment_weights, or learned while training",
        choices=("random", "mean_field", "learned"),
    )
    augment_copies: int = _option(1, "rows made from each row by transformation functions", low=1, high=20)
    augment_length: int = _option(1, "transformation functions applied one after the other", low=1, high=5)
    augment_weights: tuple[float, ...] | None = _option(None, "of policy mean_field: a weight for each function")
    sources: tuple[str, ...] | None = _option(None, "sources of further rows to train on; all of them if not given")
    decode: str = _option(
        "joint", "labels that keep constraints and task graphs: decoded together, or not", choices=("joint", "none")
    )
    cache_mb: int = _option(512, "megabytes of rows in memory; further ones are read from files", low=0, high=10**6)
    resume: bool = _option(
        False, "keep checkpoints beside the database file while training, and go on from them after a kill"
    )
    checkpoint_s: float = _option(600.0, "seconds between checkpoints inside an epoch", low=0, high=86_400)
    on_interrupt: str = _option(
        "abort",
        "what Ctrl-C does: no model, or the best epoch so far",
        choices=("abort", "keep"),
    )
    search: str = _option(
        "none", "try several configurations and keep the best on dev", choices=("none", "auto", "random", "grid")
    )
    trials: int = _option(20, "most configurations that search tries", low=1, high=10_000)
    budget: str = _option("none", "most time that search takes", type="INTERVAL", choices=("none",))
    pin: tuple[str, ...] | None = _option(None, "options that search leaves as they are")
    space: tuple[tuple[str, tuple[Any, ...]], ...] | None = _option(
        None, "values that search tries, by option; else it chooses options and values by what the model reads"
    )
    metric: str = _option(
        "auto",
        "what search compares on dev; auto is accuracy, or f1 for bitvector tasks",
        choices=("auto", "accuracy", "f1", "macro_f1", "log_loss"),
    )
    text: tuple[str, ...] | None = _option(None, "VARCHAR columns to read as text, whatever their values")
    categories: tuple[str, ...] | None = _option(None, "VARCHAR columns to read as categories, whatever their values")

    def __post_init__(self) -> None:
        for option in OPTIONS.values():
            object.__setattr__(self, option.name, option.read(getattr(self, option.name)))
        object.__setattr__(self, "space", _space(self.space))
        if self.width % 2:
            raise SpecError("WS307", f"option width must be even, got {self.width}", option="width")
        both = sorted(set(self.text or ()) & set(self.categories or ()))
        if both:
            raise SpecError(
                "WS307", f"column {both[0]} is named by both options text and categories", option="categories"
            )


_SQL_TYPES = {
    "int": "INTEGER",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "str": "VARCHAR",
    "tuple[str,": "VARCHAR[]",
    "tuple[float,": "DOUBLE[]",
    "tuple[tuple[str,": "STRUCT",
}

OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        item.name: Option(
            name=item.name,
            default=item.default,
            **{"type": _SQL_TYPES[str(item.type).split(" ")[0]], **item.metadata},
        )
        for item in dataclasses.fields(TrainSpec)
    }
)
"""Every option by name, in the order of `TrainSpec`."""

OTHER_NAMES = {
    "learning_rate": "lr", "l2": "weight_decay", "regularization": "weight_decay", "random_state": "seed",
    "optimizer": "lr", "timeout": "budget", "time_limit": "budget", "n_trials": "trials", "max_trials": "trials",
    "early_stopping": "early_stop", "gpu": "device", "dtype": "precision", "grad_clip": "clip", "tokenizer": "encoder",
    "hidden_size": "hidden", "hidden_units": "hidden", "embedding_dim": "width", "validation_split": "valid_share",
    "temperature": "calibrate", "ngrams": "word_ngrams", "cutoff": "threshold", "confidence": "min_label_prob",
    "min_confidence": "min_label_prob",
}  # fmt: skip
"""Names under which other tools have an option."""

NOT_OPTIONS = {
    "deterministic": "there is nothing to choose: equal rows, options and seed give equal weights",
    "workers": "there is nothing to choose: a network is trained on one core, and reads its rows on all of them",
    "num_workers": "there is nothing to choose: a network is trained on one core, and reads its rows on all of them",
    "freeze": "EMBED WITH name FREEZE of a payload keeps token vectors as they are",
}
"""What is asked for and needs no option, or has a place of its own."""

SEARCHED = (
    "epochs", "batch_size", "lr", "hidden", "pairs", "buckets_bits", "word_ngrams", "char_ngrams", "min_rows",
    "sharpen", "patience", "prior_match", "class_weights", "task_balance", "encoder", "layers", "width", "combine",
    "encoder_lr", "warmup", "clip", "slice_mode", "dropout", "weight_decay", "loss",
)  # fmt: skip
"""Options whose values a search can try: those of the network and its steps, not of which rows are read or held out."""


def _space(pairs: Sequence[tuple[str, Sequence[Any]]] | None) -> tuple[tuple[str, tuple[Any, ...]], ...] | None:
    """Return values by option, each in the option's type and once, or raise SpecError WS307."""
    if pairs is None:
        return None
    found = []
    for name, values in pairs:
        if name not in SEARCHED:
            hint = did_you_mean(name, SEARCHED) or f"these are {', '.join(SEARCHED)}"
            raise SpecError("WS307", f'"{name}" is no option that a search can change', hint=hint, option="space")
        if not values:
            raise SpecError("WS307", f"the space of {name} has no values", option="space")
        try:
            read = tuple(dict.fromkeys(OPTIONS[name].read(value) for value in values))
        except SpecError as error:
            raise SpecError("WS307", f"space: {error.message}", option="space") from None
        found.append((name, read))
    return tuple(found)


def _hint(name: str) -> str:
    """Return the hint for a name that is no option."""
    if name in NOT_OPTIONS:
        return NOT_OPTIONS[name]
    if name in OTHER_NAMES:
        return f'did you mean "{OTHER_NAMES[name]}"?'
    return did_you_mean(name, OPTIONS) or f"options are {', '.join(OPTIONS)}"


def train_spec(options: Mapping[str, object]) -> TrainSpec:
    """Build a TrainSpec from the options a user wrote.

    Parameters
    ----------
    options : values by name; names in any case; what is left out has its default

    Raises
    ------
    SpecError  WS307 for an unknown name (with the nearest one), a wrong type or a value out of range.

    Examples
    --------
    >>> train_spec({"EPOCHS": 5}).epochs
    5
    """
    read: dict[str, Any] = {}
    for name, value in options.items():
        option = OPTIONS.get(name.lower())
        if option is None:
            raise SpecError(
                "WS307",
                f'unknown model option "{name}"',
                hint=_hint(name.lower()),
                option=name,
            )
        read[option.name] = option.read(value)
    return TrainSpec(**read)
