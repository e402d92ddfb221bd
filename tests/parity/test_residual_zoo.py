"""The residual, dense and squeezed networks against torchvision, timm, Keras and plain PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import by_hand_residual as by_hand
import pytest
import torch
from compare import TOLERANCE, compare, images, on_meta, paired
from torch import nn
from transplant import relative_error

from archdsl import build, load
from archdsl.resources import specs_root

pytestmark = [pytest.mark.parity, pytest.mark.slow]

ODD = (3, 75, 107)
"""Sizes that no stride divides, not square: what rounds otherwise shows here."""

SMALL = (3, 29, 35)
"""The same for CIFAR's networks."""

EVEN = (3, 28, 36)
"""For the shortcuts that take means of 2x2."""

CIFAR = (3, 32, 32)


def nightly(*names: str) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.nightly) for name in names]


def agrees(error: float) -> None:
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE


TORCHVISION = ("resnext50_32x4d", "densenet169")
LARGE = (
    "densenet161",
    "densenet201",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)


@pytest.mark.parametrize("name", (*TORCHVISION, *nightly(*LARGE)))
def test_torchvision(name, torchvision):
    make = partial(torchvision.models.get_model, name, weights=None)
    agrees(compare(*paired(load(name), make, calibration=ODD), ODD))


@pytest.mark.parametrize("name", ("resnet50", *nightly("resnet101", "resnet152")))
def test_stride_on_the_first_conv(name, torchvision):
    make = partial(by_hand.first_conv_strided, torchvision, name)
    agrees(compare(*paired(load(f"{name}_v1"), make, calibration=ODD), ODD))


@pytest.mark.parametrize("depth", ("50", *nightly("101", "152")))
def test_pre_activation(depth, timm):
    make = partial(by_hand.pre_activated, timm, f"resnetv2_{depth}")
    agrees(compare(*paired(load(f"resnet{depth}_v2"), make, calibration=ODD), ODD))


@pytest.mark.parametrize("name", ("se_resnet50", *nightly("se_resnet101", "se_resnet152", "senet154")))
def test_squeeze_and_excitation(name, timm):
    make = partial(timm.create_model, f"legacy_{name.replace('_', '')}")
    agrees(compare(*paired(load(name), make, calibration=ODD), ODD))


def test_groups_in_a_hierarchy(timm):
    make = partial(timm.create_model, "res2net50_26w_4s")
    agrees(compare(*paired(load("res2net50_26w_4s"), make, calibration=ODD), ODD))


@pytest.mark.parametrize("slope", (0.1, 0.01), ids=("Darknet's", "timm's"))
def test_cross_stages(slope, timm):
    make = partial(by_hand.leaky, timm, "cspdarknet53", slope)
    agrees(compare(*paired(load("cspdarknet53", slope=slope), make, calibration=ODD), ODD))


@pytest.mark.parametrize("depth", (18, 34))
@pytest.mark.parametrize("name, shortcut", (("resnet{}_a", "A"), ("plain{}", "none")))
def test_without_projections(name, shortcut, depth):
    make = partial(by_hand.imagenet, depth, shortcut)
    agrees(compare(*paired(load(name.format(depth)), make, calibration=ODD), ODD))


@pytest.mark.parametrize("depth", ("20", "32", "44", "56", "110", *nightly("1202")))
@pytest.mark.parametrize("name, shortcut", (("resnet{}_cifar", "A"), ("resnet{}_cifar_b", "B")))
def test_cifar(name, shortcut, depth):
    make = partial(by_hand.cifar, int(depth), shortcut)
    agrees(compare(*paired(load(name.format(depth)), make), SMALL, CIFAR))


@pytest.mark.parametrize("depth", (20, 32, 44, 56, 110))
def test_plain_cifar(depth):
    models = paired(load(f"plain{depth}_cifar"), partial(by_hand.cifar, depth, "none"))
    if depth == 110:  # so deep, random norms leave only what both images have in common
        for model in models:
            learn_norms(model)
    agrees(compare(*models, *(SMALL, CIFAR)[depth == 110 :]))


def learn_norms(model: nn.Module) -> None:
    """Statistics of the images that are compared, taken by each model for itself."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(images(*CIFAR))
    model.eval()


@pytest.mark.parametrize("depth", ("110", *nightly("1202")))
def test_stochastic_depth(depth):
    ours, peer = paired(
        load(f"stochastic_depth_resnet{depth}_cifar"), partial(by_hand.cifar, int(depth), "means")
    )
    agrees(compare(ours, peer, EVEN, CIFAR))
    blocks = (int(depth) - 2) // 2
    rates = [module.ratio for module in ours.modules() if type(module).__name__ == "DropPath"]
    assert rates == pytest.approx([0.5 * block / blocks for block in range(1, blocks + 1)], abs=1e-12)


@pytest.mark.parametrize("depth", ("164", *nightly("1001")))
def test_pre_activation_cifar(depth):
    make = partial(by_hand.preact_cifar, int(depth))
    agrees(compare(*paired(load(f"preact_resnet{depth}_cifar"), make), SMALL, CIFAR))


@pytest.mark.parametrize("name", ("16_4", "16_8", *nightly("28_10")))
def test_wide(name):
    make = partial(by_hand.wide_cifar, *map(int, name.split("_")))
    agrees(compare(*paired(load(f"wide_resnet{name}"), make, calibration=SMALL), SMALL))


DENSE = ("cifar_k12_l40", "bc_cifar_k12_l100")
DEEP = ("cifar_k12_l100", "cifar_k24_l100", "bc_cifar_k24_l250", "bc_cifar_k40_l190")


@pytest.mark.parametrize("name", (*DENSE, *nightly(*DEEP)))
def test_dense_cifar(name):
    k, depth = (int(word[1:]) for word in name.split("_")[-2:])
    make = partial(by_hand.dense_cifar, k, depth, name.startswith("bc"))
    agrees(compare(*paired(load(f"densenet_{name}"), make, calibration=SMALL), SMALL))


DROPOUTS = {
    "wide_resnet16_4": [0.4] * 6,
    "wide_resnet16_8": [],
    "wide_resnet28_10": [0.3] * 12,
    "densenet_cifar_k12_l40": [0.2] * (3 * 12 + 2),
    "densenet_bc_cifar_k12_l100": [0.2] * (3 * 16 * 2 + 2),
    "densenet_bc_cifar_k40_l190": [],
    "senet154": [0.2],
}
"""Rates: in every unit of a wide network, after every conv but the first of a dense one."""


def dropouts(name: str, **parameters: float) -> list[float]:
    model = on_meta(lambda: build(load(name, **parameters)))
    return [module.p for module in model.modules() if isinstance(module, nn.Dropout)]


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropouts(name):
    """They do nothing in evaluation, so no comparison sees them."""
    assert dropouts(name) == DROPOUTS[name]


@pytest.mark.parametrize("name", [name for name in DROPOUTS if name != "senet154"])
def test_dropouts_can_be_left_out(name):
    assert dropouts(name, drop=0) == []


def test_dropout_of_a_wide_unit_follows_the_relu():
    """Where it stands in the unit, its second conv reads what it gives."""
    model = build(load("wide_resnet16_4"))
    order: list[str] = []
    for module in model.wide1[1].modules():
        module.register_forward_hook(lambda module, _args, _output: order.append(type(module).__name__))
    model(torch.zeros(1, 3, 8, 8))
    assert order[:7] == ["BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Dropout", "Conv2d"]


@pytest.fixture
def float64(keras: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Keras in float64 throughout. Its policy alone is not enough: with torch its promotion rules turn
    float64 into float32, so that its norms and fc round and the comparison ends at 1e-6."""
    from keras.src.backend.common import dtypes

    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield keras
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.mark.parametrize("version", (1, 2))
def test_keras_example(version, float64):
    """The two functions that the lecture prints."""
    network = load(f"keras_cifar_resnet_v{version}")
    peer, owners = by_hand.keras_example(float64, version)
    assert peer.count_params() == network.params + network.buffers
    ours = on_meta(lambda: build(network)).to_empty(device="cpu").double()
    modules = [m for m in ours.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    generator = torch.Generator().manual_seed(0)
    for layer, module in zip(owners, modules, strict=True):
        values = [torch.randn(w.shape, dtype=torch.float64, generator=generator) for w in layer.weights]
        if isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == pytest.approx((layer.epsilon, 1 - layer.momentum))
            values[3] = 0.5 + values[3].abs()  # gamma, beta, mean, variance
            targets = module.weight, module.bias, module.running_mean, module.running_var
            into = values
        else:
            values[0] /= values[0][..., 0].numel() ** 0.5
            kernel, targets = values[0], (module.weight, module.bias)
            if isinstance(module, nn.Linear):  # Keras flattens the channels last
                kernel = kernel.reshape(32, 32, 32, 10)
            into = [kernel.permute(3, 2, 0, 1).reshape(module.weight.shape), values[1]]
        layer.set_weights([value.numpy() for value in values])
        with torch.no_grad():
            for target, value in zip(targets, into, strict=True):
                target.copy_(value)
    x = images(*network.input)
    with torch.no_grad():
        value = ours.eval()(x)
        truth = torch.as_tensor(peer(x.permute(0, 2, 3, 1), training=False)).cpu()
    assert (truth[0] - truth[1]).abs().max() > 1e-3
    agrees(relative_error(value, truth))


class Pixels(by_hand.MeansAndZeros):
    forward = by_hand.ZeroChannels.forward


class ZerosFirst(by_hand.ZeroChannels):
    def forward(self, x):
        return super().forward(x).roll(x.shape[1], dims=1)


class RawProjection(by_hand.Unit):
    def forward(self, x):
        y = x
        for norm, convolve in zip(self.norms, self.convs, strict=True):
            y = convolve(norm(y).relu())
        return y + (x if self.project is None else self.project(x))


class NewestFirst(by_hand.DenseBlock):
    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([layer(x), x], dim=1)
        return x


WRONG = {
    "every second pixel for the means": (
        "stochastic_depth_resnet110_cifar", Pixels, partial(by_hand.cifar, 110, "means")
    ),
    "zeros before the channels": ("resnet20_cifar", ZerosFirst, partial(by_hand.cifar, 20, "A")),
    "a projection of what comes in": (
        "preact_resnet164_cifar", RawProjection, partial(by_hand.preact_cifar, 164)
    ),
    "what is new in front of what was there": (
        "densenet_cifar_k12_l40", NewestFirst, partial(by_hand.dense_cifar, 12, 40, False)
    ),
}  # fmt: skip
"""Spec, and a peer with the same parameters and MACs in which one part is another."""


@pytest.mark.parametrize("what", WRONG)
def test_what_a_count_cannot_see(what, monkeypatch):
    """The detector detects."""
    name, part, make = WRONG[what]
    monkeypatch.setattr(by_hand, part.__base__.__name__, part)
    error = compare(*paired(load(name), make, calibration=EVEN), EVEN)
    print(f"relative error {error:.1e}")
    assert error > 1e-3


BROKEN = {
    "a group that does not see the one before": (
        "res2net50_26w_4s",
        "add [ @a | @x; split(1, 4) ]",
        "@x; split(1, 4)",
    ),
    "the other half passes by": ("cspdarknet53", "split(0, 2) | split(1, 2)", "split(1, 2) | split(0, 2)"),
    "another slope": ("cspdarknet53", "slope=0.1", "slope=0.2"),
}
"""A spec, and what to write for what in it: its parameters and MACs stay."""


@pytest.mark.parametrize("what", BROKEN)
def test_a_spec_wired_otherwise_is_told(what, timm, tmp_path):
    name, before, after = BROKEN[what]
    text = (specs_root() / f"{name}.arch").read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "broken.arch").write_text(text.replace(before, after))
    make = partial(by_hand.leaky, timm, name, 0.1)
    assert compare(*paired(load(tmp_path / "broken.arch"), make, calibration=ODD), ODD) > 1e-3


def test_the_stride_shows_in_the_pairing(torchvision):
    """A peer with the stride on the 3x3 has the same parameters, and is refused."""
    peer = partial(torchvision.models.get_model, "resnet50", weights=None)
    with pytest.raises(AssertionError):
        paired(load("resnet50_v1"), peer, calibration=ODD)
