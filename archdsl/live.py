"""A live torch module, made by running the text that `emit` prints: what you read is what runs."""

from __future__ import annotations

import hashlib
import linecache
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.backbones import feature_info
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.network import Network
from archdsl.ops.base import Shape, written
from archdsl.printer import class_name, emit
from archdsl.symbolic import substitute, symbols_of

if TYPE_CHECKING:
    from torch import nn


def need_torch() -> Any:
    """torch, or an error that says how to get it. Raises ArchError (A401)."""
    try:
        import torch
    except ImportError:
        raise ArchError(
            [
                Diagnostic(
                    code="A401",
                    message="torch is not installed, and this needs it",
                    span=None,
                    hint="pip install torch; checking and emitting work without it",
                )
            ]
        ) from None
    return torch


def build(network: Network) -> nn.Module:
    """The network as an nn.Module. See `archdsl.build`."""
    return class_of(network)()


ATTRIBUTE = "_archdsl_network"


def class_of(network: Network) -> type[nn.Module]:
    """The class of a network's modules. Raises ArchError (A401)."""
    need_torch()
    made: type[nn.Module] = _namespace(emit(network), network)[class_name(network)]
    # On the class, not the model: copies and pickles of the model then carry it for nothing, and no state_dict, export
    # or compiler sees it.
    setattr(made, ATTRIBUTE, network)
    if all(node.name.partition(".")[0] != "feature_info" for node in network.nodes):  # a label may be called that
        made.feature_info = feature_info(network)  # type: ignore[assignment]
    return made


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside what torch wraps around one: DataParallel and its like, `torch.compile`."""
    while True:
        inside = vars(model).get("_modules", {})
        wrapped = inside.get("_orig_mod", inside.get("module"))
        if wrapped is None or not type(model).__module__.startswith("torch."):
            return model
        model = wrapped


def network_of(model: nn.Module) -> Network | None:
    """The Network that `archdsl.build` made a model from, also of a copy, of one that was pickled, and of one wrapped
    by torch (DataParallel, `torch.compile`). None for any other module."""
    network = getattr(type(unwrapped(model)), ATTRIBUTE, None)
    return network if isinstance(network, Network) else None


def _namespace(text: str, network: Network) -> dict[str, Any]:
    """What the text defines. Its lines are put where tracebacks and `inspect.getsource` look for them, and the module
    where pickle does."""
    import sys
    import types

    # The same in every process, so that pickles load; and a module each for networks that differ only in what the text
    # leaves out, such as the weight of a side head.
    name, digest = network.name, hashlib.sha256(f"{network.hash}\n{text}".encode()).hexdigest()[:12]
    file = f"<archdsl {name} {digest}>"
    module_name = f"archdsl_built_{name}_{digest}"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module = sys.modules.get(module_name)
    if module is None:
        module = types.ModuleType(module_name)
        module.__file__ = file
        exec(compile(text, file, "exec"), module.__dict__)
        sys.modules[module_name] = module
    return module.__dict__


class Agreement(NamedTuple):
    """What torch confirmed: how many tensors had the inferred shape, and the parameters and buffers it counted."""

    tensors: int
    params: int
    buffers: int


def verify(network: Network) -> Agreement:
    """Build the network on torch's meta device, run it, and compare every shape and count with what was inferred.

    Raises ArchError (A402) with each difference: a fault of archdsl, not of the spec.
    """
    with warnings.catch_warnings():  # torch without NumPy says so while it is imported
        warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
        torch = need_torch()
        with torch.device("meta"):
            model = build(network)
        return _compare(network, model, torch)


def _compare(network: Network, model: nn.Module, torch: Any) -> Agreement:
    problems: list[str] = []
    params = sum(p.numel() for p in model.parameters())
    buffers = sum(b.numel() for name, b in model.named_buffers() if not name.endswith("num_batches_tracked"))
    for what, ours, theirs in (("parameters", network.params, params), ("buffer elements", network.buffers, buffers)):
        if ours != theirs:
            problems.append(f"{ours:,} {what} were inferred, torch has {theirs:,}")
    seen: dict[str, tuple[int, ...]] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda _m, _i, output, name=name: (
                seen.__setitem__(name, tuple(output.shape[1:])) if isinstance(output, torch.Tensor) else None
            )
        )
    # Sizes that the spec leaves open are tried at one value each, all different.
    symbols = sorted({name for side in network.input for name in symbols_of(side)})
    values = {name: 224 + 32 * i for i, name in enumerate(symbols)}

    def sizes(shape: Shape) -> tuple[Any, ...]:
        return tuple(substitute(side, values) for side in shape)

    outputs = model(torch.empty(2, *sizes(network.input), device="meta"))
    if isinstance(outputs, torch.Tensor):
        outputs = {network.main.name: outputs}
    for output in network.outputs:
        seen[f"output {output.name}"] = tuple(outputs[output.name].shape[1:])
    checked = 0
    wanted = [(node.name, node.shape) for node in network.layers]
    wanted += [(f"output {o.name}", network.nodes[o.node].shape) for o in network.outputs]
    for name, shape in wanted:
        if name in seen:
            checked += 1
            if seen[name] != sizes(shape):
                problems.append(f"{name}: {written(shape)} was inferred, torch gives {written(seen[name])}")
    if problems:
        raise ArchError(
            [
                Diagnostic(
                    code="A402",
                    message=f"torch does not agree with {network.name}",
                    span=network.region.span,
                    notes=tuple(problems[:10]),
                    hint="this is a fault of archdsl: please report the spec",
                )
            ]
        )
    return Agreement(checked, params, buffers)
