"""Is a kernel right? Its result against the float64 reference, with NaN wherever it must not read, and written where it
must not write.

    x = placed(drawn(2, 9, 9, 24), wide=32, at=8)       # channels 8..31 of 32; the others, and all around, NaN
    y = Poisoned(2, 9, 9, 16, wide=48, at=16)           # NaN, so that a pixel left out shows
    conv.conv(x, weight, out=y.view)
    y.check(conv.reference(*doubled(x, weight)))
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

GUARD = 256
"""Numbers of NaN before and after every buffer; a multiple of 8 keeps it on 16 bytes."""

RELATIVE = {torch.bfloat16: 5e-3, torch.float16: 4e-4, torch.float32: 1e-6}
"""The error's norm over the truth's. bf16 is 2.5e-3 where fp32 is rounded to it; the interpreter cuts off."""

WORST = {torch.bfloat16: 1.2e-2, torch.float16: 1.5e-3, torch.float32: 4e-6}
"""The largest error of a number over the largest number."""


def fresh() -> int:
    """A seed that is new every time and is printed with a failure; ARCHDSL_SEED repeats it."""
    seed = int(os.environ.get("ARCHDSL_SEED", 0)) or int.from_bytes(os.urandom(3), "little") + 1
    torch.manual_seed(seed)
    return seed


def drawn(*shape: int, dtype: torch.dtype = torch.bfloat16, size: float = 1.0) -> Tensor:
    """Normal numbers of about `size`, as dtype holds them."""
    return (torch.randn(shape) * size).to(dtype)


def placed(values: Tensor, wide: int | None = None, at: int = 0) -> Tensor:
    """values in a larger buffer of NaN: `wide` channels for each pixel, of which they take those from `at` on."""
    poisoned = Poisoned(*values.shape, dtype=values.dtype, wide=wide, at=at)
    poisoned.view.copy_(values)
    return poisoned.view


def guarded(*values: Tensor | None) -> tuple[Tensor | None, ...]:
    """Weights and vectors with NaN around them."""
    return tuple(None if v is None else placed(v) for v in values)


def doubled(*values: Any) -> tuple[Any, ...]:
    """Tensors as float64, other things as they are."""
    return tuple(v.double() if isinstance(v, Tensor) and v.is_floating_point() else v for v in values)


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
        self.dtype = dtype
        self.buffer = torch.full((numbers + 2 * GUARD,), torch.nan, dtype=dtype)
        inner = self.buffer[GUARD : GUARD + numbers].view(*outer, wide)
        self.view = inner[..., at : at + channels]
        mine = torch.zeros_like(self.buffer, dtype=torch.bool)
        mine[GUARD : GUARD + numbers].view(*outer, wide)[..., at : at + channels] = True
        self.outside = ~mine

    def check(self, truth: Tensor, relative: float | None = None, worst: float | None = None) -> None:
        """Every number written and near the truth (float64), and nothing outside touched."""
        touched = int((~self.buffer[self.outside].isnan()).sum())
        assert touched == 0, f"{touched} numbers outside the output were written"
        close(self.view, truth, relative, worst)


def close(result: Tensor, truth: Tensor, relative: float | None = None, worst: float | None = None) -> None:
    """AssertionError unless result is as near the truth as its dtype allows."""
    assert truth.dtype == torch.float64, "the truth is computed in float64"
    assert result.shape == truth.shape, f"{list(result.shape)}, not {list(truth.shape)}"
    assert truth.abs().max() > 0, "the truth is all zeros, so anything small would pass"
    missing = int(result.isnan().sum())
    assert missing == 0, f"{missing} of {result.numel()} numbers are NaN: not written, or read from outside"
    error = result.double() - truth
    share = float(error.norm() / truth.norm())
    limit = RELATIVE[result.dtype] if relative is None else relative
    assert share <= limit, f"the error is {share:.2e} of the truth, more than {limit:.1e}; {_where(error)}"
    most = float(error.abs().max() / truth.abs().max())
    limit = WORST[result.dtype] if worst is None else worst
    assert most <= limit, (
        f"the worst number is off by {most:.2e} of the largest, more than {limit:.1e}; {_where(error)}"
    )


def _where(error: Tensor) -> str:
    place = torch.unravel_index(error.abs().argmax(), error.shape)
    return f"worst at {[int(i) for i in place]} of {list(error.shape)}"
