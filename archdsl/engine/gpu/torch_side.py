"""What torch itself can do: a convolution by cuDNN or cuBLAS and what follows by one element-wise kernel; or
any layers, one by one, as its own operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from archdsl.engine.gpu import cost
from archdsl.engine.gpu.candidate import Candidate, Given, Run
from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.segments import Epilogue, epilogue, segments
from archdsl.engine.gpu.weights import Weights, channels_last_weight
from archdsl.engine.traced import layer_of
from archdsl.passes._kernel import AFFINE, Stage, Step, is_pixelwise

ACTS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": torch.relu_,
    "relu6": lambda x: torch.nn.functional.hardtanh_(x, 0.0, 6.0),
    "silu": lambda x: torch.nn.functional.silu(x, inplace=True),
    "hswish": lambda x: torch.nn.functional.hardswish(x, inplace=True),
    "sigmoid": torch.sigmoid_,
    "hsigmoid": lambda x: torch.nn.functional.hardsigmoid(x, inplace=True),
    "gelu": torch.nn.functional.gelu,
    "tanh": torch.tanh_,
}


def nchw(x: Tensor) -> Tensor:
    """[N, H, W, C] as torch's layers take it, without moving anything."""
    return x.permute(0, 3, 1, 2)


# ---- layer by layer ----


def plain(problem: Problem) -> tuple[Candidate, ...]:
    """Every problem, as torch's own operators."""
    passes = sum(
        sum(_numbers(shape) for shape in step.inputs) + _numbers(step.output) for step in problem.steps
    ) + 2 * sum(spot.numbers for spot in problem.outputs)
    launches = len(problem.steps) + len(problem.outputs)
    seconds = (
        launches * cost.START
        + cost.moving(passes * problem.batch, problem.size)
        + cost.of_products(problem.flops, problem.dtype, "torch")
    )
    return (Candidate("torch", "layers", "", seconds, launches, lambda given: _plain(problem, given)),)


def _plain(problem: Problem, given: Given) -> Run:
    steps = {id(step.stage): step for step in problem.steps}
    layers = {key: _layer(step, given.weights) for key, step in steps.items()}

    def chain(stages: Sequence[Stage], stream: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        for stage in stages:
            operands = [inputs[i] for i in stage.operands]
            if stage.side:
                operands[0] = chain(stage.side, operands[0], inputs)
            stream = layers[id(stage)](*stage.arguments(stream, operands))
        return stream

    inputs = [_as_layer_sees(x, spot.flat) for x, spot in zip(given.inputs, problem.inputs, strict=True)]

    def run() -> None:
        trunk = chain(problem.trunk, inputs[0], inputs)
        for way, out in zip(problem.kernel.ways, given.outputs, strict=True):
            value = chain(way.stages, trunk[:, way.start : way.stop], inputs)
            n, h, w, c = out.shape
            out.copy_(value.reshape(n, c, h, w).permute(0, 2, 3, 1))

    return run


def _as_layer_sees(x: Tensor, flat: bool) -> Tensor:
    return x[:, 0, 0, :] if flat else nchw(x)


def _layer(step: Step, weights: Weights) -> Callable[..., Tensor]:
    stage = step.stage
    if stage.kind in AFFINE:
        scale, shift = weights.affine([step])
        sides = (1, -1, 1, 1) if len(step.output) == 3 else (1, -1)
        return lambda x: (x.float() * scale.view(sides) + shift.view(sides)).to(x.dtype)
    found = weights.plain(step) if stage.sources else {}
    return layer_of(stage.op.lower(*step.inputs), found)


def _numbers(shape: Sequence[Any]) -> int:
    return int(torch.Size(int(side) for side in shape).numel())


# ---- a convolution of a library, and what follows ----


def library(problem: Problem) -> tuple[Candidate, ...]:
    """One convolution, depthwise convolution or fc with an epilogue: cuDNN's or cuBLAS's kernel without a
    bias, then one kernel for all that follows."""
    form = _form(problem)
    if form is None:
        return ()
    step, after = form
    passes = 2 * problem.out.numbers + (problem.out.numbers if after.add else 0)
    base = sum(spot.numbers for spot in problem.inputs[:1]) + problem.out.numbers
    copied = 0 if problem.inputs[0].dense or problem.inputs[0].row == 4 else 2 * problem.inputs[0].numbers
    vector = step.stage.kind == "dwconv"
    weights = _numbers(step.weights[0].shape)
    main = max(
        cost.moving(base * problem.batch + weights, problem.size),
        cost.of_products(problem.flops, problem.dtype, "cudnn", vector),
    )
    seconds = 2 * cost.START + main + cost.moving((passes + copied) * problem.batch, problem.size)
    found = [
        Candidate(
            "cudnn", "conv + pointwise", "", seconds, 2, lambda given: _library(problem, step, after, given)
        )
    ]
    if _is_rows(step) and after.add is None and after.last in ("none", "relu"):
        lone = cost.START + max(
            cost.moving(base * problem.batch + weights, problem.size),
            cost.of_products(problem.flops, problem.dtype, "cudnn"),
        )
        found.append(
            Candidate("cudnn", "addmm", "", lone, 1, lambda given: _addmm(problem, step, after, given))
        )
    if (
        after.add is not None
        and not after.add.side
        and (after.first, after.last) == ("none", "relu")
        and not vector
    ):
        residual = seconds - cost.moving(problem.out.numbers * problem.batch, problem.size)
        found.append(
            Candidate(
                "cudnn",
                "conv_add_relu",
                "",
                residual * 1.01,
                2,
                lambda given: _add_relu(problem, step, after, given),
            )
        )
    return tuple(sorted(found, key=lambda c: c.seconds))


def _form(problem: Problem) -> tuple[Step, Epilogue] | None:
    parts = segments(problem.trunk)
    if len(parts) != 1 or not problem.kernel.simple or parts[0].stage is None:
        return None
    stage = parts[0].stage
    after = epilogue(parts[0].post)
    if after is None or stage.kind not in ("conv", "dwconv", "fc") or stage.operands:
        return None
    op: Any = stage.op
    if after.add is not None and (after.add.side or after.add.operands == (0,)):
        return None
    if stage.kind != "fc":
        padding = op.padding
        if padding == "same" or padding[0] != padding[1] or padding[2] != padding[3]:
            return None
    if after.add is not None and problem.inputs[after.add.operands[0]].shape != problem.out.shape:
        return None  # broadcast
    return problem.step(stage), after


def _is_rows(step: Step) -> bool:
    """Whether the convolution is one product of a matrix of pixels."""
    op: Any = step.stage.op
    return step.stage.kind == "fc" or is_pixelwise(step.stage) and op.stride == (1, 1)


def _window(step: Step, channels: int) -> tuple[list[int], list[int], list[int], int]:
    """(padding, stride, dilation, groups)."""
    op: Any = step.stage.op
    if step.stage.kind == "fc":
        return [0, 0], [1, 1], [1, 1], 1
    groups = channels if step.stage.kind == "dwconv" else op.groups
    return [op.padding[0], op.padding[2]], list(op.stride), list(op.dilation), groups


def library_weight(step: Step, weights: Weights, channels: int) -> Tensor:
    """As cuDNN takes it, channels last; with zeros for channels that only fill up."""

    def make() -> Tensor:
        weight = channels_last_weight(step, weights.doubles(step)["weight"])
        if channels > weight.shape[3] and step.stage.kind != "dwconv" and _groups(step) == 1:
            weight = torch.nn.functional.pad(weight, (0, channels - weight.shape[3]))
        low = weight.to(device=weights.device, dtype=weights.dtype).contiguous()
        return low.permute(0, 3, 1, 2)

    return weights.kept_as(f"cudnn{channels}", [step], make)


def _groups(step: Step) -> int:
    return getattr(step.stage.op, "groups", 1)


def filled(x: Tensor, step: Step) -> Tensor:
    """An image of 3 channels with the zeros beside it, if it has them: a dense tensor, where a slice would be
    copied."""
    if (
        x.shape[3] == 3
        and x.dim() == 4
        and x.stride(2) == 4
        and x.storage_offset() == 0
        and step.stage.kind == "conv"
    ):
        n, h, w, _ = x.shape
        return x.as_strided((n, h, w, 4), (h * w * 4, w * 4, 4, 1))
    return x


def _library(problem: Problem, step: Step, after: Epilogue, given: Given) -> Run:
    x = filled(given.inputs[0], step)
    weight = library_weight(step, given.weights, x.shape[3])
    bias = given.weights.bias(step)
    out = given.outputs[0]
    middle = out if problem.out.dense else given.scratch.take(tuple(out.shape), out.dtype)
    residual = None if after.add is None else given.inputs[after.add.operands[0]]
    # The residual may lie where the output goes, element by element; then the product needs a place of its own.
    if residual is not None and residual.data_ptr() == middle.data_ptr():
        middle = given.scratch.take(tuple(out.shape), out.dtype)
    finish = _finish(middle, bias, residual, after, out)
    convolve = _convolution(x, weight, step, middle)

    def run() -> None:
        convolve()
        finish()

    return run


def _convolution(x: Tensor, weight: Tensor, step: Step, out: Tensor) -> Run:
    if _is_rows(step) and x.shape[3] == weight.shape[1]:
        n, h, w, c = x.shape
        if step.stage.kind == "fc" and h * w > 1:  # a product over the whole image, which lies in one row
            if not x.is_contiguous():
                raise ValueError("an fc reads a slice of channels here")
            rows, matrix = x.reshape(n, h * w * c), weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1)
        else:
            rows, matrix = _rows(x), weight.permute(0, 2, 3, 1).reshape(weight.shape[0], c)
        into = _rows(out)
        return lambda: torch.mm(rows, matrix.t(), out=into)
    given, made = nchw(x), nchw(out)
    padding, stride, dilation, groups = _window(step, x.shape[3])
    if x.is_cuda:
        call = torch.ops.aten.cudnn_convolution.out
        # benchmark, deterministic, allow_tf32: float32 stays float32
        return lambda: call(given, weight, padding, stride, dilation, groups, True, False, False, out=made)
    # Without cuDNN there is no operator that writes to a place.
    return lambda: made.copy_(torch.conv2d(given, weight, None, stride, padding, dilation, groups))


def _rows(x: Tensor) -> Tensor:
    """[N, H, W, C] as rows of pixels, in place."""
    n, h, w, c = x.shape
    pitch = x.stride(2) if w > 1 else x.stride(1) if h > 1 else x.stride(0) if n > 1 else c
    return x.as_strided((n * h * w, c), (pitch, 1))


def _finish(
    middle: Tensor, bias: Tensor | None, residual: Tensor | None, after: Epilogue, out: Tensor
) -> Run:
    """The epilogue of a product that lies in `middle`, as one Triton kernel; torch's operators where none
    runs."""
    from archdsl.engine.gpu.triton_side import pointwise

    one = pointwise(middle, bias, residual, after, out)
    if one is not None:
        return one

    def run() -> None:
        value = middle.float()
        if bias is not None:
            value = value + bias
        value = ACTS[after.first](value)
        if residual is not None:
            value = value + residual
        out.copy_(ACTS[after.last](value))

    return run


def _addmm(problem: Problem, step: Step, after: Epilogue, given: Given) -> Run:
    """cuBLAS with its own bias and ReLU. The bias is rounded to the products' dtype."""
    x, out = given.inputs[0], given.outputs[0]
    n, h, w, c = x.shape
    weight = given.weights.weight(step)
    if step.stage.kind == "fc" and h * w > 1:
        if not x.is_contiguous():
            raise ValueError("an fc reads a slice of channels here")
        rows, matrix = x.reshape(n, -1), weight.reshape(weight.shape[0], -1)
    else:
        rows, matrix = _rows(x), weight.reshape(weight.shape[0], c)
    into, bias = _rows(out), given.weights.bias(step)
    turned = matrix.t()
    if bias is None:
        if after.last != "none":
            raise ValueError("cuBLAS has no ReLU without a bias")
        return lambda: torch.mm(rows, turned, out=into)
    low = given.weights.kept_as("low bias", [step], lambda: bias.to(x.dtype))
    if after.last == "relu":
        act = torch.ops.aten._addmm_activation.out
        return lambda: act(low, rows, turned, beta=1, alpha=1, use_gelu=False, out=into)
    return lambda: torch.addmm(low, rows, turned, out=into)


def _add_relu(problem: Problem, step: Step, after: Epilogue, given: Given) -> Run:
    """cuDNN's convolution with bias, residual and ReLU, which gives a tensor of its own that is then
    copied."""
    if not given.inputs[0].is_cuda:
        raise ValueError("cudnn_convolution_add_relu runs on a CUDA GPU only")
    assert after.add is not None
    x, residual, out = filled(given.inputs[0], step), given.inputs[after.add.operands[0]], given.outputs[0]
    weight = library_weight(step, given.weights, x.shape[3])
    padding, stride, dilation, groups = _window(step, x.shape[3])
    bias = given.weights.bias(step)
    low = None if bias is None else given.weights.kept_as("low bias", [step], lambda: bias.to(x.dtype))
    call = torch.ops.aten.cudnn_convolution_add_relu.default
    image, other, into = nchw(x), nchw(residual), nchw(out)
    return lambda: into.copy_(call(image, weight, other, 1.0, low, stride, padding, dilation, groups))
