"""Measuring: each candidate of a problem is run and compared with the truth, and those that are right are
timed.

Weights and images are random. What is timed is started many times over in a CUDA graph, on three sets of
tensors in turn: those of a large batch are not in the L2 cache then, those of one image are, as in a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite

import torch

from archdsl.engine.gpu import timing
from archdsl.engine.gpu.arena import TORCH_DTYPES, Scratch
from archdsl.engine.gpu.candidate import Candidate, Given, Partial, Run, finish
from archdsl.engine.gpu.choose import Choice, Chooser
from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.spot import IMAGE_CHANNELS, Spot
from archdsl.engine.gpu.weights import Weights, drawn
from archdsl.passes._kernel import CONVOLUTIONS, Stage
from archdsl.passes.reference import compute_with
from archdsl.plan import aligned_inputs

SETS = 3
COMPARED = 4
"""Images at either end of a batch that are compared; of all others it is seen that they are there."""
TRIED = 8
"""Candidates of a problem that are timed, those that should be fastest; a kernel's own rule always is."""

BOUND = {"bf16": 4e-3, "f16": 8e-4, "f32": 2e-5}
"""The largest norm of the error over the truth's, for one rounding of weights and one of what comes out; each
further convolution within a kernel rounds once more. (Rounded to nearest a bf16 is off by 1.7e-3, cut off by
3.4e-3.)"""

CUT_OFF = 2.0
"""Times as much on the interpreter, which cuts bf16 off."""


@dataclass(frozen=True)
class Timed:
    """A way to run a problem. seconds: None where it was wrong or could not run, for the reason in `says`.
    package: what it needs beside torch and Triton."""

    label: str
    error: float
    seconds: float | None
    spread: float
    says: str = ""
    package: str = ""


def bound(problem: Problem, device: torch.device) -> float:
    """The largest error with which a candidate is right."""
    convolutions = sum(step.stage.kind in CONVOLUTIONS for step in problem.steps)
    return BOUND[problem.dtype] * max(convolutions, 1) * (1.0 if device.type == "cuda" else CUT_OFF)


class Bench:
    """Tensors of a problem: images that are drawn, outputs that hold NaN, and the truth. sets: of tensors, to
    take in turn when timing."""

    def __init__(self, problem: Problem, device: torch.device, seed: int = 0, sets: int = SETS) -> None:
        self.problem, self.device = problem, device
        self.weights = Weights(drawn(seed), TORCH_DTYPES[problem.dtype], device)
        generator = torch.Generator().manual_seed(seed + 1)
        self.sets = [
            Given(
                tuple(self._image(spot, generator) for spot in problem.inputs),
                tuple(self._output(spot) for spot in problem.outputs),
                self.weights,
                Scratch(device),
                {},
            )
            for _ in range(sets)
        ]
        last = min(problem.batch, COMPARED)
        self.some = sorted({*range(last), *range(problem.batch - last, problem.batch)})
        self.truth = self._truth(self.sets[0])
        alike = [k for k in aligned_inputs(problem.kernel) if problem.inputs[k] == problem.out]
        self.place = alike[0] if alike and problem.out.dense else None

    def _image(self, spot: Spot, generator: torch.Generator) -> torch.Tensor:
        """Each image another one; no more of them are drawn on the host than are compared."""
        n, own = self.problem.batch, min(self.problem.batch, 2 * COMPARED)
        dtype = TORCH_DTYPES[self.problem.dtype]
        draw = torch.randn(own, spot.height, spot.width, spot.row, generator=generator)
        whole = draw.to(self.device, dtype).repeat(-(-n // own), 1, 1, 1)[:n]
        whole *= torch.linspace(0.7, 1.3, n, device=self.device, dtype=dtype).view(n, 1, 1, 1)
        if (spot.channels, spot.row) == (IMAGE_CHANNELS - 1, IMAGE_CHANNELS):
            whole[..., spot.channels :] = 0
        return whole[..., spot.channel : spot.channel + spot.channels]

    def _output(self, spot: Spot) -> torch.Tensor:
        shape = (self.problem.batch, spot.height, spot.width, spot.row)
        whole = torch.full(shape, float("nan"), dtype=TORCH_DTYPES[self.problem.dtype], device=self.device)
        return whole[..., spot.channel : spot.channel + spot.channels]

    def _truth(self, given: Given) -> list[torch.Tensor]:
        """In float32 on a GPU, float64 elsewhere, of the weights and images as they were rounded."""
        wide = torch.float32 if self.device.type == "cuda" else torch.float64
        inputs = []
        for x, spot in zip(given.inputs, self.problem.inputs, strict=True):
            image = x[self.some].permute(0, 3, 1, 2).to(wide)
            inputs.append(image.flatten(1) if spot.flat else image)
        found = {id(step.stage): self.weights.folded(step) for step in self.problem.steps}

        def weights(stage: Stage) -> dict[str, torch.Tensor]:
            return {name: value.to(self.device, wide) for name, value in found[id(stage)].items()}

        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return compute_with(self.problem.kernel, weights, inputs)

    def error(self, choice: Choice) -> float:
        """Its error's norm over the truth's, of the worst output, for the first and the last images; infinite
        where a number of any image is missing. Where a plan may let the output take an input's place, that is
        tried too. Raises what a launcher or a compiler does where it can't run."""
        given = self.sets[0]
        for out in given.outputs:
            out.fill_(float("nan"))
        worst = self._error(choice, given)
        if self.place is None or not isfinite(worst):
            return worst
        both = given.inputs[self.place].clone()
        inputs = tuple(both if k == self.place else x for k, x in enumerate(given.inputs))
        return max(
            worst, self._error(choice, given._replace(inputs=inputs, outputs=(both, *given.outputs[1:])))
        )

    def _error(self, choice: Choice, given: Given) -> float:
        partials: dict[int, Partial] = {}
        given.scratch.begin()
        run = choice.make(given._replace(partials=partials))
        with torch.no_grad():
            run()
            for out in given.outputs:
                last = finish(out, partials)
                if last is not None:
                    last()
        worst = 0.0
        for out, truth in zip(given.outputs, self.truth, strict=True):
            mine = out[self.some].permute(0, 3, 1, 2).to(truth.dtype).reshape(truth.shape)
            share = float((mine - truth).norm() / truth.norm().clamp(min=1e-30))
            whole = bool(torch.isfinite(out).all())
            worst = max(worst, share if whole and isfinite(share) else float("inf"))
        return worst

    def seconds(self, choice: Choice) -> tuple[float, float]:
        """Median seconds, and how far they spread."""
        runs: list[Run] = []
        for given in self.sets:
            given.scratch.begin()
            runs.append(choice.make(given._replace(partials={})))
        with torch.no_grad():
            return timing.seconds_of(runs, self.device)

    def wrong(self, choice: Choice) -> tuple[float, str]:
        """(error, "" or what is wrong with a choice)."""
        try:
            error = self.error(choice)
        except Exception as failed:  # a launcher refuses, or a compiler does, in whatever way
            return float("inf"), said(failed)
        allowed = bound(self.problem, self.device) * (1.0 if choice.candidate is not None else 2.0)
        return error, "" if error <= allowed else f"error {error:.1e} is more than {allowed:.1e}"


def prove(problems: Iterable[Problem], chooser: Chooser, device: torch.device) -> None:
    """Compare with the definition what would run these problems and was not measured, and refuse what is
    wrong. What torch itself does is not asked."""
    proven: set[tuple[str, str]] = set()
    bench: Bench | None = None
    for problem in {each.key: each for each in problems}.values():
        while leaves := [leaf for leaf in chooser.choose(problem).leaves if _is_open(leaf, proven)]:
            leaf = leaves[0]
            if bench is None or bench.problem.key != leaf.problem.key:
                bench = Bench(leaf.problem, device, sets=1)
            if bench.wrong(leaf)[1]:
                chooser.refuse(leaf)
            else:
                proven.add((leaf.problem.key, leaf.how))


def asks(candidate: Candidate | None) -> bool:
    """Whether a candidate must be compared before it may run: all but what torch itself does."""
    return candidate is not None and (candidate.backend == "triton" or bool(candidate.package))


def _is_open(leaf: Choice, proven: set[tuple[str, str]]) -> bool:
    return asks(leaf.candidate) and not leaf.measured and (leaf.problem.key, leaf.how) not in proven


def tune(
    problem: Problem,
    chooser: Chooser,
    device: torch.device,
    *,
    tried: int = TRIED,
    may: Callable[[], bool] = lambda: True,
) -> list[Timed]:
    """Measure what can run a problem, and the ways to divide it with the best of the parts, and write the
    fastest that is right into the chooser's book. may: whether there is time for another. Returns what was
    measured, fastest first."""
    bench = Bench(problem, device, sets=SETS if device.type == "cuda" else 1)
    found: list[Timed] = []
    for choice in [*some_of(problem, chooser, tried), *chooser.divisions(problem)]:
        if found and not may():
            break
        found.append(measured(bench, choice))
        if is_fatal(found[-1].says):
            break
    found.sort(key=lambda timed: inf if timed.seconds is None else timed.seconds)
    best = found[0] if found else None
    if best is not None and best.seconds is not None:
        plain = next(((t.label, t.seconds) for t in found if t.seconds is not None and not t.package), None)
        chooser.put(problem, best.label, best.seconds, best.error, plain if best.package else None)
    return found


def some_of(problem: Problem, chooser: Chooser, tried: int) -> list[Choice]:
    """Candidates that are worth measuring: of each kernel its own rule, of each library what it has, and of
    all configurations those that should be fastest."""
    every = [c for c in chooser.candidates(problem) if chooser.may(problem, c.label)]
    rules = [c for c in every if not c.config and c.backend != "torch"] or every
    rest = [c for c in every if c not in rules and c.backend != "torch"]
    chosen = [*rules, *rest[: max(0, tried - len(rules))]]
    return [Choice(problem, c, "tried", c.seconds, False) for c in chosen]


def measured(bench: Bench, choice: Choice) -> Timed:
    """A choice compared, and timed if it is right."""
    error, says = bench.wrong(choice)
    timed: tuple[float | None, float] = (None, 0.0)
    if not says:
        try:
            timed = bench.seconds(choice)
        except Exception as failed:  # what runs alone may not run in a CUDA graph
            says = said(failed)
    return Timed(choice.how, error, *timed, says, choice.package)


def said(failed: Exception) -> str:
    """In a line."""
    return " ".join(f"{type(failed).__name__}: {failed}".split())[:200]


def is_fatal(says: str) -> bool:
    """Whether a process in which this was said can't use the GPU any more."""
    return "CUDA error" in says or "AcceleratorError" in says


def problems_with_parts(problems: Iterable[Problem], chooser: Chooser) -> list[Problem]:
    """Problems and the parts that they can be divided in, parts first, each question once."""
    found: dict[str, Problem] = {}

    def visit(problem: Problem, deep: int) -> None:
        if problem.key in found:
            return
        if deep:
            for choice in chooser.divisions(problem, 1):
                for part in choice.parts:
                    visit(part.problem, deep - 1)
        found[problem.key] = problem

    for problem in problems:
        visit(problem, 2)
    return list(found.values())


def summary(timed: Sequence[Timed]) -> str:
    """The fastest and how far the others are behind, in a line."""
    right = [t for t in timed if t.seconds is not None]
    if not right:
        return "nothing ran"
    best = right[0].seconds or 0.0
    others = ", ".join(f"{t.label} x{(t.seconds or 0.0) / best:.2f}" for t in right[1:4])
    wrong = len(timed) - len(right)
    return (
        f"{best * 1e6:.1f} us {right[0].label}"
        + (f"; {others}" if others else "")
        + (f"; {wrong} out" if wrong else "")
    )
