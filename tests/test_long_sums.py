"""Sums that are cut: that they give what the convolution gives, from weights in every form, and more exactly."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from drawing import one_thread
from test_engine import close, error

import archdsl
from archdsl.engine import halved, long_sums
from archdsl.engine.long_sums import cut, joined, of_convolution, of_fc

BACKENDS = ("onednn", "openvino")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


def made(text: str) -> tuple[torch.nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    network = archdsl.loads(text)
    return archdsl.build(network).eval(), torch.randn(2, *(8 if not isinstance(s, int) else s for s in network.input))


def test_there_and_back() -> None:
    weight = torch.randn(3, 8, 2, 5)
    assert cut(weight, 4).shape == (12, 2, 2, 5)
    assert torch.equal(joined(cut(weight, 4), 3), weight)
    x = torch.randn(1, 8, 6, 6)
    parts = torch.nn.functional.conv2d(x, cut(weight, 2), groups=2).unflatten(1, (2, 3)).sum(1)
    assert torch.allclose(parts, torch.nn.functional.conv2d(x, weight), atol=1e-5)


@pytest.mark.parametrize(("inputs", "sums"), [(1, 1), (256, 1), (257, 2), (4096, 16), (25088, 16)])
def test_of_an_fc(inputs: int, sums: int) -> None:
    assert of_fc(inputs) == sums


@pytest.mark.parametrize(
    ("layer", "size", "sums"),
    [
        ("conv1-1000", "1024x1x1", 4),
        ("conv1-1000(p=1)", "1024x1x1", 1),
        ("conv1-1000/2", "1024x2x2", 4),
        ("conv1-512", "1024x1x1", 4),
        ("conv1-256", "1024x1x1", 1),  # squeezes
        ("conv1-10(groups=2)", "512x1x1", 1),
        ("conv1-1000", "1000x1x1", 1),
        ("conv1-512", "256x1x1", 1),
    ],
)
def test_of_one_pixel(layer: str, size: str, sums: int) -> None:
    network = archdsl.loads(f"input {size}\n{layer}")
    node = network.nodes[1]
    assert of_convolution(node.op, network.input[0], node.shape[1:]) == sums


NETWORKS = {
    "one pixel": "input 1024x8x8\nmul [ gap; conv1-1024(norm=bn); relu | identity ]\ngap; conv1-600; conv1-10; flatten",
    "one of four": "input 512x2x2\nconv1-512/2; relu; conv1-512(p=1)",
    "windows": "input 64x9x11\nconv3-128; relu; conv3x5-64(norm=bn, bias=true); conv3-16/2(p=valid)",
    "uneven": "input 64x9x12\nconv3-64(p=same, stride=2); conv3-16(p=(1, 0, 2, 1)); conv3-16(dilation=2, p=2)",
    "residual": "input 64x8x8\nresidual { conv3-64; relu; conv3-64 }\nrelu; conv1-32(p=1); gap; fc-3",
    "as they are": "input 64x8x8\nconv3-32(groups=2); dwconv3; conv3-24; conv3-8",
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks(name: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_sums, "LONG", 20)
    monkeypatch.setattr(long_sums, "MANY", 1)
    model, x = made(NETWORKS[name])
    engine = archdsl.optimize(model, x, backend=backend)
    with torch.no_grad():
        for images in (x, x[:1], torch.cat([x, x + 1])):
            assert close(engine(images), model(images), 2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_pixel_and_more_of_them(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer is cut into as many sums at every size where it is: its weights are held so."""
    monkeypatch.setattr(long_sums, "LONG", 20)
    monkeypatch.setattr(long_sums, "MANY", 9)
    model, _ = made("input 512xHxW\nconv1-256; relu")
    for sizes in ((1, 4, 2), (4, 1, 2)):
        images = [torch.randn(2, 512, size, size) for size in sizes]
        engine = archdsl.optimize(model, images[0], backend=backend)
        with torch.no_grad():
            for x in images:
                assert close(engine(x), model(x), 2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_sizes_that_run_otherwise(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form in which weights are held is that of the size before: terms, or cut."""
    monkeypatch.setattr(long_sums, "LONG", 20)
    monkeypatch.setattr(long_sums, "MANY", 1)
    monkeypatch.setattr(halved, "saving", lambda op, size, wanted, gain: 1.0 if size[1] > 8 else None)
    model, small = made("input 64xHxW\nconv3-32; relu")
    large = torch.randn(1, 64, 12, 10)
    for first, second in ((large, small), (small, large)):
        engine = archdsl.optimize(model, first, backend=backend, room=2**30)
        with torch.no_grad():
            for x in (first, second, first):
                assert close(engine(x), model(x), 2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_error(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against float64: less in four sums, on any CPU. In bf16 nothing is cut."""
    model, x = made("input 512x12x12\nconv3-64")
    with torch.no_grad():
        wanted = {"out": copy.deepcopy(model).double()(x.double())}
        in_four = archdsl.optimize(model, x, backend=backend, room=0)
        low = archdsl.optimize(model, x, backend=backend, dtype=torch.bfloat16)(x)
        monkeypatch.setattr(long_sums, "LONG", 2**40)
        whole = archdsl.optimize(model, x, backend=backend, room=0)
        assert error(in_four(x), wanted) < 0.9 * error(whole(x), wanted)
        assert torch.equal(low, archdsl.optimize(model, x, backend=backend, dtype=torch.bfloat16)(x))
