"""`pool` and `gap` against torch's own layers in float64, and what they compile to."""

from __future__ import annotations

from unittest import mock

import pytest
import sm90
import torch
from archdsl.kernels import gap as means
from archdsl.kernels import pool as module
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.gap import gap
from archdsl.kernels.pool import pool, reference
from proof import Poisoned, doubled, drawn, fresh, placed
from torch.nn import functional as F

SMALL = Config(16, 16, 1, 4, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    c: int,
    kind: str,
    kernel: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    slices: bool = False,
    ceil: bool = False,
    **how: object,
) -> None:
    """Against torch's layer too, where it has such a padding. Numbers are below 0, where padding would win."""
    fresh()
    x = -(drawn(n, *size, c, dtype=dtype).abs() + 0.1)
    top, bottom, left, right = how.get("padding", (0, 0, 0, 0))
    stride, given = how["stride"], {name: v for name, v in how.items() if name != "config"}
    if (top, left) == (bottom, right) and top <= kernel[0] // 2 and left <= kernel[1] // 2:
        image, pad = x.double().permute(0, 3, 1, 2), (top, left)
        if kind == "max":
            torchs = F.max_pool2d(image, kernel, stride, pad, how.get("dilation", 1), ceil)
        else:
            torchs = F.avg_pool2d(image, kernel, stride, pad, ceil, how.get("include_pad", True))
        how["size"] = given["size"] = tuple(torchs.shape[2:])
        truth = reference(x.double(), kind, kernel, **given)
        assert (truth - torchs.permute(0, 2, 3, 1)).abs().max() < 1e-12
    truth = reference(x.double(), kind, kernel, **given)
    y = Poisoned(*truth.shape, dtype=dtype, wide=c + 5 if slices else None, at=3 if slices else 0)
    result = pool(placed(x, c + 4, 1) if slices else placed(x), kind, kernel, out=y.view, **how)
    assert result is y.view
    y.check(truth)


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(
    ("size", "c", "kernel", "how"),
    [
        ((7, 9), 21, (3, 3), {"stride": (2, 2), "padding": (1, 1, 1, 1), "slices": True}),
        ((8, 6), 8, (3, 3), {"stride": (2, 2), "ceil": True}),
        ((7, 7), 17, (2, 3), {"stride": (2, 3), "padding": (1, 1, 0, 0), "ceil": True, "dtype": FP32}),
        ((6, 5), 16, (3, 3), {"stride": (1, 1), "padding": (0, 1, 1, 0), "dtype": FP16}),
    ],
    ids=str,
)
def test_pool(kind: str, size: tuple[int, int], c: int, kernel: tuple[int, int], how: dict) -> None:
    compare(2, size, c, kind, kernel, **{"config": SMALL, **how})


def test_more_windows() -> None:
    """What only one of the kinds has, and what the rules choose."""
    compare(1, (9, 8), 10, "max", (3, 2), stride=(1, 2), dilation=(2, 3), padding=(1, 1, 1, 1))
    compare(1, (7, 6), 5, "avg", (3, 3), stride=(2, 2), padding=(1, 1, 1, 1), include_pad=False, ceil=True)
    compare(1, (5, 5), 70, "max", (5, 5), stride=(1, 1), padding=(2, 2, 2, 2))
    with mock.patch.object(module, "wide", return_value=True):
        compare(2, (5, 5), 6, "max", (2, 2), stride=(2, 2), slices=True)


@pytest.mark.parametrize(
    ("n", "size", "c", "how"),
    [
        (3, (7, 5), 21, {"act": "relu"}),
        (2, (3, 3), 40, {"dtype": FP16, "act": "silu", "config": None}),
        (1, (9, 9), 16, {"dtype": FP32, "affine": False}),
        (2, (1, 1), 7, {"act": "hsigmoid", "config": None}),
    ],
    ids=str,
)
def test_gap(n: int, size: tuple[int, int], c: int, how: dict) -> None:
    fresh()
    dtype, affine, config = how.pop("dtype", BF16), how.pop("affine", True), how.pop("config", SMALL)
    x, vectors = (
        drawn(n, *size, c, dtype=dtype),
        [torch.randn(c), torch.randn(c) + 2.0] if affine else [None, None],
    )
    y = Poisoned(n, 1, 1, c, dtype=dtype, wide=c + 9, at=4)
    gap(placed(x, c + 3, 2), *vectors, out=y.view, config=config, **how)
    y.check(means.reference(*doubled(x, *vectors), **how))


def test_refusals() -> None:
    x = drawn(1, 5, 5, 8)
    for said, change in {
        "kind must be one of max, avg": {"kind": "min"},
        "height: of 3 windows of 2, stride 3, one sees nothing of 5": {"stride": (3, 3), "size": (3, 1)},
        "width: of 8 windows of 2, stride 1, one sees nothing": {"padding": (0, 0, 2, 2), "stride": (1, 1)},
        "height: a window of 6 does not fit": {"kernel": (6, 2)},
        "out must be": {"out": x},
    }.items():
        with pytest.raises(ValueError, match=said):
            pool(**{"x": x, "kind": "max", "kernel": (2, 2), "stride": (2, 2), **change})
    with pytest.raises(ValueError, match="shift must be 8 fp32"):
        gap(x, torch.ones(8), torch.ones(9))


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", module.CONFIGS, ids=lambda s: str(s.config))
def test_compiles(shipped: Shipped) -> None:
    x = sm90.empty(128, 28, 28, 192)
    how = {"stride": (2, 2), "padding": (1, 1, 1, 1), "config": shipped.config}
    for kind in ("max", "avg"):
        sm90.check(shipped.claim, lambda kind=kind: pool(x, kind, (3, 3), **how))


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", means.CONFIGS, ids=lambda s: str(s.config))
def test_gap_compiles(shipped: Shipped) -> None:
    x, vector = sm90.empty(128, 7, 7, 1024), sm90.empty(1024, dtype=FP32)
    sm90.check(shipped.claim, lambda: gap(x, vector, vector, act="relu", config=shipped.config))
