"""Whether a model still computes what its spec says: an engine is made of the spec and the weights, and of nothing else."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_PLAIN = (bool, int, float, str, tuple, type(None))
_NOT_EVALUATED = {"training", "momentum", "p", "inplace"}
"""What training alone depends on, or nobody."""


def change(model: nn.Module) -> str | None:
    """The first thing about a model that is not as `archdsl.build` made it, as words to stand after its name; None where
    there is nothing. Values of weights are its own."""
    with torch.device("meta"):
        made = dict(type(model)().named_modules())
    for name, module in model.named_modules():
        found = _change(name or "the model", module, made.get(name))
        if found:
            return found
    return None


def _change(name: str, module: nn.Module, made: nn.Module | None) -> str | None:
    if made is None:
        return f"has a layer {name}, which its spec has not"
    if _kind(module) != _kind(made):
        return f"has {type(module).__name__} for {name}, and its spec says {type(made).__name__}"
    if module._forward_hooks or module._forward_pre_hooks:
        return f"has a hook on {name}, which an engine would not call"
    if "forward" in vars(module):
        return f"has another forward for {name}"
    wanted = _told(made)
    for attribute, value in _told(module).items():
        if attribute in wanted and value != wanted[attribute]:
            return f"has {attribute}={value} in {name}, and its spec says {wanted[attribute]}"
    return None


def _kind(module: nn.Module) -> tuple[str, str]:
    """Its class, wherever archdsl printed it: with another classifier a model has another text, and its blocks the old one."""
    where = type(module).__module__
    return type(module).__name__, "archdsl_built" if where.startswith("archdsl_built_") else where


def _told(module: nn.Module) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name not in _NOT_EVALUATED and isinstance(value, _PLAIN)
    }
