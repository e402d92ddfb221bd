"""`adaptiveavgpool`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._adaptive import AdaptivePool


class AdaptiveAveragePool(AdaptivePool):
    """The means of a grid of `size` windows, whatever the image's size (torch.nn.AdaptiveAvgPool2d).

    (C, H, W) -> (C, height, width). Window i of n covers the rows from floor(i * H / n) to ceil((i + 1) * H / n), so
    windows may differ in size and share a row, and an image smaller than the grid is repeated. `gap` is the grid of
    one window.
    """

    syntax: ClassVar = "adaptiveavgpool"
    module: ClassVar = "torch.nn.AdaptiveAvgPool2d"
    examples: ClassVar = (
        "adaptiveavgpool(4): 512x14x14 -> 512x4x4",
        "adaptiveavgpool((6, 3)): 256x13x6 -> 256x6x3",
        "adaptiveavgpool(7): 512x7x7 -> 512x7x7",
        "adaptiveavgpool(2): 8xHxW -> error",
        "adaptiveavgpool(2): 10 -> error",
    )
