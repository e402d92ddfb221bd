"""How the layers of a live torch module are wired: run once on the meta device, where nothing is computed, and read
from autograd's graph of what came out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from archdsl.weights.graph import IMAGE, Graph, Step
from archdsl.weights.slots import Slot

KINDS = {
    "Mul": "mul",
    "Maximum": "max",
    "Cat": "concat",
    "Relu": "relu",
    "LeakyRelu": "leakyrelu",
    "Elu": "elu",
    "Hardtanh": "relu6",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Silu": "silu",
    "Gelu": "gelu",
    "Mish": "mish",
    "Hardswish": "hswish",
    "Hardsigmoid": "hsigmoid",
    "MaxPool2DWithIndices": "maxpool",
    "AvgPool2D": "avgpool",
}
"""Autograd's functions, less Backward and a number; what else joins tensors, adds them."""


def graph_of(module: Any, slots: Sequence[Slot], shape: Sequence[int]) -> Graph | None:
    """The wiring for images of a shape; None where the module does not run, or layers are not reached just once."""
    import torch

    blank = _on_meta(module, torch)
    of = {slot.entries[role].name: i for i, slot in enumerate(slots) for role in slot.entries}
    layer_of = {id(p): of[name] for name, p in blank.named_parameters() if name in of}
    kind = next((p.dtype for p in blank.parameters() if p.is_floating_point()), torch.float32)
    for training in (False, True):  # some have side heads only in training
        blank.train(training)
        image = torch.empty(2, *shape, device="meta", dtype=kind, requires_grad=True)
        try:
            with torch.enable_grad():
                outputs = blank(image)
        except Exception:  # whatever a stranger's forward raises: there is other evidence
            return None
        graph = _read(_tensors(outputs, torch), id(image), layer_of)
        if graph is not None and {s.layer for s in graph.steps} >= set(range(len(slots))):
            return graph
    return None


def _on_meta(module: Any, torch: Any) -> Any:
    """A copy without values."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        blank = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = torch.nn.Parameter(blank, requires_grad=blank.is_floating_point())
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(module, memo)


def _tensors(outputs: Any, torch: Any) -> list[Any]:
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    inner = outputs.values() if isinstance(outputs, dict) else outputs if isinstance(outputs, (list, tuple)) else ()
    return [tensor for item in inner for tensor in _tensors(item, torch)]


def _read(outputs: list[Any], image: int, layer_of: dict[int, int]) -> Graph | None:
    """Autograd's functions as steps: one that reads a layer's parameter is that layer."""
    steps: list[Step] = []
    values: dict[Any, int | None] = {}  # a function's step; None: made of parameters alone
    owned: dict[Any, frozenset[int]] = {}  # layers whose parameters a function without data hands on
    step_of: dict[int, int] = {}
    for output in outputs:
        stack = [output.grad_fn]
        while stack:
            function = stack[-1]
            if function is None or function in values:
                stack.pop()
                continue
            before = [f for f, _ in function.next_functions if f is not None]
            missing = [f for f in before if f not in values]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            variable = getattr(function, "variable", None)
            if variable is not None:
                values[function] = IMAGE if id(variable) == image else None
                owned[function] = frozenset({layer_of[id(variable)]} if id(variable) in layer_of else ())
                continue
            inputs = tuple(value for f in before if (value := values[f]) is not None)
            layers = frozenset[int]().union(*(owned[f] for f in before))
            owned[function] = frozenset() if inputs else layers
            if not inputs:
                values[function] = None
                continue
            if len(layers) > 1:
                return None
            for layer in layers:
                if layer in step_of and step_of[layer] not in inputs:
                    return None  # it runs twice
            new = [layer for layer in layers if layer not in step_of]
            kind = "" if new else KINDS.get(function.name().partition("Backward")[0], "add")
            steps.append(Step(new[0] if new else None, kind, inputs))
            values[function] = len(steps) - 1
            step_of |= dict.fromkeys(layers, len(steps) - 1)
    ends = [values.get(output.grad_fn) for output in outputs]
    return Graph(tuple(steps), tuple(end for end in ends if end is not None))
