"""`normalize`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.base import Lowering, Module, Op, PositiveReals, Reals, Shape, ShapeError, Weight
from archdsl.symbolic import known

HELPER = '''\
class Normalize(nn.Module):
    """(x - mean) / sqrt(variance), channel by channel. (N, C, ...) -> the same.

    The buffers are those of Keras's Normalization: mean and variance (C,), and a count ().
    """

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("variance", torch.tensor(std) ** 2)
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x):
        mean, variance = (buffer.view(-1, *[1] * (x.dim() - 2)) for buffer in (self.mean, self.variance))
        return (x - mean) / variance.sqrt()
'''


class Normalize(Op):
    """Make the data's mean 0 and its deviation 1, with statistics that are given: (x - mean) / std.

    (C, H, W) or (F,) -> the same. One number stands for all channels; otherwise there is one per channel. The
    statistics are buffers, as in Keras's Normalization, which counts mean, variance and a scalar count:
    7 of EfficientNet's parameters are these.
    """

    syntax: ClassVar = "normalize"
    positional: ClassVar = ("mean", "std")
    examples: ClassVar = (
        "normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)): 3x224x224 -> 3x224x224",
        "normalize(mean=0.5, std=0.25): 1x28x28 -> 1x28x28",
        "normalize((0.485, 0.456, 0.406), 1): 1x28x28 -> error",
    )

    mean: Reals = (0.0,)
    std: PositiveReals = (1.0,)

    def infer(self, x: Shape) -> Shape:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, x[0]):
                raise ShapeError(
                    f"{len(values)} values of {name} for {x[0]} channels",
                    name,
                    code="A204",
                    hint="state one for each channel, or one for all",
                )
        return x

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        shapes = {"mean": x[:1], "variance": x[:1], "count": ()}
        return tuple(Weight(name, shape, trainable=False) for name, shape in shapes.items())

    def lower(self, x: Shape) -> Lowering:
        assert known(x[0])
        mean, std = (values if len(values) > 1 else values * x[0] for values in (self.mean, self.std))
        return Module("Normalize", (mean, std), {}, HELPER)
