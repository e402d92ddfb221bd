"""Is a kernel right? Its result against the float64 definition, with NaN wherever it must not read, and written where it
must not write.

    prove(conv.conv, conv.reference, x, weight, scale, bias, residual=more, slices=8, config=SMALL, act="relu")

lays every tensor between guards of NaN, images as slices of wider buffers of NaN, gives an output of NaN, and compares
with the reference. The error may be twice what the reference's own is, computed layer by layer in float32, with what each
layer gives rounded to the dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from archdsl.kernels import _reference
from torch import Tensor

GUARD = 256
"""Numbers of NaN before and after every buffer; a multiple of 8 keeps it on 16 bytes."""

TIMES = 2.0
"""The reference's own error, that a kernel's may be. Of single numbers, whose largest error is a matter of luck, twice as
much."""

LEAST = 1e-6
"""Error that is always allowed, of the truth's norm: sums of fp32 in another order. Of single numbers four times that."""

FEW = 8
"""Numbers of which the reference's own error says little: of as few, twice as much is allowed."""

LAUNCHER = ("config", "form", "precision")
"""What a launcher is told and a reference is not."""


def drawn(*shape: int, dtype: torch.dtype = torch.bfloat16, size: float = 1.0) -> Tensor:
    """Normal numbers of about `size`, as dtype holds them."""
    return (torch.randn(shape) * size).to(dtype)


def weights(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Weights [K, ...] that keep the size of what they are multiplied with."""
    return drawn(*shape, dtype=dtype, size=torch.Size(shape[1:]).numel() ** -0.5)


def affine(channels: int, low: float = -0.3, shift: float = 0.0) -> tuple[Tensor, Tensor]:
    """A scale for each channel, from `low` to `low` + 1, and a bias of about `shift`."""
    return torch.rand(channels) + low, torch.randn(channels) + shift


def placed(values: Tensor, wide: int | None = None, at: int = 0) -> Tensor:
    """values in a larger buffer of NaN: `wide` channels for each pixel, of which they take those from `at` on."""
    poisoned = Poisoned(*values.shape, dtype=values.dtype, wide=wide, at=at)
    poisoned.view.copy_(values)
    return poisoned.view


def doubled(*values: Any) -> tuple[Any, ...]:
    """Tensors as float64, other things as they are."""
    return tuple(as_type(v, torch.float64) for v in values)


def as_type(value: Any, dtype: torch.dtype) -> Any:
    """A tensor of floats as dtype, other things as they are."""
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def prove(
    launcher: Callable[..., Any],
    reference: Callable[..., Any],
    *operands: Any,
    images: tuple[int | str, ...] = (0, "residual"),
    slices: int = 0,
    dtype: torch.dtype | None = None,
    **how: Any,
) -> None:
    """AssertionError unless `launcher(*operands, **how, out=...)` writes what the reference gives, and nothing else.

    images    places and names of those that are images: they become slices of channels, `slices` NaNs and more before
              and after each pixel's, so that no two have the same pitch. 8 keeps pixels on 16 bytes.
    dtype     of the output, the first operand's unless given. An output may be a list; `how` goes to the reference too,
              but for LAUNCHER's. residual=True draws one of the output's shape.
    """
    dtype = dtype or operands[0].dtype
    if how.get("residual") is False:
        del how["residual"]
    if how.get("residual") is True:
        plain = {name: value for name, value in how.items() if name not in (*LAUNCHER, "residual")}
        how["residual"] = drawn(*reference(*doubled(*operands), **plain).shape, dtype=dtype)
    defined = {name: value for name, value in how.items() if name not in LAUNCHER}

    def computed(precision: torch.dtype) -> list[Tensor]:
        named = {name: as_type(value, precision) for name, value in defined.items()}
        found = reference(*(as_type(value, precision) for value in operands), **named)
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def rounded(*values: Any, **more: Any) -> Tensor:
        return finished(*values, **more).to(dtype).float()

    finished = _reference.finished
    truths = computed(torch.float64)
    with mock.patch.object(_reference, "finished", rounded):
        owns = [own.to(dtype) for own in computed(torch.float32)]
    pad = slices

    def laid(name: int | str, value: Any) -> Any:
        nonlocal pad
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        if name not in images or not slices:
            return placed(value)
        pad += slices
        return placed(value, value.shape[-1] + pad, slices)

    given = [laid(place, value) for place, value in enumerate(operands)]
    named = {name: laid(name, value) for name, value in how.items()}
    outs = []
    for truth in truths:
        pad += slices
        outs.append(Poisoned(*truth.shape, dtype=dtype, wide=truth.shape[-1] + pad, at=2 * slices))
    views: Any = [out.view for out in outs] if len(outs) > 1 else outs[0].view
    made = launcher(*given, **named, out=views)
    for out, result in zip(outs, made if len(outs) > 1 else [made], strict=True):
        assert result is out.view, "what is returned is not the output that was given"
    for out, truth, own in zip(outs, truths, owns, strict=True):
        out.check(truth, own)


class Poisoned:
    """An output of NaN, alone or as a slice of channels, in a buffer of NaN.

    view: what a kernel may write; every number of it must be written, and nothing else of the buffer.
    """

    def __init__(
        self, *shape: int, dtype: torch.dtype = torch.bfloat16, wide: int | None = None, at: int = 0
    ) -> None:
        *outer, channels = shape
        wide = channels if wide is None else wide
        assert at + channels <= wide
        numbers = torch.Size(outer).numel() * wide
        self.buffer = torch.full((numbers + 2 * GUARD,), torch.nan, dtype=dtype)
        inner = self.buffer[GUARD : GUARD + numbers].view(*outer, wide)
        self.view = inner[..., at : at + channels]
        mine = torch.zeros_like(self.buffer, dtype=torch.bool)
        mine[GUARD : GUARD + numbers].view(*outer, wide)[..., at : at + channels] = True
        self.outside = ~mine

    def check(self, truth: Tensor, own: Tensor | None = None) -> None:
        """Every number written and near the truth (float64), and nothing outside touched. own: what the reference
        gives in the output's dtype; the truth rounded unless given."""
        touched = int((~self.buffer[self.outside].isnan()).sum())
        assert touched == 0, f"{touched} numbers outside the output were written"
        close(self.view, truth, truth.to(self.view.dtype) if own is None else own)


def close(result: Tensor, truth: Tensor, own: Tensor) -> None:
    """AssertionError unless result is near the truth, by what own's error is (TIMES, LEAST)."""
    assert truth.dtype == torch.float64, "the truth is computed in float64"
    assert result.shape == truth.shape, f"{list(result.shape)}, not {list(truth.shape)}"
    assert truth.abs().max() > 0, "the truth is all zeros, so anything small would pass"
    missing = int(result.isnan().sum())
    assert missing == 0, f"{missing} of {result.numel()} numbers are NaN: not written, or read from outside"
    error, allowed = result.double() - truth, own.double() - truth
    place = [int(i) for i in torch.unravel_index(error.abs().argmax(), error.shape)]
    worst = f"worst at {place} of {list(error.shape)}"
    times = TIMES * (1 + FEW / error.numel())
    share, limit = error.norm() / truth.norm(), times * allowed.norm() / truth.norm() + LEAST
    assert share <= limit, f"the error is {share:.2e} of the truth, more than {limit:.1e}; {worst}"
    most = error.abs().max() / truth.abs().max()
    limit = 2 * times * allowed.abs().max() / truth.abs().max() + 4 * LEAST
    assert most <= limit, f"a number is off by {most:.2e} of the largest, more than {limit:.1e}; {worst}"
