"""Backbones beside torchvision's feature extractor and timm's `features_only`: the same tensors, channels, reductions."""

from __future__ import annotations

import pytest
import torch
from compare import TOLERANCE, images, paired
from transplant import relative_error

import archdsl
from archdsl.backbones import tensors

pytestmark = [pytest.mark.parity, pytest.mark.slow]

TENSORS = {
    "resnet50": {"layer1": "c2", "layer2": "c3", "layer3": "c4", "layer4": "c5"},
    "mobilenet_v2": {"features.3": "c2", "features.6": "c3", "features.13": "c4", "features.17": "c5"},
    "densenet121": {"features.denseblock1": "c2", "features.transition2": "transition2", "relu": "c5"},
    "vgg16": {"features.8": "conv2", "features.15": "conv3", "features.30": "maxpool5"},
}
"""Of torchvision's models, what comes out of each module, and our name for it: a label, or a module where the spec has
no labels."""

ODD = (3, 99, 67)


@pytest.mark.parametrize("name", TENSORS)
def test_the_same_tensors(name, torchvision):
    from torchvision.models.feature_extraction import create_feature_extractor

    def make_peer() -> torch.nn.Module:
        return create_feature_extractor(torchvision.models.get_model(name, weights=None).eval(), nodes)

    nodes = TENSORS[name]
    whole = archdsl.load(name)
    wanted = {node: label for node, label in nodes.items() if label in tensors(whole)}
    assert wanted == nodes, "the spec calls them something else now"
    network = archdsl.features(whole, list(nodes.values()))
    ours, peer = paired(network, make_peer, calibration=ODD)
    x = images(*ODD)
    with torch.no_grad():
        truth, found = peer(x), ours(x)
    assert list(found) == list(nodes.values())
    assert all((y[0] - y[1]).abs().max() > 1e-3 for y in truth.values()), "both images give the same"
    errors = {label: relative_error(found[label], truth[label]) for label in found}
    print(f"relative errors {', '.join(f'{error:.1e}' for error in errors.values())}")
    assert max(errors.values()) <= TOLERANCE
    for feature in ours.feature_info:
        assert found[feature.name].shape[1] == feature.channels


@pytest.mark.parametrize(("name", "peer"), [("resnet50", "resnet50"), ("mobilenet_v2", "mobilenetv2_100")])
def test_the_same_channels_and_reductions(name, peer, timm):
    """timm's also has the stem, of stride 2."""
    with torch.device("meta"):
        theirs = timm.create_model(peer, features_only=True).feature_info
        ours = archdsl.build(name, features_only=True).feature_info
    assert theirs.reduction()[0] == 2
    assert (ours.channels(), ours.reduction()) == (theirs.channels()[1:], theirs.reduction()[1:])
