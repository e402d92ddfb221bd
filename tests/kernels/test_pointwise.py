"""`pointwise`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.pointwise import pointwise, reference
from proof import affine, drawn, prove

SMALL = Config(16, 16, 1, 4, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    images: tuple[int, int, int, int],
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    factor: bool = False,
    **how: object,
) -> None:
    """plain: without scale and shift; factor: with one for each channel of an image."""
    n, _, _, c = images
    if factor:
        how["factor"] = drawn(n, 1, 1, c, dtype=dtype)
    vectors = () if plain else affine(c)
    prove(
        pointwise, reference, drawn(*images, dtype=dtype), *vectors, images=(0, "residual", "factor"), **how
    )


@pytest.mark.parametrize(
    ("images", "how"),
    [
        ((2, 5, 3, 24), {"residual": True, "act": "relu", "slices": 3}),
        ((1, 1, 1, 10), {"pre_act": "silu"}),
        ((3, 4, 5, 7), {"dtype": FP32, "residual": True, "factor": True, "pre_act": "relu6", "act": "tanh", "slices": 1}),
        ((2, 6, 6, 40), {"dtype": FP16, "plain": True, "factor": True}),
        ((2, 3, 3, 16), {"dtype": FP32, "plain": True, "config": None}),
        ((1, 3, 3, 70), {"residual": True, "plain": True, "config": None, "slices": 8}),
    ],
    ids=str,
)  # fmt: skip
def test_pointwise(images: tuple[int, int, int, int], how: dict) -> None:
    compare(images, **{"config": SMALL, **how})


def test_in_place() -> None:
    """The output may be the input or the residual."""

    def into_residual(x: torch.Tensor, *, residual: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        return pointwise(x, residual=out.copy_(residual), act="relu", out=out)

    def defined(x: torch.Tensor, *, residual: torch.Tensor) -> torch.Tensor:
        return reference(x, residual=residual, act="relu")

    prove(into_residual, defined, drawn(2, 4, 4, 16), residual=drawn(2, 4, 4, 16), slices=8)


def test_casts() -> None:
    """The output's dtype may be another."""
    prove(pointwise, reference, drawn(2, 4, 4, 12, dtype=FP32), *affine(12), dtype=FP16, slices=2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"scale": torch.ones(5)}, "scale must be 4 fp32 numbers"),
        ({"residual": torch.zeros(1, 2, 2, 4)}, "residual must be"),
        ({"factor": torch.zeros(1, 2, 2, 4, dtype=BF16)}, "factor must be"),
        ({"act": "sine"}, "no activation"),
    ],
)
def test_refusals(more: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pointwise(torch.zeros(1, 2, 2, 4, dtype=BF16), **more)
