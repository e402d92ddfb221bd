"""Offsets past 2^31 numbers: images that lie so far apart that the last is beyond what an int32 counts, for every kernel
that computes addresses itself. Their memory is asked for, and never touched but at the pixels."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

import pytest
import torch
from archdsl.kernels import table
from archdsl.kernels._launch import Config, wide
from archdsl.kernels.stem import packed
from proof import affine, drawn, prove, weights

FAR = 2**30 + 64
"""Numbers from an image, of one pixel, to the next: the third lies past 2^31."""

UNRESERVED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
SMALL = Config(16, 16, 16, 4, 1)
FP16 = torch.float16


def far(values: torch.Tensor) -> torch.Tensor:
    """values [3, 1, 1, C], laid FAR apart."""
    room = mmap.mmap(-1, 3 * FAR * values.element_size(), flags=UNRESERVED)
    laid = torch.frombuffer(room, dtype=values.dtype).as_strided(values.shape, (FAR, FAR, FAR, 1))
    assert wide(laid)
    return laid.copy_(values)


def apart(launcher: Callable[..., Any], which: str) -> Callable[..., Any]:
    """The launcher, with x, the residual or the outputs far apart: each alone must be enough to be seen as wide."""

    def launch(x: torch.Tensor, *operands: Any, out: Any, **how: Any) -> Any:
        if which == "residual":
            how["residual"] = far(how["residual"])
        if which != "out":
            return launcher(far(x) if which == "x" else x, *operands, out=out, **how)
        several = isinstance(out, list)
        outs = [far(y) for y in (out if several else [out])]
        launcher(x, *operands, out=outs if several else outs[0], **how)
        for y, made in zip(out if several else [out], outs, strict=True):
            y.copy_(made)
        return out

    return launch


def one(channels: int = 8) -> torch.Tensor:
    return weights(8, 1, 1, channels, dtype=FP16)


def of_stem(launcher: Callable[..., Any]) -> Callable[..., Any]:
    def launch(x: torch.Tensor, weight: torch.Tensor, *vectors: Any, **how: Any) -> Any:
        return launcher(x, packed(weight), *vectors, taps=1, **how)

    return launch


POINTER, BOTH, ALL = {"form": "pointer"}, ("x", "out"), ("x", "out", "residual")
CASES: dict[str, tuple[Callable[[], list[Any]], dict[str, Any], tuple[str, ...]]] = {
    "conv": (lambda: [one(), *affine(8)], {**POINTER, "residual": True}, ALL),
    "depthwise": (lambda: [drawn(1, 1, 8, dtype=FP16), *affine(8)], {}, BOTH),
    "pool": (lambda: ["max", (1, 1)], {"stride": (1, 1)}, BOTH),
    "gap": (lambda: [*affine(8)], {}, BOTH),
    "pointwise": (lambda: [*affine(8)], {"residual": True}, ALL),
    "dw_pw": (lambda: [drawn(1, 1, 8, dtype=FP16), one()], {**POINTER, "residual": True}, ALL),
    "bnrelu_conv1": (lambda: [one(), *affine(8)], POINTER, BOTH),
    "scaled_conv1": (lambda: [drawn(3, 1, 1, 8, dtype=FP16), one()], {**POINTER, "residual": True}, ALL),
    "stem": (lambda: [one()], {"stride": (1, 1)}, BOTH),
    "stem_pool": (lambda: [one()], {"stride": (1, 1), "pool": 2, "pool_padding": (1, 1)}, BOTH),
    "conv_pool": (
        lambda: [one()],
        {"pool": 3, "pool_padding": (1, 1), "config": SMALL._replace(bm=64)},
        ("out",),
    ),
    "conv_gap": (lambda: [one()], {}, ("out",)),
    "pool_conv1": (lambda: [one()], {}, ("out",)),
    "siblings": (lambda: [weights(12, 1, 1, 8, dtype=FP16), (8, 4)], {}, ("out",)),
}
BY_DESCRIPTORS = {"gemm", "dual", "b2b"}
"""The copy engine counts rows, not numbers; and `squeeze` counts in int64 always."""


@pytest.mark.parametrize(
    ("name", "which"), [(name, which) for name, case in CASES.items() for which in case[2]]
)
def test_far_images(name: str, which: str) -> None:
    operands, how, _ = CASES[name]
    kernel = next(kernel for kernel in table.KERNELS if table.name_of(kernel) == name)
    launcher = apart(table.LAUNCHERS[name], which)
    if name in ("stem", "stem_pool"):
        launcher = of_stem(launcher)
    prove(launcher, kernel.reference, drawn(3, 1, 1, 8, dtype=FP16), *operands(), **{"config": SMALL, **how})


def test_every_kernel_is_among_them() -> None:
    assert set(CASES) | BY_DESCRIPTORS | {"squeeze"} == set(table.TABLE)
