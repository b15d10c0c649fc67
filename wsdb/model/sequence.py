"""Blocks over sequences: how the state of an element learns of its neighbors.

Notation for shapes: g sequences of at most L elements in a padded block, h units, a attention heads. Whatever stands at
a padded place has no part in the state of any element: convolutions see zeros there, as they do beyond the ends, LSTMs
stop before it, and attention does not look at it.
"""

from __future__ import annotations

from collections.abc import Sequence

from wsdb.model.backend import torch
from wsdb.model.inputs import Padded
from wsdb.model.layers import Affine, Norm, affine

nn = torch.nn
_REACH = 2  # neighbors on either side that a convolution sees
_HEADS = 4


class Convolution(nn.Module):
    """x + relu(convolution of x over five elements)."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        taps = 2 * _REACH + 1
        weight = torch.randn(width, width, taps, generator=generator) * (2 / (width * taps)) ** 0.5
        self.weight = nn.Parameter(weight)  # [h, h, 5]
        self.bias = nn.Parameter(torch.zeros(width))  # [h]
        self.norm = Norm(width)

    def forward(self, states: torch.Tensor, padded: Padded) -> torch.Tensor:
        """Map float32 [g, L, h] to the same shape."""
        clean = self.norm(states) * padded.mask[:, :, None]  # [g, L, h]
        found = nn.functional.conv1d(clean.transpose(1, 2), self.weight, self.bias, padding=_REACH)  # [g, h, L]
        return states + torch.relu(found.transpose(1, 2))


class Lstm(nn.Module):
    """x + an LSTM in both directions, h / 2 units each."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = Norm(width)
        on_no_device = nn.LSTM(width, width // 2, batch_first=True, bidirectional=True, device="meta")  # draws nothing
        self.lstm = on_no_device.to_empty(device="cpu")
        with torch.no_grad():
            for name, parameter in self.lstm.named_parameters():
                if name.startswith("bias"):
                    parameter.zero_()
                else:
                    drawn = torch.randn(parameter.shape, generator=generator)
                    parameter.copy_(drawn / parameter.shape[1] ** 0.5)

    def forward(self, states: torch.Tensor, padded: Padded) -> torch.Tensor:
        """Map float32 [g, L, h] to the same shape."""
        packed = nn.utils.rnn.pack_padded_sequence(
            self.norm(states), padded.lengths, batch_first=True, enforce_sorted=False
        )
        found, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=states.shape[1]
        )
        return states + found


class Attention(nn.Module):
    """x + attention of every element to all of its sequence, then x + two rectified layers."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = _HEADS if width % _HEADS == 0 else 1
        self.norm = Norm(width)
        self.query_key_value = affine(width, 3 * width, generator)
        self.out = affine(width, width, generator)
        self.second_norm = Norm(width)
        self.first = affine(width, 2 * width, generator, gain=2.0)
        self.second = affine(2 * width, width, generator)

    def forward(self, states: torch.Tensor, padded: Padded) -> torch.Tensor:
        """Map float32 [g, L, h] to the same shape."""
        g, length, h = states.shape
        three = self.query_key_value(self.norm(states)).view(g, length, 3, self.heads, h // self.heads)
        query, key, value = three.permute(2, 0, 3, 1, 4)  # [g, a, L, h / a] each
        mask = padded.mask[:, None, None, :]  # [g, 1, 1, L]
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)  # [g, a, L, h / a]
        states = states + self.out(seen.transpose(1, 2).reshape(g, length, h))
        return states + self.second(torch.relu(self.first(self.second_norm(states))))


class Positions(nn.Module):
    """x + sines and cosines of the position (Vaswani et al. 2017, section 3.5); attention alone knows no order."""

    def forward(self, states: torch.Tensor, padded: Padded) -> torch.Tensor:
        """Map float32 [g, L, h] to the same shape."""
        _, length, h = states.shape
        half = (h + 1) // 2
        rate = 1e4 ** (-torch.arange(half, device=states.device) / half)  # [h / 2]
        angle = torch.arange(length, device=states.device)[:, None] * rate  # [L, h / 2]
        return states + torch.cat([angle.sin(), angle.cos()], dim=1)[:, :h]


class Blocks(nn.Module):
    """Blocks one after the other, over elements that stand one behind the other without padding."""

    def __init__(self, blocks: Sequence[nn.Module], width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = Norm(width)

    def forward(self, states: torch.Tensor, layout: Sequence[Padded]) -> torch.Tensor:
        """Map float32 [E, h] to the same shape."""
        found = states.new_zeros(states.shape)
        for padded in layout:
            g, length = padded.mask.shape
            flat = states.new_zeros(g * length, states.shape[1])
            block = flat.index_copy(0, padded.places, states.index_select(0, padded.elements)).view(g, length, -1)
            for module in self.blocks:
                block = module(block, padded)  # [g, L, h]
            out = block.reshape(g * length, -1).index_select(0, padded.places)  # [u, h]
            found = found.to(out.dtype).index_copy(0, padded.elements, out)
        return self.norm(found)


class Hidden(nn.Module):
    """x + a rectified layer of each element by itself."""

    def __init__(self, first: Affine) -> None:
        super().__init__()
        self.first = first

    def forward(self, states: torch.Tensor, padded: Padded) -> torch.Tensor:
        """Map float32 [g, L, h] to the same shape."""
        return states + torch.relu(self.first(states))


def build_blocks(encoder: str, layers: int, width: int, generator: torch.Generator) -> Blocks | None:
    """Return `layers` blocks of an encoder (see `wsdb.model.plan.ENCODERS`); a bag of words has none."""
    match encoder:
        case "bow":
            return None
        case "mlp":
            blocks: list[nn.Module] = [Hidden(affine(width, width, generator, gain=2.0)) for _ in range(layers)]
        case "cnn":
            blocks = [Convolution(width, generator) for _ in range(layers)]
        case "lstm":
            blocks = [Lstm(width, generator) for _ in range(layers)]
        case "transformer":
            blocks = [Positions(), *(Attention(width, generator) for _ in range(layers))]
        case _:
            raise ValueError(f"no blocks are called {encoder}")
    return Blocks(blocks, width)
