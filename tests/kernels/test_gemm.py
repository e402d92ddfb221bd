"""`gemm`."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from archdsl.kernels import conv
from archdsl.kernels import gemm as kernel
from archdsl.kernels._launch import Config
from archdsl.kernels.gemm import gemm, reference
from proof import affine, drawn, prove, weights

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    images: tuple[int, int, int],
    channels: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    **how: object,
) -> None:
    """plain: without scale and bias."""
    c, k = channels
    x, weight = drawn(*images, c, dtype=dtype), weights(k, c, dtype=dtype)
    prove(gemm, reference, x, weight, *(() if plain else affine(k)), **how)


@pytest.mark.parametrize(
    ("images", "channels", "how"),
    [
        ((2, 9, 7), (24, 40), {"act": "relu", "residual": True, "slices": 8}),
        ((3, 5, 6), (8, 24), {"act": "silu", "plain": True}),
        ((1, 11, 13), (40, 16), {"dtype": FP16, "residual": True}),
        ((1, 6, 6), (16, 20), {"dtype": FP32, "precision": "tf32", "act": "gelu"}),
        ((4, 1, 1), (64, 72), {"config": None}),
        ((2, 5, 5), (24, 136), {"config": Config(32, 128, 16, 1, 2), "residual": True, "act": "relu"}),
    ],
    ids=str,
)
def test_gemm(images: tuple[int, int, int], channels: tuple[int, int], how: dict) -> None:
    compare(images, channels, **{"config": SMALL, **how})


@pytest.mark.parametrize("programs", [1, 3, 100])
def test_each_program_goes_from_tile_to_tile(programs: int) -> None:
    with mock.patch.object(kernel, "processors", return_value=programs):
        compare((2, 8, 8), (16, 56), config=SMALL, residual=True)


def test_is_a_convolution() -> None:
    x, weight, residual = (drawn(2, 3, 3, 16).double(), drawn(24, 16).double(), drawn(2, 3, 3, 24).double())
    apart = conv.reference(x, weight[:, None, None], residual=residual, act="relu")
    assert (reference(x, weight, residual=residual, act="relu") - apart).abs().max() < 1e-12


X, W = torch.zeros(1, 4, 4, 16, dtype=BF16), torch.zeros(24, 16, dtype=BF16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"weight": W[:, None, None]}, r"weight must be \[K, C\]"),
        ({"weight": W[:, :8]}, "weight must be dense"),
        ({"weight": W[:20]}, "gemm can't do this layer: out has a pixel every 40 bytes, .*; conv can"),
        ({"x": X[..., :12].contiguous(), "weight": W[:, :12].contiguous()}, "12 input channels"),
        ({"x": X.float(), "weight": W.float()}, "'ieee' is not"),
        ({"residual": X}, "residual must be"),
        ({"residual": torch.zeros(1, 4, 4, 24)}, "residual must be"),
        ({"out": X}, "out must be"),
        ({"config": SMALL._replace(bn=512)}, "longer than 256"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_refusals(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        gemm(**{"x": X, "weight": W, **arguments})
