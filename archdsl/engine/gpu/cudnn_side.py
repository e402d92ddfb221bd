"""What cuDNN's graphs can do, where the package nvidia-cudnn-frontend is installed: a convolution with its bias,
activations and residual as one kernel.

Nothing of it is loaded before a convolution asks on a machine with a GPU. Which graphs cuDNN has kernels for it
says only when one is made ready: a plan that there is not is refused like a kernel that is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.engine.gpu import cost
from archdsl.engine.gpu.candidate import Candidate, Given, Run
from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.segments import Epilogue, epilogue
from archdsl.engine.gpu.spot import IMAGE_CHANNELS
from archdsl.engine.gpu.torch_side import filled, library_weight
from archdsl.engine.gpu.triton_side import copies, one_segment, padding_of
from archdsl.kernels import _launch
from archdsl.passes._kernel import Step

PLANS = 3
"""Of those that cuDNN proposes for a graph, in its order: a candidate each."""
WORKSPACE = 2**28
"""Bytes beside its tensors that a plan may take."""
DTYPES = {torch.bfloat16: "BFLOAT16", torch.float16: "HALF", torch.float32: "FLOAT"}
ACTS: dict[str, Callable[[Any, Any], Any]] = {
    "none": lambda graph, x: x,
    "relu": lambda graph, x: graph.relu(input=x),
    "relu6": lambda graph, x: graph.relu(input=x, lower_clip=0.0, upper_clip=6.0),
    "silu": lambda graph, x: graph.swish(input=x),
    "gelu": lambda graph, x: graph.gelu(input=x),
    "sigmoid": lambda graph, x: graph.sigmoid(input=x),
    "tanh": lambda graph, x: graph.tanh(input=x),
}


@cache
def frontend() -> Any | None:
    """The package `cudnn` with a cuDNN that it can call, on a machine with a GPU; else None."""
    if not torch.cuda.is_available():
        return None
    try:
        found = import_module("cudnn")
        found.backend_version(), found.pygraph, found.cudnnGraphNotSupportedError
    except Exception:  # not there, another package of that name, or in whatever way without its library
        return None
    return found


def package() -> str:
    """The package with its versions, "" without it: what measurements that took it into account hold for."""
    found = frontend()
    return f"cudnn-frontend {found.__version__}, cudnn {found.backend_version()}" if found else ""


class Form(NamedTuple):
    """A convolution that a graph can say, and what follows. padding: top, bottom, left, right."""

    step: Step
    after: Epilogue
    padding: tuple[int, int, int, int]


def graphs(problem: Problem) -> tuple[Candidate, ...]:
    """One convolution with an epilogue, by the first plans that cuDNN has for it."""
    named = package()
    form = form_of(problem) if named else None
    if form is None:
        return ()
    seconds = cost.fused(problem, "cudnn")

    def candidate(plan: int) -> Candidate:
        # Later plans only where an earlier one is refused, or measured to be slower.
        expected, config = seconds * 1.01**plan, f"plan {plan}" if plan else ""
        return Candidate(
            "cudnn", "graph", config, expected, 1, lambda given: _made(problem, form, plan, given), named
        )

    return tuple(map(candidate, range(PLANS)))


def form_of(problem: Problem) -> Form | None:
    """The problem as a graph would say it. Not of float32, which cuDNN may multiply as TF32, nor of groups,
    which it does not fuse."""
    part = one_segment(problem)
    if part is None or part.stage is None or part.kind != "conv" or part.stage.operands:
        return None
    op: Any = part.stage.op
    after, padding = epilogue(part.post), padding_of(problem.step(part.stage))
    if after is None or padding is None or op.groups != 1 or problem.dtype == "f32":
        return None
    if after.first not in ACTS or after.last not in ACTS:
        return None
    if after.add is not None:
        other = after.add.operands[0]
        if after.add.side or not other or problem.inputs[other].shape != problem.out.shape:
            return None
    spots = (*problem.inputs, problem.out)
    if not all(s.dense or s.row == IMAGE_CHANNELS or copies(s, problem.size) for s in spots):
        return None  # plans are for tensors that begin on 16 bytes
    return Form(problem.step(part.stage), after, padding)


# ---- a graph ----


class Tensors(NamedTuple):
    """What a graph reads and writes, (N, C, H, W) with channels last. bias: (1, K, 1, 1) in float32."""

    image: Tensor
    weight: Tensor
    bias: Tensor | None
    residual: Tensor | None
    out: Tensor


def graph_of(cudnn: Any, handle: Any, form: Form, tensors: Tensors) -> tuple[Any, tuple[Any, ...]]:
    """The graph act(act(conv(image) + bias) + residual), not planned yet, and its ends in the order of
    `Tensors`, None where there is none. What lies between is float32. Of tensors only shapes, strides and dtypes
    are asked."""
    kinds = cudnn.data_type
    graph = cudnn.pygraph(
        io_data_type=getattr(kinds, DTYPES[tensors.out.dtype]),
        intermediate_data_type=kinds.FLOAT,
        compute_data_type=kinds.FLOAT,
        handle=handle,
    )

    def end(name: str, x: Tensor | None) -> Any:
        if x is None:
            return None
        kind = getattr(kinds, DTYPES[x.dtype])
        return graph.tensor(name=name, dim=list(x.shape), stride=list(x.stride()), data_type=kind)

    names = tensors._fields[:-1]
    image, weight, bias, residual = (end(name, x) for name, x in zip(names, tensors[:-1], strict=True))
    op: Any = form.step.stage.op
    top, bottom, left, right = form.padding
    value = graph.conv_fprop(
        image=image,
        weight=weight,
        pre_padding=[top, left],
        post_padding=[bottom, right],
        stride=list(op.stride),
        dilation=list(op.dilation),
    )
    if bias is not None:
        value = graph.bias(input=value, bias=bias)
    value = ACTS[form.after.first](graph, value)
    if residual is not None:
        value = graph.add(a=value, b=residual)
    value = ACTS[form.after.last](graph, value)
    out = tensors.out
    value.set_output(True).set_data_type(getattr(kinds, DTYPES[out.dtype]))
    value.set_dim(list(out.shape)).set_stride(list(out.stride()))
    return graph, (image, weight, bias, residual, value)


class Planned(NamedTuple):
    """A graph with cuDNN's plans for it. built: of those that are, the bytes that each needs beside its tensors."""

    graph: Any
    ends: tuple[Any, ...]
    built: dict[int, int]

    def workspace(self, plan: int) -> int:
        """Bytes. Raises ValueError where there is no such plan, and what cuDNN does where it can't be built."""
        if plan not in self.built:
            count = self.graph.get_execution_plan_count()
            if plan >= count:
                raise ValueError(f"cuDNN has {count} plans for this, none is number {plan}")
            self.graph.build_plan_at_index(plan)
            size = self.graph.get_workspace_size_plan_at_index(plan)
            if size > WORKSPACE:
                raise ValueError(f"cuDNN's plan takes {size} bytes beside its tensors, more than {WORKSPACE}")
            self.built[plan] = size
        return self.built[plan]


def _made(problem: Problem, form: Form, plan: int, given: Given) -> Run:
    """Raises ValueError, or what cuDNN does, where it has no such plan."""
    cudnn = frontend()
    assert cudnn is not None
    tensors = _tensors(form, given)
    if any(x.data_ptr() % 16 for x in tensors if x is not None):
        raise ValueError("cuDNN's plans are for tensors that begin at multiples of 16 bytes")
    device = tensors.out.device
    handle = _handle(device, threading.get_ident())

    def planned() -> Planned:
        graph, ends = graph_of(cudnn, handle, form, tensors)
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        return Planned(graph, ends, {})

    # A plan takes half a second to build: equal problems share it.
    found: Planned = given.weights.kept_as(f"cudnn graph of {problem.key}", [], planned)
    workspace = given.scratch.take((max(found.workspace(plan), 1),), torch.uint8)
    pack = {end: x for end, x in zip(found.ends, tensors, strict=True) if x is not None}

    def run() -> None:
        if device.type == "cuda":
            # The stream of now: a CUDA graph is captured on another than was current when this was made.
            cudnn.set_stream(handle=handle, stream=torch.cuda.current_stream(device).cuda_stream)
        found.graph.execute_plan_at_index(pack, workspace, plan, handle=handle)

    return run


def _tensors(form: Form, given: Given) -> Tensors:
    step, after, weights = form.step, form.after, given.weights
    x = filled(given.inputs[0], step)
    bias = weights.bias(step)
    return Tensors(
        _nchw(x),
        _nchw(library_weight(step, weights, x.shape[3]).permute(0, 2, 3, 1)),
        None if bias is None else _nchw(bias.view(1, 1, 1, -1)),
        None if after.add is None else _nchw(given.inputs[after.add.operands[0]]),
        _nchw(given.outputs[0]),
    )


def _nchw(x: Tensor) -> Tensor:
    """[N, H, W, C] as (N, C, H, W) in place, with strides that are right also where a size is 1."""
    n, h, w, c, pitch = _launch.image(x, "x")
    return x.as_strided((n, c, h, w), (h * w * pitch, 1, w * pitch, pitch))


@cache
def _handle(device: torch.device, thread: int) -> Any:
    """cuDNN's handle for a device; two threads may not share one."""
    cudnn = frontend()
    assert cudnn is not None
    with torch.cuda.device(device if device.type == "cuda" else -1):
        return cudnn.create_handle()
