"""Channels of squeezed images, filled up to what OpenVINO's kernels for blocks of channels need.

Squeeze-and-excitation goes through a few channels of one pixel: 4, 6, 10 or 28 in EfficientNet. The first of its two
convolutions gets filters without weights, the second weights without effect.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino

POINTWISE = frozenset({"Clamp", "Elu", "Gelu", "HSigmoid", "HSwish", "Mish", "Relu", "Sigmoid", "Swish", "Tanh"})
"""What may stand between the two: each has a number for 0, and that times the second's 0 is 0."""


def fill(nodes: list[Any], block: int) -> None:
    """Convolutions of one pixel give a multiple of `block` channels, where only convolutions read them."""
    for node in nodes:
        *groups, filters, _, _, _ = node.get_input_shape(1)
        more = -filters % block
        if more and not groups and node.get_output_shape(0)[2:] == [1, 1]:
            found = _constants(node, filters)
            for there, axis in found and [(node.input(1), 0), *found]:
                _widen(there, axis, more)


def _constants(node: Any, filters: int) -> list[tuple[Any, int]]:
    """The inputs with a number for each of its channels, and the axis of those; none where others read them too."""
    found = []
    targets = node.output(0).get_target_inputs()
    while len(targets) == 1:
        (there,) = targets
        reader = there.get_node()
        if reader.get_type_name() == "Add":
            other = reader.input(1 - there.get_index())
            if not _is_constant(other) or list(other.get_shape()) != [1, filters, 1, 1]:
                return []
            found.append((other, 1))
        elif reader.get_type_name() not in POINTWISE:
            break
        targets = reader.output(0).get_target_inputs()
    for there in targets:
        reader = there.get_node()
        if reader.get_type_name() != "Convolution" or not _is_constant(reader.input(1)):
            return []
        found.append((reader.input(1), 1))
    return found


def _is_constant(there: Any) -> bool:
    return bool(there.get_source_output().get_node().get_type_name() == "Constant")


def _widen(there: Any, axis: int, more: int) -> None:
    values = there.get_source_output().get_node().data
    around = [(0, more if each == axis else 0) for each in range(values.ndim)]
    there.replace_source_output(openvino.op.Constant(np.pad(values, around)).output(0))
