"""All launches of a plan for one batch, ready to run on its arena: on a GPU one CUDA graph, on a CPU one
after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from archdsl.engine.gpu.arena import Arena, Scratch
from archdsl.engine.gpu.candidate import Given, Partial, Run, finish
from archdsl.engine.gpu.choose import Choice, Chooser
from archdsl.engine.gpu.problem import Problem, problem_of
from archdsl.engine.gpu.weights import Weights
from archdsl.plan import Launch, Plan

WARM_UPS = 2
"""Runs before a graph is captured: kernels are compiled and libraries choose theirs in them."""


@dataclass(frozen=True)
class Ready:
    """A launch of the plan, what it asks for, how that is run, and what runs it."""

    launch: Launch
    problem: Problem
    choice: Choice
    run: Run


class Program:
    """A plan's launches for one batch. Not for several threads at once: the arena is one.

    launches: in order. After `run` the outputs are in the arena, until the next run.
    """

    def __init__(
        self,
        plan: Plan,
        batch: int,
        chooser: Chooser,
        weights: Weights,
        device: torch.device,
        *,
        graph: bool = True,
    ) -> None:
        self.plan, self.batch, self.device = plan, batch, device
        self.arena = Arena(plan, batch, device)
        self.scratch = Scratch(device)
        self._partials: dict[int, Partial] = {}
        self.launches = tuple(self._ready(launch, chooser, weights) for launch in plan.launches)
        self.outputs = self.arena.outputs()
        means = (finish(self.arena.tensor(view), self._partials) for _, view in plan.outputs)
        self._last = [run for run in means if run is not None]
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.type == "cuda" and graph:
            self._graph = captured(self.step)

    def _ready(self, launch: Launch, chooser: Chooser, weights: Weights) -> Ready:
        problem = problem_of(launch, self.batch, self.plan.dtype)
        choice = chooser.choose(problem)
        self.scratch.begin()
        inputs, outputs = (tuple(map(self.arena.tensor, views)) for views in (launch.inputs, launch.outputs))
        first: list[Run] = []
        if not choice.label.startswith("triton:squeeze"):  # which takes sums
            first = [run for x in inputs for run in [finish(x, self._partials)] if run is not None]
        for out in outputs:
            self._partials.pop(out.data_ptr(), None)  # something else lies there from now on
        run = choice.make(Given(inputs, outputs, weights, self.scratch, self._partials))
        if not first:
            return Ready(launch, problem, choice, run)

        def both() -> None:
            for each in (*first, run):
                each()

        return Ready(launch, problem, choice, both)

    def step(self) -> None:
        """All launches, one after another."""
        for each in self.launches:
            each.run()
        for last in self._last:
            last()

    def load(self, x: torch.Tensor) -> None:
        """Put a batch, (N, C, H, W) or (N, C) of any dtype and layout, where the first launch reads it."""
        images = x.permute(0, 2, 3, 1) if x.dim() == 4 else x[:, None, None, :]
        self.arena.image.copy_(images, non_blocking=True)

    def run(self) -> None:
        if self._graph is not None:
            self._graph.replay()
        else:
            self.step()

    @property
    def kernels(self) -> int:
        """That are started for a run."""
        return sum(each.choice.launches for each in self.launches)

    @property
    def bytes(self) -> int:
        """Moved by a run, what lies between the kernels of divided launches included."""
        return sum(each.choice.bytes for each in self.launches)


def captured(step: Run, warm_ups: int = WARM_UPS) -> torch.cuda.CUDAGraph:
    """What `step` starts, as one CUDA graph. It runs a few times first, on a stream of its own."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), torch.no_grad():
        for _ in range(warm_ups):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph), torch.no_grad():
        step()
    return graph


def choices_of(plan: Plan, batch: int, chooser: Chooser) -> Sequence[tuple[Launch, Problem, Choice]]:
    """How a plan's launches would be run, without preparing anything."""
    found = []
    for launch in plan.launches:
        problem = problem_of(launch, batch, plan.dtype)
        found.append((launch, problem, chooser.choose(problem)))
    return found
