"""A network, fused or not, as a graph of OpenVINO's operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import openvino
import torch

from archdsl.engine.backend import refusal
from archdsl.engine.long_sums import of_fc
from archdsl.engine.on_disk import OnDisk
from archdsl.engine.openvino_layers import LAYERS, Graph, part
from archdsl.network import Network
from archdsl.passes._kernel import Kernel, Other, Stage, computes, stage_of
from archdsl.passes.weights import State, as_given, weights_of


class Weights:
    """The weights of a model as they were when this was made: folded in float64, then float32. All graphs of
    an engine share them. at_once: whether long sums stay whole, as in bf16."""

    def __init__(self, state: State, *, at_once: bool) -> None:
        self.state: State | None = state
        self.at_once = at_once
        self.kept: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.disk = OnDisk()

    def of(self, stage: Stage) -> dict[str, Any]:
        """Of a stage, by name."""
        if not stage.sources:
            return {}
        key = tuple(source.name for source in stage.sources)
        if key not in self.kept:
            assert self.state is not None, "the first graph has every weight"
            found = as_given(stage, self.state) or weights_of(stage, self.state)
            kept: dict[str, Any] = {}
            for name, value in found.items():
                if stage.kind == "fc" and name == "weight":
                    sums = 1 if self.at_once else of_fc(value.shape[1])
                    kept[name] = [self.disk.copy(part) for part in value.tensor_split(sums, dim=1)]
                else:
                    kept[name] = self.disk.copy(value)
            self.kept[key] = kept
        return self.kept[key]

    def close(self) -> None:
        """From here on nothing of the model is needed."""
        self.state = None


class Made(NamedTuple):
    """model: the graph; layers: which layers an operation works for, and what they are together, by the
    operation's name up to the first `/`; halved: the names of those with half of the multiplications."""

    model: Any
    layers: dict[str, tuple[tuple[str, ...], str]]
    halved: set[str]


def missing(network: Network) -> list[str]:
    """Layers of a network that have no counterpart here, by name in the language."""
    return sorted({kind for kind in _kinds(network) if kind not in LAYERS})


def _kinds(network: Network) -> Iterator[str]:
    for index in network.evaluated[1:]:
        op = network.nodes[index].op
        if isinstance(op, Kernel):
            yield from (stage.kind for stage in op.stages)
        elif not isinstance(op, Other):
            yield op.syntax


def graph_of(
    network: Network,
    weights: Weights,
    batch: int,
    came: torch.dtype,
    *,
    channels_last: bool,
    halved: Mapping[str, int],
) -> Made:
    """The graph of a network whose sizes are all numbers, for one batch.

    came: of the images, which the outputs have too. channels_last: the images are
    N, H, W, C in memory. halved: see halved.py. Raises ArchError (A411) where the image itself is an output.
    """
    graph = Graph(weights.disk, halved, at_once=weights.at_once)
    layers: dict[str, tuple[tuple[str, ...], str]] = {}
    values: dict[int, Any] = {}
    ways: dict[int, list[Any]] = {}
    graph.layer = "input"
    image, values[0] = _image(graph, network, batch, came, channels_last)
    for index in network.evaluated[1:]:
        node = network.nodes[index]
        inputs = [values[i] for i in node.inputs]
        graph.layer = node.name or f"{node.op.syntax}_{index}"
        if isinstance(node.op, Other):
            values[index] = ways[node.inputs[0]][node.op.index]
            continue
        if computes(node.op):
            shapes = [network.nodes[i].shape for i in node.inputs]
            kernel = node.op if isinstance(node.op, Kernel) else Kernel(trunk=(stage_of(node, shapes),))
            ways[index] = _kernel(graph, kernel, weights, inputs)
            values[index] = ways[index][0]
            layers[graph.layer] = kernel.weighted or (graph.layer,), kernel.pattern
        else:
            values[index] = LAYERS[node.op.syntax](graph, node.op, {}, inputs)
            layers[graph.layer] = (graph.layer,), node.op.syntax
    graph.layer = "output"
    results = []
    for output in network.outputs:
        if not output.aux:
            value = values[output.node]
            if value is values[0]:
                # Its memory would be the output's, and be written to.
                raise refusal("OpenVINO has no output that is the image itself", 'backend="onednn" has')
            if came == torch.bfloat16:
                value = graph("convert", value, "bf16")
            results.append(graph.node("result", value))
    return Made(openvino.Model(results, [image], network.name), layers, graph.halved)


def _image(graph: Graph, network: Network, batch: int, came: torch.dtype, last: bool) -> tuple[Any, Any]:
    """(what the graph is given, what its layers read)."""
    size = [batch, *network.input]
    if last:
        size = [size[0], *size[2:], size[1]]
    dtype = openvino.Type.bf16 if came == torch.bfloat16 else openvino.Type.f32
    image = graph.node("parameter", size, dtype)
    value = image.output(0)
    if last:
        value = graph("transpose", value, [0, 3, 1, 2])
    if came == torch.bfloat16:
        value = graph("convert", value, "f32")
    return image, value


def _kernel(graph: Graph, kernel: Kernel, weights: Weights, inputs: Sequence[Any]) -> list[Any]:
    trunk = _chain(graph, kernel.trunk, weights, inputs[0], inputs)
    found = []
    for way in kernel.ways:
        stop = trunk.get_shape()[1] if way.stop is None else way.stop
        found.append(_chain(graph, way.stages, weights, part(graph, trunk, 1, way.start, stop), inputs))
    return found


def _chain(graph: Graph, stages: Sequence[Stage], weights: Weights, stream: Any, inputs: Sequence[Any]) -> Any:
    for stage in stages:
        operands = [inputs[i] for i in stage.operands]
        if stage.side:
            operands[0] = _chain(graph, stage.side, weights, operands[0], inputs)
        arguments = stage.arguments(stream, operands)
        graph.parts = graph.wanted.get(stage.sources[0].name) if stage.sources else None
        stream = LAYERS[stage.kind](graph, stage.op, weights.of(stage), arguments)
    return stream
