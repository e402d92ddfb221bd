"""`dual`: against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

import pytest
import sm90
import torch
from archdsl.kernels import dual as kernel
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.dual import dual, reference
from proof import Poisoned, doubled, drawn, fresh, guarded, placed

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (2, (9, 7), (16, 40, 24), {"stride": (2, 2), "act": "relu", "slices": True}),
        (3, (6, 8), (24, 16, 40), {"stride": (2, 2), "act": "relu"}),
        (2, (5, 5), (16, 8, 24), {"act": "relu", "slices": True}),
        (1, (7, 8), (8, 16, 16), {"stride": (3, 1), "dtype": FP16, "bias": False}),
        (4, (3, 3), (16, 16, 16), {"stride": (2, 2), "dtype": FP32, "precision": "tf32", "act": "silu"}),
        (1, (6, 6), (16, 16, 136), {"stride": (2, 2), "config": Config(32, 128, 16, 1, 2)}),
        (1, (4, 4), (32, 64, 64), {"stride": (2, 2), "config": None, "act": "relu"}),
    ],
    ids=str,
)
def test_dual(n: int, size: tuple[int, int], channels: tuple[int, int, int], how: dict) -> None:
    fresh()
    how = {"config": SMALL, **how}
    dtype, slices, (c1, c2, k) = how.pop("dtype", BF16), how.pop("slices", False), channels
    x = drawn(n, *size, c2, dtype=dtype)
    sh, sw = how.get("stride", (1, 1))
    t = drawn(*x[:, ::sh, ::sw].shape[:3], c1, dtype=dtype)
    w1, w2 = drawn(k, c1, dtype=dtype, size=c1**-0.5), drawn(k, c2, dtype=dtype, size=c2**-0.5)
    bias = torch.randn(k) if how.pop("bias", True) else None
    truth = reference(*doubled(t, x, w1, w2, bias), stride=(sh, sw), act=how.get("act", "none"))
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    seen = placed(x, c2 + 16, 8) if slices else placed(x)
    inner = placed(t, c1 + 8) if slices else placed(t)
    assert dual(inner, seen, *guarded(w1, w2, bias), out=y.view, **how) is y.view
    y.check(truth)


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


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", kernel.CONFIGS, ids=lambda s: str(s.config))
def test_compiles(shipped: Shipped) -> None:
    def layer() -> None:
        dual(
            sm90.empty(128, 28, 28, 128), sm90.empty(128, 56, 56, 256), sm90.empty(512, 128), sm90.empty(512, 256),
            sm90.empty(512, dtype=FP32), stride=(2, 2), act="gelu", config=shipped.config,
        )  # fmt: skip

    sm90.check(shipped.claim, layer)
