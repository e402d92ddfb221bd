"""`pool`, and its reference against torch's own layers."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.pool import pool, reference
from proof import drawn, prove
from torch.nn import functional as F

SMALL = Config(16, 16, 1, 4, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    c: int,
    kind: str,
    window: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    ceil: bool = False,
    **how: object,
) -> None:
    """The reference is compared with torch's layer too, where that has such a padding. Numbers are below 0, where padding
    would win."""
    x = -(drawn(n, *size, c, dtype=dtype).abs() + 0.1)
    top, bottom, left, right = how.get("padding", (0, 0, 0, 0))
    if (top, left) == (bottom, right) and top <= window[0] // 2 and left <= window[1] // 2:
        given = {name: v for name, v in how.items() if name not in ("config", "slices")}
        image, pad = x.double().permute(0, 3, 1, 2), (top, left)
        if kind == "max":
            torchs = F.max_pool2d(image, window, how["stride"], pad, how.get("dilation", 1), ceil)
        else:
            torchs = F.avg_pool2d(image, window, how["stride"], pad, ceil, how.get("include_pad", True))
        how["size"] = given["size"] = tuple(torchs.shape[2:])
        truth = reference(x.double(), kind, window, **given)
        assert (truth - torchs.permute(0, 2, 3, 1)).abs().max() < 1e-12
    prove(pool, reference, x, kind, window, **how)


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(
    ("size", "c", "window", "how"),
    [
        ((7, 9), 21, (3, 3), {"stride": (2, 2), "padding": (1, 1, 1, 1), "slices": 3}),
        ((8, 6), 8, (3, 3), {"stride": (2, 2), "ceil": True}),
        ((7, 7), 17, (2, 3), {"stride": (2, 3), "padding": (1, 1, 0, 0), "ceil": True, "dtype": FP32}),
        ((6, 5), 16, (3, 3), {"stride": (1, 1), "padding": (0, 1, 1, 0), "dtype": FP16}),
    ],
    ids=str,
)
def test_pool(kind: str, size: tuple[int, int], c: int, window: tuple[int, int], how: dict) -> None:
    compare(2, size, c, kind, window, **{"config": SMALL, **how})


def test_more_windows() -> None:
    """What only one of the kinds has, and what the rules choose."""
    compare(1, (9, 8), 10, "max", (3, 2), stride=(1, 2), dilation=(2, 3), padding=(1, 1, 1, 1))
    compare(1, (7, 6), 5, "avg", (3, 3), stride=(2, 2), padding=(1, 1, 1, 1), include_pad=False, ceil=True)
    compare(1, (5, 5), 70, "max", (5, 5), stride=(1, 1), padding=(2, 2, 2, 2))


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
