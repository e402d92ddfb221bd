"""archdsl.load_weights alone, against the pairing by autograd's order in transplant.py: the same tensors in the same places.

From the module, from its state_dict, and from what is left of that in a .safetensors file, whose names are sorted; of
Keras from the model and from both kinds of .h5 file.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
import test_keras
import torch
from compare import TOLERANCE, compare, images, on_meta
from test_torchvision import SIDE_HEADS, with_heads
from torch import nn
from transplant import randomize, reached, transplant

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.weights import torch_state

pytestmark = [pytest.mark.parity, pytest.mark.slow]

ODD = (3, 131, 97)

TORCHVISION = """
    alexnet_torchvision vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn googlenet_bn inception_v3
    resnet18 resnet34 resnet50 resnet101 resnet152 wide_resnet50_2 wide_resnet101_2
    resnext50_32x4d resnext101_32x8d resnext101_64x4d densenet121 densenet161 densenet169 densenet201
    squeezenet1_0 squeezenet1_1 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large
    mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0
    efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7
    efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l
""".split()

TIMM = {
    "xception": "legacy_xception",
    "inception_v4": "inception_v4",
    "inception_resnet_v2": "inception_resnet_v2",
    "nasnet_a_large": "nasnetalarge",
    "se_resnet50": "legacy_seresnet50",
    "senet154": "legacy_senet154",
    "mobilenet_v1": "mobilenetv1_100",
    "res2net50_26w_4s": "res2net50_26w_4s",
    "cspdarknet53": "cspdarknet53",
    "ghostnet_x1_0": "ghostnet_100",
    "fasternet_t0": "fasternet_t0",
    "fasternet_s": "fasternet_s",
}
"""Spec: what timm calls it."""

EACH_RUN = set(
    """
    googlenet_bn inception_v3 resnet18 resnet50 densenet121 squeezenet1_1 mobilenet_v2 mobilenet_v3_large mnasnet1_0
    shufflenet_v2_x1_0 efficientnet_b0 xception inception_v4 se_resnet50 mobilenet_v1 resnet50_v2 regnet_y_400mf regnet_x_400mf_torchvision convnext_tiny
    fasternet_t0 efficientnet_v2_s res2net50_26w_4s cspdarknet53 ghostnet_x1_0
    """.split()
)
"""One of each family, the cheapest; the others wait for --nightly."""

NEEDS_MORE = {"nasnet_a_large", "cspdarknet53"}
"""Parts of whose blocks have names without an order: sorted names alone are refused."""


def some(names: list[str], each_run: set[str]) -> list[Any]:
    return [name if name in each_run else pytest.param(name, marks=pytest.mark.nightly) for name in names]


def twins(network: archdsl.Network, peer: nn.Module, run: Callable[..., Any]) -> nn.Module:
    """Our module with the peer's weights, paired by transplant.py. The peer gets random ones first."""
    ours, blank = on_meta(lambda: archdsl.build(network)), copy.deepcopy(peer).to("meta")
    image = torch.empty(2, *network.input, device="meta")
    heads = any(output.aux for output in network.outputs)
    ours_order = reached(ours, lambda model: model(image, aux=True) if heads else model(image))
    peer_order = reached(blank, lambda model: run(model, image))
    generator = torch.Generator().manual_seed(0)
    for tensor in peer.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1.0, generator=generator)
    ours = ours.to_empty(device="cpu")
    transplant(peer, ours, peer_order, ours_order)
    return ours


def different(model: nn.Module, wanted: nn.Module) -> list[str]:
    state = model.state_dict()
    return [k for k, v in wanted.state_dict().items() if "num_batches" not in k and not torch.equal(v, state[k])]


def assert_loads(name: str, peer: nn.Module, run: Callable[..., Any] = lambda model, x: model(x)) -> None:
    network = archdsl.load(name)
    wanted = twins(network, peer.eval(), run)
    state = peer.state_dict()
    sorted_names = torch_state.from_mapping({k: state[k] for k in sorted(state)}, "sorted", ordered=False)
    for source in (peer, state, sorted_names):
        model = archdsl.build(network)
        for parameter in model.parameters():
            parameter.data.fill_(-1)  # what is not loaded is seen
        if source is sorted_names and name in NEEDS_MORE:
            with pytest.raises(ArchError) as caught:
                archdsl.load_weights(model, source)
            assert caught.value.diagnostics[0].code == "A603"
            continue
        report = archdsl.load_weights(model, source)
        assert different(model, wanted) == []
        assert len(report.matched) == sum("num_batches" not in key for key in model.state_dict())
        if source is peer:
            assert {m.evidence for m in report.matched} == {("graph",)}


@pytest.mark.parametrize("name", some(TORCHVISION, EACH_RUN))
def test_torchvision(name: str, torchvision: ModuleType) -> None:
    options = {"init_weights": False, "aux_logits": True, "transform_input": False} if name in SIDE_HEADS else {}
    called = SIDE_HEADS.get(name, name.removesuffix("_torchvision"))
    peer = torchvision.models.get_model(called, weights=None, **options)
    assert_loads(name, peer, with_heads if name in SIDE_HEADS else lambda model, x: model(x))


@pytest.mark.parametrize("name", some(list(TIMM), EACH_RUN))
def test_timm(name: str, timm: ModuleType) -> None:
    assert_loads(name, timm.create_model(TIMM[name], pretrained=False))


BY_LOGITS = """
    regnet_x_400mf_torchvision regnet_x_800mf regnet_y_400mf regnet_y_800mf_torchvision convnext_tiny convnext_small
    convnext_base regnet_x_400mf regnet_y_800mf resnet50_v2
""".split()
"""Where autograd's order is not ours: a shortcut that is added first, a bias that is added by itself, a classifier that
is a 1x1 conv."""

OF_TIMM = {"regnet_x_400mf": "regnetx_004", "regnet_y_800mf": "regnety_008", "resnet50_v2": "resnetv2_50"}
"""torchvision rounds some widths of RegNets to others than the paper's; timm does not."""


@pytest.mark.parametrize("name", some(BY_LOGITS, EACH_RUN))
def test_by_logits(name: str, torchvision: ModuleType, timm: ModuleType) -> None:
    other = partial(torchvision.models.get_model, name.removesuffix("_torchvision"))
    make = partial(timm.create_model, OF_TIMM[name]) if name in OF_TIMM else other
    peer = make().eval().double()
    randomize(peer, lambda model: model(images(*ODD)[:1]))
    state = peer.state_dict()
    for source in (peer, state, torch_state.from_mapping({k: state[k] for k in sorted(state)}, "sorted", ordered=False)):
        ours = archdsl.build(name).eval().double()
        archdsl.load_weights(ours, source)
        assert compare(ours, peer, ODD) <= TOLERANCE


def test_one_side_head_too_many(torchvision: ModuleType) -> None:
    options = {"weights": None, "init_weights": False, "aux_logits": True, "transform_input": True}
    peer = torchvision.models.get_model("inception_v3", **options).eval()
    model = archdsl.build("inception_v3", aux=False)
    with pytest.raises(ArchError) as caught:
        archdsl.load_weights(model, peer)
    (found,) = caught.value.diagnostics
    assert found.code == "A602" and "AuxLogits.conv0" in found.message and found.hint.startswith("skip='AuxLogits'")
    report = archdsl.load_weights(model, peer, skip="AuxLogits")
    assert len(report.skipped) == 12 and len(report.matched) == 94 * 5 + 2


def test_other_widths(torchvision: ModuleType) -> None:
    """The same blocks and names, and some widths are others."""
    with pytest.raises(ArchError) as caught:
        archdsl.load_weights(archdsl.build("regnet_x_400mf"), torchvision.models.regnet_x_400mf(weights=None))
    (found,) = caught.value.diagnostics
    assert found.code == "A602" and "trunk_output.block4" in found.message and "c5.0" in found.message


def test_side_heads_too_few(torchvision: ModuleType) -> None:
    """Two of them; the wiring is not asked where layers are left out."""
    peer = torchvision.models.googlenet(weights=None, init_weights=False, aux_logits=False, transform_input=False)
    model = archdsl.build("googlenet_bn")
    with pytest.raises(ArchError) as caught:
        archdsl.load_weights(model, peer)
    (found,) = caught.value.diagnostics
    assert found.code == "A602" and found.hint.startswith("keep=('aux1', 'aux2')")
    report = archdsl.load_weights(model, peer, keep=("aux1", "aux2"))
    assert len(report.matched) == 57 * 5 + 2


# ---- Keras ----


KERAS_EACH_RUN = {"mobilenet", "mobilenet_v2", "resnet50_v2", "inception_v3", "efficientnet_b0"}
OWN_NAMES_ONLY = {"nasnet_mobile", "nasnet_large"}
"""In their files the layers of a cell are told by words alone, which says nothing of their order: refused, never guessed."""


@pytest.fixture
def float64(keras: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield from test_keras.float64.__wrapped__(keras, monkeypatch)  # type: ignore[attr-defined]


@pytest.mark.parametrize("carried", [True, False])
def test_norms_and_activations_of_keras(carried: bool, keras: ModuleType) -> None:
    """Group norms, and what tells apart branches that differ in their activation only."""
    layers = keras.layers

    def branch(x: Any, act: str, layer: Any) -> Any:
        return layers.Conv2D(8, 1, activation=act)(x) if carried else layer(layers.Conv2D(8, 1)(x))

    image = keras.Input((6, 5, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(image)
    x = layers.GroupNormalization(4, epsilon=1e-5)(x)
    leaky = layers.LeakyReLU(negative_slope=0.2)
    x = layers.Add()(
        [branch(x, "leaky_relu", leaky), layers.Conv2D(8, 1)(x), branch(x, "elu", layers.ELU()), branch(x, "relu", layers.ReLU())]
    )
    theirs = keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    source = np.random.default_rng(0)
    for variable in theirs.weights:
        variable.assign(source.normal(size=variable.shape))
    branches = "relu) | conv1-8(act=elu) | conv1-8(act=leakyrelu(0.2)) | conv1-8"
    text = f"input 3x6x5; conv3-8(norm=gn(4)); add [ conv1-8(act={branches} ]; gap; fc-5"
    model = archdsl.build(archdsl.loads(text)).eval()
    archdsl.load_weights(model, theirs)
    x = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = torch.from_numpy(theirs.predict(x.permute(0, 2, 3, 1).numpy(), verbose=0))
        assert torch.allclose(model(x), wanted, rtol=1e-4, atol=1e-4)


def write_older(model: Any, keras: ModuleType, path: Path) -> Path:
    """The .h5 of Keras 2, as the published weights are kept."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            depthwise = type(layer).__name__ == "DepthwiseConv2D"
            names = []
            for variable in layer.weights:
                role = "depthwise_kernel" if depthwise and variable.name == "kernel" else variable.name
                names.append(f"{layer.name}/{role}:0")
                group[names[-1]] = keras.ops.convert_to_numpy(variable)
            group.attrs["weight_names"] = [name.encode() for name in names]
    return path


@pytest.mark.parametrize("name", some(list(test_keras.NAMES), KERAS_EACH_RUN))
def test_keras_zoo(name: str, float64: ModuleType, tmp_path: Path) -> None:
    shape = archdsl.load(f"keras/{name}").input if name in test_keras.OWN_SIZE else ODD
    wanted, theirs = test_keras.same_weights(float64, name, shape)
    theirs.save_weights(tmp_path / "new.weights.h5")
    for source in (theirs, tmp_path / "new.weights.h5", write_older(theirs, float64, tmp_path / "older.h5")):
        model = archdsl.build(f"keras/{name}").double()
        if source is not theirs and name in OWN_NAMES_ONLY:
            with pytest.raises(ArchError) as caught:
                archdsl.load_weights(model, source)
            assert caught.value.diagnostics[0].code == "A603"
            continue
        report = archdsl.load_weights(model, source)
        state = model.state_dict()
        for key, value in wanted.state_dict().items():
            if not key.endswith(("num_batches_tracked", "count")):
                assert torch.allclose(state[key], value, rtol=1e-12, atol=0), key
        if source is theirs:
            assert {m.evidence for m in report.matched} == {("graph",)}


# ---- the tests can fail ----


def test_a_wrong_pair_would_be_seen(torchvision: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.weights import load

    align = load.align

    def exchanged(*given: Any) -> Any:
        pairs = align(*given)
        i, j = [i for i, pair in enumerate(pairs) if pair.theirs.name in ("layer1.0.conv1", "layer1.1.conv1")]
        pairs[i], pairs[j] = pairs[i]._replace(theirs=pairs[j].theirs), pairs[j]._replace(theirs=pairs[i].theirs)
        return pairs

    monkeypatch.setattr(load, "align", exchanged)
    with pytest.raises(AssertionError, match=r"conv1\.conv\.weight"):
        assert_loads("resnet18", partial(torchvision.models.get_model, "resnet18", weights=None)())


