"""torch, or the error that says how to install it; the other modules import it from here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wsdb.core.errors import EnvironmentError_

try:
    import torch
    from torch.optim.adagrad import adagrad
    from torch.optim.adamw import adamw
except ImportError as error:
    raise EnvironmentError_(
        "WS701", "torch is not installed", hint="pip install 'wsdb[torch]'", package="torch"
    ) from error

__all__ = ["adagrad", "adamw", "choose_device", "one_thread", "torch", "use_bf16"]


def choose_device(name: str) -> torch.device:
    """Return the device for ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``; auto is CUDA or CPU.

    Raises
    ------
    EnvironmentError_  WS702 if the named device is not on this machine.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = "cuda" if present["cuda"] else "cpu"
    if not present[name]:
        raise EnvironmentError_(
            "WS702", f"this machine has no {name} device", hint="use device = 'auto' or 'cpu'", option="device"
        )
    return torch.device(name)


def use_bf16(precision: str, device: torch.device) -> bool:
    """Return whether a network computes in bf16: where it is asked for, or by ``'auto'`` on a CUDA device that can."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one CPU thread inside the block, and on as many as before after it.

    The steps of these networks are too small to share: on two busy cores two threads took 10 to 50 times as
    long as one. One thread also makes sums independent of the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
