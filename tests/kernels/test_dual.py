"""`dual`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.dual import dual, reference
from proof import affine, drawn, prove, weights

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int, int],
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    **how: object,
) -> None:
    """size: of the shortcut; plain: without bias."""
    c1, c2, k = channels
    sh, sw = how.get("stride", (1, 1))
    x = drawn(n, *size, c2, dtype=dtype)
    t = drawn(*x[:, ::sh, ::sw].shape[:3], c1, dtype=dtype)
    vectors = () if plain else affine(k)[1:]
    prove(
        dual,
        reference,
        t,
        x,
        weights(k, c1, dtype=dtype),
        weights(k, c2, dtype=dtype),
        *vectors,
        images=(0, 1),
        **how,
    )


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (2, (9, 7), (16, 40, 24), {"stride": (2, 2), "act": "relu", "slices": 8}),
        (3, (6, 8), (24, 16, 40), {"stride": (2, 2), "act": "relu"}),
        (2, (5, 5), (16, 8, 24), {"act": "relu", "slices": 8}),
        (1, (7, 8), (8, 16, 16), {"stride": (3, 1), "dtype": FP16, "plain": True}),
        (4, (3, 3), (16, 16, 16), {"stride": (2, 2), "dtype": FP32, "precision": "tf32", "act": "silu"}),
        (1, (6, 6), (16, 16, 136), {"stride": (2, 2), "config": Config(32, 128, 16, 1, 2)}),
        (1, (4, 4), (32, 64, 64), {"stride": (2, 2), "config": None, "act": "relu"}),
    ],
    ids=str,
)
def test_dual(n: int, size: tuple[int, int], channels: tuple[int, int, int], how: dict) -> None:
    compare(n, size, channels, **{"config": SMALL, **how})


T, X = torch.zeros(1, 4, 4, 16, dtype=BF16), torch.zeros(1, 8, 8, 8, dtype=BF16)
W1, W2 = torch.zeros(24, 16, dtype=BF16), torch.zeros(24, 8, dtype=BF16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"stride": (3, 2)}, "does not make"),
        ({"x": X.half()}, "x must be of torch.bfloat16"),
        ({"w2": W1}, "weight must be dense"),
        (
            {"x": X[..., :4].contiguous(), "w2": W2[:, :4].contiguous()},
            "x has a pixel every 8 bytes, .*; conv, twice",
        ),
        ({"out": X}, "out must be"),
        ({"bias": torch.zeros(24, dtype=BF16)}, "bias must be"),
        ({"t": T.float(), "x": X.float(), "w1": W1.float(), "w2": W2.float()}, "must be of precision 'tf32'"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_refusals(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dual(**{"t": T, "x": X, "w1": W1, "w2": W2, "stride": (2, 2), **arguments})
