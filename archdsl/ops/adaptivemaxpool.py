"""`adaptivemaxpool`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._adaptive import AdaptivePool


class AdaptiveMaxPool(AdaptivePool):
    """The largest values of a grid of `size` windows, whatever the image's size (torch.nn.AdaptiveMaxPool2d).

    (C, H, W) -> (C, height, width), the windows those of `adaptiveavgpool`. Grids of several sizes beside each other,
    each flattened, are spatial pyramid pooling (He et al., 2014): `concat [ adaptivemaxpool(2); flatten | ... ]`.
    """

    syntax: ClassVar = "adaptivemaxpool"
    module: ClassVar = "torch.nn.AdaptiveMaxPool2d"
    examples: ClassVar = (
        "adaptivemaxpool(7): 512x14x14 -> 512x7x7",
        "adaptivemaxpool((6, 3)): 256x13x6 -> 256x6x3",
        "adaptivemaxpool(1): 512x7x7 -> 512x1x1",
        "adaptivemaxpool(2): 8xHxW -> error",
        "adaptivemaxpool(2): 10 -> error",
    )
