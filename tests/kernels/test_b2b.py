"""`b2b` against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

import pytest
import sm90
import torch
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.b2b import CONFIGS, b2b, reference
from proof import RELATIVE, Poisoned, doubled, drawn, fresh, placed

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32
ROUNDED_BETWEEN = {dtype: limit * (1.5 if dtype == FP32 else 1.8) for dtype, limit in RELATIVE.items()}
"""The tensor between is rounded once more before it is multiplied."""


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int, int],
    kernel: int,
    *,
    dtype: torch.dtype = BF16,
    slices: bool = False,
    affine: bool = True,
    residual: bool = False,
    shortcut: tuple[int, int, int] | None = None,
    **how: object,
) -> None:
    """shortcut: its height, width and channels, if it is projected."""
    fresh()
    c, b, k = channels
    x = drawn(n, *size, c, dtype=dtype)
    first = drawn(b, kernel, kernel, c, dtype=dtype, size=c**-0.5 / kernel)
    second = drawn(k, 1, 1, b, dtype=dtype, size=b**-0.5)
    vectors = (
        [torch.rand(b) + 0.5, torch.randn(b), torch.rand(k) - 0.3, torch.randn(k)] if affine else [None] * 4
    )
    given = {name: v for name, v in how.items() if name not in ("config", "precision")}
    if shortcut:
        from_, by = (
            drawn(n, *shortcut, dtype=dtype),
            drawn(k, 1, 1, shortcut[2], dtype=dtype, size=shortcut[2] ** -0.5),
        )
        how["shortcut"], how["projection"] = placed(from_, shortcut[2] + 8 if slices else None), by
        given["shortcut"], given["projection"] = doubled(from_, by)
    truth = reference(*doubled(x, first, second, *vectors), **given)
    if residual:
        more = drawn(*truth.shape, dtype=dtype)
        how["residual"] = placed(more, k + 8 if slices else None)
        truth = reference(*doubled(x, first, second, *vectors), residual=more.double(), **given)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    result = b2b(placed(x, c + 16, 8) if slices else x, first, second, *vectors, out=y.view, **how)
    assert result is y.view
    y.check(truth, ROUNDED_BETWEEN[dtype])


P1 = {"padding": (1, 1, 1, 1)}


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (7, 5), (24, 16, 40), 3, {**P1, "residual": True, "slices": True}),
        (1, (6, 6), (16, 24, 24), 3, {**P1, "shortcut": (6, 6, 24), "dtype": FP16}),
        (
            2,
            (6, 8),
            (16, 16, 24),
            3,
            {**P1, "stride": 2, "shortcut": (5, 8, 8), "shortcut_stride": 2, "slices": True},
        ),
        (1, (5, 5), (8, 20, 12), 1, {"dtype": FP32, "residual": True, "pre_act": "sigmoid", "act": "silu"}),
        (3, (4, 4), (16, 40, 16), 5, {"padding": (2, 1, 3, 2), "affine": False, "act": "none"}),
        (1, (8, 8), (32, 16, 16), 3, {**P1, "stride": 2, "residual": True, "shortcut": (4, 4, 16)}),
    ],
    ids=str,
)
def test_b2b(n: int, size: tuple[int, int], channels: tuple[int, int, int], kernel: int, how: dict) -> None:
    compare(n, size, channels, kernel, **{"config": SMALL, **how})


def test_rules_choose() -> None:
    compare(1, (6, 6), (16, 16, 32), 3, residual=True, **P1)
    compare(1, (6, 6), (16, 16, 32), 3, stride=2, dtype=FP16, **P1)


def test_refusals() -> None:
    x, first, second = drawn(1, 6, 6, 8), drawn(16, 3, 3, 8), drawn(8, 1, 1, 16)
    for said, change in {
        "136 channels between are more than 128": {"pre_weight": drawn(136, 3, 3, 8), "weight": drawn(8, 1, 1, 136)},
        "stride must be 1, or 2 with even sizes, not 2 with 7 x 6": {"stride": 2, "x": drawn(1, 7, 6, 8)},
        "stride must be 1, or 2 .* not 3": {"stride": 3},
        "shortcut and projection are given together": {"shortcut": drawn(1, 4, 4, 8)},
        "every 2th pixel of the shortcut must be": {
            "shortcut": drawn(1, 4, 4, 8), "projection": drawn(8, 1, 1, 8), "shortcut_stride": 2,
        },
        "at stride 2 the 8 channels": {"stride": 2, "config": SMALL},
        "x has a pixel every 18 bytes.*take `conv` twice": {"x": drawn(1, 6, 6, 9)[..., :8]},
        "shortcut has a pixel every 18": {"shortcut": drawn(1, 4, 4, 9)[..., :8], "projection": drawn(8, 1, 1, 8)},
        "residual must be": {"residual": x},
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=said):
            b2b(**{"x": x, "pre_weight": first, "weight": second, **change})


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("shipped", "projected"),
    [(s, p) for i, s in enumerate(CONFIGS) for p in (False, True) if i < 2 or not p],
    ids=str,
)
def test_compiles(shipped: Shipped, projected: bool) -> None:
    side = 56 if projected else 28
    x, first, second = (
        sm90.empty(128, side, side, 128),
        sm90.empty(128, 3, 3, 128),
        sm90.empty(512, 1, 1, 128),
    )
    before, after = sm90.empty(128, dtype=FP32), sm90.empty(512, dtype=FP32)
    how = {"residual": sm90.empty(128, 28, 28, 512)}
    if projected:
        how = {
            "stride": 2, "shortcut": sm90.empty(128, 56, 56, 256), "projection": sm90.empty(512, 1, 1, 256),
            "shortcut_stride": 2,
        }  # fmt: skip
    sm90.check(
        shipped.claim,
        lambda: b2b(x, first, second, before, before, after, after, config=shipped.config, **P1, **how),
    )
