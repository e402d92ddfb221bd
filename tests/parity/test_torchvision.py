"""Every spec that torchvision has too: the same weights give the same logits."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from compare import TOLERANCE, compare, images, paired
from transplant import relative_error

from archdsl import load, loads
from archdsl.resources import specs_root

pytestmark = [pytest.mark.parity, pytest.mark.slow]

FIXED = {
    name: name.removesuffix("_torchvision")
    for name in ("alexnet_torchvision", "vgg11", "vgg13", "vgg16", "vgg19")
}
"""Spec: torchvision's name. Their first fc wants the size that the spec states."""

EACH_RUN = ("alexnet_torchvision", "vgg16")
"""Of those: float64 makes a VGG take a quarter of a minute, and they are alike."""

ANY_SIZE = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "densenet121", "mobilenet_v2")
DEEP = ("mobilenet_v2", "resnet101", "resnet152")
"""Small images will do: blocks of ResNet-50, more of them, and depthwise convs, which float64 makes slow."""

SIDE_HEADS = {"googlenet_bn": "googlenet", "inception_v3": "inception_v3"}
OUTPUTS = {"logits": "out", "aux_logits": "aux1", "aux_logits1": "aux1", "aux_logits2": "aux2"}
"""What torchvision calls them, and we."""

ODD = (3, 131, 97)
"""Sizes that no stride divides, not square: what rounds otherwise shows here."""


@pytest.mark.parametrize(
    "name", [n if n in EACH_RUN else pytest.param(n, marks=pytest.mark.nightly) for n in FIXED]
)
def test_fixed_size(name, torchvision):
    network = load(name)
    make = partial(torchvision.models.get_model, FIXED[name], weights=None)
    error = compare(*paired(network, make), network.input)
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE


@pytest.mark.parametrize("name", ANY_SIZE)
def test_any_size(name, torchvision):
    network = load(name)
    make = partial(torchvision.models.get_model, name, weights=None)
    sizes = (ODD,) if name in DEEP else (ODD, network.input)
    error = compare(*paired(network, make, calibration=ODD), *sizes)
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE


def with_heads(model, x):
    """Every output by our name for it. Side heads are computed where the model itself is in training mode;
    its BN and dropout stay in evaluation."""
    model.training = True
    outputs = model(x)
    model.training = False
    if isinstance(outputs, dict):
        return outputs
    return {OUTPUTS[key]: value for key, value in outputs._asdict().items()}


@pytest.mark.parametrize("name", SIDE_HEADS)
def test_with_side_heads(name, torchvision):
    options = {"weights": None, "init_weights": False, "aux_logits": True, "transform_input": False}

    def make():
        return torchvision.models.get_model(SIDE_HEADS[name], **options)

    network = load(name)
    ours, peer = paired(network, make, with_heads)
    error = compare(ours, peer, ODD)
    x = images(*network.input)
    with torch.no_grad():
        truth, value = with_heads(peer, x), with_heads(ours, x)
        asked = ours(x, aux=True)
    assert value.keys() == asked.keys() == truth.keys()
    for output, logits in truth.items():
        error = max(error, relative_error(value[output], logits))
        assert torch.equal(asked[output], value[output])
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE


MORE = {
    "resnext50_32x4d": """
        default conv(norm=bn, act=relu); input 3x224x224; conv7-64/2; maxpool3/2(p=1)
        aggregated(64) x3; aggregated(128) x4/2; aggregated(256) x6/2; aggregated(512) x3/2; gap; fc-1000""",
    "squeezenet1_0": """
        default conv(act=relu); default maxpool(ceil=true); input 3x224x224; conv7-96/2(p=0); maxpool3/2
        fire(16, 64, 64) x2; fire(32, 128, 128); maxpool3/2
        fire(32, 128, 128); fire(48, 192, 192) x2; fire(64, 256, 256); maxpool3/2
        fire(64, 256, 256); dropout; conv1-1000; gap; flatten""",
    "efficientnet_b0": """
        default conv(norm=bn, act=silu); input 3x224x224; conv3-32/2
        mbconv(1, 16); mbconv(6, 24) x2/2; mbconv(6, 40, 5) x2/2; mbconv(6, 80) x3/2
        mbconv(6, 112, 5) x3; mbconv(6, 192, 5) x4/2; mbconv(6, 320); conv1-1280
        gap; dropout(0.2); fc-1000""",
}
"""Networks of library blocks that no spec has: torchvision's name, and the whole of it in the language."""


@pytest.mark.parametrize("name", MORE)
def test_library_blocks(name, torchvision):
    network = loads(MORE[name])
    make = partial(torchvision.models.get_model, name, weights=None)
    error = compare(*paired(network, make, calibration=ODD), ODD)
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE


BROKEN = {
    "another order of the branches": (
        "googlenet_bn",
        "conv1-a\n         | conv1-b1; conv3-b2",
        "conv1-b1; conv3-b2\n         | conv1-a",
    ),
    "a pool that pads and rounds down": (
        "googlenet_bn",
        "112x112\n  maxpool3/2 ",
        "112x112\n  maxpool3/2(p=1, ceil=false) ",
    ),
    "another epsilon": ("googlenet_bn", "eps=1e-3", "eps=1e-5"),
    "what is new in front of what was there": (
        "densenet121",
        "arch densenet121",
        "block dense(k) { concat [ conv1-(4*k); conv3-k | identity ] }\narch densenet121",
    ),
    "an activation before the addition": (
        "resnet18",
        "arch resnet18",
        "block basic(f, s=1) { residual { conv3-f/s; conv3-f } }\narch resnet18",
    ),
}
"""Spec, and what to write for what in it: the network's parameters and MACs stay those that are published."""

NO_PAIR = ("another order of the branches", "another epsilon")
"""Refused while pairing already; the others only by their logits."""


@pytest.mark.parametrize("what", BROKEN)
def test_what_a_count_cannot_see(what, torchvision, tmp_path):
    """The detector detects: a network wired wrongly has the published figures, but is no pair, or has other
    logits."""
    name, before, after = BROKEN[what]
    text = (specs_root() / f"{name}.arch").read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "broken.arch").write_text(text.replace(before, after))
    options = {"aux": False} if name == "googlenet_bn" else {}
    right, broken = load(name, **options), load(tmp_path / "broken.arch", **options)
    assert (broken.params, broken.macs) == (right.params, right.macs)
    assert broken.hash != right.hash
    peer_options = {"aux_logits": False, "init_weights": False} if name == "googlenet_bn" else {}
    make = partial(torchvision.models.get_model, SIDE_HEADS.get(name, name), weights=None, **peer_options)
    try:
        error = compare(*paired(broken, make, calibration=ODD), ODD)
    except AssertionError as refused:
        assert what in NO_PAIR and str(refused).startswith("step ")
    else:
        print(f"relative error {error:.1e}")
        assert what not in NO_PAIR and error > 1e-3
