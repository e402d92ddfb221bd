"""Layers that nothing faster covers: torch's own operators, as the layer's lowering has them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from archdsl.ops.base import Function, Lowering


class Traced(NamedTuple):
    """What a layer does to inputs of one shape. graph: of torch's operators; shares: whether the output may be
    a view of an input; dense: whether it is a whole channels-last tensor; operators: their names."""

    graph: Any
    shape: tuple[int, ...]
    shares: bool
    dense: bool
    operators: tuple[str, ...]


def traced(
    lowering: Lowering,
    weights: dict[str, torch.Tensor],
    shapes: Sequence[tuple[int, ...]],
    dtype: torch.dtype,
) -> Traced:
    """Run a layer once on zeros and keep the operators it called."""
    layer = layer_of(lowering, weights)
    inputs = [_zeros(shape, dtype) for shape in shapes]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes are constants of the plan, and TorchScript is what runs here
        try:
            output = layer(*inputs)
        except NotImplementedError:  # torch lacks the kernel in this dtype
            layer = _in_float32(layer_of(lowering, {name: value.float() for name, value in weights.items()}))
            output = layer(*inputs)
        # torch.jit.trace would keep the function, and the inputs with it, as long as the process lives.
        graph, _ = torch._C._create_graph_by_tracing(
            lambda *args: layer(*args), tuple(inputs), lambda _: "", True, False
        )
    torch._C._jit_pass_inline(graph)
    torch._C._jit_pass_constant_propagation(graph)
    torch._C._jit_pass_dce(graph)
    # Whether there is a view can depend on how what comes in is laid out, of which the image is free.
    flat = [i.contiguous() for i in inputs]
    with torch.no_grad():
        shares = _shares(output, inputs) or _shares(layer(*flat), flat)
    whole = output.dim() != 4 or output.is_contiguous(memory_format=torch.channels_last)
    names = (node.kind() for node in graph.nodes())
    operators = tuple(dict.fromkeys(n.partition("::")[2] for n in names if n.startswith("aten::")))
    return Traced(graph, tuple(output.shape), shares, whole and not shares, operators)


def _shares(output: torch.Tensor, inputs: Sequence[torch.Tensor]) -> bool:
    return output.untyped_storage().data_ptr() in {i.untyped_storage().data_ptr() for i in inputs}


def _zeros(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    return torch.zeros(shape, dtype=dtype).contiguous(memory_format=layout)


def _in_float32(layer: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda *inputs: layer(*(i.float() for i in inputs)).to(inputs[0].dtype)


def layer_of(lowering: Lowering, weights: dict[str, torch.Tensor]) -> Callable[..., torch.Tensor]:
    space: dict[str, Any] = {"torch": torch, "nn": nn}
    if isinstance(lowering, Function):

        def call(*inputs: torch.Tensor) -> torch.Tensor:
            names = [f"x{i}" for i in range(len(inputs))]
            text = lowering.text(names)
            return eval(text, space, dict(zip(names, inputs, strict=True)))

        return call
    if lowering.helper is not None:
        exec(lowering.helper, space)
    with torch.device("meta"):  # nothing is drawn for weights that are given
        module = eval(lowering.target, space)(*lowering.args, **lowering.kwargs)
    module.load_state_dict(weights, assign=True)
    return module.requires_grad_(False).eval()
