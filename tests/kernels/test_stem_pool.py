"""`stem_pool`."""

from __future__ import annotations

from unittest import mock

import pytest
import test_stem
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.stem import packed
from archdsl.kernels.stem_pool import reference, stem_pool
from proof import affine, drawn

SMALL = Config(64, 32, 32, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    window: tuple[int, int],
    *,
    negative: bool = False,
    pooled: tuple[int, int] | None = None,
    **how: object,
) -> None:
    """As `test_stem.compare`; negative: all before the pool is below 0, where padding would win; pooled: the output's
    size."""

    def launch(*operands: torch.Tensor, **how: object) -> torch.Tensor:
        return stem_pool(*operands, size=pooled, **how)

    def checked(*operands: torch.Tensor, **how: object) -> torch.Tensor:
        y = reference(*operands, size=pooled, **how)
        assert not negative or y.max() < 0
        return y

    low = mock.patch.object(test_stem, "affine", lambda k: affine(k, 0.5, -12.0 if negative else 0.0))
    with low:
        test_stem.compare(n, size, channels, window, launcher=launch, definition=checked, **how)


P3 = {"padding": (3, 3, 3, 3)}


@pytest.mark.parametrize(
    ("n", "size", "channels", "window", "how"),
    [
        (2, (14, 17), (3, 40), (7, 7), {**P3, "act": "relu", "pool_padding": (1, 1), "slices": 8}),
        (1, (16, 16), (3, 8), (7, 7), {**P3, "negative": True, "pooled": (4, 4), "nchw": True}),
        (1, (12, 12), (4, 16), (7, 7), {**P3, "negative": True, "pool_padding": (1, 1), "dtype": FP16, "x": FP16}),
        (2, (9, 8), (3, 16), (3, 3), {"padding": (1, 1, 0, 1), "stride": (1, 2), "pool": 2, "dtype": FP32, "x": FP32}),
        (1, (13, 13), (3, 16), (7, 7), {**P3, "x": torch.uint8, "normalize": True, "pool_padding": (1, 1)}),
        (1, (12, 12), (3, 16), (7, 7), {**P3, "act": "relu", "config": None}),
    ],
    ids=str,
)  # fmt: skip
def test_stem_pool(
    n: int, size: tuple[int, int], channels: tuple[int, int], window: tuple[int, int], how: dict
) -> None:
    compare(n, size, channels, window, **{"config": SMALL, **how})


def test_refusals() -> None:
    x, weight = drawn(1, 12, 12, 3), packed(drawn(8, 7, 7, 3))
    for said, change in {
        "pool must be 2 or 3, not 4": {"pool": 4},
        "5 taps of 3 channels are not packed in rows of 32": {"taps": 5},
        "out must be of torch.bfloat16": {"out": drawn(1, 2, 2, 8, dtype=FP32)},
        "a configuration of bk 64 does not do rows of 32": {"config": SMALL._replace(bk=64)},
        "longer than 64": {"x": drawn(1, 12, 12, 12), "weight": packed(drawn(8, 7, 7, 12))},
        "x must be images": {"x": x.double()},
        "has no 9 windows": {"size": (9, 9)},
    }.items():
        with pytest.raises(ValueError, match=said):
            stem_pool(**{"x": x, "weight": weight, "taps": 7, **change})
