"""Residual and dense networks in plain PyTorch, from the papers and the authors' code, not the specs."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_bn(c_in: int, c_out: int, k: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, k, stride, k // 2, bias=False), nn.BatchNorm2d(c_out))


class ZeroChannels(nn.Module):
    """Option A: every stride-th pixel, and channels of zeros after those that are there."""

    def __init__(self, c_out: int, stride: int):
        super().__init__()
        self.c_out, self.stride = c_out, stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        zeros = torch.zeros(x.shape[0], self.c_out - x.shape[1], *x.shape[2:], dtype=x.dtype, device=x.device)
        return torch.cat([x, zeros], dim=1)


class MeansAndZeros(ZeroChannels):
    """Huang et al.'s: means of 2x2 in place of every second pixel."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        means = x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5)) if self.stride == 2 else x
        padded = means.new_zeros(n, self.c_out, *means.shape[2:])
        padded[:, :c] = means
        return padded


class Basic(nn.Module):
    """Two 3x3 convs. shortcut: "A", "B" (a projection where the shape changes), "means" or "none"."""

    def __init__(self, c_in: int, c: int, stride: int, shortcut: str):
        super().__init__()
        self.first, self.second = conv_bn(c_in, c, 3, stride), conv_bn(c, c, 3)
        self.plain = shortcut == "none"
        self.shortcut = nn.Identity()
        if c_in != c:
            makers = {
                "A": lambda: ZeroChannels(c, stride),
                "B": lambda: conv_bn(c_in, c, 1, stride),
                "means": lambda: MeansAndZeros(c, stride),
                "none": nn.Identity,
            }
            self.shortcut = makers[shortcut]()

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x).relu())
        return y.relu() if self.plain else (y + self.shortcut(x)).relu()


def stages(
    block, c_in: int, widths: tuple[int, ...], counts: tuple[int, ...], out: int = 1
) -> list[nn.Module]:
    """A stage after the first halves the size at once. out: channels that go out, over the width."""
    layers = []
    for stage, (c, count) in enumerate(zip(widths, counts, strict=True)):
        for i in range(count):
            layers.append(block(c_in, c, 2 if stage and i == 0 else 1))
            c_in = out * c
    return layers


def head(c: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes)]


def cifar(depth: int, shortcut: str) -> nn.Module:
    """He et al., 2015, section 4.2: 6n + 2 layers."""
    n = (depth - 2) // 6
    blocks = stages(lambda i, c, s: Basic(i, c, s, shortcut), 16, (16, 32, 64), (n, n, n))
    return nn.Sequential(conv_bn(3, 16, 3), nn.ReLU(), *blocks, *head(64, 10))


def imagenet(depth: int, shortcut: str) -> nn.Module:
    """He et al., 2015, table 1."""
    counts = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}[depth]
    blocks = stages(lambda i, c, s: Basic(i, c, s, shortcut), 64, (64, 128, 256, 512), counts)
    stem = conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    return nn.Sequential(*stem, *blocks, *head(512, 1000))


def first_conv_strided(torchvision: ModuleType, name: str) -> nn.Module:
    """torchvision's, the strides of a block's first and second conv exchanged."""
    model = torchvision.models.get_model(name, weights=None)
    for module in model.modules():
        if isinstance(module, torchvision.models.resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
    return model


def leaky(timm: ModuleType, name: str, slope: float) -> nn.Module:
    """timm's network with another slope of its leaky ReLUs."""
    model = timm.create_model(name)
    for module in model.modules():
        if isinstance(module, nn.LeakyReLU):
            module.negative_slope = slope
    return model


def pre_activated(timm: ModuleType, name: str) -> nn.Module:
    """timm's, whose classifier is a 1x1 conv; a Linear is the same."""
    model = timm.create_model(name)
    model.head = nn.Sequential(*head(model.num_features, 1000))
    return model


class Unit(nn.Module):
    """A pre-activation unit (He et al., 2016): kernels and widths of its convs, the stride on one of them.
    Where the channels change, the projection reads what the first norm and ReLU give."""

    def __init__(
        self, c_in: int, kernels: tuple[int, ...], widths: tuple[int, ...], stride: int, strided: int
    ):
        super().__init__()
        channels = (c_in, *widths)
        self.norms = nn.ModuleList([nn.BatchNorm2d(c) for c in channels[:-1]])
        self.convs = nn.ModuleList(
            nn.Conv2d(channels[i], channels[i + 1], k, stride if i == strided else 1, k // 2, bias=False)
            for i, k in enumerate(kernels)
        )
        self.project = None if c_in == channels[-1] else nn.Conv2d(c_in, channels[-1], 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = first = F.relu(self.norms[0](x))
        for i, convolve in enumerate(self.convs):
            y = convolve(F.relu(self.norms[i](y)) if i else y)
        return y + (x if self.project is None else self.project(first))


def preactivated(units: list[nn.Module], c: int) -> nn.Module:
    first = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    return nn.Sequential(first, *units, nn.BatchNorm2d(c), nn.ReLU(), *head(c, 10))


def preact_cifar(depth: int) -> nn.Module:
    """He et al., 2016: 9n + 2 layers; the first 1x1 strides, as in github.com/KaimingHe/resnet-1k-layers."""
    n = (depth - 2) // 9
    units = stages(lambda i, c, s: Unit(i, (1, 3, 1), (c, c, 4 * c), s, 0), 16, (16, 32, 64), (n, n, n), 4)
    return preactivated(units, 256)


def wide_cifar(depth: int, k: int) -> nn.Module:
    """Zagoruyko & Komodakis, 2016, table 1: 6n + 4 layers."""
    n = (depth - 4) // 6
    units = stages(lambda i, c, s: Unit(i, (3, 3), (c, c), s, 0), 16, (16 * k, 32 * k, 64 * k), (n, n, n))
    return preactivated(units, 64 * k)


class DenseBlock(nn.Module):
    """Huang et al., 2017: every layer reads all before it, one after the other."""

    def __init__(self, c_in: int, k: int, layers: int, bottleneck: bool):
        super().__init__()
        self.layers = nn.ModuleList(self.layer(c, k, bottleneck) for c in range(c_in, c_in + k * layers, k))

    @staticmethod
    def layer(c: int, k: int, bottleneck: bool) -> nn.Sequential:
        steps = [(c, 4 * k, 1), (4 * k, k, 3)] if bottleneck else [(c, k, 3)]
        modules: list[nn.Module] = []
        for a, b, kernel in steps:
            modules += [
                nn.BatchNorm2d(a),
                nn.ReLU(),
                nn.Conv2d(a, b, kernel, padding=kernel // 2, bias=False),
            ]
        return nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        everything = [x]
        for layer in self.layers:
            everything.append(layer(torch.cat(everything, dim=1)))
        return torch.cat(everything, dim=1)


def dense_cifar(k: int, depth: int, bc: bool) -> nn.Module:
    """Huang et al., 2017, section 4: three blocks; BC begins with 2k channels and halves them in between."""
    layers = (depth - 4) // (6 if bc else 3)
    c = 2 * k if bc else 16
    modules: list[nn.Module] = [nn.Conv2d(3, c, 3, padding=1, bias=False)]
    for block in range(3):
        modules.append(DenseBlock(c, k, layers, bc))
        c += k * layers
        modules += [nn.BatchNorm2d(c), nn.ReLU()]
        if block < 2:
            left = c // 2 if bc else c
            modules += [nn.Conv2d(c, left, 1, bias=False), nn.AvgPool2d(2)]
            c = left
    return nn.Sequential(*modules, *head(c, 10))


def keras_example(keras: ModuleType, version: int) -> tuple[Any, list[Any]]:
    """What the lecture prints, without the softmax: a 3x3 conv and two residual blocks, the second of which
    widens; norms after the convs (1) or, with the activations, before (2). Also its layers that own weights,
    as data reaches them."""
    owners = []

    def owner(layer: Any, x: Any) -> Any:
        owners.append(layer)
        return layer(x)

    def conv(x: Any, filters: int, kernel: int, **options: Any) -> Any:
        return owner(keras.layers.Conv2D(filters, kernel, padding="same", **options), x)

    def norm(x: Any) -> Any:
        return owner(keras.layers.BatchNormalization(), x)

    def active(x: Any) -> Any:
        return keras.layers.Activation("relu")(x)

    def block(x: Any, filters: int) -> Any:
        if version == 1:
            y = norm(conv(active(norm(conv(x, filters, 3))), filters, 3))
        else:
            y = conv(active(norm(conv(active(norm(x)), filters, 3))), filters, 3)
        skip = x if x.shape[-1] == filters else conv(x, filters, 1)
        y = keras.layers.Add()([skip, y])
        return active(y) if version == 1 else y

    image = keras.Input((32, 32, 3))
    x = block(block(conv(image, 16, 3, activation="relu"), 16), 32)
    x = keras.layers.Flatten()(norm(x) if version == 2 else x)
    return keras.Model(image, owner(keras.layers.Dense(10), x)), owners
