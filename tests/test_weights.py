"""Weights from elsewhere: each in its place, or none at all."""

from __future__ import annotations

import json
import os
import pickle
import random
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import archdsl
from archdsl import cli
from archdsl.diagnostics import ArchError
from archdsl.weights import keras_file, torch_state
from archdsl.weights.load import WIRED_OTHERWISE
from archdsl.weights.safetensors_file import CONTENTS, HASH

TEXT = """
block unit(f, s=1) { residual { conv3-f/s; conv3-f(act=none) }; relu }
arch net(classes=5) {
  default conv(norm=bn, act=relu)
  input 3x16x16
  conv3-8
  unit(8) x2
  unit(16) x2/2
  gap; fc-classes
}
"""


def network(**params: int) -> archdsl.Network:
    return archdsl.loads(TEXT, **params)


class Block(nn.Module):
    """The same as `unit`, by another hand: its shortcut comes first."""

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        if inside != width:
            self.downsample = nn.Sequential(nn.Conv2d(inside, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.conv1 = nn.Conv2d(inside, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.downsample(x) if hasattr(self, "downsample") else x
        return (skip + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()


class Peer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.layer1 = nn.Sequential(Block(8, 8, 1), Block(8, 8, 1))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16, 1))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))


@pytest.fixture
def peer() -> Peer:
    """With values of its own everywhere."""
    generator = torch.Generator().manual_seed(0)
    model = Peer().eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.2, 1.0, generator=generator)
    return model


def same_logits(model: nn.Module, peer: nn.Module) -> bool:
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return torch.allclose(model.eval()(x), peer(x), rtol=1e-4, atol=1e-5)


def kept(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def refused(source: object, model: nn.Module | None = None, **options: str) -> tuple[str, str]:
    """The code and the message; and the model is as it was."""
    model = archdsl.build(network()) if model is None else model
    before = kept(model)
    with pytest.raises(ArchError) as caught:
        archdsl.load_weights(model, source, **options)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    (found,) = caught.value.diagnostics
    return found.code, f"{found.message} {found.hint}"


# ---- what fits ----


SOURCES: dict[str, Callable[[Peer, Path], object]] = {
    "module": lambda peer, folder: peer,
    "state_dict": lambda peer, folder: peer.state_dict(),
    "wrapped": lambda peer, folder: {f"module.{k}": v for k, v in peer.state_dict().items()},
    "checkpoint": lambda peer, folder: {"epoch": 3, "state_dict": peer.state_dict(), "optimizer": {}},
    "without counters": lambda peer, folder: {k: v for k, v in peer.state_dict().items() if "num_b" not in k},
    "numpy": lambda peer, folder: {k: v.numpy() for k, v in peer.state_dict().items()},
    "float64": lambda peer, folder: {k: v.double() if v.dim() else v for k, v in peer.state_dict().items()},
}


@pytest.mark.parametrize("how", SOURCES)
def test_a_peer(how: str, peer: Peer, tmp_path: Path) -> None:
    model = archdsl.build(network())
    report = archdsl.load_weights(model, SOURCES[how](peer, tmp_path))
    assert same_logits(model, peer)
    assert len(report.matched) == sum("num_batches" not in name for name in model.state_dict())
    assert report.elements == sum(t.numel() for n, t in model.state_dict().items() if "num_batches" not in n)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors", ".anything"])
def test_a_file(suffix: str, peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / f"peer{suffix}"
    if suffix == ".safetensors":
        save_file(peer.state_dict(), path)
    else:
        torch.save(peer.state_dict(), path, _use_new_zipfile_serialization=suffix != ".pth")
    model = archdsl.build(network())
    assert archdsl.load_weights(model, path).source == f"peer{suffix}"
    assert same_logits(model, peer)


def test_the_class_of_an_emitted_file(peer: Peer) -> None:
    """It does not know its Network: the order in which it registers its layers is the data's."""
    space: dict[str, type[nn.Module]] = {}
    exec(archdsl.emit(network()), space)
    model = space["Net"]()
    assert archdsl.network_of(model) is None
    archdsl.load_weights(model, peer.state_dict())
    assert same_logits(model, peer)
    again = archdsl.build(network())
    assert {m.evidence for m in archdsl.load_weights(again, model.state_dict()).matched} == {("names",)}
    assert same_logits(again, peer)


def test_evidence_is_told(peer: Peer) -> None:
    model = archdsl.build(network())
    by_graph = archdsl.load_weights(model, peer)
    assert {m.evidence for m in by_graph.matched} == {("graph",)}
    by_names = archdsl.load_weights(model, peer.state_dict())
    found = {m.ours: m for m in by_names.matched}
    assert found["conv1.conv.weight"].evidence == ("structure",) and found["conv1.conv.weight"].theirs == "stem.0.weight"
    assert "numbers" in found["unit1.0.conv1.conv.weight"].evidence
    assert str(by_names).startswith(f"the state_dict: {len(found)} tensors loaded, {by_names.elements:,} numbers\n")
    assert json.loads(by_names.to_json())["matched"][0]["ours"] == "conv1.conv.weight"


def test_the_model_may_be_on_any_type(peer: Peer) -> None:
    model = archdsl.build(network()).half()
    report = archdsl.load_weights(model, peer)
    assert model.conv1.conv.weight.dtype == torch.float16
    assert any("rounded from float32 to float16" in note for note in report.notes)
    peer.head.bias.data[0] = 1e9
    code, said = refused(peer, model)
    assert code == "A602" and "head.bias has values that float16" in said


def test_strange_values_are_told(peer: Peer) -> None:
    peer.head.bias.data[0] = float("nan")
    report = archdsl.load_weights(archdsl.build(network()), peer)
    assert report.notes == ("1 tensors have values that are not finite, the first head.bias",)


# ---- what does not ----


def changed(state: Mapping[str, Tensor], name: str, value: Tensor | None) -> dict[str, Tensor]:
    found = dict(state)
    if value is None:
        del found[name]
    else:
        found[name] = value
    return found


@pytest.mark.parametrize("own", [False, True], ids=["foreign names", "own names"])
@pytest.mark.parametrize("kind", ["module", "file"])
def test_one_wrong_one_missing_one_extra(own: bool, kind: str, peer: Peer, tmp_path: Path) -> None:
    model = archdsl.build(network())
    state = model.state_dict() if own else peer.state_dict()
    name = "unit2.1.conv2.conv.weight" if own else "layer2.1.conv2.weight"
    cases = {
        "wrong": (changed(state, name, torch.zeros(16, 16, 5, 3)), ("16x16x5x3", "16x16x3x3", name)),
        "missing": (changed(state, name, None), ("unit2.1.conv2" if own else "unit2.", "16x16x3x3", "missing")),
        "extra": (changed(state, "other.weight", torch.zeros(16, 16, 3, 3)), ("other", "nowhere in the network")),
    }
    for source, words in cases.values():
        given: object = source
        if kind == "file":
            given = tmp_path / "peer.safetensors"
            save_file(source, given)
        code, said = refused(given, model)
        assert code == "A602"
        for word in words:
            assert word.removesuffix(".weight") in said, said


def moved(state: Mapping[str, Tensor], one: str, two: str) -> dict[str, Tensor]:
    """The entries of two layers exchanged in the order, each under its own name."""

    def turn(name: str) -> str:
        layer, _, role = name.rpartition(".")
        return f"{two if layer == one else one if layer == two else layer}.{role}"

    return {turn(name): state[turn(name)] for name in state}


def test_two_that_are_exchanged_in_order(peer: Peer) -> None:
    state = peer.state_dict()
    code, said = refused(moved(state, "layer1.0.conv1", "layer1.0.conv2"))
    assert code == "A604" and "layer1.0.conv1" in said and "layer1.0.conv2" in said
    blocks = [k for k in state if not k.startswith("layer1.0")]
    later = blocks.index("layer2.0.downsample.0.weight")
    exchanged = [*blocks[:later], *(k for k in state if k.startswith("layer1.0")), *blocks[later:]]
    assert refused({k: state[k] for k in exchanged})[0] == "A604"
    # Under our own names the order is nothing.
    model, again = archdsl.build(network()), archdsl.build(network())
    archdsl.load_weights(model, peer)
    state = model.state_dict()
    archdsl.load_weights(again, moved(state, "unit1.0.conv1.conv", "unit1.0.conv2.conv"))
    assert same_logits(again, peer)


def test_any_two_that_are_exchanged_in_order(peer: Peer) -> None:
    """Of equal shapes: loaded rightly by their names, or refused."""
    state = peer.state_dict()
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    shapes = {layer: [tuple(v.shape) for k, v in state.items() if k.rpartition(".")[0] == layer] for layer in layers}
    pairs = [(a, b) for a, b in combinations(layers, 2) if shapes[a] == shapes[b]]
    assert len(pairs) > 10
    for one, two in pairs:
        model = archdsl.build(network())
        try:
            archdsl.load_weights(model, moved(state, one, two))
        except ArchError as error:
            assert error.diagnostics[0].code in ("A603", "A604")
        else:
            assert same_logits(model, peer), (one, two)


def test_two_that_are_exchanged_under_their_names(peer: Peer, tmp_path: Path) -> None:
    """What archdsl wrote, it knows again."""
    path = tmp_path / "net.safetensors"
    torch.save(peer.state_dict(), tmp_path / "peer.pt")
    (tmp_path / "net.arch").write_text(TEXT)
    assert cli.main(["weights", str(tmp_path / "net.arch"), str(tmp_path / "peer.pt"), "-o", str(path)]) == 0
    from safetensors import safe_open

    metadata = safe_open(path, "pt").metadata()
    state = load_file(path)
    one, two = "unit1.0.conv1.conv.weight", "unit1.0.conv2.conv.weight"
    save_file({**state, one: state[two], two: state[one]}, tmp_path / "swapped.safetensors", metadata)
    code, said = refused(tmp_path / "swapped.safetensors")
    assert code == "A604" and "does not hold what archdsl wrote" in said
    save_file(state, tmp_path / "same.safetensors", metadata)
    archdsl.load_weights(archdsl.build(network()), tmp_path / "same.safetensors")


def test_two_that_nothing_tells_apart(tmp_path: Path) -> None:
    text = "input 3x8x8; conv3-4; relu; concat [ conv3-4 | conv3-4 ]; gap; fc-2"
    model = archdsl.build(archdsl.loads(text))
    names = {"conv1": "stem", "conv2": "left", "conv3": "right", "fc1": "head"}
    foreign = {names[k.split(".")[0]] + "." + k.split(".")[1]: v for k, v in model.state_dict().items()}
    save_file(foreign, tmp_path / "net.safetensors")
    code, said = refused(tmp_path / "net.safetensors", model)
    assert code == "A603" and "conv2 and conv3 could be left and right" in said
    # A state_dict keeps an order, and labels of ours tell too.
    assert "order" in archdsl.load_weights(model, foreign).matched[2].evidence
    labelled = archdsl.build(archdsl.loads(text.replace("[ conv3-4 | conv3-4 ]", "[ conv3-4 as right | conv3-4 as left ]")))
    report = archdsl.load_weights(labelled, tmp_path / "net.safetensors")
    assert {m.theirs: m.ours for m in report.matched}["left.weight"] == "left.weight"


class Parallel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(4, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x).relu()
        return self.two(x) + self.three(x).relu()


def test_other_wiring_is_seen() -> None:
    chain = archdsl.build(archdsl.loads("default conv(act=relu); input 3x8x8; conv3-4 x3"))
    code, said = refused(Parallel(), chain)
    assert code == "A602" and "wires them otherwise" in said and "what conv1.2.conv (conv 4x4x3x3 with bias) reads" in said
    archdsl.load_weights(chain, Parallel().state_dict())  # the same layers, as far as names and shapes tell
    same = archdsl.build(archdsl.loads("input 3x8x8; conv3-4; relu; add [ conv3-4; relu | conv3-4 ]"))
    report = archdsl.load_weights(same, Parallel())  # the one with the relu stands second there
    assert [m.theirs for m in report.matched if m.ours == "conv2.weight"] == ["three.weight"]


class Normed(nn.Module):
    """Branches alike but for their activation, in another order than ours, and norms with weights of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 8, 1, bias=False), nn.GroupNorm(4, 8))
        self.one, self.two, self.three = (nn.Conv2d(8, 8, 3, 1, 1) for _ in range(3))
        self.last = nn.Sequential(nn.InstanceNorm2d(8, affine=True), nn.PixelShuffle(2), nn.Conv2d(2, 5, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        mish, elu = nn.functional.mish(self.one(x)), nn.functional.elu(self.two(x))
        return self.last(mish + elu + self.three(x))


def test_norms_of_images_and_branches_told_apart_by_their_activation() -> None:
    text = "pixelunshuffle; conv1-8(norm=gn(4)); add [ conv3-8 | conv3-8(act=elu) | conv3-8(act=mish) ]; "
    text += "instancenorm(affine=true); pixelshuffle; conv1-5"
    model, peer = archdsl.build(archdsl.loads(text, input="3x8x6")), Normed().eval()
    for seed, tensor in enumerate(peer.parameters()):
        tensor.data.normal_(0.3, 1, generator=torch.Generator().manual_seed(seed))
    report = archdsl.load_weights(model, peer)
    ours = {m.ours: m.theirs for m in report.matched}
    assert [ours[f"{name}.weight"] for name in ("conv2", "conv3.conv", "conv4.conv")] == ["three.weight", "two.weight", "one.weight"]
    x = torch.randn(2, 3, 8, 6)
    with torch.no_grad():
        assert torch.allclose(model.eval()(x), peer(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        lambda peer: setattr(peer.stem[0], "padding", (0, 0)),
        lambda peer: setattr(peer.stem[1], "eps", 0.5),
        lambda peer: setattr(peer.layer2[0].conv1, "stride", (1, 1)) or setattr(peer.layer2[0].downsample[0], "stride", (1, 1)),
        lambda peer: peer.stem.__setitem__(2, nn.LeakyReLU(0.5)) or peer.stem[0].weight.data.neg_(),
    ],
    ids=["padding", "eps", "stride", "activation"],
)
def test_what_has_no_weights_is_told(change: Callable[[Peer], object], peer: Peer) -> None:
    model = archdsl.build(network())
    assert model.training and not archdsl.load_weights(model, peer).notes
    change(peer)
    peer.train()
    (note,) = archdsl.load_weights(model, peer).notes
    assert "for a random image the outputs differ by" in note
    assert model.training and all(module.training for module in peer.modules())


class Partial(nn.Module):
    """Convolves a quarter of the channels, cut off at once; our text makes four equal shares of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.part, self.last = nn.Conv2d(3, 16, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, rest = torch.split(self.stem(x), [4, 12], dim=1)
        return self.last(torch.cat([self.part(one), rest], dim=1))


class Turned(Partial):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flip(1)


def test_wired_otherwise_with_the_same_outputs() -> None:
    text = "input 3x8x8; conv1-16; concat [ split(0, 4); conv3-4 | split(1, 4) | split(2, 4) | split(3, 4) ]; conv1-16"
    model, peer = archdsl.build(archdsl.loads(text)), Partial().eval()
    report = archdsl.load_weights(model, peer)
    assert report.notes == (WIRED_OTHERWISE,)
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(model.eval()(x), peer(x), atol=1e-5)
    assert refused(Turned().eval(), archdsl.build(archdsl.loads(text)))[0] == "A602"


def test_outputs_that_cannot_be_compared(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    model, state = archdsl.build(network()), peer.state_dict()
    for forward in (lambda x: x, lambda x: {"out": x}, lambda x: x.nope):
        monkeypatch.setattr(peer, "forward", forward)
        assert not archdsl.load_weights(model, peer).notes
        assert torch.equal(model.state_dict()["fc1.weight"], state["head.weight"])


def test_names_that_say_otherwise(peer: Peer) -> None:
    """A name that is one of ours, at another layer's place."""
    state = {k.replace("layer1.1.conv2", "unit1.0.conv1.conv"): v for k, v in peer.state_dict().items()}
    assert refused(state)[0] in ("A603", "A604")


def test_a_random_order_is_no_evidence(peer: Peer) -> None:
    state = peer.state_dict()
    for seed in range(5):
        keys = list(state)
        random.Random(seed).shuffle(keys)
        model = archdsl.build(network())
        try:
            archdsl.load_weights(model, {k: state[k] for k in keys})
        except ArchError as error:
            assert error.diagnostics[0].code in ("A603", "A604")
        else:
            assert same_logits(model, peer)


@pytest.mark.parametrize("seed", range(8))
def test_names_without_meaning_are_never_guessed(seed: int, peer: Peer) -> None:
    """Each layer under a random name, in a random order: loaded rightly, or not at all."""
    draw = random.Random(seed)
    state = peer.state_dict()
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    named = {layer: "".join(draw.choices("abcdef", k=8)) for layer in layers}
    entries = [(f"{named[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}", v) for k, v in state.items()]
    draw.shuffle(entries)
    assert refused(torch_state.from_mapping(dict(entries), "it", ordered=False))[0] == "A603"


# ---- leaving out ----


def test_another_number_of_classes(peer: Peer) -> None:
    model = archdsl.build(network(classes=7))
    code, said = refused(peer.state_dict(), model)
    assert code == "A602" and "fc1 (fc or 1x1 conv 7x16 with bias)" in said and "head (fc or 1x1 conv 5x16" in said
    assert "skip='head'" in said and "keep='fc1'" in said
    own = model.fc1.weight.clone()
    report = archdsl.load_weights(model, peer.state_dict(), skip="head", keep="fc1")
    assert torch.equal(model.fc1.weight, own) and torch.equal(model.conv1.conv.weight, peer.stem[0].weight)
    assert report.skipped == ("head.weight", "head.bias") and report.kept == ("fc1.weight", "fc1.bias")
    assert "2 skipped: head.weight, head.bias" in str(report)


def test_a_head_too_many(peer: Peer) -> None:
    peer.AuxLogits = nn.Sequential(nn.Conv2d(16, 4, 1), nn.Linear(4, 5))
    code, said = refused(peer.state_dict())
    assert code == "A602" and "skip='AuxLogits'" in said
    model = archdsl.build(network())
    archdsl.load_weights(model, peer.state_dict(), skip=("AuxLogits.*",))
    assert same_logits(model, peer)


def test_a_pattern_that_fits_nothing(peer: Peer) -> None:
    assert refused(peer, skip="haed") == ("A602", "skip='haed' fits no tensor of the Peer ")
    assert refused(peer, keep="fc2")[0] == "A602"


# ---- Keras ----


KERAS = "input 3x6x5; sepconv3-4; bn(gamma=false); relu; dwconv3; conv1-8; gn(2); maxpool; flatten; fc-3"


def keras_arrays(model: nn.Module) -> dict[str, list[np.ndarray]]:
    """The tensors of ours as Keras keeps them, by layer and in Keras's order."""
    state = {k: v.numpy() for k, v in model.state_dict().items()}

    def kernel(name: str) -> np.ndarray:
        return state[f"{name}.weight"].transpose(2, 3, 1, 0)

    def depthwise(name: str) -> np.ndarray:
        return state[f"{name}.weight"].transpose(2, 3, 0, 1)

    height, width = 3, 2
    fc = state["fc1.weight"].reshape(3, 8, height, width).transpose(2, 3, 1, 0).reshape(-1, 3)
    return {
        "separable_conv2d": [depthwise("sepconv1.dwconv"), kernel("sepconv1.conv"), state["sepconv1.conv.bias"]],
        "batch_normalization": [state[f"bn1.{n}"] for n in ("bias", "running_mean", "running_var")],
        "depthwise_conv2d": [depthwise("dwconv1"), state["dwconv1.bias"]],
        "conv2d": [kernel("conv1"), state["conv1.bias"]],
        "group_normalization": [state["gn1.weight"], state["gn1.bias"]],
        "dense": [fc, state["fc1.bias"]],
    }


def write_keras(path: Path, layers: dict[str, list[np.ndarray]]) -> Path:
    with h5py.File(path, "w") as file:
        for name, arrays in layers.items():
            group = file.create_group(f"layers/{name}/vars")
            group.attrs["name"] = name
            for i, array in enumerate(arrays):
                group[str(i)] = array
    return path


def test_keras_layouts(tmp_path: Path) -> None:
    source, model = archdsl.build(archdsl.loads(KERAS)), archdsl.build(archdsl.loads(KERAS))
    for tensor in source.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1)
    report = archdsl.load_weights(model, write_keras(tmp_path / "net.weights.h5", keras_arrays(source)))
    for name, tensor in source.state_dict().items():
        assert name.endswith("tracked") or torch.equal(model.state_dict()[name], tensor), name
    changes = {m.ours: m.change for m in report.matched}
    assert changes["conv1.weight"] == "HWIO to OIHW" and changes["dwconv1.weight"] == "HWCM to (CM)1HW"
    assert changes["fc1.weight"] == "transposed, columns from 3x2x8 to 8x3x2"


def test_hostile_h5(tmp_path: Path) -> None:
    model = archdsl.build(archdsl.loads(KERAS))
    good = keras_arrays(model)
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.zeros(3, "f4")

    def broken(name: str, change: Callable[[h5py.File], object]) -> str:
        path = write_keras(tmp_path / f"{name}.h5", good)
        with h5py.File(path, "a") as file:
            change(file)
        code, said = refused(path, model)
        assert code in ("A601", "A602"), said
        return said

    def replaced(key: str, value: object) -> Callable[[h5py.File], object]:
        def change(file: h5py.File) -> None:
            del file[key]
            file[key] = value

        return change

    bias = "layers/dense/vars/1"
    assert "link" in broken("external", replaced(bias, h5py.ExternalLink(str(secret), "x")))
    assert "link" in broken("soft", replaced(bias, h5py.SoftLink("/layers/conv2d/vars/1")))
    assert "array of numbers" in broken("text", replaced(bias, np.array([b"a", b"b", b"c"], dtype="S1")))
    assert "holds itself" in broken("circle", lambda f: f["layers"].__setitem__("again", f["layers"]))

    def enormous(file: h5py.File) -> None:
        del file[bias]
        file.create_dataset(bias, shape=(1 << 50,), dtype="f4", chunks=(1 << 20,))  # a few bytes in the file

    assert "dense" in broken("enormous", enormous)
    cut = tmp_path / "cut.h5"
    cut.write_bytes((tmp_path / "soft.h5").read_bytes()[:700])
    assert refused(cut, model)[0] == "A601"


def test_too_many_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_file, "MOST", 10)
    model = archdsl.build(archdsl.loads(KERAS))
    assert "more than 10" in refused(write_keras(tmp_path / "net.h5", keras_arrays(model)), model)[1]


# ---- files that are none ----


class Harm:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return open, ("harm was done", "w")  # type: ignore[return-value]


def test_a_pickle_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Peer) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Harm()}, "new.pt")
    Path("old.pt").write_bytes(pickle.dumps(Harm()))
    torch.save(peer, "whole.pt")
    for name in ("new.pt", "old.pt", "whole.pt"):
        assert refused(name)[0] == "A601"
    assert not Path("harm was done").exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04broken", b"\x80\x02broken", b"\x89HDF\r\n\x1a\nbroken", b"\x08\0\0\0\0\0\0\0{broken}", b"text", b"{}" * 99],
)
def test_a_broken_file(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(data)
    code, said = refused(tmp_path / "net.pt")
    assert code == "A601" and "net.pt" in said


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_file_that_was_cut_short(share: float, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(archdsl.build(network()).state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    code, said = refused(path)
    assert code == "A601" and "cut short" in said


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.pt")
    with pytest.raises(OSError, match="not a file"):
        archdsl.load_weights(archdsl.build(network()), tmp_path / "net.pt")


def test_what_is_no_source(tmp_path: Path) -> None:
    model = archdsl.build(network())
    with pytest.raises(FileNotFoundError):
        archdsl.load_weights(model, tmp_path / "none.pt")
    with pytest.raises(TypeError, match="not from int"):
        archdsl.load_weights(model, 3)
    with pytest.raises(TypeError, match="torch module"):
        archdsl.load_weights({}, {})  # type: ignore[arg-type]
    assert refused({})[0] == "A601"
    assert refused({"a.weight": 3})[0] == "A601"
    assert refused({3: torch.zeros(1)})[0] == "A601"
    assert refused({"a.weight": torch.zeros(1, device="meta")})[0] == "A601"
    assert refused({"a.weight": torch.eye(3).to_sparse()})[0] == "A601"


def test_a_copy_that_fails_is_undone(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    model = archdsl.build(network())
    before = kept(model)
    copy, calls = Tensor.copy_, []

    def failing(self: Tensor, *given: object) -> Tensor:
        calls.append(1)
        if len(calls) == 20:
            raise RuntimeError("no more")
        return copy(self, *given)

    monkeypatch.setattr(Tensor, "copy_", failing)
    with pytest.raises(RuntimeError, match="no more"):
        archdsl.load_weights(model, peer.state_dict())
    monkeypatch.undo()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


# ---- the command ----


@pytest.fixture
def folder(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.arch").write_text(TEXT)
    torch.save(peer.state_dict(), "peer.pt")
    return tmp_path


def test_the_command(folder: Path, peer: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["weights", "net.arch", "peer.pt", "-o", "out.safetensors"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("peer.pt: ") and "wrote out.safetensors (" in said
    model = archdsl.build(network())
    model.load_state_dict(load_file("out.safetensors"), strict=True)
    assert same_logits(model, peer)
    from safetensors import safe_open

    metadata = safe_open("out.safetensors", "pt").metadata()
    assert metadata[HASH] == network().hash and metadata["archdsl.network"] == "net" and CONTENTS in metadata
    # Again, over its own; and read back by name.
    assert cli.main(["weights", "net.arch", "out.safetensors", "-o", "again.safetensors", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["matched"][0]["evidence"] == ["names"]
    assert cli.main(["weights", "net.arch", "peer.pt", "-o", "out.safetensors"]) == 0


def test_a_file_of_another_network(folder: Path) -> None:
    assert cli.main(["weights", "net.arch", "peer.pt", "-o", "out.safetensors"]) == 0
    other = archdsl.loads(TEXT.replace("norm=bn", "norm=bn(eps=1e-3)"))
    report = archdsl.load_weights(archdsl.build(other), "out.safetensors")
    assert "written for net with the hash" in report.notes[0]


def test_what_the_command_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> tuple[int, str]:
        code = cli.main(["weights", *arguments])
        return code, capsys.readouterr().err

    assert said("net.arch", "none.pt") == (2, "archdsl: error: can't read none.pt: no such file or directory\n")
    assert said("net.arch", "peer.pt", "-p", "classes=7")[0] == 1
    Path("mine.safetensors").write_text("mine")
    code, text = said("net.arch", "peer.pt", "-o", "mine.safetensors")
    assert code == 1 and "A403" in text and Path("mine.safetensors").read_text() == "mine"
    assert said("net.arch", "peer.pt", "-o", "peer.pt") == (
        2,
        "archdsl: error: can't write peer.pt: it is the file that is read\n",
    )
    assert said("net.arch", "peer.pt", "-o", "-")[0] == 2
    # Nothing is left half-written.
    assert said("net.arch", "peer.pt", "-o", "out.safetensors", "--skip", "haed")[0] == 1
    assert sorted(p.name for p in folder.iterdir()) == ["mine.safetensors", "net.arch", "peer.pt"]
    code, text = said("net.arch", "peer.pt", "-o", "none/out.safetensors")
    assert code == 2 and "can't write" in text
    assert said("net.arch", "peer.pt", "-p", "classes=7", "--skip", "head", "--keep", "fc1")[0] == 0
