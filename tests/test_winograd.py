"""Convolutions with half of the multiplications: that they give what the convolution gives, where they run, and how exactly."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from drawing import one_thread
from fusing import Sample
from hypothesis import given
from hypothesis import strategies as st
from test_engine import by_name, close, error, model_of, smallest

import archdsl
from archdsl.api import shipped_names
from archdsl.engine import halved as halving
from archdsl.engine import winograd
from archdsl.engine.openvino import PASSES
from archdsl.passes import fused

BACKENDS = ("onednn", "openvino")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


def instead(monkeypatch: pytest.MonkeyPatch, parts: Callable[[Any, int], int | None]) -> None:
    """Another rule: what it says of a layer and its channels, wherever there is no room for it."""
    monkeypatch.setattr(halving, "saving", lambda op, size, wanted, gain: None if parts(op, size[0]) is None else 1.0)
    monkeypatch.setattr(halving, "sums", parts)
    monkeypatch.setattr(halving, "as_torch", lambda network, batch: 2**40)


def made(text: str, batch: int = 2) -> tuple[Any, torch.Tensor]:
    torch.manual_seed(0)
    model = archdsl.build(archdsl.loads(text)).eval()
    return model, torch.randn(batch, *archdsl.loads(text).input)


def halved(engine: Any, x: torch.Tensor | None = None) -> set[str]:
    """The layers whose report says so."""
    return {row.layers[0] for row in engine.report(x, runs=1).rows if winograd.HALVED in row.why}


@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    size=st.tuples(st.integers(7, 11), st.integers(3, 11)),
    padding=st.tuples(*[st.integers(0, 2)] * 4),
    parts=st.sampled_from((1, 2, 4)),
)
def test_by_its_definition(
    kernel: int, stride: int, dilation: int, size: tuple[int, int], padding: tuple[int, ...], parts: int
) -> None:
    """The three operations, in torch's own, against the convolution: any window, any padding."""
    top, bottom, left, right = padding
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 4, *size), torch.randn(3, 4, kernel, 3), torch.randn(3)
    padded = torch.nn.functional.pad(x, (left, right, top, bottom)).double()
    wanted = torch.nn.functional.conv2d(
        padded, weight.double(), bias.double(), stride=(stride, 1), dilation=(dilation, 1)
    )
    op = SimpleNamespace(kernel=(kernel, 3), stride=(stride, 1), dilation=(dilation, 1), channels=3)
    way = winograd.form(op, parts, (4, *size), wanted.shape[3], left)
    assert way.flat == (stride == dilation == 1)
    terms = (way.into @ x.permute(0, 2, 3, 1)).reshape(2, *way.sides(size[0]), -1).permute(0, 3, 1, 2)
    before, after, strides, dilations = way.window(op, top, bottom)
    sums = torch.nn.functional.conv2d(
        torch.nn.functional.pad(terms, (before[1], after[1], before[0], after[0])),
        winograd.combined(weight, parts).reshape(-1, 4 // parts, *way.kernel(kernel)),
        winograd.shared(bias, parts),
        stride=strides,
        dilation=dilations,
        groups=way.groups,
    )
    rows = way.back @ sums.permute(0, 2, 3, 1).reshape(2 * wanted.shape[2], -1, 3)
    assert torch.allclose(rows.reshape(2, *wanted.shape[2:], 3).permute(0, 3, 1, 2).double(), wanted, atol=3e-5)


@pytest.mark.parametrize("parts", (1, 2))
def test_and_back(parts: int) -> None:
    weight = torch.randn(3, 4, 2, 3)
    assert torch.allclose(winograd.original(winograd.combined(weight, parts), 3), weight, rtol=0, atol=1e-6)


NETWORKS = {
    "activations": "input 16x9x11\nconv3-32; relu; conv3-16; silu; conv3-16; relu6; conv3-16; gelu; conv3-16; sigmoid; conv3-16; tanh",
    "residual": "input 16x9x7\nresidual { conv3-16; relu; conv3-16 }\nrelu\nresidual { conv3-16(norm=bn) }; conv1-8",
    "concat": "input 16x8x8\nconcat [ conv3-16 | conv3-32; relu | conv1-4 ]\nconv3-16; maxpool2; conv3-16; gap; fc-3",
    "windows": "input 16x9x14\nconv3-16(p=valid); conv1x3-16; conv5x3-16; conv3-16(p=(1, 1, 2, 0)); conv3-32(norm=bn, bias=true)",
    "strided": "input 16x13x14\nconv3-16(stride=(2, 1)); conv3-16(dilation=(2, 1), p=(2, 2, 1, 1)); conv3-16(p=same)",
    "last": "input 16x6x6\nconv3-16 as a; softmax as b\noutput @a, @b",
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("parts", (1, 2))
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks(name: str, parts: int, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands before and after, for every batch of an engine."""
    instead(monkeypatch, lambda op, channels: parts if winograd.possible(op, channels) else None)
    model, x = made(NETWORKS[name])
    engine = archdsl.optimize(model, x, backend=backend)
    with torch.no_grad():
        for images in (x, x[:1], torch.cat([x, x + 1])):
            assert close(engine(images), model(images), 2e-5)
    assert halved(engine)


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_it_runs(backend: str) -> None:
    """Large convolutions of many channels, in float32."""
    model, x = made("input 128x28x28\nconv3-128; relu; conv3-12; conv1-16; conv3-16/2; conv5-16", 1)
    assert halved(archdsl.optimize(model, x, backend=backend, room=2**30)) == {"conv1"}
    assert halved(archdsl.optimize(model, x, dtype=torch.bfloat16, backend=backend, room=2**30)) == set()


@pytest.mark.parametrize("backend", BACKENDS)
def test_later_sizes(backend: str) -> None:
    """Each runs as it pays, from the weights in whichever form they are held."""
    large = torch.randn(1, 384, 16, 24)
    model = archdsl.build(archdsl.loads("input 384xHxW\nconv3-64; relu")).eval()
    small = large[:, :, :5, :6]
    for first, second in ((large, small), (small, large)):
        engine = archdsl.optimize(model, first, backend=backend, room=2**30)
        with torch.no_grad():
            for x in (second, first, large):
                assert close(engine(x), model(x), 2e-5)
        for x in (first, second):
            assert bool(halved(engine, x)) == (x is large)


def test_the_rule() -> None:
    """By the layers of the networks that it was measured on, at 224x224."""
    taken = {
        name: [
            node.name
            for node in archdsl.load(name).nodes
            if node.op.syntax == "conv"
            and winograd.saving(node.op, archdsl.load(name).nodes[node.inputs[0]].shape, node.shape, 0.78)
        ]
        for name in ("resnet18", "vgg16", "mobilenet_v2")
    }
    assert taken["mobilenet_v2"] == []
    assert len(taken["resnet18"]) == 6 and len(taken["vgg16"]) == 9


@pytest.mark.parametrize("backend", BACKENDS)
def test_room(backend: str) -> None:
    """Where there is room for one of two, the one that saves more for each byte: here that of more pixels."""
    model, x = made("input 128x28x28\nconv3-128; maxpool2; conv3-256", 1)
    engines = {room: archdsl.optimize(model, x, backend=backend, room=room) for room in (0, 3_100_000, 2**30)}
    assert {room: halved(engine) for room, engine in engines.items()} == {
        0: set(),
        3_100_000: {"conv1"},
        2**30: {"conv1", "conv2"},
    }
    with torch.no_grad():
        assert all(close(engine(x), model(x), 2e-5) for engine in engines.values())


def test_room_unstated() -> None:
    """No more than torch itself takes: with one image of a network whose weights are most of it, with many images all."""
    counts = {
        name: [len(halving.halved(fused(archdsl.load(name), PASSES), batch, 0.9, even=False)) for batch in (1, 16)]
        for name in ("vgg16", "resnet152", "googlenet_bn")
    }
    assert counts == {"vgg16": [3, 9], "resnet152": [0, 39], "googlenet_bn": [7, 8]}


def test_error() -> None:
    """Of one layer, against float64: at most twice that of the convolution as it is, and less in two sums."""
    found = {}
    for parts in (None, 1, 2):
        with pytest.MonkeyPatch.context() as patch:
            instead(patch, lambda op, channels, parts=parts: parts)
            model, x = made("input 256x14x14\nconv3-64")
            with torch.no_grad():
                wanted = {"out": copy.deepcopy(model).double()(x.double())}
                found[parts] = error(archdsl.optimize(model, x, backend="onednn")(x), wanted)
    assert found[2] < found[1] < 2 * found[None]


@pytest.mark.nightly
@pytest.mark.parametrize("name", shipped_names())
def test_every_network_of_the_zoo(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most twice torch's own error, if every convolution that can runs this way, also where it does not pay."""
    instead(monkeypatch, wherever)
    network = smallest(name)
    if not any(winograd.possible(n.op, network.nodes[n.inputs[0]].shape[0]) for n in network.nodes if n.op.syntax == "conv"):
        pytest.skip("no convolution that could")
    found = [errors(Sample(network))]
    if any(mine > 2 * torchs for mine, torchs in found[0]):
        found += [errors(Sample(network, seed)) for seed in range(1, 6)]
    for pairs in zip(*found, strict=True):
        assert sum(mine for mine, _ in pairs) <= 2 * sum(torchs for _, torchs in pairs)


def wherever(op: Any, channels: int) -> int | None:
    return winograd.sums(op, channels) if winograd.possible(op, channels) else None


@torch.no_grad()
def errors(sample: Sample) -> list[tuple[float, float]]:
    """(the engine's, torch's) on each backend, against float64."""
    model = model_of(sample)
    torch.manual_seed(1)
    x = torch.randn(2, *sample.network.input)
    wanted = by_name(copy.deepcopy(model).double()(x.double()))
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    plain = max(error(model(x), wanted), error(last(x.contiguous(memory_format=torch.channels_last)), wanted))
    return [(error(archdsl.optimize(model, x, backend=backend)(x), wanted), plain) for backend in BACKENDS]
