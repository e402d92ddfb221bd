"""What a kernel should take, where nobody has measured: the longer of moving its bytes and doing its sums,
and a share for starting it.

The numbers are a model of one H200 and no measurement: what is chosen by them says so in the report, and the
tuner (`python -m benchmarks.gpu`) replaces them by what it timed."""

from __future__ import annotations

from math import ceil

from archdsl.engine.gpu.problem import Problem

BANDWIDTH = 4.3e12 * 0.8
"""Bytes a second, read and written; a fifth is lost."""
TENSOR = {"bf16": 790e12, "f16": 790e12, "f32": 60e12}
"""FLOP/s; float32 without TF32."""
VECTOR = 60e12
START = 2.5e-6
"""Seconds that a kernel in a graph costs beyond its work."""
PROCESSORS = 132

REACHED = {"triton": 0.6, "cudnn": 0.75, "torch": 0.5}
"""Share of the rate that a convolution's products reach."""


def moving(numbers: float, size: int) -> float:
    return numbers * size / BANDWIDTH


def of_products(flops: float, dtype: str, backend: str, vector: bool = False) -> float:
    rate = VECTOR if vector else TENSOR[dtype]
    return flops / (rate * REACHED[backend])


def full(tiles: int, places: int) -> float:
    """How many times longer it takes because the last round of tiles leaves processors idle."""
    if not tiles:
        return 1.0
    return ceil(tiles / places) * places / tiles


def fused(
    problem: Problem,
    backend: str,
    tiles: int = 0,
    ctas: int = 1,
    waste: float = 1.0,
    vector: bool = False,
) -> float:
    """One kernel that does all of a problem. tiles: programs; ctas: that fit on a multiprocessor; waste:
    products done for each that is wanted; vector: not on tensor cores."""
    memory = problem.bytes / BANDWIDTH
    products = of_products(problem.flops, problem.dtype, backend, vector) * waste
    slow = full(tiles, PROCESSORS * ctas) if tiles else 1.0
    # Idle processors cost products fully, and memory only once too few are left to load it.
    return START + max(memory * min(slow, 2.0), products * slow)
