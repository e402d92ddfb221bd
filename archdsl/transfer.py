"""Transfer learning on a built model: another classifier, and layers that are not trained."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Never, TypeVar

from archdsl.backbones import ancestors, no_tensor, tensors
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.heads import heads, no_head, with_classes
from archdsl.live import ATTRIBUTE, class_of, need_torch, network_of, unwrapped
from archdsl.network import Network

if TYPE_CHECKING:
    from torch import nn

Model = TypeVar("Model", bound="nn.Module")

PARALLEL = frozenset({"DistributedDataParallel", "FullyShardedDataParallel"})
"""Wrappers that note which parameters there are, and which are trained, when they are made."""


def replace_head(model: Model, classes: int) -> Model:
    """Put a fresh classifier for another number of classes in the place of a model's, and of its side heads'.

    The new layer has torch's initial weights and all else of the old one's: its inputs, bias, device and dtype. All other
    weights stay. Returns the model, which is changed; `network_of` knows of it.

    The classifier is the last layer with weights, an fc or a 1x1 conv. A module from a file that `archdsl compile` wrote
    will do as well: there it is the one that is made last. Raises ArchError (A503) where there is none.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise ValueError(f"classes= is a whole number from 1, not {classes!r}")
    torch, inner = need_torch(), _inside(model)
    network = network_of(inner)
    if network is not None:
        names = [network.nodes[index].name for index in heads(network)]
    else:
        names = _last_layers(inner, torch)
    new = {name: _fresh(inner.get_submodule(name), classes, torch) for name in names}
    for name, layer in new.items():
        parent, _, attribute = name.rpartition(".")
        setattr(inner.get_submodule(parent), attribute, layer)
    if network is not None and ATTRIBUTE in vars(type(inner)):
        inner.__class__ = class_of(with_classes(network, classes))
    return model


def _fresh(old: nn.Module, classes: int, torch: Any) -> nn.Module:
    """A layer as the old one, but for its width and its weights."""
    new = copy.deepcopy(old)
    if isinstance(new, torch.nn.Linear):
        new.out_features, shape = classes, (classes, new.in_features)
    else:
        new.out_channels, shape = classes, (classes, *new.weight.shape[1:])
    new.weight = torch.nn.Parameter(new.weight.new_empty(shape))
    if new.bias is not None:
        new.bias = torch.nn.Parameter(new.bias.new_empty(classes))
    new.reset_parameters()
    return new


def _last_layers(model: nn.Module, torch: Any) -> list[str]:
    """The classifiers of a module of which no Network is known: of the module, and of each side head in it, the layer
    with weights that is made last."""
    last: dict[str, tuple[str, nn.Module]] = {}
    for name, module in model.named_modules():
        top = name.partition(".")[0]
        side = top if "aux" in f"{top} {type(getattr(model, top, None)).__name__}".lower() else ""
        if name and any(True for _ in module.parameters(recurse=False)):
            last[side] = name, module
    for _, module in last.values():
        conv = isinstance(module, torch.nn.Conv2d) and (module.kernel_size, module.groups) == ((1, 1), 1)
        if not conv and not isinstance(module, torch.nn.Linear):
            no_head(None, f"the last layer with weights is a {type(module).__name__}: no fc, no 1x1 conv")
    if "" not in last:
        no_head(None, "this module has no layer with weights")
    return [name for name, _ in last.values()]


def freeze(model: Model, until: str, *, bn: bool = False) -> Model:
    """Stop training what a tensor is computed from, itself included: `freeze(model, until="c4")`.

    until: a label of the spec; or a module's name, `maxpool3` or `c4.0.conv1`, for what comes out of it. Side heads and
    branches that it does not depend on stay as they are. bn: batch norms among these keep their running statistics and
    normalize by them, whatever `model.train()` says later: each becomes a `FrozenBatchNorm2d`, a BatchNorm2d still.

    Returns the model, which is changed. Raises ArchError: A501 where there is no tensor of that name, A504 where the model
    is not from `archdsl.build`.
    """
    torch, inner = need_torch(), _inside(model)
    network = network_of(inner)
    if network is None:
        _not_ours(until)
    needed = ancestors(network, [_tensor(network, until)])
    frozen = {node.name for node, wanted in zip(network.nodes, needed, strict=True) if wanted}

    def is_frozen(name: str) -> bool:
        parts = name.split(".")
        return any(".".join(parts[:count]) in frozen for count in range(1, len(parts) + 1))

    for name, parameter in inner.named_parameters():
        if is_frozen(name):
            parameter.requires_grad_(False)
            parameter.grad = None  # or an optimizer would go on with the last one
    for name, module in list(inner.named_modules()):
        if bn and isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and is_frozen(name):
            if not hasattr(type(module), "thawed"):
                module.__class__ = _frozen_class(type(module))
            module.eval()
    return model


def unfreeze(model: Model) -> Model:
    """Train all of a model again, batch norms included. Returns the model, which is changed."""
    need_torch()
    inner = _inside(model)
    inner.requires_grad_(True)
    for module in inner.modules():
        if hasattr(type(module), "thawed"):
            module.__class__ = type(module).thawed  # type: ignore[assignment]
            module.train(inner.training)
    return model


_frozen: dict[type[Any], type[Any]] = {}


def _frozen_class(base: type[Any]) -> type[Any]:
    """A batch norm that never goes into training mode. A class, so that copies and pickles of a module keep it and
    a detector's `train()`, of which the model is a part, does not undo it; of the same state_dict."""

    if base in _frozen:
        return _frozen[base]

    def train(self: nn.Module, mode: bool = True) -> Any:
        return base.train(self, False)

    def __reduce__(self: nn.Module) -> tuple[Any, ...]:
        return _revived, (base,), self.__dict__

    members = {"train": train, "__reduce__": __reduce__, "thawed": base, "__module__": __name__}
    members["__doc__"] = f"{base.__name__} that is not trained."
    return _frozen.setdefault(base, type(f"Frozen{base.__name__}", (base,), members))


def _revived(base: type[Any]) -> Any:
    """An empty frozen batch norm, for copy and pickle to fill."""
    return object.__new__(_frozen_class(base))


def _tensor(network: Network, name: str) -> int:
    """The node of a tensor: by label, or the last of a module, however deep."""
    known = tensors(network)
    if name in known:
        return known[name]
    inside = [i for i, node in enumerate(network.nodes) if i and (node.name == name or node.name.startswith(f"{name}."))]
    return inside[-1] if inside else no_tensor(network, name, known)


def _inside(model: nn.Module) -> nn.Module:
    """The model within its wrapping, if it can still be changed there."""
    inner = unwrapped(model)
    for module in model.modules():
        if module is inner:
            break
        if type(module).__name__ in PARALLEL:
            raise ValueError(f"change the model before {type(module).__name__} wraps it, with the parameters there are")
    return inner


def _not_ours(until: str) -> Never:
    raise ArchError(
        [
            Diagnostic(
                code="A504",
                message=f"what `{until}` depends on is not known of a model that `archdsl.build` did not make",
                span=None,
                hint="build it with archdsl.build, and load its weights: the names are the same",
            )
        ]
    )
