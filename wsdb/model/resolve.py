"""What options stand for where they are 'auto': rules that read the inputs and their number, never a gold label.

The rules were read on the sets of bench/quality_end_model.py and bench/quality_examples.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsdb.model.encode import Encoder
from wsdb.model.parts import TaskTarget
from wsdb.model.plan import NetworkPlan
from wsdb.model.spec import OPTIONS, TrainSpec

_SMALL = 2_000  # training rows below which a torso takes smaller steps
_FEW, _LEAST_BATCH, _LEAST_STEPS = 640, 4, 20
_PATIENT = 256
_DECAY = 2e-4
_VECTOR_DECAY = 0.2


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of the optimizers.

    Attributes
    ----------
    lr : step size of Adagrad for sparse inputs; dense ones take a tenth
    weight_decay : its L2 penalty
    dense_decay : that of the maps of dense inputs
    encoder_lr : step size of AdamW for torso and encoders
    """

    lr: float
    weight_decay: float
    dense_decay: float
    encoder_lr: float


def resolve_hidden(spec: TrainSpec, encoder: Encoder) -> int:
    """Return the width of the torso; 'auto' is 64 where no column is text or a vector, 0 otherwise.

    Measured (bench/quality_end_model.py): on tables the torso gives +2.6 points (phishing_web) and +0.1
    (mushroom); over text and embeddings a linear map fits less of the labeling functions' errors (METHODS
    8.4). With text beside other columns, examples/youtube, four seeds: 94.4 without a torso and 92.4 with one (text,
    video), 91.6 and 90.2 (all columns); taught gold, 93.9 and 92.7. What two such columns say only together is lost.
    """
    if spec.hidden != "auto":
        return int(spec.hidden)
    return 0 if any(feature.kind in ("text", "vector") for feature in encoder.features) else 64


def resolve_pairs(spec: TrainSpec, encoder: Encoder, *, payloads: bool, slices: bool) -> str:
    """Return whether pairs of text and other columns have weights: 'all', 'none', or 'compare' to find it out.

    There are some in networks of linear maps, of text beside columns that are neither text nor vectors. Measured on
    4,000 labeled rows whose label is the xor of a word and a category, or of a word and the half of a number: 50 and 49
    without, 100 and 99 with them. On examples/youtube, five seeds, where nothing hangs on pairs: text and video 94.4
    without, 93.7 with them; all columns 91.6, 90.9. So they have to show first that they help: see
    `wsdb.model.choose_pairs`.

    Parameters
    ----------
    payloads, slices : whether the model has any
    """
    kinds = {feature.kind for feature in encoder.features}
    possible = "text" in kinds and kinds > {"text"} and "vector" not in kinds and not payloads
    if not possible or spec.pairs == "none" or resolve_hidden(spec, encoder):
        return "none"
    return "all" if spec.pairs == "all" else "none" if slices else "compare"


def resolve_slice_mode(spec: TrainSpec, encoder: Encoder, *, elements: bool) -> str:
    """Return how slices are learned; 'auto' is attention over tables, and 'compare' over text, vectors and elements.

    Measured (bench/quality_slices.py): over tables experts add 11 points of F1 in a slice with a rule of its own. Over
    hashed text they also learn single rows and the errors of the labeling functions: imdb loses 2 points with them, so
    there they have to show first that they help, see `wsdb.model.choose_slices`.

    That comparison does not serve tables. The generator's slice has 60 held-out rows whose labels are wrong one time in
    ten: they gained more than a standard error with 4 of 10 seeds, and half of the 11 points were lost; five times as
    many held-out rows said so of one seed in three. Nor does it show harm, where labels are wrong alike in training and
    held-out rows: three slices of phishing_web gained there, and their accuracy on gold fell by 0.3 to 0.5.

    Parameters
    ----------
    elements : whether the network reads sequences or sets
    """
    if spec.slice_mode != "auto":
        return spec.slice_mode
    text = any(one.kind in ("text", "vector") for one in encoder.features)
    return "compare" if text or elements else "attention"


def resolve_encoder_lr(spec: TrainSpec, plan: NetworkPlan, n_rows: int) -> float:
    """Return the step size of AdamW; 'auto' is 0.001, and 0.003 for a torso alone on 2,000 rows or more.

    Measured for a torso at 0.003 and 0.01, three seeds: mushroom 91.5, 90.8; phishing_web 73.1, 72.8; the table of
    bench/bench_train.py, where labels are right and many, 92.8, 93.8; a hundred tasks of bench/quality_mmt.py 74.9,
    75.0. With Adagrad, and a linear path over categories beside it, they were 91.9, 73.2, 91.3 and 59.9. At 0.001 and
    0.003, eight seeds, examples/phishing (748 labeled rows) 88.5, 88.0.

    With payloads 0.003 gives the slots of snips (bench/quality_multitask.py, four seeds) 1.0 points more of test
    accuracy and its intents 0.2 less; the four tasks of examples/factoid (four seeds) lose 0.8 in their mean.
    """
    if spec.encoder_lr != "auto":
        return float(spec.encoder_lr)
    return 0.001 if plan.payloads or n_rows < _SMALL else 0.003


def resolve_batch_size(spec: TrainSpec, plan: NetworkPlan, n_rows: int) -> int:
    """Return the rows per step; 'auto' doubles 64 until an epoch has at most 160 steps, up to 1024.

    Measured: 64, 128 and 256 are equal on imdb (79.3, 79.4, 79.3); a step costs the same whatever its rows. Torsos and
    payloads take small steps and need some hundreds of them: below 640 rows the size is halved, down to 4, until an
    epoch has 20. On 500 rows labeled by a rule (xor of two categories; hours of the night) 64 gives 49 and 55 % right,
    16 gives 100 and 100. On examples/phishing, 748 rows with weak labels, 64 gives 88.6 +- 0.5, 32 gives 88.0 +- 0.5.
    """
    if spec.batch_size != "auto":
        return int(spec.batch_size)
    size = 64
    while plan.deep and n_rows < _FEW and size > _LEAST_BATCH and n_rows < _LEAST_STEPS * size:
        size //= 2
    while size < 1024 and n_rows > 160 * size:
        size *= 2
    return size


def resolve_patience(spec: TrainSpec, plan: NetworkPlan, steps: int) -> int:
    """Return the epochs, of so many steps, that may bring no better loss; 'auto' is 3, and 256 steps of hidden units.

    On few rows the first epochs of a torso say little yet, and few rows held out say it with noise: on 500 rows labeled
    by the hour of day training ended after four epochs, at the share of the likelier label.
    """
    if spec.patience != "auto":
        return int(spec.patience)
    return max(3, -(-_PATIENT // max(steps, 1))) if plan.deep else 3


def idle_options(spec: TrainSpec, encoder: Encoder, plan: NetworkPlan) -> list[str]:
    """Return notices of options that were given and change nothing in a network whose inputs are known only now."""
    text = any(feature.kind == "text" for feature in encoder.features)
    found = []
    for used, names, reason in (
        (text, ("word_ngrams", "char_ngrams", "min_rows", "buckets_bits"), "no column is text"),
        (
            plan.pairs > 0 or spec.pairs == "none",
            ("pairs",),
            "it takes text beside columns that are no vectors, and a network without hidden units",
        ),
        (plan.deep, ("encoder_lr", "warmup", "clip"), "the network has no hidden units and no payloads"),
    ):
        given = [name for name in names if getattr(spec, name) != OPTIONS[name].default]
        if given and not used:
            found.append(f"{', '.join(given)} changed nothing: {reason}")
    return found


def resolve_sharpen(spec: TrainSpec, encoder: Encoder, task: TaskTarget) -> float:
    """Return the power of sharpening; 'auto' is for tables 32, for text and vectors 4 with two labels, 1 with more.

    Labels of the user's own are taken as they are.

    Uniform-balance labels of many classes are flat where few functions vote, and that is what says so. Test accuracy at
    powers 1, 2 and 4, text alone: youtube 92.6, 93.2, 93.8; trec 69.4, 69.5, 67.7 (after prior matching 71.7, 70.4,
    69.5); semeval 79.0, 79.1, 79.1. Tables at 4, 8, 16 and 32: mushroom 90.1, 90.3, 91.2, 91.1; phishing_web 73.3,
    73.5, 73.4, 72.8; examples/phishing 87.1, 87.9, 87.8, 88.4.
    """
    if spec.sharpen != "auto":
        return float(spec.sharpen)
    if task.given:
        return 1.0
    if not any(feature.kind in ("text", "vector") for feature in encoder.features):
        return 32.0
    return 4.0 if len(task.labels) == 2 else 1.0


def resolve_views(encoder: Encoder, plan: NetworkPlan) -> bool:
    """Return whether text and vectors are learned apart: each view has a loss of its own, and their logits add up.

    Learned together, dense vectors explain what the labeling functions got wrong before the words do. Test accuracy of
    both together, and apart with the penalty of `resolve_steps`: youtube 90.7, 92.8; trec 68.7, 70.9; semeval 68.3,
    82.2. It takes a network of linear maps alone.
    """
    kinds = {feature.kind for feature in encoder.features}
    return {"text", "vector"} <= kinds and not plan.hidden and not plan.payloads and not plan.slices


def resolve_steps(spec: TrainSpec, encoder: Encoder, plan: NetworkPlan, n_rows: int, *, views: bool) -> Steps:
    """Return step sizes and penalties.

    'auto' of lr is 0.125 with a torso, 0.5 without (METHODS 8.1). 'auto' of weight_decay is 0.2 for linear maps of
    vectors, else 2e-4. Measured: trec, a linear map of text, loses 4 points at 1e-3; vectors (views apart) at 0.05 and
    0.2: semeval 80.4, 82.2; trec 71.2, 70.9; youtube 92.6, 92.8.

    A view's logits count twice in its own loss (see `wsdb.model.heads.RowHead.views`): half the step size and four
    times the penalty are then the same steps of the logits.
    """
    lr = (0.125 if plan.hidden else 0.5) if spec.lr == "auto" else float(spec.lr)
    if spec.weight_decay == "auto":
        vectors = not plan.hidden and any(feature.kind == "vector" for feature in encoder.features)
        decay, dense = _DECAY, _VECTOR_DECAY if vectors else _DECAY
    else:
        decay = dense = float(spec.weight_decay)
    deep = resolve_encoder_lr(spec, plan, n_rows)
    return Steps(lr / 2, 4 * decay, 4 * dense, deep) if views else Steps(lr, decay, dense, deep)
