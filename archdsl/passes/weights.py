"""Weights of fused layers, computed from a state_dict in float64. Nothing here names torch before it is
called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archdsl.ops.base import Op
from archdsl.passes._kernel import AFFINE, CONVOLUTIONS, Source, Stage

if TYPE_CHECKING:
    from torch import Tensor

State = Mapping[str, "Tensor"]
"""A state_dict of the network as it was before any pass."""


def weights_of(stage: Stage, state: State) -> dict[str, Tensor]:
    """What a stage computes with, in float64, on the device where the state is.

    Of a convolution `weight` and, if it has one, `bias`, in torch's layout and with everything folded in; of
    an affine layer `scale` and `shift`; of any other layer what its module has, by name. Cast and pack
    afterwards.
    """
    import torch

    if not stage.sources:
        return {}
    if stage.kind in AFFINE:
        (source,) = stage.sources
        scale, shift = _affine(source.op, source.name, state)
        for op, name in source.folded:
            more, add = _affine(op, name, state)
            scale, shift = scale * more, shift * more + add
        return {"scale": scale, "shift": shift}
    if stage.kind in CONVOLUTIONS:
        parts = [_convolution(source, state) for source in stage.sources]
        found = {"weight": torch.cat([weight for weight, _ in parts]) if len(parts) > 1 else parts[0][0]}
        if stage.op.bias:  # type: ignore[attr-defined]
            channels = stage.op.channels if hasattr(stage.op, "channels") else found["weight"].shape[0]
            zero = found["weight"].new_zeros(channels)
            found["bias"] = torch.cat(
                [
                    zero[: _width(s, w)] if b is None else b
                    for s, (w, b) in zip(stage.sources, parts, strict=True)
                ]
            )
        return found
    (source,) = stage.sources
    return {name: _double(value) for name, value in _own(source, state).items()}


def as_given(stage: Stage, state: State) -> dict[str, Tensor] | None:
    """The state's own tensors, by name, where `weights_of` would only make them float64, which takes twice their bytes;
    None where there is something to compute."""
    if stage.kind in AFFINE or len(stage.sources) != 1 or stage.sources[0].folded:
        return None
    return _own(stage.sources[0], state)


def _own(source: Source, state: State) -> dict[str, Tensor]:
    prefix = f"{source.name}."
    return {key.removeprefix(prefix): value.detach() for key, value in state.items() if key.startswith(prefix)}


def _double(tensor: Any) -> Any:
    return tensor.detach().double()


def _width(source: Source, weight: Tensor) -> int:
    return getattr(source.op, "channels", weight.shape[0])


def _convolution(source: Source, state: State) -> tuple[Any, Any]:
    """(weight, bias or None) with what is folded in."""
    op: Any = source.op
    weight, bias = _double(state[f"{source.name}.weight"]), state.get(f"{source.name}.bias")
    bias = None if bias is None else _double(bias)
    for affine, name in source.folded:
        scale, shift = _affine(affine, name, state)
        channels = op.channels if op.syntax == "upconv" else weight.shape[0]
        scale, shift = scale.expand(channels), shift.expand(channels)
        if op.syntax == "upconv":  # its weight is (in, out / groups, ...): the groups lie in the inputs
            each = scale.view(op.groups, 1, -1).expand(-1, weight.shape[0] // op.groups, -1)
            weight = weight * each.reshape(weight.shape[0], -1, 1, 1)
        else:
            weight = weight * scale.view(-1, *[1] * (weight.dim() - 1))
        bias = shift if bias is None else bias * scale + shift
    return weight, bias


def _affine(op: Op, name: str, state: State) -> tuple[Any, Any]:
    """(scale, shift) of one affine layer, each of as many numbers as channels, or of one."""
    import torch

    layer: Any = op
    match op.syntax:
        case "scale":
            scale = torch.tensor(layer.factor, dtype=torch.float64, device=_device(state))
            return scale, torch.zeros_like(scale)
        case "layerscale":
            scale = _double(state[f"{name}.weight"])
            return scale, torch.zeros_like(scale)
        case "normalize":
            scale = _double(state[f"{name}.variance"]).rsqrt()
            return scale, -_double(state[f"{name}.mean"]) * scale
    scale = (_double(state[f"{name}.running_var"]) + layer.eps).rsqrt()
    if layer.gamma:
        scale = scale * _double(state[f"{name}.weight"])
    shift = -_double(state[f"{name}.running_mean"]) * scale
    return scale, shift + _double(state[f"{name}.bias"]) if layer.beta else shift


def _device(state: State) -> Any:
    return next((value.device for value in state.values()), None)
