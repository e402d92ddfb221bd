"""The tests can fail: kernels with a mask, a stride, a padding or a residual broken are shown to them."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import archdsl.kernels
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

NUMBERS = count()


class Break(NamedTuple):
    """In a file `old` becomes `new`; then what `test` compares, with these arguments, must fail."""

    file: str
    old: str
    new: str
    test: ModuleType
    arguments: tuple[Any, ...]
    how: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.file}: {self.old} -> {self.new}"


SAME, SLICED = {"padding": (1, 1, 1, 1)}, {"slices": 8, "residual": True}
POINTER = {"form": "pointer", "config": test_conv.SMALL, **SAME}
TMA = {"form": "tma", "config": test_conv.SMALL, **SAME}
HALF = {"dtype": torch.float16}
EVERY = 16, 16

BREAKS = [
    Break("conv_pointer", " & (iw < W)", "", test_conv, (1, (5, 5), EVERY, (3, 3)), POINTER),
    Break("conv_pointer", "oh * SH", "oh * SW", test_conv, (1, (5, 7), EVERY, (3, 3)), {**POINTER, "stride": (1, 2)}),
    Break("conv_pointer", "(at * RP)", "(at * YP)", test_conv, (1, (5, 5), EVERY, (3, 3)), {**POINTER, **SLICED}),
    Break("conv_pointer", "[:, None] & (j < KG)[None, :]\n", "[:, None] & (j < BN)[None, :]\n", test_conv,
          (1, (4, 4), (16, 9), (3, 3)), POINTER),
    Break("conv_pointer", "group * KG + j", "j", test_conv, (1, (4, 4), (16, 8), (3, 3)), {**POINTER, "groups": 2}),
    Break("conv_tma", "(tap // S) * DH - PH\n            dx", "(tap // S) * DH\n            dx", test_conv,
          (1, (5, 5), EVERY, (3, 3)), TMA),
    Break("conv_tma", "c0 = group * CG", "c0 = group * 0", test_conv, (1, (4, 4), (32, 32), (3, 3)), {**TMA, "groups": 2}),
    Break("conv_planes", "if (r * DH + PH) % 2 == 0", "if (r * DH + PH) % 2 == 1", test_conv, (1, (7, 7), EVERY, (3, 3)),
          {**TMA, "form": "planes", "stride": (2, 2)}),
    Break("_common", "acc += residual.to(tl.float32)", "acc += 0.0", test_gemm, ((1, 4, 4), EVERY),
          {"residual": True, "config": test_gemm.SMALL}),
    Break("_common", "h0, w0, k0 + BN // 2, K, BI", "h0, w0, k0, K, BI", test_gemm, ((1, 4, 4), (16, 136)),
          {"config": test_gemm.Config(32, 128, 16, 1, 2)}),
    Break("_common", "(dx & 1) * PITCH", "(dx & 1) * BK", test_conv, (1, (6, 6), EVERY, (3, 3)),
          {**TMA, "stride": (2, 2), "slices": 8}),
    Break("_common", "inside % height, inside // height", "inside // height, inside % height", test_gemm,
          ((1, 4, 4), (16, 40)), {"config": test_gemm.SMALL}),
    Break("_common", "acc * tl.load(scale + k", "acc + tl.load(scale + k", test_gemm, ((1, 4, 4), EVERY), {}),
    Break("gemm", "c in range(0, C, BK)", "c in range(0, C - 8, BK)", test_gemm, ((1, 4, 4), (24, 16)),
          {"config": test_gemm.SMALL}),
    Break("depthwise", "mask=seen[:, None] & real", "mask=real", test_depthwise, (1, (5, 5), 16, 3), SAME),
    Break("depthwise", "tl.where(written, acc, 0.0)", "acc", test_depthwise, (1, (5, 5), 16, 3), {**SAME, "sums": True}),
    Break("depthwise", "k // MULTIPLIER", "k", test_depthwise, (1, (5, 5), 8, 3, 2), SAME),
    Break("dual", "sw * outer.pitch", "outer.pitch", test_dual, (1, (6, 6), (16, 16, 16)),
          {"stride": (2, 2), "config": test_dual.SMALL}),
    Break("b2b", "for c0 in range(0, C2, BS)", "for c0 in range(0, C2 - BS, BS)", test_b2b,
          (1, (4, 4), (16, 16, 16), 3), {**SAME, "shortcut": (4, 4, 16), "config": test_b2b.SMALL}),
    Break("b2b", "B), PRE_ACT)", 'B), "none")', test_b2b, (1, (4, 4), (16, 16, 16), 3), {**SAME, "config": test_b2b.SMALL}),
    Break("dw_pw", "tl.where((c < C)[None, :], between, 0.0)", "between", test_dw_pw, (1, (6, 6), (24, 16), 3),
          {**SAME, "form": "tma", "stride": 2, "slices": 8, "config": test_dw_pw.SMALL}),
    Break("dw_pw", " & (iw >= 0)", "", test_dw_pw, (2, (5, 5), EVERY, 3), {**SAME, "form": "pointer", "config": test_dw_pw.SMALL}),
    Break("bnrelu_conv1", "1.0 / (POOL * POOL)", "1.0 / POOL", test_bnrelu_conv1, (1, (4, 4), EVERY), {"pool": 2}),
    Break("bnrelu_conv1", "oh * POOL) * W", "oh * POOL) * (W + 1)", test_bnrelu_conv1, (1, (5, 5), EVERY), {"pool": 2}),
    Break("scaled_conv1", "(m // AREA)[", "(m * 0)[", test_scaled_conv1, (3, (3, 3), EVERY), {}),
    Break("conv_gap", "tl.where(((h < OH) & (w < OW))[:, None], acc, 0.0)", "acc", test_conv_gap, (1, (5, 5), EVERY, 1),
          {"config": test_conv_gap.SMALL}),
    Break("_boxes", 'inside[:, None], acc, float("-inf")', "inside[:, None], acc, 0.0", test_conv_pool,
          (1, (7, 7), EVERY, 3), {**SAME, "pool": 3, "pool_padding": (1, 1), "negative": True}),
    Break("_boxes", "oh0 * 2 - PT", "oh0 * 2", test_stem_pool, (1, (12, 12), (3, 8), (3, 3)),
          {**SAME, "pool_padding": (1, 1)}),
    Break("pool_conv1", 'inside[:, None], a, float("-inf")', "inside[:, None], a, 0.0", test_pool_conv1,
          (1, (4, 4), EVERY), {"below": 1.0}),
    Break("pool", 'seen[:, None], a, float("-inf")', "seen[:, None], a, 0.0", test_pool, (1, (5, 5), 8, "max", (3, 3)),
          {**SAME, "stride": (2, 2)}),
    Break("pool", "(w < W + RIGHT)", "(w < W)", test_pool, (1, (5, 5), 8, "avg", (3, 3)), {**SAME, "stride": (2, 2)}),
    Break("gap", "tl.where(inside, activate", "tl.where(m[:, None] >= 0, activate", test_gap, ((1, 5, 5, 16),), {}),
    Break("siblings", "KA, tl.where(column < end_c, KA + KB", "KA, tl.where(column < end_c, KA", test_siblings,
          (1, (4, 4), 16, (16, 8, 8)), {}),
    Break("siblings", "(j < KB)", "(j < BN)", test_siblings, (1, (4, 4), 16, (16, 8)), {"config": test_siblings.SMALL}),
    Break("squeeze", "total / AREA", "total", test_squeeze, (1, 2, (16, 8, 16)), {"area": 9}),
    Break("stem", "((ih >= 0) & (ih < H))", "(ih < H)", test_stem, (1, (9, 9), (3, 16), (3, 3)), SAME),
    Break("stem", "a = tl.where(seen, a, 0.0)", "a = a", test_stem, (1, (8, 8), (3, 16), (3, 3)), {**SAME, "normalize": True}),
    Break("pointwise", "(m < M)[:, None] & (c < C)[None, :]", "(m < M)[:, None] & (c < BN)[None, :]", test_pointwise,
          ((1, 3, 3, 9),), {}),
]  # fmt: skip


@contextmanager
def broken(each: Break) -> Iterator[None]:
    """A copy of the kernels with the break in it, which the test is given instead."""
    name = each.test.__name__.removeprefix("test_")
    with tempfile.TemporaryDirectory() as folder:
        package = f"broken{next(NUMBERS)}"
        here = Path(folder) / package
        shutil.copytree(
            Path(archdsl.kernels.__file__).parent, here, ignore=shutil.ignore_patterns("__pycache__")
        )
        for file in here.glob("*.py"):
            text = file.read_text(encoding="utf-8").replace("archdsl.kernels", package)
            if file.stem == each.file and each.old != each.new:
                assert text.count(each.old) == 1, f"{text.count(each.old)} times {each.old!r}"
                text = text.replace(each.old, each.new)
            file.write_text(text, encoding="utf-8")
        sys.path.insert(0, folder)
        try:
            launcher = getattr(importlib.import_module(f"{package}.{name}"), name)
            with mock.patch.object(each.test, name, launcher):
                yield
        finally:
            sys.path.remove(folder)


@pytest.mark.parametrize("each", range(len(BREAKS)), ids=lambda i: str(BREAKS[i]))
def test_a_break_is_seen(each: int) -> None:
    """It passes unbroken, and broken it fails by what came out."""
    given = BREAKS[each]
    given.test.compare(*given.arguments, **given.how)
    with (
        broken(given),
        pytest.raises(AssertionError, match=r"NaN|of the truth|of the largest|outside the output"),
    ):
        given.test.compare(*given.arguments, **given.how)


def test_a_copy_that_is_not_broken_passes() -> None:
    with broken(BREAKS[0]._replace(new=BREAKS[0].old)):
        test_conv.compare(*BREAKS[0].arguments, **BREAKS[0].how)


def test_every_kernel_is_broken() -> None:
    assert {each.test.__name__.removeprefix("test_") for each in BREAKS} == set(table.TABLE)
