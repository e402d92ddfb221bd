"""`dw_pw` against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

from unittest import mock

import pytest
import sm90
import torch
from archdsl.kernels import dw_pw as module
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.dw_pw import CONFIGS, dw_pw, reference
from proof import RELATIVE, Poisoned, doubled, drawn, fresh, placed

SMALL = Config(32, 16, 16, 4, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32
ROUNDED_BETWEEN = {dtype: limit * (1.5 if dtype == FP32 else 1.8) for dtype, limit in RELATIVE.items()}
"""The tensor between is rounded once more before it is multiplied."""


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    kernel: int,
    *,
    dtype: torch.dtype = BF16,
    slices: bool = False,
    affine: bool = True,
    residual: bool = False,
    **how: object,
) -> None:
    fresh()
    c, k = channels
    x = drawn(n, *size, c, dtype=dtype)
    taps, weight = (
        drawn(kernel, kernel, c, dtype=dtype, size=1 / kernel),
        drawn(k, 1, 1, c, dtype=dtype, size=c**-0.5),
    )
    vectors = [torch.rand(c) + 0.5, torch.randn(c) + 1.0, torch.rand(k) - 0.3, torch.randn(k)]
    vectors = vectors if affine else [None] * 4
    given = {name: v for name, v in how.items() if name not in ("form", "config", "precision")}
    truth = reference(*doubled(x, taps, weight, *vectors), **given)
    if residual:
        more = drawn(*truth.shape, dtype=dtype)
        how["residual"] = placed(more, k + 8 if slices else None)
        truth = reference(*doubled(x, taps, weight, *vectors), residual=more.double(), **given)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    result = dw_pw(placed(x, c + 16, 8) if slices else x, taps, weight, *vectors, out=y.view, **how)
    assert result is y.view
    y.check(truth, ROUNDED_BETWEEN[dtype])


P1 = {"padding": (1, 1, 1, 1), "pre_act": "relu6"}
P2 = {"padding": (2, 2, 2, 2), "pre_act": "silu"}


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (7, 5), (24, 40), 3, {**P1, "residual": True, "slices": True}),
        (3, (4, 6), (16, 24), 5, {**P2, "dtype": FP16, "residual": True, "act": "relu"}),
        (1, (6, 6), (20, 12), 3, {"padding": (0, 2, 1, 0), "dtype": FP32, "affine": False}),
        (2, (6, 8), (24, 16), 3, {**P1, "stride": 2, "slices": True}),
        (1, (8, 6), (16, 24), 5, {**P2, "stride": 2, "residual": True}),
        (2, (8, 8), (16, 8), 3, {"stride": 2, "padding": (0, 1, 0, 1), "pre_act": "relu", "dtype": FP16}),
    ],
    ids=str,
)
def test_tma(n: int, size: tuple[int, int], channels: tuple[int, int], kernel: int, how: dict) -> None:
    compare(n, size, channels, kernel, **{"form": "tma", "config": SMALL, **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (7, 5), (24, 40), 3, {**P1, "residual": True, "slices": True}),
        (1, (9, 7), (13, 7), 3, {**P1, "stride": 2, "dtype": FP16, "residual": True}),
        (2, (7, 7), (21, 9), 5, {**P2, "stride": 2, "dtype": FP32}),
        (1, (8, 9), (16, 16), 3, {"stride": 3, "padding": (2, 0, 1, 1), "act": "hswish"}),
    ],
    ids=str,
)
def test_pointer(n: int, size: tuple[int, int], channels: tuple[int, int], kernel: int, how: dict) -> None:
    compare(n, size, channels, kernel, **{"form": "pointer", "config": SMALL, **how})


def test_rules_choose_and_wide_offsets() -> None:
    compare(2, (6, 6), (24, 16), 3, residual=True, **P1)
    compare(2, (7, 7), (24, 16), 3, stride=2, **P1)
    with mock.patch.object(module, "wide", return_value=True):
        compare(2, (5, 5), (12, 9), 3, form="pointer", config=SMALL, residual=True, **P1)


def test_refusals() -> None:
    x, taps, weight = drawn(1, 6, 5, 8), drawn(3, 3, 8), drawn(8, 1, 1, 8)
    for said, change in {
        "the form 'tma' can't do it: the stride is 3": {"form": "tma", "stride": 3},
        "height and width must be even, not 6 and 5": {"form": "tma", "stride": 2},
        "no form is called 'fast'": {"form": "fast"},
        r"depthwise must be \[R, S, C\]": {"depthwise": drawn(8, 3, 3, 1)},
        "pre_bias must be 8 fp32": {"pre_bias": torch.ones(7)},
        "residual must be": {"residual": drawn(1, 6, 5, 8)},
        "x has a pixel every 18 bytes": {"form": "tma", "x": drawn(1, 6, 5, 9)[..., :8]},
        "product is bm": {"config": SMALL._replace(box=(1, 4, 4))},
    }.items():
        with pytest.raises(ValueError, match=said):
            dw_pw(**{"x": x, "depthwise": taps, "weight": weight, **change})


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("form", "shipped", "stride"),
    [(form, s, 1 + i % 2) for form, table in CONFIGS.items() for i, s in enumerate(table)],
    ids=str,
)
def test_compiles(form: str, shipped: Shipped, stride: int) -> None:
    x, taps, weight = sm90.empty(128, 28, 28, 192), sm90.empty(3, 3, 192), sm90.empty(64, 1, 1, 192)
    before, after = sm90.empty(192, dtype=FP32), sm90.empty(64, dtype=FP32)
    residual = sm90.empty(128, 28 // stride, 28 // stride, 64)
    sm90.check(
        shipped.claim,
        lambda: dw_pw(
            x, taps, weight, before, before, after, after, stride=stride, residual=residual, form=form,
            config=shipped.config, **P1,
        ),
    )  # fmt: skip
