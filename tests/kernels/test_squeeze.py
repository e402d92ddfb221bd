"""`squeeze`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.squeeze import reference, squeeze
from proof import drawn, prove, weights

SMALL = Config(16, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    parts: int,
    channels: tuple[int, int, int],
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    mean: bool = False,
    **how: object,
) -> None:
    """plain: without biases; mean: the mean itself, in the weights' dtype, instead of sums in fp32."""
    c, b, k = channels
    sums = drawn(n, parts, c, dtype=dtype if mean else FP32, size=how.get("area", 1) * parts**-0.5)
    w1, w2 = weights(b, 1, 1, c, dtype=dtype), weights(k, 1, 1, b, dtype=dtype)
    biases = () if plain else (torch.randn(b), torch.randn(k))
    prove(squeeze, reference, sums, w1, w2, *biases, images=(), dtype=dtype, **how)


@pytest.mark.parametrize(
    ("n", "parts", "channels", "how"),
    [
        (3, 5, (40, 6, 40), {"area": 49, "pre_act": "silu"}),
        (17, 1, (24, 20, 33), {"act": "hsigmoid", "dtype": FP16, "mean": True}),
        (2, 3, (17, 5, 48), {"area": 9, "dtype": FP32, "plain": True, "pre_act": "sigmoid"}),
        (1, 2, (70, 65, 9), {"area": 4, "config": None, "slices": 3}),
    ],
    ids=str,
)
def test_squeeze(n: int, parts: int, channels: tuple[int, int, int], how: dict) -> None:
    compare(n, parts, channels, **{"config": SMALL, **how})


def test_refusals() -> None:
    sums, weight = torch.ones(2, 1, 8), drawn(8, 1, 1, 8)
    for said, change in {
        "sums must be dense": {"sums": sums[..., ::2]},
        "area must be 1 pixel or more": {"area": 0},
        "300 channels between": {"w1": drawn(300, 1, 1, 8), "w2": drawn(8, 1, 1, 300)},
        "weight must be dense": {"w2": drawn(8, 1, 1, 9)},
        "b1 must be 8 fp32": {"b1": torch.ones(4)},
    }.items():
        with pytest.raises(ValueError, match=said):
            squeeze(**{"sums": sums, "w1": weight, "w2": weight, **change})
