"""`bn`"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from archdsl.ops._pointwise import Pointwise
from archdsl.ops._window import stated_only
from archdsl.ops.base import Lowering, Module, PositiveReal, Real, Shape, Weight

HELPER = '''\
class PartialBatchNorm{d}(nn.BatchNorm{d}):
    """BatchNorm{d} without gamma (`weight`) or without beta (`bias`). {shape} -> the same."""

    def __init__(self, channels, gamma=True, beta=True, **kwargs):
        super().__init__(channels, **kwargs)
        if not gamma:
            self.register_parameter("weight", None)
        if not beta:
            self.register_parameter("bias", None)

    def reset_parameters(self):
        self.reset_running_stats()
        for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
            if parameter is not None:
                nn.init.constant_(parameter, value)
'''


class BatchNorm(Pointwise):
    """Batch normalisation (Ioffe & Szegedy, 2015; torch.nn.BatchNorm2d, of a vector BatchNorm1d).

    y = (x - mean) / sqrt(variance + eps) * gamma + beta, channel by channel: the batch's statistics while
    training, running ones after. momentum is the share of the new: Keras's momentum m is 1 - m here.
    `gamma=false` is Keras's scale=False (Inception-v3), `beta=false` its center=False. The running statistics
    are buffers, which Keras counts.
    """

    syntax: ClassVar = "bn"
    fills: ClassVar = "norm"
    examples: ClassVar = (
        "bn: 64x32x32 -> 64x32x32",
        "bn(eps=1e-3, gamma=false): 32x149x149 -> 32x149x149",
        "bn: 128 -> 128",
    )

    eps: PositiveReal = 1e-5
    momentum: Annotated[Real, Field(ge=0, le=1)] = 0.1
    gamma: bool = True
    beta: bool = True

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        learned = tuple(Weight(n, x[:1]) for n, on in (("weight", self.gamma), ("bias", self.beta)) if on)
        return (
            *learned,
            Weight("running_mean", x[:1], trainable=False),
            Weight("running_var", x[:1], trainable=False),
        )

    def lower(self, x: Shape) -> Lowering:
        dims, shape = ("2d", "(N, C, H, W)") if len(x) == 3 else ("1d", "(N, F)")
        kwargs = stated_only(eps=(self.eps, 1e-5), momentum=(self.momentum, 0.1))
        if self.gamma and self.beta:
            return Module(f"torch.nn.BatchNorm{dims}", x[:1], kwargs)
        if not self.gamma and not self.beta:
            return Module(f"torch.nn.BatchNorm{dims}", x[:1], kwargs | {"affine": False})
        kwargs |= stated_only(gamma=(self.gamma, True), beta=(self.beta, True))
        helper = HELPER.replace("{d}", dims).replace("{shape}", shape)
        return Module(f"PartialBatchNorm{dims}", x[:1], kwargs, helper)
