"""The layers of the language, found by looking: modules beside this one that hold an `Op` with a `syntax`."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys

from archdsl.ops.base import Op

_HOOKS = {"expand", "infer", "weights", "macs", "window", "lower"}


def _register(cls: type[Op], registry: dict[str, type[Op]]) -> None:
    """Add a layer, or say at import what is wrong with it, naming the class."""
    who = f"{cls.__module__}.{cls.__name__}"
    if not re.fullmatch(r"[a-z][a-z_]*[a-z][0-9]*", cls.syntax):
        raise TypeError(
            f"{who}: the name {cls.syntax!r} must be lower-case letters, with digits only at the end"
        )
    if cls.syntax[-1].isdigit() and "kernel" in cls.model_fields:
        raise TypeError(
            f"{who}: the name {cls.syntax!r} ends in a digit, so no kernel digits could follow it"
        )
    if cls.syntax in registry:
        other = registry[cls.syntax].__module__
        raise TypeError(f"two layers are called {cls.syntax!r}: {other} and {cls.__module__}")
    # python -OO leaves no docstrings
    if sys.flags.optimize < 2 and (not cls.__doc__ or cls.__doc__ == Op.__doc__):
        raise TypeError(f"{who} has no docstring")
    if not cls.examples:
        raise TypeError(f"{who} has no examples")
    if cls.infer is Op.infer and cls.expand is Op.expand:
        raise TypeError(f"{who} has neither infer nor expand")
    if cls.lower is Op.lower and cls.expand is Op.expand:
        raise TypeError(f"{who} has neither lower nor expand")
    for name, value in vars(cls).items():
        if (
            callable(value)
            and not name.startswith("_")
            and name not in _HOOKS
            and not name.startswith("model_")
        ):
            raise TypeError(f"{who}.{name}: not a method that a layer has ({', '.join(sorted(_HOOKS))})")
    if cls.fills not in (None, "act", "norm"):
        raise TypeError(f"{who} fills {cls.fills!r}, and layers carry only an act or a norm")
    for name in (*cls.positional, *cls.layers, *cls.short.values()):
        if name not in cls.model_fields:
            raise TypeError(f"{who} names {name!r}, which is not one of its fields")
    registry[cls.syntax] = cls


def _discover() -> dict[str, type[Op]]:
    registry: dict[str, type[Op]] = {}
    for module_info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        if module_info.name == "base":
            continue
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for value in vars(module).values():
            own = isinstance(value, type) and issubclass(value, Op) and value.__module__ == module.__name__
            if own and "syntax" in vars(value):
                _register(value, registry)
    return registry


LAYERS: dict[str, type[Op]] = _discover()
"""Every layer by its name in the language."""


def carried(field: str) -> list[str]:
    """Layers that an argument is meant for, `act` or `norm`, by name."""
    return sorted(name for name, layer in LAYERS.items() if layer.fills == field)
