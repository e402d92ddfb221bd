"""Every spec of specs/keras and Keras's own model: the same layers and figures, and with the same weights the
same logits.

Keras computes with torch, in float64, with channels last. Weights are paired in the order in which data
reaches them, without archdsl's own loader.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from compare import TOLERANCE, images, on_meta
from torch import Tensor, nn
from transplant import Owner, difference, randomize, reached, relative_error

from archdsl import api, build, load

pytestmark = [pytest.mark.parity, pytest.mark.slow]

EFFICIENTNETS = {f"efficientnet_b{i}": f"EfficientNetB{i}" for i in range(8)}
NAMES = {
    "xception": "Xception",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "resnet50_v2": "ResNet50V2",
    "resnet101_v2": "ResNet101V2",
    "resnet152_v2": "ResNet152V2",
    "inception_v3": "InceptionV3",
    "inception_resnet_v2": "InceptionResNetV2",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "densenet121": "DenseNet121",
    "densenet169": "DenseNet169",
    "densenet201": "DenseNet201",
    "nasnet_mobile": "NASNetMobile",
    "nasnet_large": "NASNetLarge",
    **EFFICIENTNETS,
}
"""Spec: what Keras calls it."""

NASNET_MOBILE = {
    "penultimate_filters": 1056,
    "num_blocks": 4,
    "stem_block_filters": 32,
    "skip_reduction": False,
    "default_size": 224,
}
"""keras.applications.NASNetMobile's own. It refuses torch by name, so the function behind it is called."""

OWN_SIZE = ("vgg16", "vgg19", "nasnet_mobile", "nasnet_large")
"""An fc or a pad of theirs depends on the input's size; all others are built for one and run at another."""

EACH_RUN = (
    "xception",
    "resnet50_v2",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "nasnet_mobile",
    "efficientnet_b0",
)
NATIVE_EACH_RUN = ("mobilenet", "mobilenet_v2", "efficientnet_b0")
"""Whose logits are compared at each run. The others are deeper or wider, or plainer."""

LARGE = ("resnet152", "resnet152_v2", "inception_resnet_v2", "densenet201", "nasnet_large", "efficientnet_b7")
"""Many layers: even without computing anything, to compare them takes seconds."""

ODD = (3, 131, 97)


def nightly(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.nightly)


@pytest.fixture
def float64(keras: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Keras, making float64 models. Its norms compute in float32 unless a table says otherwise."""
    from keras.src.backend.common import dtypes

    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield keras
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def keras_model(keras: ModuleType, name: str, shape: tuple[int, ...], **options: Any) -> Any:
    """Keras's model, which ends with the logits, for images of a shape with channels first."""
    make = getattr(keras.applications, NAMES[name])
    if name == "nasnet_mobile":
        from keras.src.applications.nasnet import NASNet

        make = partial(NASNet, **NASNET_MOBILE)
    size = (*shape[1:], shape[0])
    return make(**{"weights": None, "classifier_activation": None, "input_shape": size, **options})


class Unit(NamedTuple):
    """One of our modules as Keras has it. tensors: Keras's variable, and what makes torch's tensor of it."""

    owner: Owner
    tensors: dict[str, tuple[Any, Any]]
    momentum: float | None = None


def in_order(model: Any) -> list[Any]:
    """Keras's layers as data reaches them, the first operand's first; its ResNets add to the shortcut."""
    order: dict[int, Any] = {}
    stack = [(model.outputs[0], False)]
    while stack:
        tensor, done = stack.pop()
        layer, node, _ = tensor._keras_history
        before = layer._inbound_nodes[node].input_tensors
        if done:
            order[id(layer)] = layer
        elif id(layer) not in order:
            if type(layer).__name__ == "Add" and model.name.startswith("resnet"):
                before = before[::-1]
            stack.append((tensor, True))
            stack.extend((t, False) for t in reversed(before))
    return list(order.values())


def dropped(model: Any) -> list[tuple[str, float]]:
    """What Keras drops in training: values, or (with one decision for a whole image) paths."""
    layers = [layer for layer in in_order(model) if type(layer).__name__ == "Dropout"]
    return [("droppath" if layer.noise_shape else "dropout", layer.rate) for layer in layers]


def units(layer: Any) -> list[Unit]:
    """What of ours a Keras layer with weights stands for."""
    kind = type(layer).__name__
    if kind == "Dense":
        return [dense(layer)]
    if kind == "Conv2D":
        return [convolution(layer, layer.kernel, (3, 2, 0, 1), layer.bias, layer.strides, layer.groups)]
    if kind == "DepthwiseConv2D":
        return [depthwise(layer, layer.kernel, layer.bias)]
    if kind == "SeparableConv2D":
        pointwise = convolution(layer, layer.pointwise_kernel, (3, 2, 0, 1), layer.bias, (1, 1), 1)
        return [depthwise(layer, layer.depthwise_kernel, None), pointwise]
    if kind == "BatchNormalization":
        names = ("weight", "bias", "running_mean", "running_var")
        variables = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
        tensors = {n: (v, None) for n, v in zip(names, variables, strict=True) if v is not None}
        shapes = tuple((n, tuple(v.shape)) for n, (v, _) in tensors.items())
        return [
            Unit(Owner(layer.name, nn.BatchNorm2d, shapes, (layer.epsilon,), 0), tensors, 1 - layer.momentum)
        ]
    assert not layer.weights or kind == "Normalization", f"{layer.name} is a {kind}: say how to pair it"
    return []


def convolution(layer: Any, kernel: Any, turn: Any, bias: Any, stride: Any, groups: int) -> Unit:
    """turn: what makes torch's kernel of Keras's: axes, or a shape after them."""
    height, width = layer.output.shape[1:3]
    shape = tuple(kernel.shape[axis] for axis in turn)
    return unit(layer, nn.Conv2d, kernel, turn, shape, bias, (stride, groups), height * width)


def depthwise(layer: Any, kernel: Any, bias: Any) -> Unit:
    """(height, width, C, multiplier) is (C * multiplier, 1, height, width) in torch."""
    height, width = layer.output.shape[1:3]
    rows, columns, channels, multiplier = kernel.shape
    shape = (channels * multiplier, 1, rows, columns)
    return unit(
        layer, nn.Conv2d, kernel, (2, 3, 0, 1), shape, bias, (layer.strides, channels), height * width
    )


def dense(layer: Any) -> Unit:
    """What a Flatten stands before reads height, width, channels; torch's reads channels first."""
    source = layer.input._keras_history[0]
    turn: Any = (1, 0)
    if type(source).__name__ == "Flatten":
        height, width, channels = source.input.shape[1:]
        turn = (height, width, channels)
    return unit(layer, nn.Linear, layer.kernel, turn, layer.kernel.shape[::-1], layer.bias, None, 1)


def unit(
    layer: Any, kind: type, kernel: Any, turn: Any, shape: Any, bias: Any, how: Any, positions: int
) -> Unit:
    tensors = {"weight": (kernel, turn)} | ({} if bias is None else {"bias": (bias, None)})
    shapes = (("weight", tuple(shape)), *((("bias", tuple(bias.shape)),) if bias is not None else ()))
    settings = () if how is None else (tuple(shape[2:]), tuple(how[0]), tuple(layer.dilation_rate), how[1])
    return Unit(Owner(layer.name, kind, shapes, settings, int(np.prod(kernel.shape)) * positions), tensors)


def theirs_of(value: Tensor, turn: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of ours as Keras keeps it."""
    array = value.detach().numpy()
    if turn is None:
        return array
    if len(turn) == 4:  # axes of Keras's kernel, for torch's
        axes = np.argsort(turn)
        return array.reshape([shape[axis] for axis in turn]).transpose(axes)
    if len(turn) == 3:  # height, width, channels of what was flattened
        height, width, channels = turn
        return array.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(shape)
    return array.T


def pair(model: Any, ours: nn.Module, shape: tuple[int, ...]) -> list[tuple[Unit, Owner]]:
    """Each Keras layer with its module of ours. Raises AssertionError where the networks differ."""
    owners = reached(ours, lambda module: module(torch.empty(1, *shape, device="meta")))
    expected = [u for layer in in_order(model) for u in units(layer)]
    theirs = [u.owner for u in expected]
    assert [o[1:] for o in owners] == [o[1:] for o in theirs], difference(theirs, owners)
    for u, owner in zip(expected, owners, strict=True):
        if u.momentum is not None:
            assert ours.get_submodule(owner.name).momentum == pytest.approx(u.momentum, rel=1e-9)
    return list(zip(expected, owners, strict=True))


def normalizations(model: Any, ours: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Keras's statistics of the images, and ours. One network has at most one layer of them."""
    theirs = [layer for layer in model.layers if type(layer).__name__ == "Normalization"]
    mine = [module for module in ours.modules() if type(module).__name__ == "Normalize"]
    assert len(theirs) == len(mine) <= 1
    return zip(theirs, mine, strict=True)


def same_weights(
    keras: ModuleType, name: str, shape: tuple[int, ...], **options: Any
) -> tuple[nn.Module, Any]:
    """Our module and Keras's model with the same random weights, both for images of a shape."""
    sized = {"input": shape} if name in OWN_SIZE else {}
    network = load(f"keras/{name}", **sized, **options.pop("params", {}))
    theirs = keras_model(keras, name, shape, **options)
    ours = on_meta(lambda: build(network))
    pairs = pair(theirs, ours, shape)
    ours = ours.to_empty(device="cpu").double()

    def run(module: nn.Module) -> None:
        for _, normalize in normalizations(theirs, ours):
            normalize.mean.copy_(torch.tensor([0.45, 0.5, 0.4]))
            normalize.variance.copy_(torch.tensor([0.04, 0.06, 0.05]))
        module(pixels(name, shape if sized else ODD)[:1])

    randomize(ours, run)
    given = 0
    for unit_, owner in pairs:
        state = ours.get_submodule(owner.name).state_dict()
        for key, (variable, turn) in unit_.tensors.items():
            variable.assign(theirs_of(state[key], turn, tuple(variable.shape)))
            given += state[key].numel()
    for layer, normalize in normalizations(theirs, ours):
        for variable, value in (
            (layer.adapt_mean, normalize.mean),
            (layer.adapt_variance, normalize.variance),
        ):
            variable.assign(value.numpy())
        layer.finalize_state()
        given += 7
    assert given == theirs.count_params()
    return ours.eval(), theirs


def pixels(name: str, shape: tuple[int, ...]) -> Tensor:
    """Images of the range that the network takes."""
    return images(*shape) * 60 + 128 if name in EFFICIENTNETS else images(*shape)


def error_of(ours: nn.Module, theirs: Any, x: Tensor) -> float:
    with torch.no_grad():
        truth = theirs(x.permute(0, 2, 3, 1).contiguous(), training=False)
        value = ours(x)
    assert (truth[0] - truth[1]).abs().max() > 1e-3, "both images give the same: the network sees nothing"
    return relative_error(value, truth)


def test_every_spec_is_listed():
    shipped = [name for name in api.shipped_names() if name.startswith("keras/")]
    assert shipped == sorted(f"keras/{name}" for name in NAMES)


@pytest.mark.parametrize("name", [nightly(name) if name in LARGE else name for name in NAMES])
def test_layers_and_figures(name, keras):
    """Kernels, strides, biases, gammas, epsilons, momenta, rates, parameters and MACs, layer for layer."""
    network = load(f"keras/{name}")
    with keras.device("meta"):
        model = keras_model(keras, name, network.input)
        counts = [
            sum(int(np.prod(v.shape)) for v in variables)
            for variables in (model.trainable_weights, model.non_trainable_weights)
        ]
    ours = on_meta(lambda: build(network))
    pairs = pair(model, ours, network.input)
    assert [network.params, network.buffers] == counts
    assert network.params + network.buffers == model.count_params()
    assert network.macs == sum(u.owner.macs for u, _ in pairs)
    ours_dropped = [(n.kind, n.op.ratio) for n in network.nodes if n.kind in ("dropout", "droppath")]
    assert [kind for kind, _ in ours_dropped] == [kind for kind, _ in dropped(model)]
    assert [rate for _, rate in ours_dropped] == pytest.approx(
        [rate for _, rate in dropped(model)], rel=1e-12
    )


def assert_same_logits(keras: ModuleType, name: str, shape: tuple[int, ...], **options: Any) -> None:
    error = error_of(*same_weights(keras, name, shape, **options), pixels(name, shape))
    print(f"relative error {error:.1e}")
    assert error <= TOLERANCE


@pytest.mark.parametrize("name", [name if name in EACH_RUN else nightly(name) for name in NAMES])
def test_logits_at_an_odd_size(name, float64):
    assert_same_logits(float64, name, ODD)


@pytest.mark.parametrize("name", [name if name in NATIVE_EACH_RUN else nightly(name) for name in NAMES])
def test_logits(name, float64):
    assert_same_logits(float64, name, load(f"keras/{name}").input)


def test_one_more_rescaling(float64, monkeypatch):
    """What EfficientNet gets with weights="imagenet" only; here nothing is fetched and nothing is loaded."""
    from keras.src.applications import efficientnet

    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *args, **kwargs: "")
    monkeypatch.setattr(float64.Model, "load_weights", lambda *args, **kwargs: None)
    shape = load("keras/efficientnet_b0").input
    layers = [
        len(keras_model(float64, "efficientnet_b0", shape, weights=w).layers) for w in (None, "imagenet")
    ]
    assert layers[1] == layers[0] + 1
    assert_same_logits(float64, "efficientnet_b0", shape, weights="imagenet", params={"imagenet": True})
