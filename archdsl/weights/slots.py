"""Tensors with a name, and the layers they belong to: what both sides of an alignment are made of.

A slot is the tensors of one layer: a conv's kernel and bias, a norm's scale, shift and statistics. Shapes are those of
torch's layout on both sides, whatever the source stores. Nothing here reads a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import prod
from typing import Any, NamedTuple

COUNTER = "num_batches_tracked"
"""Of a norm: how often it has run. Some writers leave it out, and nothing needs it."""

STANDARD = frozenset({"weight", "bias", "running_mean", "running_var", COUNTER})
TOGETHER = frozenset({"mean", "variance", "count"})
"""Tensors of one layer although their names are no module's usual ones: an input normalization's."""

Signature = tuple[Any, ...]


class Entry(NamedTuple):
    """One tensor of a source.

    name     as the source calls it.
    shape    in torch's layout.
    read     gives the tensor in torch's layout; called only for what is loaded.
    change   what `read` does to what is stored: "HWIO to OIHW".
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Any]
    change: str = ""


@dataclass(frozen=True)
class Slot:
    """The tensors of one layer, by role.

    path      its name in parts that end where `.`, `_` or `/` does; layers of a block share the first ones.
    rows      of an fc: (C, H, W) of the image that it flattens.
    channels_last   of an fc of a source: its columns follow an image flattened as H, W, C.
    """

    name: str
    path: tuple[str, ...]
    entries: dict[str, Entry]
    rows: tuple[int, ...] | None = None
    channels_last: bool = False
    signature: Signature = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", signature({r: e.shape for r, e in self.entries.items()}))

    def __str__(self) -> str:
        return f"{self.name} ({words(self.signature)})"


@dataclass(frozen=True)
class Source:
    """What a reader found.

    title     what it is, in words: "net.pt".
    slots     layers, in the order in which they are kept, which says something only where `ordered`.
    graph     how they are wired, where the source knows.
    tracked   counters of norms, by the name of their layer.
    metadata  what the file says of itself; check: whether its contents are those that were written.
    """

    title: str
    slots: tuple[Slot, ...]
    ordered: bool
    graph: Any = None
    tracked: dict[str, Entry] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def without(self, patterns: Iterable[str]) -> tuple[Source, tuple[str, ...]]:
        """The source less the tensors whose names match, and their names."""
        patterns = tuple(patterns)
        if not patterns:
            return self, ()
        left, out = [], []
        for slot in self.slots:
            gone = [r for r, e in slot.entries.items() if matches(e.name, patterns) or matches(slot.name, patterns)]
            out += [slot.entries[role].name for role in gone]
            rest = {role: entry for role, entry in slot.entries.items() if role not in gone}
            if rest:
                left.append(slot if not gone else Slot(slot.name, slot.path, rest, slot.rows, slot.channels_last))
        graph = None if len(left) < len(self.slots) else self.graph
        return Source(self.title, tuple(left), self.ordered, graph, self.tracked, self.metadata, self.notes), tuple(out)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of these, lies within one, or fits one with `*` and `?`."""
    return any(name == p or name.startswith(f"{p}.") or fnmatchcase(name, p) for p in patterns)


def signature(shapes: dict[str, tuple[int, ...]]) -> Signature:
    """What two layers must share to be a pair: kind and shapes. A matrix is a 1x1 kernel, and a vector may be kept as
    Cx1x1."""
    roles = shapes.keys()
    weight = shapes.get("weight")
    if roles <= STANDARD:
        if weight is not None and len(weight) in (2, 4) and roles <= {"weight", "bias"}:
            return ("conv", *weight, *(1,) * (4 - len(weight)), shapes.get("bias"))
        if "running_mean" in roles and len({shapes[role] for role in roles - {COUNTER}}) == 1:
            return ("bn", *shapes["running_mean"], "weight" in roles, "bias" in roles)
        if weight is not None and roles == {"weight"} and sum(size != 1 for size in weight) <= 1:
            return ("vector", prod(weight))
        if weight is not None and roles == {"weight", "bias"} and len(weight) == 1:
            return ("norm", *weight)
    return ("tensors", *sorted((role, shape) for role, shape in shapes.items() if role != COUNTER))


def words(signature: Signature) -> str:
    """A signature as a reader of messages knows it: `conv 64x3x7x7`, `bn 64`."""
    kind, *rest = signature
    if kind == "conv":
        out, into, height, width, bias = rest
        what = f"fc or 1x1 conv {out}x{into}" if (height, width) == (1, 1) else f"conv {out}x{into}x{height}x{width}"
        return what + ("" if bias is None else " with bias" if bias == (out,) else f" with bias {_sizes(bias)}")
    if kind == "bn":
        *sizes, gamma, beta = rest
        lacks = "" if gamma and beta else " without scale" if beta else " without shift" if gamma else " without both"
        return f"bn {'x'.join(map(str, sizes))}{lacks}"
    if kind in ("vector", "norm"):
        return f"{kind} {rest[0]}"
    return ", ".join(f"{role} {_sizes(shape)}" for role, shape in rest)


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def group(entries: Iterable[Entry]) -> tuple[tuple[Slot, ...], dict[str, Entry]]:
    """Tensors of a state_dict as layers, in the order in which each first appears; counters apart.

    A layer's tensors share all but the last part of their names. A tensor whose last part no module of torch uses
    (`layer_scale`) is a layer by itself.
    """
    layers: dict[str, dict[str, Entry]] = {}
    tracked: dict[str, Entry] = {}
    all_entries = list(entries)
    roles: dict[str, set[str]] = {}
    for entry in all_entries:
        prefix, _, role = entry.name.rpartition(".")
        roles.setdefault(prefix, set()).add(role)
    for entry in all_entries:
        prefix, _, role = entry.name.rpartition(".")
        if role == COUNTER:
            tracked[prefix] = entry
        elif role in STANDARD or (role in TOGETHER and roles[prefix] >= TOGETHER):
            layers.setdefault(prefix, {})[role] = entry
        else:
            layers[entry.name] = {"weight": entry}
    return tuple(Slot(name, parts(name), found) for name, found in layers.items()), tracked


def parts(name: str) -> tuple[str, ...]:
    """A name cut after each `.`, `_` and `/`."""
    return tuple(re.split(r"(?<=[._/])", name))
