"""MobileNet to FasterNet: the same weights give torchvision's and timm's logits, and what only training shows
is the same too."""

from __future__ import annotations

import re

import pytest
import torch
from compare import TOLERANCE, compare, on_meta, paired
from torch import nn

import archdsl
from archdsl.resources import specs_root

pytestmark = [pytest.mark.parity, pytest.mark.slow]

TIMM = {
    "mobilenet_v1": "mobilenetv1_100",
    "ghostnet_x1_0": "ghostnet_100",
    **{f"regnet_{kind}_{size}00mf": f"regnet{kind}_00{size}" for kind in "xy" for size in (4, 8)},
    **{f"fasternet_{size}": f"fasternet_{size}" for size in ("t0", "t1", "t2", "s", "m", "l")},
}
"""torchvision has no MobileNet, GhostNet and FasterNet, and rounds some widths of the RegNets to others than the paper's."""

SMALL = (
    *("mobilenet_v1", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "efficientnet_b1"),
    *(
        "squeezenet1_0",
        "squeezenet1_1",
        *(f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")),
    ),
    *(f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")),
    *("regnet_x_400mf", "regnet_y_400mf", "regnet_y_800mf", "fasternet_t0", "fasternet_t1"),
    *("efficientnet_v2_s", "ghostnet_x1_0"),
)
LARGE = (
    *(f"efficientnet_b{size}" for size in range(2, 8)),
    *("regnet_x_800mf", "convnext_small", "convnext_base", "convnext_large"),
    *(f"fasternet_{size}" for size in ("t2", "s", "m", "l")),
    *("efficientnet_v2_m", "efficientnet_v2_l"),
)
"""The same blocks as a small one's, more of them or wider."""

ODD = (3, 131, 97)
"""Sizes that no stride divides, not square: what rounds otherwise shows here."""


class LayerScale(nn.Module):
    """The factor of torchvision's ConvNeXt block as a module, which has a place in the order of modules."""

    def __init__(self, weight: nn.Parameter):
        super().__init__()
        self.weight = weight

    def forward(self, x):
        return x * self.weight[:, None, None]


def with_layer_scale(model: nn.Module) -> nn.Module:
    """A ConvNeXt whose blocks own no parameter themselves: the factor stands at the end of the body."""
    for block in model.modules():
        factor = block._parameters.pop("layer_scale", None)
        if factor is not None:
            block.block.append(LayerScale(nn.Parameter(factor[:, 0, 0])))
            block.layer_scale = 1.0
    return model


@pytest.fixture
def peer_of(torchvision, timm):
    def peer_of(name: str) -> nn.Module:
        if name in TIMM:
            return timm.create_model(TIMM[name])
        return with_layer_scale(torchvision.models.get_model(name, weights=None))

    return peer_of


def error_of(network: archdsl.Network, make_peer, *sizes: tuple[int, ...]) -> float:
    error = compare(*paired(network, make_peer, calibration=ODD), *sizes)
    print(f"relative error {error:.1e}")
    return error


@pytest.mark.parametrize(
    "name", [*SMALL, "convnext_tiny", *(pytest.param(name, marks=pytest.mark.nightly) for name in LARGE)]
)
def test_logits(name, peer_of):
    assert error_of(archdsl.load(name), lambda: peer_of(name), ODD) <= TOLERANCE


@pytest.mark.nightly
@pytest.mark.parametrize("name", [*SMALL, "convnext_tiny"])
def test_logits_at_native_size(name, peer_of):
    network = archdsl.load(name)
    assert error_of(network, lambda: peer_of(name), network.input) <= TOLERANCE


def rates(model: nn.Module) -> list[tuple[str, float]]:
    """What evaluation does not show: momenta, dropouts, and drop paths where there is a skip."""
    found = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            found.append(("momentum", module.momentum))
        elif isinstance(module, nn.Dropout) and module.p:
            found.append(("dropout", module.p))
        elif hasattr(module, "droppath1") and getattr(module, "skip", True):
            found.append(("drop path", module.droppath1.ratio))
        elif hasattr(module, "stochastic_depth") and getattr(module, "use_res_connect", True):
            found.append(("drop path", module.stochastic_depth.p))
        elif hasattr(getattr(module, "drop_path", None), "drop_prob"):
            found.append(("drop path", module.drop_path.drop_prob))
        elif getattr(module, "drop_rate", 0):
            found.append(("dropout", module.drop_rate))
    return sorted((kind, rate) for kind, rate in found if rate)


@pytest.mark.parametrize("name", [*SMALL, *LARGE, "convnext_tiny"])
def test_what_only_training_shows(name, peer_of):
    ours, peer = on_meta(lambda: archdsl.build(name)), on_meta(lambda: peer_of(name))
    value, truth = rates(ours), rates(peer)
    assert [kind for kind, _ in value] == [kind for kind, _ in truth]
    of_float32 = pytest.approx([rate for _, rate in truth], abs=1e-7)  # as timm's drop paths
    assert [rate for _, rate in value] == of_float32


BROKEN = {
    "the other half passes by": (
        "shufflenet_v2_x0_5",
        "split(0, 2)\n         | split(1, 2)",
        "split(1, 2)\n         | split(0, 2)",
    ),
    "halves that never mix": ("shufflenet_v2_x0_5", "channelshuffle(2)\n}\n\n# 3d", "}\n\n# 3d"),
    "another gate": ("mobilenet_v3_small", "gate=hsigmoid", "gate=sigmoid"),
    "an activation where the bottleneck is linear": ("mobilenet_v3_small", "(act=none)", "(act=nl)"),
    "no activation in the first stage": (
        "efficientnet_v2_s",
        "if t == 1 { conv3-c/s }",
        "if t == 1 { conv3-c/s(act=none) }",
    ),
    "no scale of the layer's own": ("convnext_tiny", "layerscale(1e-6)", "identity"),
    "another quarter is convolved": ("fasternet_t0", "split(0, 4)", "split(1, 4)"),
    "another epsilon": ("convnext_tiny", "eps=1e-6", "eps=1e-5"),
}
"""A spec, and what to write for what in it or in its family."""

NO_PAIR = ("no scale of the layer's own", "another epsilon")
"""Refused while pairing already; the others only by their logits."""


@pytest.mark.parametrize("what", BROKEN)
def test_a_network_wired_otherwise_is_told(what, peer_of, tmp_path):
    name, before, after = BROKEN[what]
    text = (specs_root() / f"{name}.arch").read_text(encoding="utf-8")
    family = re.search(r'use "(.+)"', text)[1]
    shared = (specs_root() / family).read_text(encoding="utf-8")
    assert (before in text) != (before in shared)
    (tmp_path / "families").mkdir()
    (tmp_path / family).write_text(shared.replace(before, after))
    text = re.sub(r"expect\(.*\)", "", text.replace(before, after))
    (tmp_path / "broken.arch").write_text(text)
    try:
        error = error_of(archdsl.load(tmp_path / "broken.arch"), lambda: peer_of(name), ODD)
    except AssertionError as refused:
        assert what in NO_PAIR and re.match(r"step |\d+ modules", str(refused))
    else:
        assert what not in NO_PAIR and error > 1e-3


def test_torchvision_widens_a_regnet(peer_of, torchvision):
    """Why the RegNets have timm for a peer: the paper's last stage is 384 wide, and torchvision's 400."""
    with torch.device("cpu"):
        wide = torchvision.models.get_model("regnet_x_400mf", weights=None)
    assert wide.fc.in_features == 400 and peer_of("regnet_x_400mf").num_features == 384
