"""`gap`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.gap import gap, reference
from proof import affine, drawn, prove

SMALL = Config(16, 16, 1, 4, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    images: tuple[int, int, int, int], *, dtype: torch.dtype = BF16, plain: bool = False, **how: object
) -> None:
    """plain: without scale and shift. Past the last pixel there would be act(shift), which is large."""
    vectors = () if plain else affine(images[3], shift=2.0)
    prove(gap, reference, drawn(*images, dtype=dtype), *vectors, **how)


@pytest.mark.parametrize(
    ("images", "how"),
    [
        ((3, 7, 5, 21), {"act": "relu", "slices": 3}),
        ((2, 3, 3, 40), {"dtype": FP16, "act": "silu", "config": None}),
        ((1, 9, 9, 16), {"dtype": FP32, "plain": True}),
        ((2, 1, 1, 7), {"act": "hsigmoid", "config": None, "slices": 1}),
    ],
    ids=str,
)
def test_gap(images: tuple[int, int, int, int], how: dict) -> None:
    compare(images, **{"config": SMALL, **how})


def test_refusals() -> None:
    x = drawn(1, 5, 5, 8)
    for said, change in {
        "shift must be 8 fp32": {"shift": torch.ones(9)},
        r"out must be \[1, 1, 1, 8\]": {"out": x},
        "no activation": {"act": "swish"},
    }.items():
        with pytest.raises(ValueError, match=said):
            gap(x, **change)
