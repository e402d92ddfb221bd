"""The same weights in two models that share no code, paired by what they do and not by what they are called.

Modules that own weights are taken in the order in which data reaches them. Attribute names, nesting, and the
order in which modules are registered or run play no part, so a pair is wrong only if the two networks differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

KINDS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm, nn.PReLU)
BY_NAME = ("LayerScale",)
"""What torch has no module for: classes of the same name do the same."""


class Owner(NamedTuple):
    """A module that owns weights, as it ran."""

    name: str
    kind: type[nn.Module] | str
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    settings: tuple[object, ...]
    macs: int


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {k: v for k, v in module.state_dict().items() if k != "num_batches_tracked"}


def _settings(module: nn.Module) -> tuple[object, ...]:
    """What a weight's shape does not show."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        return module.kernel_size, module.stride, module.dilation, module.groups
    return (module.eps,) if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)) else ()


def _macs(module: nn.Module, came: Tensor, left: Tensor) -> int:
    """Of one image, counted from the weight that each position meets."""
    if isinstance(module, nn.Linear):
        return module.weight.numel()
    if isinstance(module, nn.ConvTranspose2d):
        return module.weight.numel() * came[0, 0].numel()
    return module.weight.numel() * left[0, 0].numel() if isinstance(module, nn.Conv2d) else 0


def _pointwise(linear: Owner, left: Tensor) -> Owner:
    """A Linear over the last axis of an image: what a 1x1 conv is over the channels."""
    shapes = tuple((k, (*shape, 1, 1) if k == "weight" else shape) for k, shape in linear.shapes)
    settings = _settings(nn.Conv2d(1, 1, 1, device="meta"))
    return Owner(linear.name, nn.Conv2d, shapes, settings, linear.macs * left[0, ..., 0].numel())


def reached(model: nn.Module, outputs: Callable[[nn.Module], Tensor | dict[str, Tensor]]) -> list[Owner]:
    """Every module that owns weights, in the order in which data reaches it, whatever order the code runs in.

    The order is that of autograd's graph from the outputs back: what an operation reads, first operand first,
    stands before it. Each module must run exactly once.
    """
    ran: dict[str, Owner] = {}
    module_of: dict[int, str] = {}
    handles = []
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if not own:
            continue
        called = type(module).__name__
        kind = next((k for k in KINDS if isinstance(module, k)), called if called in BY_NAME else None)
        assert kind is not None, f"{name} is a {type(module).__name__}: say how to pair it"
        module_of |= {id(parameter): name for parameter in own}

        def note(module, args, output, name=name, kind=kind):
            assert name not in ran, f"{name} runs twice"
            shapes = tuple((k, tuple(v.shape)) for k, v in _weights(module).items())
            owner = Owner(name, kind, shapes, _settings(module), _macs(module, args[0], output))
            ran[name] = _pointwise(owner, output) if kind is nn.Linear and output.dim() == 4 else owner

        handles.append(module.register_forward_hook(note))
    with torch.enable_grad():
        leaves = outputs(model)
    for handle in handles:
        handle.remove()
    leaves = [leaves[name] for name in sorted(leaves)] if isinstance(leaves, dict) else [leaves]
    order = dict.fromkeys(module_of[p] for leaf in leaves for p in _parameters_behind(leaf) if p in module_of)
    return [ran[name] for name in order]


def _parameters_behind(leaf: Tensor) -> Iterator[int]:
    """Identities of the parameters that a tensor was computed from, the earliest in the data's flow first."""
    seen = set()
    stack = [(leaf.grad_fn, False)]
    while stack:
        function, done = stack.pop()
        if done:
            variable = getattr(function, "variable", None)
            if variable is not None:
                yield id(variable)
        elif function is not None and function not in seen:
            seen.add(function)
            stack.append((function, True))
            read = [before for before, _ in function.next_functions]
            read.sort(key=lambda before: hasattr(before, "variable"))  # addmm reads the bias before the data
            stack.extend((before, False) for before in reversed(read))


def randomize(model: nn.Module, run: Callable[[nn.Module], object], seed: int = 0) -> None:
    """Random weights, and statistics that a fresh BatchNorm does not have; each conv and fc then scaled so
    that what leaves it has a deviation of 1: nothing explodes, vanishes or dies on the way."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        leaf = name.rpartition(".")[2]
        if not tensor.is_floating_point():  # a count
            tensor.zero_()
        elif leaf == "running_var":
            tensor.uniform_(0.5, 2.0, generator=generator)
        elif leaf == "weight" and tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif leaf == "weight":
            tensor.normal_(0.0, 1.0, generator=generator)
        else:
            tensor.normal_(0.0, 0.3, generator=generator)

    def scale(module: nn.Module, _args: object, output: Tensor) -> Tensor:
        deviation = output.std()
        assert deviation > 0
        module.weight.div_(deviation)
        if module.bias is not None:
            module.bias.div_(deviation)
        return output / deviation

    scaled = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    handles = [m.register_forward_hook(scale) for m in model.modules() if isinstance(m, scaled)]
    with torch.no_grad():
        run(model)
    for handle in handles:
        handle.remove()


def transplant(source: nn.Module, target: nn.Module, order: list[Owner], target_order: list[Owner]) -> None:
    """Give the target the source's weights. Raises AssertionError where the two are not the same network."""
    assert [o[1:] for o in order] == [o[1:] for o in target_order], difference(order, target_order)
    with torch.no_grad():
        for ours, theirs in zip(target_order, order, strict=True):
            into = _weights(target.get_submodule(ours.name))
            for key, value in _weights(source.get_submodule(theirs.name)).items():
                into[key].copy_(value.view_as(into[key]))
    for model, owners in ((source, order), (target, target_order)):
        reached = sum(sum(torch.Size(shape).numel() for _, shape in o.shapes) for o in owners)
        assert reached == sum(tensor.numel() for tensor in _weights_of(model)), "not every weight was reached"


def _weights_of(model: nn.Module) -> list[Tensor]:
    return [v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")]


def difference(order: list[Owner], target_order: list[Owner]) -> str:
    """The first pair that is none."""
    for index, (theirs, ours) in enumerate(zip(order, target_order, strict=False)):
        if theirs[1:] != ours[1:]:
            return f"step {index}: {theirs} against {ours}"
    return f"{len(order)} modules with weights against {len(target_order)}"


def relative_error(value: Tensor, truth: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    assert value.shape == truth.shape and value.dtype == truth.dtype == torch.float64
    assert truth.isfinite().all() and truth.std() > 1e-3, "the truth is constant: nothing is compared"
    return ((value - truth).abs().max() / truth.abs().max()).item()
