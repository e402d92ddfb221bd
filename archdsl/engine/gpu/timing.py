"""How long something takes on a device."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median, quantiles

import torch

from archdsl.engine.gpu.candidate import Run
from archdsl.engine.gpu.program import WARM_UPS, captured

LEAST = 4e-4
"""Seconds that one measurement takes at least, so that the clock's steps don't show."""


def on_gpu(runs: Sequence[Run], rounds: int = 7, least: float = LEAST) -> tuple[float, float]:
    """Median seconds of one run, and how far the middle half of the rounds spreads, as a share. runs: the
    same work on different tensors, taken in turn, as many times in a CUDA graph as `least` needs."""

    def repeated(times: int, warm_ups: int) -> torch.cuda.CUDAGraph:
        def all_of_them() -> None:
            for _ in range(times):
                for run in runs:
                    run()

        return captured(all_of_them, warm_ups)

    graph = repeated(1, WARM_UPS)
    times = max(1, min(200, int(least / max(_replayed(graph, 3), 1e-9))))
    if times > 1:
        graph = repeated(times, 0)
    graph.replay()
    found = [_replayed(graph, 1) / (times * len(runs)) for _ in range(rounds)]
    low, _, high = quantiles(found, n=4, method="inclusive")
    return median(found), (high - low) / median(found)


def _replayed(graph: torch.cuda.CUDAGraph, times: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(times):
        graph.replay()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / times


def on_cpu(runs: Sequence[Run], rounds: int = 1) -> tuple[float, float]:
    """The same by the clock on the wall; for dry runs."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for run in runs:
            run()
        found.append((time.perf_counter() - start) / len(runs))
    return median(found), (max(found) - min(found)) / median(found)


def seconds_of(runs: Sequence[Run], device: torch.device, rounds: int | None = None) -> tuple[float, float]:
    """Median seconds of a run, and its spread."""
    if device.type == "cuda":
        return on_gpu(runs, rounds or 7)
    return on_cpu(runs, rounds or 1)
