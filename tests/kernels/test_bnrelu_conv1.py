"""`bnrelu_conv1`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.bnrelu_conv1 import bnrelu_conv1, reference
from proof import affine, drawn, prove, weights

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    **how: object,
) -> None:
    """plain: without scale and bias after the convolution."""
    c, k = channels
    x, weight = drawn(n, *size, c, dtype=dtype), weights(k, 1, 1, c, dtype=dtype)
    # Scales may be negative, shifts are large: normalising what isn't in the image would show.
    before = (torch.randn(c), torch.randn(c) + 1.0)
    prove(bnrelu_conv1, reference, x, weight, *before, *(() if plain else affine(k)), **how)


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (2, (7, 5), (40, 24), {"act": "relu", "slices": 8}),
        (1, (3, 3), (16, 16), {"plain": True}),
        (3, (4, 4), (24, 40), {"dtype": FP16, "pre_act": "hswish", "act": "relu6", "slices": 8}),
        (1, (9, 9), (20, 12), {"dtype": FP32, "slices": 4}),
        (2, (5, 1), (32, 8), {"pre_act": "sigmoid", "act": "silu"}),
    ],
    ids=str,
)
def test_tma(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"form": "tma", "config": SMALL, **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (2, (7, 5), (40, 24), {"act": "relu", "slices": 8}),
        (1, (3, 3), (7, 5), {"dtype": FP16, "slices": 1, "pre_act": "sigmoid"}),
        (1, (6, 6), (21, 9), {"dtype": FP32, "plain": True}),
        (2, (8, 6), (24, 16), {"pool": 2, "slices": 8}),
        (2, (7, 9), (20, 17), {"pool": 2, "dtype": FP32}),
        (1, (9, 11), (13, 16), {"pool": 3, "dtype": FP16, "act": "relu"}),
    ],
    ids=str,
)
def test_pointer(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"form": "pointer", "config": SMALL, **how})


def test_rules_choose() -> None:
    compare(1, (6, 6), (24, 16))
    compare(1, (6, 6), (24, 16), pool=2)
    compare(1, (5, 5), (5, 3))


def test_refusals() -> None:
    x, weight = drawn(1, 4, 4, 8), drawn(8, 1, 1, 8)
    ones = torch.ones(8)
    for said, change in {
        "only the pointer form": {"form": "tma", "pool": 2},
        "no form is called 'fast'": {"form": "fast"},
        "pool must be 1 or more and fit in 4 x 4": {"pool": 5},
        "out must be": {"out": drawn(1, 4, 4, 9)},
        "no activation is called": {"pre_act": "maxout"},
    }.items():
        with pytest.raises(ValueError, match=said):
            bnrelu_conv1(x, weight, ones, ones, **change)
    with pytest.raises(ValueError, match="x has a pixel every 20 bytes"):
        bnrelu_conv1(drawn(1, 4, 4, 10)[..., :8], weight, ones, ones, form="tma")
    with pytest.raises(ValueError, match="pre_scale must be 8 fp32 numbers"):
        bnrelu_conv1(x, weight, torch.ones(7), ones)
    with pytest.raises(ValueError, match="weight must be dense"):
        bnrelu_conv1(x, drawn(8, 3, 3, 8), ones, ones)
