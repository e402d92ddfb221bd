"""A live Keras model: its layers' variables, and how the layers are wired."""

from __future__ import annotations

from functools import partial
from typing import Any

from archdsl.weights.graph import FINE, IMAGE, Graph, Step
from archdsl.weights.keras_layers import Array, slots, snake, with_shortcuts
from archdsl.weights.slots import Slot, Source

KINDS = {
    "multiply": "mul",
    "maximum": "max",
    "concatenate": "concat",
    "re_lu": "relu",
    "leaky_re_lu": "leakyrelu",
    "elu": "elu",
    "max_pooling2d": "maxpool",
    "average_pooling2d": "avgpool",
}
"""Keras's layers by class; what else joins tensors, adds them."""

ACTIVATIONS = {"hard_silu": "hswish", "hard_sigmoid": "hsigmoid", "swish": "silu", "leaky_relu": "leakyrelu"}
"""Activations that Keras calls otherwise."""


def from_model(model: Any) -> Source:
    """The weights of a Keras model, in float or whatever it computes in."""
    found: list[Slot] = []
    of: dict[int, list[int]] = {}  # a layer's place among the slots
    for layer in _layers(model):
        made = slots(layer.name, snake(type(layer).__name__), _arrays(layer))
        of[id(layer)] = list(range(len(found), len(found) + len(made)))
        found += made
    return Source(f"the Keras model {model.name}", with_shortcuts(found), ordered=False, graph=_graph(model, of))


def _layers(model: Any) -> list[Any]:
    """Layers that own variables, those of models within models too."""
    found = []
    for layer in model.layers:
        inner = getattr(layer, "layers", None)
        found += _layers(layer) if inner else [layer] if layer.weights else []
    return found


def _arrays(layer: Any) -> dict[str, Array]:
    return {variable.name: Array(tuple(variable.shape), partial(_read, variable)) for variable in layer.weights}


def _read(variable: Any) -> Any:
    import numpy
    import torch

    value = getattr(variable, "value", variable)
    if isinstance(value, torch.Tensor):
        return value.detach()
    array = numpy.asarray(value)
    if array.dtype.kind not in "fiub":  # bfloat16 has no kind of NumPy's own
        array = array.astype("float32")
    return torch.from_numpy(numpy.ascontiguousarray(array)) if array.shape else torch.tensor(array.item())


def _graph(model: Any, of: dict[int, list[int]]) -> Graph | None:
    """How the layers of a functional model are wired; None where Keras does not tell, or a layer runs twice."""
    outputs = getattr(model, "outputs", None)
    if not outputs or any(getattr(layer, "layers", None) for layer in model.layers):
        return None
    steps: list[Step] = []
    done: dict[tuple[int, int], int] = {}
    met: set[int] = set()
    for output in outputs:
        stack = [output]
        while stack:
            operation, node, _ = stack[-1]._keras_history
            key = (id(operation), node)
            if key in done:
                stack.pop()
                continue
            before = operation._inbound_nodes[node].input_tensors
            keys = [(id(t._keras_history[0]), t._keras_history[1]) for t in before]
            missing = [t for t, k in zip(before, keys, strict=True) if k not in done]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            inputs = tuple(done[k] for k in keys) or (IMAGE,)
            own = of.get(id(operation), [])
            if own and id(operation) in met:
                return None
            met.add(id(operation))
            for place in own:
                steps.append(Step(place, "", inputs))
                inputs = (len(steps) - 1,)
            if not own:
                kind = KINDS.get(snake(type(operation).__name__), "add")
                steps.append(Step(None, "" if kind == "relu" and _activation(operation) else kind, inputs))
                inputs = (len(steps) - 1,)
            steps.append(Step(None, _activation(operation), inputs))
            done[key] = len(steps) - 1
    ends = tuple(done[id(t._keras_history[0]), t._keras_history[1]] for t in outputs)
    return Graph(tuple(steps), ends)


def _activation(operation: Any) -> str:
    """The activation that a layer is, or carries."""
    if getattr(operation, "max_value", None) == 6:
        return "relu6"
    name = getattr(getattr(operation, "activation", None), "__name__", "")
    name = ACTIVATIONS.get(name, name)
    return name if name in FINE else ""
