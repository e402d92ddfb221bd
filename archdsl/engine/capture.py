"""A program as one function that runs without Python: a TorchScript graph, put together call by call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from archdsl.engine.calls import Call, Numbers, Program, Value

Runner = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]


def capture(program: Program, name: str) -> Runner:
    """The function. It has no state: several threads may call it at once."""
    return function([program.image], program.calls, list(program.outputs.values()), name)


def function(
    read: Sequence[Value], calls: Sequence[Call], made: Sequence[Value], name: str
) -> Callable[..., tuple[torch.Tensor, ...]]:
    """Some calls as one: from what they read to what of theirs is wanted."""
    graph = torch._C.Graph()
    writer = _Writer(graph)
    for number, value in enumerate(read):
        writer.values[value] = graph.addInput(f"x{number}")
    for call in calls:
        writer.write(call)
    outputs = [writer.values[value] for value in made]
    if len(outputs) > 1:
        whole = graph.insertNode(graph.create("prim::TupleConstruct", outputs, 1)).output()
        whole.setType(torch._C.TupleType([torch._C.TensorType.get()] * len(outputs)))
        outputs = [whole]
    graph.registerOutput(outputs[0])
    graph.lint()
    found: Any = torch._C._create_function_from_graph("".join(c if c.isalnum() else "_" for c in name), graph)
    if len(made) > 1:
        return found  # type: ignore[no-any-return]
    return lambda *given: (found(*given),)


class _Writer:
    """Writes calls into a graph; constants that are used again stand there once."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.values: dict[Value, Any] = {}
        self.constants: dict[Any, Any] = {}

    def write(self, call: Call) -> None:
        inputs = [self.argument(arg) for arg in call.args]
        if call.traced is not None:
            self.values[call.out] = self.inline(call.traced, inputs)
            return
        node = self.graph.create(call.name.partition(".")[0], inputs, 1)
        self.graph.insertNode(node)
        self.values[call.out] = node.output()

    def argument(self, arg: Any) -> Any:
        if isinstance(arg, Value):
            return self.values[arg]
        if isinstance(arg, Numbers):
            return self.kept(("numbers", arg), lambda: self.numbers(arg))
        if isinstance(arg, list) and any(isinstance(a, Value) for a in arg):
            return self.listed([self.values[a] for a in arg], torch._C.TensorType.get())
        if isinstance(arg, torch.Tensor):
            return self.kept(id(arg), lambda: self.weight(arg))
        key = (type(arg).__name__, repr(arg))
        return self.kept(key, lambda: self.graph.insertConstant(arg))

    def kept(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self.constants:
            self.constants[key] = make()
        return self.constants[key]

    def weight(self, tensor: torch.Tensor) -> Any:
        if not tensor.is_mkldnn:
            return self.graph.insertConstant(tensor)
        # A packed tensor has no storage, so it is no constant like others.
        node = self.graph.create("prim::ConstantMKLDNNTensor", 1)
        node.t_("value", tensor)
        return self.graph.insertNode(node).output()

    def numbers(self, arg: Numbers) -> Any:
        kind = torch._C.OptionalType(torch._C.NumberType.get())
        return self.listed([self.graph.insertConstant(item) for item in arg.items], kind)

    def listed(self, items: list[Any], kind: Any) -> Any:
        node = self.graph.create("prim::ListConstruct", items, 1)
        self.graph.insertNode(node)
        node.output().setType(torch._C.ListType(kind))
        return node.output()

    def inline(self, traced: Any, inputs: list[Any]) -> Any:
        """The nodes of a traced layer, and what comes out of them."""
        place = dict(zip((i.debugName() for i in traced.inputs()), inputs, strict=True))
        for node in traced.nodes():
            clone = self.graph.createClone(node, lambda value: place[value.debugName()])
            self.graph.insertNode(clone)
            for old, new in zip(node.outputs(), clone.outputs(), strict=True):
                place[old.debugName()] = new
        (output,) = traced.outputs()
        return place[output.debugName()]
