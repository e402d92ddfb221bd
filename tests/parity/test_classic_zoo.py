"""VGG with batch norm to NASNet: against torchvision, timm and plain PyTorch written from the papers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import by_hand_classic
import pytest
import torch
from compare import TOLERANCE, compare, images, on_meta, paired
from torch import nn
from transplant import difference, reached, relative_error

import archdsl
from archdsl import load, loads
from archdsl.resources import specs_root

pytestmark = [pytest.mark.parity, pytest.mark.slow]

ODD = (3, 131, 97)
"""Sizes that no stride divides, not square: what rounds otherwise shows here."""


def told(error: float) -> None:
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE


def same_modules(network: archdsl.Network, make_peer) -> None:
    """The same layers with weights, of the same settings, sizes and MACs, in the order in which data reaches them.
    Nothing is computed: of a chain this is nearly all, and of the others what a wrong branch would break."""
    blank = torch.empty(2, *network.input, device="meta")
    ours, peer = on_meta(lambda: archdsl.build(network)), on_meta(make_peer)
    here, there = (reached(model, lambda model: model(blank)) for model in (ours, peer))
    assert [o[1:] for o in here] == [o[1:] for o in there], difference(there, here)
    assert sum(owner.macs for owner in there) == network.macs


# ---- torchvision ----

VGG = ("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn")


@pytest.mark.parametrize("name", VGG)
def test_vgg_has_the_same_modules(name, torchvision):
    same_modules(load(name), partial(torchvision.models.get_model, name, weights=None))


@pytest.mark.nightly
@pytest.mark.parametrize("name", VGG)
def test_vgg(name, torchvision):
    network = load(name)
    make = partial(torchvision.models.get_model, name, weights=None)
    told(compare(*paired(network, make), network.input))


# ---- timm ----

TIMM = {
    "inception_v4": "inception_v4",
    "inception_resnet_v2": "inception_resnet_v2",
    "xception": "legacy_xception",
}
"""Spec: timm's name."""


@pytest.mark.parametrize("name", TIMM)
def test_timm_has_the_same_modules(name, timm):
    same_modules(load(name), partial(timm.create_model, TIMM[name]))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "xception" else pytest.mark.nightly) for n in TIMM]
)
def test_timm(name, timm):
    network = load(name)
    told(compare(*paired(network, partial(timm.create_model, TIMM[name]), calibration=ODD), ODD))


@pytest.mark.nightly
@pytest.mark.parametrize("name", TIMM)
def test_timm_at_its_own_size(name, timm):
    network = load(name)
    told(compare(*paired(network, partial(timm.create_model, TIMM[name]), calibration=ODD), network.input))


def mobile(timm) -> nn.Module:
    """timm's cells, wired as NASNet-A (4 @ 1056) is: four of each kind, and after a reduction the cell before it."""

    class Mobile(timm.models.nasnet.NASNetALarge):
        def __init__(self):
            super().__init__(stem_size=32, num_features=1056)
            for unused in (4, 5, 10, 11, 16, 17):
                delattr(self, f"cell_{unused}")

        def forward(self, x):
            stem = self.conv0(x)
            before, x = stem, self.cell_stem_0(stem)
            before, x = x, self.cell_stem_1(stem, x)
            for cells, reduction in ((range(4), "0"), (range(6, 10), "1"), (range(12, 16), None)):
                for i in cells:
                    before, x = x, getattr(self, f"cell_{i}")(x, before)
                if reduction is not None:
                    before, x = x, getattr(self, f"reduction_cell_{reduction}")(x, before)
            return self.last_linear(self.global_pool(x.relu()))

    return Mobile()


def test_nasnet_mobile(timm):
    network = load("nasnet_a_mobile")
    told(compare(*paired(network, partial(mobile, timm), calibration=ODD), ODD))


@pytest.mark.nightly
def test_nasnet_mobile_at_its_own_size(timm):
    network = load("nasnet_a_mobile")
    told(compare(*paired(network, partial(mobile, timm), calibration=ODD), network.input))


def test_nasnet_large_has_the_same_modules(timm):
    same_modules(load("nasnet_a_large"), partial(timm.create_model, "nasnetalarge"))


@pytest.mark.nightly
@pytest.mark.parametrize("size", (ODD, (3, 331, 331)), ids=("odd", "own"))
def test_nasnet_large(size, timm):
    network = load("nasnet_a_large")
    make = partial(timm.create_model, "nasnetalarge")
    told(compare(*paired(network, make, calibration=ODD), size))


# ---- by hand ----

ANY_SIZE = {
    "nin_imagenet": ODD,
    "bn_inception": ODD,
    "all_cnn_a": (3, 32, 32),
    "all_cnn_b": (3, 32, 32),
    "all_cnn_c": (3, 32, 32),
    "highway_cifar": (3, 32, 32),
}
"""Spec: the size of the images; the CIFAR networks' peers take means of one size."""


@pytest.mark.parametrize("name", ANY_SIZE)
def test_by_hand(name):
    network = load(name)
    make = getattr(by_hand_classic, name)
    told(compare(*paired(network, make, calibration=ANY_SIZE[name]), ANY_SIZE[name]))


def test_unpadded_unet_has_the_same_modules():
    same_modules(load("unet_valid"), by_hand_classic.UNetValid)


@pytest.mark.nightly
def test_unpadded_unet():
    """At the smallest sizes that leave a map, and whose maps halve without a rest."""
    small = (1, 188, 204)
    told(compare(*paired(load("unet_valid"), by_hand_classic.UNetValid, calibration=small), small))


@pytest.mark.nightly
@pytest.mark.parametrize("name", ("nin_imagenet", "bn_inception"))
def test_by_hand_at_its_own_size(name):
    network = load(name)
    told(compare(*paired(network, getattr(by_hand_classic, name), calibration=ODD), network.input))


def test_prelu_net_has_the_same_modules():
    same_modules(load("preluenet_a"), by_hand_classic.preluenet_a)


@pytest.mark.nightly
def test_prelu_net():
    """The pyramid takes images of any size."""
    network = load("preluenet_a")
    ours, peer = paired(network, by_hand_classic.preluenet_a, calibration=ODD)
    told(compare(ours, peer, ODD, network.input))


def test_deeply_supervised_net():
    network = load("dsn_cifar")
    ours, peer = paired(network, by_hand_classic.DeeplySupervised)
    x = images(*network.input)
    with torch.no_grad():
        value, truth = ours(x, aux=True), peer(x)
    assert value.keys() == truth.keys() == {"out", "aux1", "aux2", "aux3"}
    told(max(relative_error(value[output], truth[output]) for output in truth))


def test_without_its_side_heads_it_is_network_in_network():
    """But for a ReLU and the kind of a pool: the parameters and MACs are those of nin_cifar."""
    bare, nin = load("dsn_cifar", aux=False), load("nin_cifar")
    assert (bare.params, bare.macs) == (nin.params, nin.macs) == (966_986, 222_486_528)


def test_network_in_network_begins_as_its_lecture_prints_it():
    """J. Jo, POSTECH: eight lines of PyTorch, whose convs have 60,928 parameters."""
    lines = "conv5-192; conv1-160; conv1-96; maxpool3/2(p=1); dropout(0.5)"
    printed = loads(f"default conv(act=relu); {lines}", input="3x32x32")
    assert (printed.params, printed.shape) == (60_928, (96, 16, 16))
    begun = load("nin_cifar").nodes[: len(printed.nodes)]
    assert [node.op for node in begun] == [node.op for node in printed.nodes]


def test_highway_network_has_the_authors_figures():
    """Their logs print each layer's parameters, with 100 classes on CIFAR-10 too."""
    printed = [896, *[18_496] * 4, 23_120, *[115_360] * 5, 92_288, *[295_168] * 5, 12_900, 10_100]
    assert load("highway_cifar", classes=100).params == sum(printed) == 2_265_928


# ---- what a count can't see ----


def broken(name: str, file: str, before: str, after: str, folder: Path) -> archdsl.Network:
    """A shipped network with something else in one of its files, its parameters and MACs the same."""
    for path in {f"{name}.arch", file}:
        text = (specs_root() / path).read_text(encoding="utf-8")
        assert path != file or before in text
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text.replace(before, after) if path == file else text)
    network, right = load(folder / f"{name}.arch"), load(name)
    assert (network.params, network.macs) == (right.params, right.macs)
    return network


def test_a_relu_too_many_is_seen(timm, tmp_path):
    network = broken("xception", "xception.arch", "middle x8 ", "{ middle; relu } x8 ", tmp_path)
    make = partial(timm.create_model, "legacy_xception")
    assert compare(*paired(network, make, calibration=ODD), ODD) > 1e-3


@pytest.mark.nightly
def test_a_mean_over_the_padding_is_seen(timm, tmp_path):
    network = broken("inception_v4", "inception_v4.arch", "avgpool3/1(p=same)", "avgpool3/1(p=1)", tmp_path)
    make = partial(timm.create_model, "inception_v4")
    assert compare(*paired(network, make, calibration=ODD), ODD) > 1e-3


@pytest.mark.nightly
def test_a_path_that_is_not_shifted_is_seen(timm, tmp_path):
    shift = "crop((1, 0, 1, 0)); pad((0, 1, 0, 1)); "
    network = broken("nasnet_a_mobile", "families/nasnet.arch", shift, "", tmp_path)
    make = partial(mobile, timm)
    assert compare(*paired(network, make, calibration=ODD), ODD) > 1e-3
