"""Networks in plain PyTorch, written from the papers, not from the specs: the oracle beside torchvision."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(
    c_in: int, c_out: int, k: int, *, s: int = 1, p: int | None = None, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, k, s, k // 2 if p is None else p, groups=groups), nn.ReLU())


class Function(nn.Module):
    """A function as a module, so that it can stand in a Sequential."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def lenet5() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(),
        nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def lrn(x: Tensor, alpha: float, k: float) -> Tensor:
    """The paper's formula over five neighbouring channels: alpha times the sum of squares, not their mean."""
    squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(5))
    return x / (k + alpha * total) ** 0.75


def paper_lrn() -> nn.Module:
    """Krizhevsky et al., 2012, section 3.3: n = 5, alpha = 1e-4, k = 2."""
    return Function(lambda x: lrn(x, 1e-4, 2.0))


def caffe_lrn() -> nn.Module:
    """Caffe divides alpha by the size, and k is 1."""
    return Function(lambda x: lrn(x, 1e-4 / 5, 1.0))


def classifier(features: int) -> list[nn.Module]:
    return [
        nn.Flatten(),
        nn.Linear(features, 4096),
        nn.ReLU(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, 1000),
    ]


def alexnet() -> nn.Module:
    return nn.Sequential(
        conv(3, 96, 11, s=4, p=0), nn.MaxPool2d(3, 2), paper_lrn(),
        conv(96, 256, 5), nn.MaxPool2d(3, 2), paper_lrn(),
        conv(256, 384, 3), conv(384, 384, 3), conv(384, 256, 3), nn.MaxPool2d(3, 2), *classifier(256 * 36),
    )  # fmt: skip


class TwoTowers(nn.Module):
    """A conv of two groups is two convs that don't see each other; here they are written as two."""

    def __init__(self, c_in: int, c_out: int, k: int):
        super().__init__()
        self.both = nn.Conv2d(c_in, c_out, k, padding=k // 2, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        self.both(x)  # only so that the weights are met
        weights, biases = self.both.weight.chunk(2), self.both.bias.chunk(2)
        halves = zip(x.chunk(2, dim=1), weights, biases, strict=True)
        return torch.cat([F.conv2d(*half, padding=self.both.padding) for half in halves], dim=1).relu()


def alexnet_two_towers() -> nn.Module:
    return nn.Sequential(
        conv(3, 96, 11, s=4, p=0), paper_lrn(), nn.MaxPool2d(3, 2),
        TwoTowers(96, 256, 5), paper_lrn(), nn.MaxPool2d(3, 2),
        conv(256, 384, 3), TwoTowers(384, 384, 3), TwoTowers(384, 256, 3), nn.MaxPool2d(3, 2),
        *classifier(256 * 36),
    )  # fmt: skip


def zfnet(c3: int = 384, c4: int = 384, c5: int = 256) -> nn.Module:
    return nn.Sequential(
        conv(3, 96, 7, s=2, p=1), nn.MaxPool2d(3, 2, ceil_mode=True), paper_lrn(),
        conv(96, 256, 5, s=2, p=0), nn.MaxPool2d(3, 2, ceil_mode=True), paper_lrn(),
        conv(256, c3, 3), conv(c3, c4, 3), conv(c4, c5, 3), nn.MaxPool2d(3, 2), *classifier(c5 * 36),
    )  # fmt: skip


def zfnet_wide() -> nn.Module:
    return zfnet(512, 1024, 512)


def vgg16c() -> nn.Module:
    layers: list[nn.Module] = []
    c_in = 3
    for width, third in ((64, False), (128, False), (256, True), (512, True), (512, True)):
        layers += [conv(c_in, width, 3), conv(width, width, 3)]
        layers += [conv(width, width, 1)] if third else []
        layers.append(nn.MaxPool2d(2))
        c_in = width
    return nn.Sequential(*layers, *classifier(512 * 49))


def vgg11_lrn() -> nn.Module:
    widths = (128, None, 256, 256, None, 512, 512, None, 512, 512, None)
    layers: list[nn.Module] = [conv(3, 64, 3), paper_lrn(), nn.MaxPool2d(2)]
    c_in = 64
    for width in widths:
        layers.append(nn.MaxPool2d(2) if width is None else conv(c_in, width, 3))
        c_in = width or c_in
    return nn.Sequential(*layers, *classifier(512 * 49))


def nin_cifar() -> nn.Module:
    """The first group is seed 001's own code."""
    return nn.Sequential(
        nn.Conv2d(3, 192, kernel_size=5, stride=1, padding=2), nn.ReLU(inplace=True),
        nn.Conv2d(192, 160, kernel_size=1, stride=1, padding=0), nn.ReLU(inplace=True),
        nn.Conv2d(160, 96, kernel_size=1, stride=1, padding=0), nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1), nn.Dropout(0.5),
        conv(96, 192, 5), conv(192, 192, 1), conv(192, 192, 1), nn.AvgPool2d(3, 2, 1), nn.Dropout(0.5),
        conv(192, 192, 3), conv(192, 192, 1), conv(192, 10, 1), nn.AvgPool2d(8), nn.Flatten(),
    )  # fmt: skip


class Concat(nn.Module):
    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


INCEPTIONS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
"""Szegedy et al., 2014, table 1: the channels that come in, then the columns from #1x1 to pool proj."""


class GoogLeNet(nn.Module):
    """The paper's table 1 and section 5, with Caffe's normalization and rounding."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, 64, 7, s=2), nn.MaxPool2d(3, 2, ceil_mode=True), caffe_lrn(),
            conv(64, 64, 1), conv(64, 192, 3), caffe_lrn(), nn.MaxPool2d(3, 2, ceil_mode=True),
        )  # fmt: skip
        self.modules_ = nn.ModuleDict({f"i{name}": self.inception(*row) for name, row in INCEPTIONS.items()})
        self.heads = nn.ModuleDict({"i4a": self.head(512), "i4d": self.head(528)})
        self.fc = nn.Linear(1024, 1000)

    @staticmethod
    def inception(c: int, n1: int, r3: int, n3: int, r5: int, n5: int, pool: int) -> nn.Module:
        return Concat(
            conv(c, n1, 1),
            nn.Sequential(conv(c, r3, 1), conv(r3, n3, 3)),
            nn.Sequential(conv(c, r5, 1), conv(r5, n5, 5)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(c, pool, 1)),
        )

    @staticmethod
    def head(c: int) -> nn.Module:
        features = (nn.AvgPool2d(5, 3), conv(c, 128, 1), nn.Flatten())
        return nn.Sequential(*features, nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, 1000))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        outputs = {}
        x = self.stem(x)
        for name, module in self.modules_.items():
            x = module(x)
            if name in self.heads:
                outputs[f"aux{len(outputs) + 1}"] = self.heads[name](x)
            if name in ("i3b", "i4e"):
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        return {"out": self.fc(x.mean((2, 3))), **outputs}


class FractalBlock(nn.Module):
    """As the authors' generator draws it: at depth l, column c has a conv where 2**(C-1-c) divides l; where
    several columns end at one depth, a join takes the mean of them all; the block's last one, of pooled
    columns."""

    def __init__(self, c_in: int, width: int, columns: int = 3):
        super().__init__()
        self.depth, self.columns = 2 ** (columns - 1), columns
        self.convs = nn.ModuleDict()
        for level in range(1, self.depth + 1):
            for column in self.ending(level):
                first = level == self.depth // 2**column
                self.convs[f"{column} {level}"] = nn.Sequential(
                    nn.Conv2d(c_in if first else width, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                )

    def ending(self, level: int) -> list[int]:
        """Columns with a conv that ends here, the deepest first; column 0 is one conv."""
        return [c for c in reversed(range(self.columns)) if level % (self.depth // 2**c) == 0]

    def forward(self, x: Tensor) -> Tensor:
        lasts = [x] * self.columns
        for level in range(1, self.depth + 1):
            ending = self.ending(level)
            for column in ending:
                lasts[column] = self.convs[f"{column} {level}"](lasts[column])
            if level == self.depth:
                lasts = [F.max_pool2d(last, 2) for last in lasts]
            joined = torch.stack([lasts[c] for c in ending]).mean(0)
            for column in ending:
                lasts[column] = joined
        return lasts[0]


def fractalnet_cifar() -> nn.Module:
    widths = (3, 64, 128, 256, 512, 512)
    blocks = [FractalBlock(c_in, width) for c_in, width in pairwise(widths)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(512, 10))


class UNet(nn.Module):
    """Figure 1, padded."""

    def __init__(self):
        super().__init__()
        widths = (64, 128, 256, 512, 1024)
        self.down = nn.ModuleList(self.twice(a, b) for a, b in zip((1, *widths), widths, strict=False))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[-2::-1])
        self.up = nn.ModuleList(self.twice(2 * w, w) for w in widths[-2::-1])
        self.last = nn.Conv2d(64, 2, 1)

    @staticmethod
    def twice(c_in: int, c_out: int) -> nn.Module:
        return nn.Sequential(conv(c_in, c_out, 3), conv(c_out, c_out, 3))

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level, convs in enumerate(self.down):
            x = convs(F.max_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for enlarge, convs in zip(self.enlarge, self.up, strict=True):
            x = convs(torch.cat([kept.pop(), enlarge(x)], dim=1))
        return self.last(x)


def unet() -> nn.Module:
    return UNet()


def cifar_quiz1() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def cifar_quiz2() -> nn.Module:
    layers: list[nn.Module] = []
    c_in = 3
    for width in (64, None, 128, None, 256, 256, None, 512, 512, None, 512, 512, None):
        layers.append(nn.MaxPool2d(2, 2) if width is None else conv(c_in, width, 3))
        c_in = width or c_in
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


class Residual(nn.Module):
    def __init__(self, c: int, hidden: int):
        super().__init__()
        self.first, self.second = nn.Conv2d(c, hidden, 3, padding=1), nn.Conv2d(hidden, c, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.second(self.first(x).relu())).relu()


def cifar_quiz3() -> nn.Module:
    return nn.Sequential(
        conv(3, 64, 3), Residual(64, 256), nn.MaxPool2d(2, 2), Residual(64, 256), nn.MaxPool2d(2, 2),
        nn.Flatten(), nn.Linear(4096, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


class PreActivation(nn.Module):
    """He et al., 2016, and with a dropout Zagoruyko & Komodakis, 2016: kernels and widths of the convs; the
    stride is at the first 3x3."""

    def __init__(self, c_in: int, kernels: tuple[int, ...], widths: tuple[int, ...], stride: int):
        super().__init__()
        channels = (c_in, *widths)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in channels[:-1])
        first = kernels.index(3)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, k, stride if i == first else 1, k // 2, bias=False)
            for i, (a, b, k) in enumerate(zip(channels, widths, kernels, strict=False))
        )
        changes = stride != 1 or c_in != widths[-1]
        self.shortcut = nn.Conv2d(c_in, widths[-1], 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.norms[0](x).relu()
        y = self.convs[0](active)
        for norm, convolve in zip(list(self.norms)[1:], list(self.convs)[1:], strict=True):
            y = convolve(norm(y).relu())
        return y + (x if self.shortcut is None else self.shortcut(active))


def preactivated(kernels: tuple[int, ...], last: int) -> nn.Module:
    """A conv to 16, then units of 16, 16, 32 (stride 2) and 32: some change the shape and some keep it."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
    c_in = 16
    for width, stride in ((16, 1), (16, 1), (32, 2), (32, 1)):
        widths = (width,) * (len(kernels) - 1) + (last * width,)
        layers.append(PreActivation(c_in, kernels, widths, stride))
        c_in = last * width
    return nn.Sequential(
        *layers, nn.BatchNorm2d(c_in), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, 10)
    )


class Gate(nn.Module):
    """Squeeze-and-excitation, with fully connected layers as its authors have it."""

    def __init__(self, c: int, r: int):
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(c, c // r, 1), nn.Conv2d(c // r, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * self.excite(self.squeeze(means).relu()).sigmoid()


def squeezed() -> nn.Module:
    return nn.Sequential(
        conv(3, 32, 3), Gate(32, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    )


def separated() -> nn.Module:
    layers: list[nn.Module] = []
    c_in = 3
    for c_out, stride in ((16, 1), (32, 2)):
        depthwise = nn.Conv2d(c_in, c_in, 3, stride, 1, groups=c_in, bias=False)
        layers += [depthwise, nn.BatchNorm2d(c_in), nn.ReLU()]
        layers += [nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
        c_in = c_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


class Halves(nn.Module):
    """A fractal of two columns or one, its joins of two."""

    def __init__(self, c_in: int, width: int, columns: int):
        super().__init__()
        self.deep = None
        if columns > 1:
            self.deep = nn.Sequential(Halves(c_in, width, columns - 1), Halves(width, width, columns - 1))
        self.shallow = conv(c_in, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.shallow(x) if self.deep is None else (self.deep(x) + self.shallow(x)) / 2


def fractal() -> nn.Module:
    return nn.Sequential(Halves(3, 16, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
