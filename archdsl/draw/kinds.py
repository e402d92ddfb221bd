"""What a layer is coloured as."""

from __future__ import annotations

from archdsl.ops.base import Op

_CATEGORIES = {
    "conv": ("conv",),
    "depthwise": ("dwconv", "sepconv"),
    "up": ("upconv", "upsample", "pixelshuffle"),
    "pool": ("maxpool", "avgpool", "gap", "adaptivemaxpool", "adaptiveavgpool"),
    "fc": ("fc",),
    "norm": ("normalize",),
}
_BY_LAYER = {layer: name for name, layers in _CATEGORIES.items() for layer in layers}


def category(op: Op) -> str:
    """What a layer is coloured as; one that is not listed by what it is for, or has, a window and a width."""
    known = _BY_LAYER.get(op.syntax, op.fills)
    if known is not None:
        return known
    fields = type(op).model_fields
    if "kernel" in fields:
        return "conv" if "channels" in fields else "pool"
    return "other"
