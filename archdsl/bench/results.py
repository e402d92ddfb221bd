"""What a run found, as values: every call's time, and the figures that follow from them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, isfinite, log
from statistics import median, median_low, quantiles
from typing import Any

from archdsl.bench.subjects import OURS, SUBJECTS

MEASURED, WRONG, FAILED, MISSING, UNAVAILABLE = "measured", "wrong", "failed", "missing", "unavailable"
VERSION = 1
MARKER = r'\{\s*"archdsl_bench"'
"""How a file of results begins."""


def bound(dtype: str, eager: tuple[float, float] | None) -> float:
    """The largest error with which a subject counts: far above what another order of summation does, far below what a
    narrower type would. eager: the plain module's errors in that type, if it runs in it."""
    if eager is None:
        return 0.2
    return max(1e-5, 10 * eager[0]) if dtype == "f32" else min(2 * eager[0], 0.5)


@dataclass(frozen=True)
class Found:
    """One subject. status: MEASURED, or why there is no figure that counts; says: a sentence on it.

    error           the largest difference from float64, and rms its root mean square, as shares of how much the output
                    changes between two batches of images.
    rounds          milliseconds of every call, round by round. ready: seconds from the model, or its ONNX file, to the
                    first answer.
    libraries, preparing, running   bytes that its process held: after a small network has run, at most in preparation, at most after.
    held            bytes that the network took in each of some more processes; see `weigh`.
    """

    name: str
    status: str
    says: str = ""
    error: float | None = None
    rms: float | None = None
    rounds: tuple[tuple[float, ...], ...] = ()
    ready: float | None = None
    libraries: int | None = None
    preparing: int | None = None
    running: int | None = None
    held: tuple[int, ...] = ()

    @property
    def counts(self) -> bool:
        return self.status == MEASURED

    @cached_property
    def calls(self) -> tuple[float, ...]:
        return tuple(ms for calls in self.rounds for ms in calls)

    @cached_property
    def ms(self) -> float:
        return median(self.calls)

    @cached_property
    def spread(self) -> tuple[float, float]:
        """What the middle half of the calls lies between."""
        return _quartiles(self.calls)

    @property
    def memory(self) -> int | None:
        """What the network takes: at most while it runs, without the libraries; the median where several processes were asked."""
        if self.held:
            return median_low(self.held)
        return None if self.running is None or self.libraries is None else max(self.running - self.libraries, 0)


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as another: the median over the rounds, in which both ran in turn, and its middle half."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Case:
    """One network at one batch. eager: the largest and the rms error of the plain module, if it runs; ceilings: FLOP/s of a matrix
    product, bytes/s of a copy; others: the share of the CPUs' time that other processes took."""

    network: str
    hash: str
    shape: tuple[int, ...]
    params: int
    macs: int
    eager: tuple[float, float] | None
    subjects: tuple[Found, ...]
    onnx: str = ""
    onnx_seconds: float = 0.0
    ceilings: dict[str, float] = field(default_factory=dict)
    others: float | None = None

    @cached_property
    def best(self) -> Found | None:
        """The fastest of the peers that are correct."""
        return _fastest(found for found in self.subjects if not SUBJECTS[found.name].ours)

    @cached_property
    def best_of_torch(self) -> Found | None:
        """The fastest of those that come with torch."""
        return _fastest(found for found in self.subjects if SUBJECTS[found.name].of_torch)

    @property
    def ours(self) -> Found | None:
        return next((found for found in self.subjects if found.name == OURS), None)

    def ratio(self, found: Found, other: Found | None) -> Ratio | None:
        """How many times as fast as `other` a subject is, round by round."""
        if other is None or not found.counts or not other.counts:
            return None
        each = [median(b) / median(a) for a, b in zip(found.rounds, other.rounds, strict=True)]
        return Ratio(median(each), *_quartiles(each))

    def over_eager(self, found: Found) -> float | None:
        """Its rms error over the plain module's."""
        if found.rms is None or not isfinite(found.rms) or not self.eager or not self.eager[1]:
            return None
        return found.rms / self.eager[1]

    def of_matmul(self, found: Found) -> float | None:
        """Its FLOP/s as a share of the matrix product's."""
        ceiling = self.ceilings.get("matmul_flops")
        return 2e3 * self.macs * self.shape[0] / found.ms / ceiling if ceiling and found.counts else None


def _fastest(subjects: Iterable[Found]) -> Found | None:
    """The fastest of those that count, round by round too: what others do to the machine falls on all of a round."""
    rivals = [found for found in subjects if found.counts]
    if not rivals:
        return None
    fastest = [min(median(calls) for calls in each) for each in zip(*(found.rounds for found in rivals), strict=True)]

    def behind(found: Found) -> float:
        return median(median(calls) / least for calls, least in zip(found.rounds, fastest, strict=True))

    return min(rivals, key=lambda found: (behind(found), found.ms))


def _quartiles(values: Iterable[float]) -> tuple[float, float]:
    values = tuple(values)
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = quantiles(values, n=4, method="inclusive")
    return first, third


@dataclass(frozen=True)
class Results:
    """A whole run."""

    date: str
    machine: dict[str, Any]
    dtype: str
    threads: int
    cases: tuple[Case, ...]

    @property
    def sound(self) -> bool:
        """Whether ours was right wherever it ran, and someone was measured in each case."""
        failed = any(c.ours is not None and c.ours.status in (WRONG, FAILED) for c in self.cases) or any(
            SUBJECTS[found.name].ours and found.status == WRONG for c in self.cases for found in c.subjects
        )
        return not failed and all(any(found.counts for found in c.subjects) for c in self.cases)

    def mean(self, of_torch: bool = False) -> tuple[float, int, int] | None:
        """Geometric mean of our ratio to the best peer, in how many cases it is at least 1, and in how many there is one."""
        ratios = [
            ratio.value
            for case in self.cases
            if case.ours is not None
            for ratio in [case.ratio(case.ours, case.best_of_torch if of_torch else case.best)]
            if ratio is not None
        ]
        if not ratios:
            return None
        return exp(sum(map(log, ratios)) / len(ratios)), sum(r >= 1 for r in ratios), len(ratios)

    def to_json(self) -> str:
        return json.dumps(self._value(), indent=1) + "\n"

    def _value(self) -> dict[str, Any]:
        return {
            "archdsl_bench": VERSION,
            "date": self.date,
            "machine": self.machine,
            "dtype": self.dtype,
            "threads": self.threads,
            "networks": [_case_value(case, self.dtype) for case in self.cases],
            "ours_over_best_peer": _mean_value(self.mean()),
            "ours_over_best_of_torch": _mean_value(self.mean(of_torch=True)),
        }


def _mean_value(mean: tuple[float, int, int] | None) -> dict[str, Any] | None:
    return None if mean is None else dict(zip(("geometric_mean", "at_least_level", "of"), mean, strict=True))


def _case_value(case: Case, dtype: str) -> dict[str, Any]:
    return {
        "network": case.network,
        "hash": case.hash,
        "batch": case.shape[0],
        "input": list(case.shape[1:]),
        "params": case.params,
        "macs": case.macs,
        "error_of_eager": case.eager and case.eager[0],
        "rms_error_of_eager": case.eager and case.eager[1],
        "error_bound": bound(dtype, case.eager),
        "onnx": case.onnx or None,
        "onnx_export_s": case.onnx_seconds or None,
        "ceilings": case.ceilings,
        "cpu_share_of_others": case.others,
        "best_peer": case.best.name if case.best else None,
        "best_of_torch": case.best_of_torch.name if case.best_of_torch else None,
        "subjects": [_found_value(case, found) for found in case.subjects],
    }


def _found_value(case: Case, found: Found) -> dict[str, Any]:
    value: dict[str, Any] = {"name": found.name, "status": found.status}
    if found.says:
        value["says"] = found.says
    if found.error is not None and found.rms is not None:
        value["error"] = found.error if isfinite(found.error) else None
        value["rms_error"] = found.rms if isfinite(found.rms) else None
        value["rms_error_over_eager"] = case.over_eager(found)
    if found.counts:
        value["ms"] = {"median": found.ms, "first_quartile": found.spread[0], "third_quartile": found.spread[1]}
        for name, other in (("ratio_to_best_peer", case.best), ("ratio_to_best_of_torch", case.best_of_torch)):
            ratio = case.ratio(found, other)
            value[name] = ratio and {"median": ratio.value, "first_quartile": ratio.low, "third_quartile": ratio.high}
        value["share_of_matmul"] = case.of_matmul(found)
        value["ready_s"] = found.ready
        value["bytes"] = {
            "libraries": found.libraries,
            "preparing": found.preparing,
            "running": found.running,
            "network": found.memory,
        }
        if found.held:
            value["bytes"]["processes"] = found.held
        value["rounds_ms"] = [[round(ms, 4) for ms in calls] for calls in found.rounds]
    return value
