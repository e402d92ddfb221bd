"""Classic networks in plain PyTorch, written from the papers and from the authors' published Caffe models."""

from __future__ import annotations

import torch
from by_hand import Concat, Function, conv
from torch import Tensor, nn
from torch.nn import functional as F


def caffe_pool(kernel: int, stride: int, padding: int = 0) -> nn.Module:
    return nn.MaxPool2d(kernel, stride, padding, ceil_mode=True)


def nin_imagenet() -> nn.Module:
    """nin_imagenet of Caffe's model zoo: conv1 to cccp8, the names left out."""
    layers: list[nn.Module] = []
    c_in = 3
    for width, kernel, stride, padding in ((96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1)):
        layers += [
            conv(c_in, width, kernel, s=stride, p=padding),
            conv(width, width, 1),
            conv(width, width, 1),
        ]
        layers.append(caffe_pool(3, 2))
        c_in = width
    last = [nn.Dropout(0.5), conv(384, 1024, 3), conv(1024, 1024, 1), conv(1024, 1000, 1)]
    return nn.Sequential(*layers, *last, Function(lambda x: x.mean((2, 3))))


def all_cnn(rows: list[tuple[int, int, int]]) -> nn.Module:
    """Rows (width, kernel, stride) of table 1, a pool replaced as in table 2; then what all models end with."""
    layers: list[nn.Module] = [nn.Dropout(0.2)]
    c_in = 3
    for width, kernel, stride in rows:
        layers.append(conv(c_in, width, kernel, s=stride))
        layers += [nn.Dropout(0.5)] if stride == 2 else []
        c_in = width
    last = [conv(192, 192, 3, p=0), conv(192, 192, 1), conv(192, 10, 1), nn.AvgPool2d(6), nn.Flatten()]
    return nn.Sequential(*layers, *last)


def all_cnn_a() -> nn.Module:
    return all_cnn([(96, 5, 1), (96, 3, 2), (192, 5, 1), (192, 3, 2)])


def all_cnn_b() -> nn.Module:
    return all_cnn([(96, 5, 1), (96, 1, 1), (96, 3, 2), (192, 5, 1), (192, 1, 1), (192, 3, 2)])


def all_cnn_c() -> nn.Module:
    return all_cnn([(96, 3, 1), (96, 3, 1), (96, 3, 2), (192, 3, 1), (192, 3, 1), (192, 3, 2)])


class Highway(nn.Module):
    """Srivastava et al., 2015, equation 3: y = H T + x (1 - T)."""

    def __init__(self, c: int):
        super().__init__()
        self.transform, self.gate = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        t = 1 / (1 + torch.exp(-self.gate(x)))
        return self.transform(x).relu() * t + x * (1 - t)


def highway_cifar() -> nn.Module:
    layers: list[nn.Module] = []
    c_in = 3
    for stage, (width, count) in enumerate(((32, 4), (80, 5), (128, 5))):
        layers += [nn.MaxPool2d(2, 2)] if stage else []
        layers += [nn.Dropout(0.2), conv(c_in, width, 3), *(Highway(width) for _ in range(count))]
        c_in = width
    return nn.Sequential(
        *layers, conv(128, 100, 1), nn.AvgPool2d(8), nn.Dropout(0.2), nn.Flatten(), nn.Linear(100, 10)
    )


class DeeplySupervised(nn.Module):
    """Layers conv1 to pool3 of the authors' model; ip_svm1 to 3 read the convs before relu1 to 3 do."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(3, 192, 5, padding=2),
                nn.Conv2d(96, 192, 5, padding=2),
                nn.Conv2d(192, 192, 3, padding=1),
            ]
        )
        self.classifiers = nn.ModuleList(nn.Linear(192 * size * size, 10) for size in (32, 16, 8))
        self.perceptrons = nn.ModuleList(
            [
                nn.Sequential(conv(192, 160, 1), conv(160, 96, 1), caffe_pool(3, 2)),
                nn.Sequential(conv(192, 192, 1), conv(192, 192, 1), caffe_pool(3, 2)),
                nn.Sequential(conv(192, 192, 1), nn.Conv2d(192, 10, 1), nn.AvgPool2d(8), nn.Flatten()),
            ]
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        outputs = {}
        for i in range(3):
            x = self.convs[i](x)
            outputs[f"aux{i + 1}"] = self.classifiers[i](x.flatten(1))
            x = self.perceptrons[i](x.relu())
        return {"out": x, **outputs}


def pyramid(x: Tensor) -> Tensor:
    """He et al., 2014: the largest value of each bin of grids of 7, 3, 2 and 1; bin i of n from floor(i h / n) to
    ceil((i + 1) h / n)."""
    height, width = x.shape[2:]
    features = []
    for n in (7, 3, 2, 1):
        tops = [(i * height // n, -(-(i + 1) * height // n)) for i in range(n)]
        lefts = [(j * width // n, -(-(j + 1) * width // n)) for j in range(n)]
        bins = [x[:, :, a:b, c:d].amax((2, 3)) for a, b in tops for c, d in lefts]
        features.append(torch.stack(bins, dim=2).flatten(1))
    return torch.cat(features, dim=1)


def preluenet_a() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 7, 2, 3), nn.PReLU(96)]
    c_in = 96
    for width in (256, 512, 512):
        layers.append(nn.MaxPool2d(2, 2))
        for _ in range(5):
            layers += [nn.Conv2d(c_in, width, 3, padding=1), nn.PReLU(width)]
            c_in = width
    return nn.Sequential(
        *layers, Function(pyramid), nn.Linear(512 * 63, 4096), nn.PReLU(4096), nn.Linear(4096, 4096), nn.PReLU(4096),
        nn.Linear(4096, 1000),
    )  # fmt: skip


def normalized(c_in: int, c_out: int, k: int, s: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, k, s, k // 2), nn.BatchNorm2d(c_out), nn.ReLU())


BN_INCEPTIONS = (
    (192, 64, 64, 64, 64, 96, 32, "avg"),
    (256, 64, 64, 96, 64, 96, 64, "avg"),
    (320, 0, 128, 160, 64, 96, 0, "through"),
    (576, 224, 64, 96, 96, 128, 128, "avg"),
    (576, 192, 96, 128, 96, 128, 128, "avg"),
    (576, 160, 128, 160, 128, 160, 128, "avg"),
    (608, 96, 128, 192, 160, 192, 128, "avg"),
    (608, 0, 128, 192, 192, 256, 0, "through"),
    (1056, 352, 192, 320, 160, 224, 128, "avg"),
    (1024, 352, 192, 320, 192, 224, 128, "max"),
)
"""3a to 5b: the channels that come in, then the columns of Ioffe & Szegedy, 2015, figure 5, with the Caffe model's
pool projections."""


def bn_inception() -> nn.Module:
    modules = []
    for c, one, reduce3, three, reduce33, double, project, pool in BN_INCEPTIONS:
        stride = 2 if pool == "through" else 1
        branches = [normalized(c, one, 1)] if one else []
        branches.append(nn.Sequential(normalized(c, reduce3, 1), normalized(reduce3, three, 3, stride)))
        doubled = normalized(reduce33, double, 3), normalized(double, double, 3, stride)
        branches.append(nn.Sequential(normalized(c, reduce33, 1), *doubled))
        if pool == "through":
            branches.append(caffe_pool(3, 2))
        else:
            pooled = nn.AvgPool2d(3, 1, 1) if pool == "avg" else caffe_pool(3, 1, 1)
            branches.append(nn.Sequential(pooled, normalized(c, project, 1)))
        modules.append(Concat(*branches))
    stem = (
        normalized(3, 64, 7, 2),
        caffe_pool(3, 2),
        normalized(64, 64, 1),
        normalized(64, 192, 3),
        caffe_pool(3, 2),
    )
    return nn.Sequential(*stem, *modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))


class UNetValid(nn.Module):
    """Figure 1: 3x3 convs that shrink the map by two, and the middle of what is copied."""

    def __init__(self):
        super().__init__()
        widths = (64, 128, 256, 512, 1024)
        self.down = nn.ModuleList(self.twice(a, b) for a, b in zip((1, *widths), widths, strict=False))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[-2::-1])
        self.up = nn.ModuleList(self.twice(2 * w, w) for w in widths[-2::-1])
        self.last = nn.Conv2d(64, 2, 1)

    @staticmethod
    def twice(c_in: int, c_out: int) -> nn.Module:
        return nn.Sequential(conv(c_in, c_out, 3, p=0), conv(c_out, c_out, 3, p=0))

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level, convs in enumerate(self.down):
            x = convs(F.max_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for enlarge, convs in zip(self.enlarge, self.up, strict=True):
            x, copied = enlarge(x), kept.pop()
            rest = [a - b for a, b in zip(copied.shape[2:], x.shape[2:], strict=True)]
            assert rest[0] % 2 == rest[1] % 2 == 0
            top, left = rest[0] // 2, rest[1] // 2
            middle = copied[:, :, top : copied.shape[2] - top, left : copied.shape[3] - left]
            x = convs(torch.cat([middle, x], dim=1))
        return self.last(x)
