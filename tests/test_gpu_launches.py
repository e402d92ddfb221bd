"""Launches for a GPU, run on a CPU: by torch's operators here, and interpreted in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from archdsl.kernels._launch import image
from drawing import one_thread
from driving import Drawn, complaints, error, made, run
from fusing import Sample, drawn

import archdsl
from archdsl.engine.gpu.program import Program
from archdsl.passes import PASSES, fused

SECONDS = 600


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


def laid_otherwise(program: Program) -> list[str]:
    """Tensors of which a problem, by which kernels are chosen and measured, says otherwise than they lie."""
    found = []
    for each in program.launches:
        problem = each.problem
        for views, spots in ((each.launch.inputs, problem.inputs), (each.launch.outputs, problem.outputs)):
            for view, spot in zip(views, spots, strict=True):
                x = program.arena.tensor(view)
                pitch = image(x, "x").pitch if x.shape[:3].numel() > 1 else spot.row
                if (x.shape[3], pitch) != (spot.channels, spot.row):
                    found.append(f"{problem.key}: {spot} is {list(x.shape)}, {list(x.stride())}")
    return found


def test_drawn_networks_whatever_runs_them() -> None:
    """Every kernel that the passes make, by a library's convolution, layer by layer, cut or taken apart
    anywhere."""
    count, hows = 0, set()
    for seed in range(60):
        found = drawn(seed)
        if found is None:
            continue
        text, sample = found
        for turn in range(2):
            program = made(fused(sample.network), sample, "f32", Drawn(100 * seed + turn, "cudnn torch"))
            assert laid_otherwise(program) == []
            assert error(run(program, sample), sample) < 2e-4, text
            assert error(run(program, sample), sample) < 2e-4, text  # nothing is left of the run before
            count += 1
            assert len(program.scratch.blocks) <= 4  # launches share them
            hows.update(each.choice.how.partition(" ")[0] for each in program.launches)
    assert count > 60 and hows >= {"cudnn:conv", "cudnn:addmm", "torch:layers", "cut", "apart"}


NETWORKS = {
    "residual": (
        "conv7-16/2(norm=bn, act=relu); maxpool3/2(p=1); "
        "residual(shortcut=projection) { conv1-8(norm=bn, act=relu); conv3-8; relu; conv1-32 }; relu; "
        "residual(shortcut=projection) { conv1-16; relu; conv3-136/2; relu; conv1-64 }; relu; "
        "residual { conv1-16; relu; conv3-16/1; relu; conv1-64 }; relu; residual { conv1-64 }; relu; gap; fc-10",
        "conv conv_gap dual b2b stem_pool",
    ),
    "dense": (
        "conv3-16; bn; relu; concat [ identity | bn; bn; relu; conv1-16(norm=bn, act=relu); conv3-8 ]; bn; relu; "
        "conv1-16; avgpool2; bn; relu; gap; fc-5",
        "bnrelu_conv1 gap stem",
    ),
    "plain": (
        "conv3-8; relu; conv3-16; relu; maxpool2; conv3-16/2; relu; fc-16; relu; fc-5",
        "conv_pool gemm",
    ),
    "inception": (
        "conv3-16; relu; "
        "concat [ conv1-8; relu | conv1-16; relu; conv3-8; relu | maxpool3/1(p=1); conv1-8; relu ]; "
        "maxpool3/2(p=1); concat [ conv1-8; relu | conv1-16; relu; conv3-16; relu ]; gap; fc-5",
        "siblings pool_conv1",
    ),
    "mobile": (
        "conv3-16/2; relu6; conv1-32; relu6; dwconv3; relu6; conv1-16; "
        "residual { conv1-32; relu6; dwconv3; relu6; conv1-16 }; dwconv3/2; relu; gap; fc-5",
        "dw_pw depthwise",
    ),
    "squeezing": (
        "conv3-8; silu; dwconv3; silu; mul [ identity | gap; conv1-4; silu; conv1-8; sigmoid ]; conv1-16; bn; "
        "dwconv3; relu; mul [ identity | gap; sigmoid ]; conv1-16; "
        "dwconv3; relu; mul [ identity | gap; conv1-4; relu; conv1-16; sigmoid ]; conv1-16; "
        "add [ identity | maxpool3/1(p=1) ]; relu; conv3-16(groups=2); gap; fc-5",
        "scaled_conv1 squeeze pool pointwise",
    ),
}
"""Texts, and kernels that run some of it."""


@pytest.fixture(scope="module")
def interpreter() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, get_context("spawn")) as process, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TRITON_INTERPRET", "1")  # which is asked when Triton is imported
        process.submit(os.getpid).result(SECONDS)
        patch.undo()
        yield process


def interpreted(
    text: str, image: str, dtype: str, seed: int, which: str
) -> tuple[list[str], float, set[str]]:
    """(what is wrong, the error, the kernels that ran), in the process that interprets. which: of the
    candidates."""
    sample = Sample(archdsl.loads(text, input=image), seed)
    chooser = Drawn(seed, "triton", {"rules": _rule, "configurations": _config}[which])
    passes = [each for each in PASSES if dtype != "bf16" or each.name != "fold"]
    program = made(fused(sample.network, passes), sample, dtype, chooser)
    found = error(run(program, sample), sample)
    names = {
        leaf.candidate.name for each in program.launches for leaf in each.choice.leaves if leaf.candidate
    }
    return complaints(program, sample), found, names


def _rule(candidate: Any) -> bool:
    """A kernel with what its own rule says."""
    return not candidate.config


def _config(candidate: Any) -> bool:
    return True


def enumerate_of(*words: str) -> list[tuple[int, str, str]]:
    return [(seed, *word.split()) for seed, word in enumerate(words)]  # type: ignore[misc]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kernel_in_a_network(name: str, interpreter: ProcessPoolExecutor) -> None:
    """float32 within its rounding; in the narrow types each launch by itself."""
    text, kernels = NETWORKS[name]
    ran: set[str] = set()
    for seed, dtype, which in enumerate_of("f32 rules", "bf16 rules", "f16 configurations"):
        order = interpreter.submit(interpreted, text, "3x16x16", dtype, seed, which)
        wrong, off, names = order.result(SECONDS)
        assert wrong == []
        assert off < {"f32": 1e-5, "bf16": 0.5, "f16": 0.05}[dtype]
        ran |= names
    assert ran >= set(kernels.split())
