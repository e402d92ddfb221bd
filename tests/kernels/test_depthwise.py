"""`depthwise`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.depthwise import depthwise, new_sums, reference
from proof import Poisoned, affine, drawn, prove

SMALL = Config(16, 16, 1, 1, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    c: int,
    window: int,
    multiplier: int = 1,
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    sums: bool = False,
    config: Config | None = SMALL,
    **how: object,
) -> None:
    """plain: without scale and bias; sums: of boxes of pixels too."""
    k = c * multiplier
    x, weight = drawn(n, *size, c, dtype=dtype), drawn(window, window, k, dtype=dtype, size=1 / window)
    vectors = (None, None) if plain else affine(k)
    prove(depthwise, reference, x, weight, *vectors, config=config, **how)
    if sums:
        prove(boxes_too, means, x, weight, *vectors, config=config, dtype=FP32, **how)


def boxes_too(
    *operands: torch.Tensor, out: torch.Tensor, config: Config | None, **how: object
) -> torch.Tensor:
    """The sums of boxes as the kernel writes them, added up for each image."""
    room = Poisoned(*new_sums(reference(*operands, **how), config).shape, dtype=FP32)
    assert room.view.shape[1] > 1, "one box shows nothing"
    depthwise(*operands, config=config, sums=room.view, **how)
    assert room.buffer[room.outside].isnan().all()
    return out.copy_(room.view.sum(1))


def means(*operands: torch.Tensor, **how: object) -> torch.Tensor:
    return reference(*operands, **how).sum((1, 2))


@pytest.mark.parametrize(
    ("n", "size", "c", "window", "how"),
    [
        (2, (9, 7), 24, 3, {"padding": (1, 1, 1, 1), "act": "relu6", "slices": 8, "sums": True}),
        (1, (8, 9), 20, 3, {"padding": (0, 1, 2, 1), "stride": (2, 2), "act": "hswish"}),
        (4, (5, 6), 16, 5, {"padding": (2, 2, 2, 2), "act": "silu", "dtype": FP16, "sums": True}),
        (1, (9, 9), 8, 5, {"padding": (2, 1, 1, 2), "stride": (2, 1), "dtype": FP32}),
        (1, (9, 7), 17, 7, {"padding": (3, 3, 3, 3), "stride": (2, 2), "plain": True, "slices": 8}),
        (1, (9, 9), 8, 3, {"padding": (2, 2, 3, 3), "dilation": (2, 3)}),
        (2, (5, 5), 6, 3, {"padding": (1, 1, 1, 1), "multiplier": 3, "act": "relu", "sums": True}),
        (3, (7, 7), 40, 3, {"padding": (1, 1, 1, 1), "config": None, "act": "gelu"}),
        (2, (3, 3), 16, 3, {"padding": (1, 1, 1, 1), "config": SMALL._replace(box=(1, 8, 2))}),
        (2, (1, 1), 16, 1, {}),
    ],
    ids=str,
)
def test_depthwise(n: int, size: tuple[int, int], c: int, window: int, how: dict) -> None:
    compare(n, size, c, window, **how)


X, W = torch.zeros(1, 8, 8, 16, dtype=BF16), torch.zeros(3, 3, 16, dtype=BF16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"weight": W[..., :8]}, "K a multiple of 16"),
        ({"weight": W.float()}, "weight must be dense"),
        ({"x": X[:, :2]}, "height: a window of 3"),
        ({"out": X}, "out must be"),
        ({"sums": torch.zeros(1, 2, 16)}, r"sums must be \[1, 3, 16\] of fp32"),
        ({"config": SMALL._replace(box=(2, 2, 4))}, "of one image"),
        ({"act": "mish"}, "no activation is called 'mish'"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_refusals(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        depthwise(**{"x": X, "weight": W, "config": SMALL, **arguments})
