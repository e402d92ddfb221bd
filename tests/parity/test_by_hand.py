"""The specs and library blocks that torchvision lacks, against plain PyTorch written from the papers."""

from __future__ import annotations

import by_hand
import pytest
import torch
from compare import TOLERANCE, compare, images, paired
from transplant import relative_error

from archdsl import load, loads

pytestmark = [pytest.mark.parity, pytest.mark.slow]

LARGE = ("vgg16c", "vgg11_lrn", "zfnet_wide")
"""Left to the nightly run."""

SPECS = (
    "lenet5",
    "alexnet",
    "alexnet_two_towers",
    "zfnet",
    "zfnet_wide",
    "vgg11_lrn",
    "vgg16c",
    "nin_cifar",
    "fractalnet_cifar",
    "unet",
    "cifar_quiz1",
    "cifar_quiz2",
    "cifar_quiz3",
)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.nightly) if n in LARGE else n for n in SPECS]
)
def test_spec(name):
    network = load(name)
    make = getattr(by_hand, name)
    size = (1, 64, 96) if name == "unet" else network.input
    error = compare(*paired(network, make, calibration=size), size)
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE


def test_googlenet_with_side_heads():
    network = load("googlenet")
    ours, peer = paired(network, by_hand.GoogLeNet)
    x = images(*network.input)
    with torch.no_grad():
        value, truth = ours(x, aux=True), peer(x)
    assert value.keys() == truth.keys() == {"out", "aux1", "aux2"}
    error = max(relative_error(value[output], truth[output]) for output in truth)
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE


HEAD = "gap; fc-10"
PRE = "default conv(bias=false); input 3x32x32; conv3-16"
BLOCKS = {
    "preact": (
        f"{PRE}; preact(16) x2; preact(32) x2/2; bn; relu; {HEAD}",
        lambda: by_hand.preactivated((3, 3), 1),
    ),
    "wide": (
        f"{PRE}; wide(16) x2; wide(32) x2/2; bn; relu; {HEAD}",
        lambda: by_hand.preactivated((3, 3), 1),
    ),
    "preact_bottleneck": (
        f"{PRE}; preact_bottleneck(16) x2; preact_bottleneck(32) x2/2; bn; relu; {HEAD}",
        lambda: by_hand.preactivated((1, 3, 1), 4),
    ),
    "se": (f"default conv(act=relu); input 3x32x32; conv3-32; se; {HEAD}", by_hand.squeezed),
    "separable": (
        f"default conv(norm=bn, act=relu); input 3x32x32; separable(16); separable/2(32); {HEAD}",
        by_hand.separated,
    ),
    "fractal": (f"default conv(act=relu); input 3x32x32; fractal(4, 16); {HEAD}", by_hand.fractal),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_library_block(name):
    text, make = BLOCKS[name]
    network = loads(text)
    error = compare(*paired(network, make), (3, 32, 32), (3, 31, 33))
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE
