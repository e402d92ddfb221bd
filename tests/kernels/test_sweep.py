"""Drawn layers of every kernel, far more than the other tests have: odd sizes and channels, every padding, stride, dtype,
epilogue and layout, by small tiles and by what the rules choose."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import test_b2b
import test_bnrelu_conv1
import test_conv
import test_conv_gap
import test_conv_pool
import test_depthwise
import test_dual
import test_dw_pw
import test_gap
import test_gemm
import test_pointwise
import test_pool
import test_pool_conv1
import test_scaled_conv1
import test_siblings
import test_squeeze
import test_stem
import test_stem_pool
import torch
from archdsl.kernels import table
from archdsl.kernels._common import ACTIVATIONS

DRAWS = 60
IMPOSSIBLE = "does not fit|has no|sees nothing|holds no|Kernel size can't be greater|Output size is too small"
"""A window larger than the image, which the layer could not have."""


def below(limit: int) -> int:
    return int(torch.randint(limit, ()))


def pick(*options: Any) -> Any:
    return options[below(len(options))]


def side() -> int:
    return 1 + below(11)


def size() -> tuple[int, int]:
    return side(), side()


def even() -> tuple[int, int]:
    return 2 + 2 * below(5), 2 + 2 * below(5)


def odd() -> int:
    """Channels as they come; of fewer than 8 numbers the reference's own error says nothing."""
    return 8 + below(33)


def whole(dtype: torch.dtype) -> int:
    """Channels on 16 bytes."""
    return 8 * (1 + below(5)) if dtype.itemsize == 2 else 8 + 4 * below(5)


def pads() -> tuple[int, int, int, int]:
    return below(3), below(3), below(3), below(3)


def some(dtype: torch.dtype, **more: Any) -> dict[str, Any]:
    """What every kernel is told. more: True stands for a coin."""
    drawn = {name: pick(True, False) if value is True else value for name, value in more.items()}
    unit = 8 if dtype.itemsize == 2 else 4
    return {
        "dtype": dtype,
        "act": pick(*ACTIVATIONS),
        "plain": pick(True, False),
        "slices": pick(0, unit),
        **drawn,
    }


def dtype() -> torch.dtype:
    return pick(torch.bfloat16, torch.float16, torch.float32)


def config(test: Any) -> dict[str, Any]:
    return {"config": pick(test.SMALL, None)}


def draw_conv(dt: torch.dtype) -> None:
    groups = pick(1, 1, 1, 2, 3)
    how = some(dt, residual=True, groups=groups, padding=pads(), dilation=(1 + below(2), 1 + below(3)))
    how["stride"] = pick((1, 1), (1, 1), (2, 2), (2, 2), (1, 3), (4, 2))
    channels = pick((groups * odd(), groups * odd()), (groups * whole(dt), groups * whole(dt)))
    if channels[0] % 8:
        how["slices"] = pick(0, 1)
    if how["stride"] == (2, 2) and channels[0] % 8 == 0:
        how |= pick({}, {"config": test_conv.SMALL})
    test_conv.compare(pick(1, 2, 5), pick(size(), even()), channels, (pick(1, 2, 3, 5), pick(1, 3)), **how)


def draw_gemm(dt: torch.dtype) -> None:
    how = some(dt, residual=True, precision="tf32") | config(test_gemm)
    test_gemm.compare((pick(1, 3), *size()), (whole(dt), whole(dt)), **how)


def draw_dual(dt: torch.dtype) -> None:
    how = some(dt, stride=(1 + below(3), 1 + below(3)), precision="tf32") | config(test_dual)
    test_dual.compare(pick(1, 3), size(), (whole(dt), whole(dt), whole(dt)), **how)


def draw_b2b(dt: torch.dtype) -> None:
    stride, shape, pad = pick(1, 2), even(), pick(0, 1)
    how = some(dt, residual=True, stride=stride, padding=(pad,) * 4, pre_act=pick(*ACTIVATIONS)) | config(
        test_b2b
    )
    after = [(s + 2 * pad - 3) // stride + 1 for s in shape]
    if min(after) > 0 and pick(True, False):
        step = pick(1, 2)
        how |= {"shortcut": (after[0] * step, after[1] * step, whole(dt)), "shortcut_stride": step}
    c = 16 * pick(1, 2) if stride == 2 else whole(dt)
    test_b2b.compare(pick(1, 3), shape, (c, whole(dt), whole(dt)), 3, **how)


def draw_bnrelu_conv1(dt: torch.dtype) -> None:
    pool, shape = pick(1, 1, 2, 3), (3 + below(8), 3 + below(8))
    form = "pointer" if pool > 1 else pick("tma", "pointer")
    how = some(dt, pool=pool, form=form, pre_act=pick(*ACTIVATIONS)) | config(test_bnrelu_conv1)
    channels = (whole(dt), whole(dt)) if form == "tma" else (odd(), odd())
    test_bnrelu_conv1.compare(pick(1, 3), shape, channels, **how)


def draw_scaled_conv1(dt: torch.dtype) -> None:
    form = pick("tma", "pointer")
    how = some(dt, residual=True, form=form) | config(test_scaled_conv1)
    channels = (whole(dt), whole(dt)) if form == "tma" else (odd(), odd())
    test_scaled_conv1.compare(pick(1, 3), size(), channels, **how)


def tail(shape: tuple[int, int]) -> dict[str, Any]:
    then = pick("none", "gap", "maxpool2", "maxpool3")
    if then == "gap" and shape[0] * shape[1] > 16:
        then = "none"
    return {"then": then, "padding": (below(2), below(2))} if then.startswith("max") else {"then": then}


def draw_siblings(dt: torch.dtype) -> None:
    shape = size()
    how = some(dt) | tail(shape) | config(test_siblings)
    channels = tuple(odd() for _ in range(pick(2, 3, 4)))
    test_siblings.compare(pick(1, 3), shape, whole(dt), channels, **how)


def draw_pool_conv1(dt: torch.dtype) -> None:
    shape = size()
    how = some(dt, kernel=pick(1, 3, 5), below=pick(0.0, 0.5)) | tail(shape) | config(test_pool_conv1)
    test_pool_conv1.compare(pick(1, 3), shape, (whole(dt), odd()), **how)


def draw_depthwise(dt: torch.dtype) -> None:
    how = some(dt, padding=pads(), stride=(1 + below(3), 1 + below(2)), dilation=(1 + below(2), 1 + below(2)))
    how |= {"slices": pick(0, 1, 8)} | config(test_depthwise)
    test_depthwise.compare(pick(1, 3), size(), odd(), pick(1, 2, 3, 5), pick(1, 1, 2), **how)


def draw_dw_pw(dt: torch.dtype) -> None:
    form = pick("tma", "pointer")
    stride = pick(1, 2) if form == "tma" else pick(1, 2, 3)
    how = some(
        dt, residual=True, form=form, stride=stride, padding=pads(), pre_act=pick(*ACTIVATIONS)
    ) | config(test_dw_pw)
    channels = (whole(dt), whole(dt)) if form == "tma" else (odd(), odd())
    test_dw_pw.compare(pick(1, 3), even() if form == "tma" else size(), channels, pick(2, 3, 5), **how)


def draw_image(dt: torch.dtype) -> dict[str, Any]:
    how = some(dt, padding=pads(), stride=(1 + below(4), 1 + below(3)), normalize=True, nchw=True)
    return how | {"x": pick(torch.uint8, torch.float32, dt), "slices": pick(0, 1, 8)}


def draw_stem(dt: torch.dtype) -> None:
    how = draw_image(dt) | config(test_stem)
    test_stem.compare(pick(1, 3), size(), (1 + below(4), odd()), (pick(1, 3, 5), pick(1, 3, 7)), **how)


def draw_stem_pool(dt: torch.dtype) -> None:
    how = draw_image(dt) | config(test_stem_pool) | {"pool": pick(2, 3), "pool_padding": (below(2), below(2))}
    test_stem_pool.compare(pick(1, 3), size(), (1 + below(4), odd()), (pick(1, 3, 5), pick(1, 3, 7)), **how)


def draw_conv_pool(dt: torch.dtype) -> None:
    how = some(dt, padding=pads(), dilation=(1 + below(2), 1 + below(2))) | config(test_conv_pool)
    how |= {"pool": pick(2, 3), "pool_padding": (below(2), below(2))}
    test_conv_pool.compare(pick(1, 3), size(), (whole(dt), odd()), pick(1, 2, 3, 5), **how)


def draw_conv_gap(dt: torch.dtype) -> None:
    how = some(dt, residual=True, padding=pads(), dilation=(1 + below(2), 1 + below(2))) | config(
        test_conv_gap
    )
    test_conv_gap.compare(pick(1, 3), size(), (whole(dt), whole(dt)), pick(1, 2, 3), **how)


def draw_pool(dt: torch.dtype) -> None:
    window, stride, (h, w) = (pick(2, 3, 5), pick(2, 3)), (1 + below(3), 1 + below(3)), (side(), side())
    padding = (below(2), below(2)) * 2
    how = {"dtype": dt, "stride": stride, "padding": (padding[0], padding[0], padding[1], padding[1])}
    kind = pick("max", "avg")
    how |= {"ceil": pick(True, False), "slices": pick(0, 1, 8)} | config(test_pool)
    if kind == "avg":
        how["include_pad"] = pick(True, False)
    if h + 2 * padding[0] >= window[0] and w + 2 * padding[1] >= window[1]:
        test_pool.compare(pick(1, 3), (h, w), odd(), kind, window, **how)


def draw_gap(dt: torch.dtype) -> None:
    test_gap.compare((pick(1, 3), *size(), odd()), **some(dt) | {"slices": pick(0, 1, 8)} | config(test_gap))


def draw_pointwise(dt: torch.dtype) -> None:
    how = some(dt, residual=True, factor=True, pre_act=pick(*ACTIVATIONS)) | config(test_pointwise)
    test_pointwise.compare((pick(1, 3), *size(), odd()), **how | {"slices": pick(0, 1, 8)})


def draw_squeeze(dt: torch.dtype) -> None:
    how = some(dt, pre_act=pick(*ACTIVATIONS), area=pick(1, 9)) | config(test_squeeze)
    test_squeeze.compare(pick(1, 17), 1 + below(4), (odd(), odd(), odd()), **how)


DRAWN: dict[str, Callable[[torch.dtype], None]] = {
    name.removeprefix("draw_"): function
    for name, function in list(globals().items())
    if name.startswith("draw_") and name != "draw_image"
}


def test_every_kernel_is_drawn() -> None:
    assert set(DRAWN) == set(table.TABLE)


@pytest.mark.parametrize("kernel", [pytest.param(name, marks=pytest.mark.nightly) for name in DRAWN])
def test_drawn_layers(kernel: str) -> None:
    fits = 0
    for _ in range(DRAWS):
        try:
            DRAWN[kernel](dtype())
            fits += 1
        except (ValueError, RuntimeError) as refused:  # RuntimeError: torch's, of the reference
            if not re.search(IMPOSSIBLE, str(refused)):
                raise
        except AssertionError as wrong:
            if "all zeros" not in str(wrong):  # as an activation may make of a few numbers
                raise
    assert fits >= DRAWS // 2, f"only {fits} of {DRAWS} layers could be"
