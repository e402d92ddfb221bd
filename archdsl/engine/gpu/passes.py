"""What a GPU does with the passes: all of them, wherever one kernel does what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.spot import dense
from archdsl.network import Network
from archdsl.ops.base import Shape
from archdsl.passes import fused
from archdsl.passes._draft import Accepts
from archdsl.passes._kernel import Kernel
from archdsl.symbolic import known

BATCH = 128
"""Images that it is asked for; whether a kernel has a form does not depend on it."""


def for_gpu(network: Network, has: Callable[[Problem], bool], dtype: str) -> Network:
    """The network after all passes. has: whether one kernel does a problem."""
    return fused(network, accepts=accepts(has, dtype))


def accepts(has: Callable[[Problem], bool], dtype: str) -> Accepts:
    """A kernel is taken if one kernel of ours does it, on tensors of its own."""
    asked: dict[str, bool] = {}

    def accepted(kernel: Kernel, inputs: Sequence[Shape]) -> bool:
        if not all(known(side) for shape in inputs for side in shape):
            return False
        spots = tuple(dense(shape) for shape in inputs)  # type: ignore[arg-type]
        outputs = tuple(dense(shape) for shape in kernel.shapes(*inputs))  # type: ignore[arg-type]
        problem = Problem(kernel, spots, outputs, BATCH, dtype)
        if problem.key not in asked:
            asked[problem.key] = has(problem)
        return asked[problem.key]

    return accepted
