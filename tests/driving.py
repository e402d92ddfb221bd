"""The GPU's launches on a CPU, for tests: whatever is picked for each, run in a poisoned arena."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import torch
from fusing import Sample

from archdsl.engine.gpu.arena import TORCH_DTYPES
from archdsl.engine.gpu.book import Book
from archdsl.engine.gpu.candidate import Candidate
from archdsl.engine.gpu.choose import Chooser, Picked
from archdsl.engine.gpu.hand import candidates
from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.program import Program
from archdsl.engine.gpu.tune import bound
from archdsl.engine.gpu.weights import Weights, of_model
from archdsl.network import Network
from archdsl.passes.reference import compute
from archdsl.plan import plan

CPU = torch.device("cpu")


class Drawn(Chooser):
    """Runs every problem in any way that there is, of some candidates."""

    def __init__(self, seed: int, backends: str, may: Callable[[Candidate], bool] = lambda _: True) -> None:
        self.random = random.Random(seed)
        self.may = may
        super().__init__(partial(candidates, frozenset(backends.split())), Book("none"))

    def _pick(self, problem: Problem, deep: int) -> Picked:
        hows = [c.label for c in self.candidates(problem) if self.may(c)]
        hows = hows or [choice.how for choice in self.divisions(problem, deep)]
        if self.random.random() < 0.4:
            hows += [choice.how for choice in self.divisions(problem, deep)]
        return Picked(self.random.choice(hows or ["torch:layers"]), "drawn", None, False)


def made(network: Network, sample: Sample, dtype: str, chooser: Chooser) -> Program:
    """Of a network, rewritten or not, for the sample's images."""
    weights = Weights(of_model(sample.state), TORCH_DTYPES[dtype], CPU)
    return Program(plan(network, dtype), len(sample.x), chooser, weights, CPU)


def run(program: Program, sample: Sample) -> dict[str, torch.Tensor]:
    """The outputs, from an arena that held NaN."""
    program.arena.poison()
    program.load(sample.x)
    with torch.no_grad():
        program.run()
    return {name: value.clone() for name, value in program.outputs.items()}


def error(found: dict[str, torch.Tensor], sample: Sample) -> float:
    """The largest, of all outputs, of the error's norm over the truth's."""
    assert set(found) == set(sample.outputs)
    worst = 0.0
    for name, truth in sample.outputs.items():
        assert found[name].shape == truth.shape
        share = float((found[name].double() - truth).norm() / truth.norm().clamp(min=1e-12))
        worst = max(worst, share if share == share else float("inf"))
    return worst


def complaints(program: Program, sample: Sample) -> list[str]:
    """Launches that are off by more than the tuner allows, each fed with what the ones before it made."""
    program.arena.poison()
    program.load(sample.x)
    found = []
    sums: set[int] = (
        set()
    )  # where a mean should be of which only sums are there; the whole network is compared, too
    with torch.no_grad():
        for each in program.launches:
            views = [program.arena.tensor(view) for view in each.launch.inputs]
            waiting = any(view.data_ptr() in sums for view in views)
            inputs = []
            for view, spot in zip(views, each.problem.inputs, strict=True):
                image = view.permute(0, 3, 1, 2).double().clone()
                inputs.append(image.flatten(1) if spot.flat else image)
            each.run()
            truths = compute(each.launch.kernel, sample.state, inputs)
            for index, (view, truth) in enumerate(zip(each.launch.outputs, truths, strict=True)):
                tensor = program.arena.tensor(view)
                sums.discard(tensor.data_ptr())
                if index and each.choice.label.startswith("triton:depthwise"):
                    sums.add(tensor.data_ptr())
                    continue
                mine = tensor.permute(0, 3, 1, 2).double().reshape(truth.shape)
                off = float((mine - truth).norm() / truth.norm().clamp(min=1e-12))
                # The definition here has weights that are not rounded.
                if not waiting and not off <= 1.5 * bound(each.problem, CPU):
                    found.append(f"{each.problem.key}: {each.choice.label}: {off:.1e}")
    return found
