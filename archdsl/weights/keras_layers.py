"""A Keras layer's arrays as torch's tensors: other axes, other names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from archdsl.weights.slots import Entry, Slot, parts


class Array(NamedTuple):
    """An array of a Keras layer: its shape, and a call that gives it as a torch tensor with Keras's axes."""

    shape: tuple[int, ...]
    read: Callable[[], Any]


NORMS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}

ROLES: dict[str, tuple[str, ...]] = {
    "conv2d": ("kernel", "bias"),
    "conv2d_transpose": ("kernel", "bias"),
    "depthwise_conv2d": ("depthwise_kernel", "bias"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "group_normalization": ("gamma", "beta"),
    "normalization": ("mean", "variance", "count"),
    "p_re_lu": ("alpha",),
    "layer_scale": ("gamma",),
}
"""A layer's kind, and its arrays in the order in which Keras keeps them."""


def snake(name: str) -> str:
    """A class's name as Keras writes it: SeparableConv2D is separable_conv2d."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def roles(kind: str, arrays: Sequence[Array]) -> dict[str, Array] | None:
    """Arrays that are kept without names, by their roles; None where they fit none."""
    names = ROLES.get(kind)
    if names is None:
        return None
    if kind == "batch_normalization" and len(arrays) < 4:
        names = names[1:] if len(arrays) == 3 else names[2:]  # scale=False; and center=False
    return dict(zip(names, arrays, strict=False)) if len(arrays) <= len(names) else None


def slots(name: str, kind: str, arrays: Mapping[str, Array]) -> list[Slot]:
    """The layers that a Keras layer is of torch's: two of a SeparableConv2D."""
    separable = "pointwise_kernel" in arrays
    found: dict[str, dict[str, Entry]] = {}
    for role, array in arrays.items():
        if role == "depthwise_kernel" or (kind == "depthwise_conv2d" and role == "kernel"):
            part, entry = "depthwise" if separable else "", _depthwise(f"{name}/{role}", array)
            found.setdefault(part, {})["weight"] = entry
        elif role in ("kernel", "pointwise_kernel"):
            part = "pointwise" if separable else ""
            found.setdefault(part, {})["weight"] = _kernel(f"{name}/{role}", kind, array)
        elif role in ("bias", "beta") or (role in NORMS and kind != "layer_scale"):
            part = "pointwise" if separable else ""
            found.setdefault(part, {})[NORMS.get(role, role)] = Entry(f"{name}/{role}", array.shape, array.read)
        elif role in ("alpha", "gamma"):
            found.setdefault("", {})["weight"] = Entry(f"{name}/{role}", array.shape, array.read)
        else:
            found.setdefault("", {})[role] = _plain(f"{name}/{role}", role, array)
    # The first of a kind has no number in Keras.
    numbered = f"{name}_0" if name == kind else name
    return [
        Slot(
            f"{name}/{part}" if part else name,
            parts(f"{numbered}/{part}" if part else numbered),
            entries,
            channels_last=kind == "dense",
        )
        for part, entries in found.items()
    ]


def _plain(name: str, role: str, array: Array) -> Entry:
    if role in ("mean", "variance") and len(array.shape) > 1:  # of the channels, which stand last
        size = array.shape[-1]
        return Entry(name, (size,), lambda: array.read().reshape(size))
    return Entry(name, array.shape, array.read)


def _kernel(name: str, kind: str, array: Array) -> Entry:
    if len(array.shape) == 2:
        return Entry(name, array.shape[::-1], lambda: array.read().T, "transposed")
    if len(array.shape) != 4:
        return Entry(name, array.shape, array.read)
    height, width, one, two = array.shape
    if kind == "conv2d_transpose":
        return Entry(name, (two, one, height, width), lambda: array.read().permute(3, 2, 0, 1), "HWOI to IOHW")
    return Entry(name, (two, one, height, width), lambda: array.read().permute(3, 2, 0, 1), "HWIO to OIHW")


def _depthwise(name: str, array: Array) -> Entry:
    if len(array.shape) != 4:
        return Entry(name, array.shape, array.read)
    height, width, channels, multiplier = array.shape
    shape = (channels * multiplier, 1, height, width)
    return Entry(name, shape, lambda: array.read().permute(2, 3, 0, 1).reshape(shape), "HWCM to (CM)1HW")


def with_shortcuts(found: Sequence[Slot]) -> tuple[Slot, ...]:
    """The layers, those of the shortcuts of keras.applications' ResNets called so: there a block's number 0 is a conv."""
    blocks = {slot.name.removesuffix("_0_conv") for slot in found if slot.name.endswith("_0_conv")}
    renamed = []
    for slot in found:
        block, number, what = slot.name.rpartition("_0_")
        if number and block in blocks:
            slot = replace(slot, path=parts(f"{block}_shortcut_{what}"))
        renamed.append(slot)
    return tuple(renamed)
