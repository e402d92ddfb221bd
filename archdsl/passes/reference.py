"""What a network computes, with or without fused kernels: layer after layer by torch's own modules, in
float64 unless the weights and the image say otherwise. It defines what every pass and every backend must
keep; it is not fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.network import Network
from archdsl.ops.base import Function, Lowering
from archdsl.passes._kernel import AFFINE, Kernel, Other, Placed, Stage, computes, stage_of
from archdsl.passes.weights import State, weights_of

if TYPE_CHECKING:
    from torch import Tensor

Weights = Callable[[Stage], "dict[str, Tensor]"]
"""What a stage computes with, by name."""


def run(network: Network, state: State, x: Tensor) -> dict[str, Tensor]:
    """The outputs by name, in evaluation.

    state: the state_dict of the module that `archdsl.build` makes of the network before any pass.
    """
    import torch

    values: list[Any] = [None] * len(network.nodes)
    ways: dict[int, list[Tensor]] = {}
    values[0] = x.double()
    with torch.no_grad():
        for index in network.evaluated[1:]:
            node = network.nodes[index]
            inputs = [values[i] for i in node.inputs]
            if isinstance(node.op, Other):
                values[index] = ways[node.inputs[0]][node.op.index]
            elif isinstance(node.op, Placed):
                values[index] = torch.cat(inputs, dim=1)
            elif isinstance(node.op, Kernel):
                ways[index] = compute(node.op, state, inputs)
                values[index] = ways[index][0]
            elif computes(node.op):
                shapes = [network.nodes[i].shape for i in node.inputs]
                values[index] = _chain((stage_of(node, shapes),), partial(weights_of, state=state), inputs[0], inputs)
            else:
                values[index] = _layer(node.op.lower(*(_shape(i) for i in inputs)), {}, inputs)
    return {output.name: values[output.node] for output in network.outputs if not output.aux}


def compute(kernel: Kernel, state: State, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The tensors that a kernel writes, way by way."""
    return compute_with(kernel, partial(weights_of, state=state), inputs)


def compute_with(kernel: Kernel, weights: Weights, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The same with whatever weights, in the inputs' dtype: of each stage those that `weights_of` would give."""
    trunk = _chain(kernel.trunk, weights, inputs[0], inputs)
    return [_chain(way.stages, weights, trunk[:, way.start : way.stop], inputs) for way in kernel.ways]


def _chain(stages: Sequence[Stage], given: Weights, stream: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    for stage in stages:
        operands = [inputs[i] for i in stage.operands]
        if stage.side:
            operands[0] = _chain(stage.side, given, operands[0], inputs)
        arguments = stage.arguments(stream, operands)
        weights = given(stage)
        if stage.kind in AFFINE:
            sides = [1] * (stream.dim() - 2)
            stream = stream * weights["scale"].view(-1, *sides) + weights["shift"].view(-1, *sides)
        else:
            stream = _layer(stage.op.lower(*(_shape(a) for a in arguments)), weights, arguments)
    return stream


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape[1:])


def _layer(lowering: Lowering, weights: dict[str, Tensor], inputs: Sequence[Any]) -> Any:
    """What torch makes of a layer, with these weights."""
    import torch
    from torch import nn

    space: dict[str, Any] = {"torch": torch, "nn": nn}
    if isinstance(lowering, Function):
        names = [f"x{i}" for i in range(len(inputs))]
        text = lowering.text(names)
        return eval(text, space, dict(zip(names, inputs, strict=True)))
    if lowering.helper is not None:
        exec(lowering.helper, space)
    with torch.device("meta"):  # nothing is drawn for weights that are given
        module = eval(lowering.target, space)(*lowering.args, **lowering.kwargs)
    module.load_state_dict(weights, assign=True)
    return module.eval()(*inputs)
