"""What a CPU does with the passes: fewer than a GPU, since oneDNN has fewer fused kernels.

A convolution takes its batch norm, its bias, an activation and a residual. What would need a kernel of its own
(a pool after a convolution, a depthwise and a 1x1 convolution in one, a branch written into its concat) is
left as several calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from archdsl.network import Network
from archdsl.ops.base import Shape
from archdsl.passes import fused, named
from archdsl.passes._draft import Accepts
from archdsl.passes._kernel import CONVOLUTIONS, Kernel, Other
from archdsl.symbolic import Dim, known, solved, substitute

PASSES = named(("remove", "pads", "fold", "activations", "residuals", "siblings"))

SMALL = 150_000
"""Numbers of a tensor that costs less to copy than a call of oneDNN's costs to begin (20 to 30 us)."""


def for_cpu(network: Network, batch: int) -> Network:
    """The network after the passes whose kernels a CPU has."""
    return fused(network, PASSES, accepts=accepts(batch))


def accepts(batch: int) -> Accepts:
    def accepted(kernel: Kernel, inputs: Sequence[Shape]) -> bool:
        if len(kernel.ways) > 1:
            # Siblings save calls, but the parts of one tensor are copied before the next convolution reads them.
            return sum(_elements(shape) for shape in kernel.shapes(*inputs)) * batch <= SMALL
        # At most one convolution in each, and what is merged with comes right after it.
        return sum(stage.kind in CONVOLUTIONS for stage in kernel.stages) <= 1

    return accepted


def _elements(shape: Shape) -> int:
    return prod(side if known(side) else SMALL for side in shape)


def resized(network: Network, image: Shape) -> Network:
    """A network, fused or not, with another size of the image. Raises ShapeError where a layer refuses it."""
    if network.input == image:
        return network
    values = solved(network.input, [_int(size) for size in image]) or {}
    shapes: list[Shape] = [image]
    nodes = [replace(network.nodes[0], shape=image)]
    for node in network.nodes[1:]:
        inputs = [shapes[i] for i in node.inputs]
        op = node.op
        if isinstance(op, Other):
            kernel = nodes[node.inputs[0]]
            assert isinstance(kernel.op, Kernel)
            shape = kernel.op.shapes(*(shapes[i] for i in kernel.inputs))[op.index]
            op = Other(index=op.index, shape=shape)
        else:
            shape = op.infer(*inputs)
        shapes.append(shape)
        nodes.append(replace(node, op=op, shape=shape, macs=substitute(node.macs, values)))
    return replace(network, nodes=tuple(nodes))


def _int(size: Dim) -> int:
    assert known(size)
    return size
