from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsdb.model.optimize import Adagrad, AdamW, clip

SIZES = ((3, 4), (5,), (2, 2))


def parameters(seed: int) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(size, generator=generator)) for size in SIZES]


@given(
    seed=st.integers(0, 2**31),
    decay=st.sampled_from([0.0, 0.02]),
    used=st.lists(st.tuples(*[st.booleans()] * len(SIZES)), max_size=6),
)
@pytest.mark.parametrize(("own", "plain"), [(Adagrad, torch.optim.Adagrad), (AdamW, torch.optim.AdamW)])
def test_steps_are_those_of_torch_whichever_parameters_have_a_gradient(
    own: type[Adagrad | AdamW],
    plain: type[torch.optim.Optimizer],
    seed: int,
    decay: float,
    used: list[tuple[bool, ...]],
) -> None:
    here, there = parameters(seed), parameters(seed)
    one, other = own(here, 0.1, decay), plain(there, lr=0.1, weight_decay=decay, fused=True)  # type: ignore[call-arg]
    generator = torch.Generator().manual_seed(seed)
    for which in used:
        for left, right, has in zip(here, there, which, strict=True):
            left.grad = torch.randn(left.shape, generator=generator) if has else None
            right.grad = left.grad
        one.step(1.0)
        other.step()
    for left, right in zip(here, there, strict=True):
        assert torch.equal(left, right)


def test_a_share_of_a_step_is_a_step_of_that_size() -> None:
    whole, half = parameters(1), parameters(1)
    for one, two in zip(whole, half, strict=True):
        one.grad = two.grad = torch.ones_like(one)
    AdamW(whole, 0.1, 0.0).step(0.5)
    AdamW(half, 0.05, 0.0).step(1.0)
    assert all(torch.equal(one, two) for one, two in zip(whole, half, strict=True))


@given(seed=st.integers(0, 2**31), size=st.sampled_from([1e-3, 1.0, 1e3]))
def test_gradients_are_clipped_as_torch_clips_them(seed: int, size: float) -> None:
    ours, theirs = parameters(seed), parameters(seed)
    for one, two in zip(ours, theirs, strict=True):
        one.grad, two.grad = one.detach() * size, one.detach() * size
    clip([one.grad for one in ours if one.grad is not None], 2.0)
    torch.nn.utils.clip_grad_norm_(theirs, 2.0)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def test_training_does_not_load_the_compiler_of_torch() -> None:
    program = """
        import sys
        import wsdb
        db = wsdb.connect()
        db.execute("CREATE TABLE t AS SELECT range AS id, range % 7 AS x, 'w' || range % 5 AS body FROM range(400)")
        db.execute("CREATE TASK s ON t KEY (id) TYPE BINARY ('no', 'yes')")
        db.execute("CREATE LF a FOR TASK s VOTE 'yes' WHEN x > 3")
        db.execute("CREATE LF b FOR TASK s VOTE 'no' WHEN body IN ('w1', 'w2')")
        db.execute("CREATE MODEL m FOR TASKS (s) FROM t FEATURES (x, body) WITH (epochs = 1, hidden = 4)")
        print('torch' in sys.modules, 'torch._dynamo' in sys.modules)
    """
    printed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True
    ).stdout
    assert printed.split() == ["True", "False"]
