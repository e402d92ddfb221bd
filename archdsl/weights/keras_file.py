"""Keras's HDF5 files: `.weights.h5` of Keras 3, and the older `.h5` that the published weights come in.

Only groups and plain arrays of numbers are looked at; links that lead out of the file are refused, and no array is read
before its shape was found to fit.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from archdsl.weights.keras_layers import Array, roles, slots, with_shortcuts
from archdsl.weights.refusal import missing_package, unusable
from archdsl.weights.slots import Slot, Source

MOST = 100_000
"""Groups and arrays of one file."""


def from_file(path: str, title: str) -> Source:
    """The layers of a `.weights.h5` or `.h5` file."""
    try:
        import h5py
    except ImportError:
        raise missing_package("h5py", "an .h5 file") from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise unusable(f"{title} is no HDF5 file that can be read: {str(error)[:120]}") from None
    reading = _Reading(file, title, h5py)
    try:
        root = reading.older_root()
        if root is not None:
            found = reading.older(root)
        else:
            found = reading.newer()
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise unusable(f"{title} is broken: {str(error)[:120]}") from None
    if not found:
        raise unusable(f"{title} holds no layer with weights", "save it with Keras: model.save_weights(path)")
    return Source(title, with_shortcuts(found), ordered=False)


class _Reading:
    def __init__(self, file: Any, title: str, h5py: Any) -> None:
        self.file, self.title, self.h5py = file, title, h5py
        self.seen = 0

    def newer(self) -> list[Slot]:
        """Keras 3: a group of each layer, called by its class and a number, with its arrays `vars/0`, `vars/1`. The
        layer's own name is an attribute."""
        found: list[Slot] = []
        waiting = [("", self.file, frozenset({self._place(self.file)}))]
        while waiting:
            name, group, above = waiting.pop()
            for key in sorted(group, key=_natural):
                child = self._child(group, key)
                if not isinstance(child, self.h5py.Group):
                    continue
                if key == "vars":
                    if len(child):
                        found += self._layer(name.rpartition("/")[2], child)
                    continue
                place = self._place(child)
                if place in above:
                    raise unusable(f"{self.title}: the group {name}/{key} holds itself")
                waiting.append((f"{name}/{key}", child, above | {place}))
        return found

    def _layer(self, called: str, group: Any) -> list[Slot]:
        arrays = [self._array(self._child(group, key), f"{called}/{key}") for key in sorted(group, key=_natural)]
        kind = re.sub(r"_\d+$", "", called)
        own = group.attrs.get("name", called)
        name = own.decode(errors="replace") if isinstance(own, bytes) else str(own)
        by_role = roles(kind, arrays)
        if by_role is None:
            by_role = {str(i): array for i, array in enumerate(arrays)}
        return slots(name, kind, by_role)

    def older_root(self) -> Any:
        """The group that lists the layers of a file as Keras 2 wrote them, if it is one."""
        for group in (self.file, self._child(self.file, "model_weights") if "model_weights" in self.file else None):
            if group is not None and any(name in group.attrs for name in ("layer_names", "layer_names0")):
                return group
        return None

    def older(self, root: Any) -> list[Slot]:
        """Keras 2: groups by layers' names, arrays by theirs, both listed in attributes."""
        found: list[Slot] = []
        for name in _listed(root, "layer_names"):
            group = self._child(root, name)
            arrays = {}
            for path in _listed(group, "weight_names"):
                role = re.sub(r":\d+$", "", path.rpartition("/")[2])
                node = group
                for part in path.split("/"):
                    node = self._child(node, part)
                arrays[role] = self._array(node, path)
            if arrays:
                found += slots(name, _kind(arrays), arrays)
        return found

    def _child(self, group: Any, key: str) -> Any:
        self.seen += 1
        if self.seen > MOST:
            raise unusable(f"{self.title} holds more than {MOST:,} groups and arrays")
        link = group.get(key, getlink=True)
        if link is None:
            raise unusable(f"{self.title} names {key!r}, and does not hold it")
        if not isinstance(link, self.h5py.HardLink):
            raise unusable(f"{self.title}: {key!r} is a link to elsewhere")
        return group[key]

    def _place(self, group: Any) -> Any:
        info = self.h5py.h5o.get_info(group.id)
        return info.fileno, info.addr

    def _array(self, node: Any, name: str) -> Array:
        if not isinstance(node, self.h5py.Dataset):
            raise unusable(f"{self.title}: {name} is no array")
        if node.dtype.kind not in "fiu" or node.is_virtual or node.external:
            raise unusable(f"{self.title}: {name} is no plain array of numbers")
        return Array(tuple(int(size) for size in node.shape), partial(_read, node))


def _read(node: Any) -> Any:
    import torch

    array = node[()]
    return torch.from_numpy(array) if array.shape else torch.tensor(array.item())


def _kind(arrays: dict[str, Array]) -> str:
    if "moving_mean" in arrays:
        return "batch_normalization"
    shape = arrays["kernel"].shape if "kernel" in arrays else ()
    if len(shape) == 2:
        return "dense"
    # Keras 3 calls a depthwise kernel as any other. A conv to one channel would not fit, and be refused.
    return "depthwise_conv2d" if len(shape) == 4 and shape[3] == 1 < shape[0] else "conv2d"


def _listed(group: Any, name: str) -> list[str]:
    """Names in an attribute, or in several where they are too many for one."""
    parts = [group.attrs.get(name, ())]
    while f"{name}{len(parts) - 1}" in group.attrs:
        parts.append(group.attrs[f"{name}{len(parts) - 1}"])
    return [_text(value) for part in parts for value in part]


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
