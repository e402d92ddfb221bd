"""Networks cut down to features, classifiers replaced, layers frozen."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from drawing import drawn_from, one_thread
from torch import nn

import archdsl
from archdsl import backbones, live
from archdsl.api import shipped_names
from archdsl.cli import main
from archdsl.network import Network, Region

PYRAMID = """
block unit(f, s=1) { residual { conv3-f/s; conv3-f(act=none) }; relu }
arch net(classes=5) {
  default conv(norm=bn, act=relu)
  input 3x32x32
  conv3-4                                   as stem
  unit(4)        x2                         as c1
  unit(6)        x3/2                       as c2
  aux(0.3) { gap; fc-classes }              as side
  concat [ conv1-4 as left | conv3-4; relu ] as joined
  unit(8)        x2/2                       as c3
  dropout(0.5)
  gap                                       as pooled
  fc-classes
}
"""


def codes(what: Callable[[], object]) -> set[str]:
    with pytest.raises(archdsl.ArchError) as caught:
        what()
    return {d.code for d in caught.value.diagnostics}


def same_weights(small: nn.Module, whole: nn.Module) -> nn.Module:
    """The part of a network's weights that its backbone has, under the same names."""
    theirs = whole.state_dict()
    small.load_state_dict({name: theirs[name] for name in small.state_dict()})
    return small


def blurred(model: nn.Module) -> nn.Module:
    """A model in evaluation whose statistics are not those of a fresh one."""
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 0.3)
    return model.eval()


def everything(model: nn.Module, network: Network, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a whole network's modules give, and its labels and outputs, by name."""
    seen: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _m, _i, y, name=name: seen.__setitem__(name, y))
    labels = tuple(dict(network.taps))
    out = model(x, taps=labels) if "taps" in inspect.signature(model.forward).parameters else model(x)
    return seen | (out if isinstance(out, dict) else {"out": out})


# ---- which tensors ----


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("resnet50", [("c2", 256, 4), ("c3", 512, 8), ("c4", 1024, 16), ("c5", 2048, 32)]),
        ("mobilenet_v2", [("c2", 24, 4), ("c3", 32, 8), ("c4", 96, 16), ("c5", 320, 32)]),
        ("unet", [("d1", 64, 1), ("d2", 128, 2), ("d3", 256, 4), ("d4", 512, 8)]),
        ("googlenet", [("i3b", 480, 8), ("i4e", 832, 16), ("i5b", 1024, 32)]),  # the last of each size
    ],
)
def test_levels(name: str, levels: list[tuple[str, int, int]]) -> None:
    network = archdsl.load(name)
    info = archdsl.feature_info(network)
    assert list(info) == levels
    assert archdsl.feature_info(archdsl.features(network)) == info
    assert (info.name(), info.channels(), info.reduction()) == tuple(map(list, zip(*levels, strict=True)))
    assert (info.name(-1), info.channels(-1), info.reduction(-1)) == levels[-1]


def test_levels_of_a_pyramid() -> None:
    """Neither what a global pooling left nor a decoder's maps; and not the same size twice."""
    network = archdsl.loads(PYRAMID)
    assert archdsl.feature_info(network).name() == ["c1", "joined", "c3"]
    down_and_up = "input 3x32x32; conv3-4/2 as a; conv3-4/2 as b; conv3-4 as c; upconv2-4/2 as d; upconv2-4/2 as e"
    assert archdsl.feature_info(archdsl.loads(down_and_up)).name() == ["a", "c"]
    assert archdsl.feature_info(archdsl.loads("input 3x32x64; conv3-4 as a; maxpool1x2 as b")).reduction() == [1, (1, 2)]


@pytest.mark.parametrize(
    ("out", "names"),
    [
        (None, ["c1", "joined", "c3"]),
        ("c2", ["c2"]),
        (["c3", "c1"], ["c3", "c1"]),
        ((0, -1), ["c1", "c3"]),
        (1, ["joined"]),
        (["left"], ["left"]),
        (["c2.1", "dropout1", "conv1"], ["c2.1", "dropout1", "conv1"]),
        (["pooled", "joined"], ["pooled", "joined"]),
    ],
)
def test_features_are_what_the_whole_network_has_there(out: Any, names: list[str]) -> None:
    network = archdsl.loads(PYRAMID)
    model = blurred(archdsl.build(network).double())
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    whole = everything(model, network, x)
    small = archdsl.build(network, features_only=True, out=out).double().eval()
    found = same_weights(small, model)(x)
    assert list(found) == names == small.feature_info.name()
    for feature in small.feature_info:
        assert torch.equal(found[feature.name], whole[feature.name])
        assert found[feature.name].shape[1] == feature.channels
        if feature.name != "pooled":
            assert found[feature.name].shape[2] * feature.reduction == 32


def test_only_what_is_needed_is_left() -> None:
    network = archdsl.loads(PYRAMID)
    cut = archdsl.features(network, ["left"])
    assert set(archdsl.build(cut)._modules) == {"stem", "c1", "c2", "left"}
    assert [o.name for o in cut.outputs] == ["left"]
    assert dict(cut.taps).keys() == {"stem", "c1", "c2", "left"}
    assert 0 < cut.params < network.params and 0 < cut.macs < network.macs
    copies = archdsl.features(network, ["c2.1"])
    assert len(archdsl.build(copies).c2) == 2
    assert "unit(6) x2/2" in copies.summary()
    assert cut.hash != copies.hash
    again = archdsl.features(archdsl.features(network, ["c3", "c2"]), ["c2"])
    assert (again.name, again.hash) == ("net_features", archdsl.features(network, ["c2"]).hash)
    assert archdsl.emit(again) == archdsl.emit(archdsl.features(network, ["c2"]))


def test_what_nothing_reads_goes_too() -> None:
    network = archdsl.loads("input 3x8x8; conv3-4 as a; conv3-5; @a; conv3-6 as b")
    assert "conv1" in archdsl.build(network)._modules
    assert set(archdsl.build(network, features_only=True, out="b")._modules) == {"a", "b"}


def consistent(network: Network) -> None:
    """The regions cover the nodes in their order, and every view of them can be taken."""
    assert len({node.name for node in network.nodes}) == len(network.nodes)
    assert all(source < i for i, node in enumerate(network.nodes) for source in node.inputs)

    def inside(region: Region, start: int, stop: int) -> None:
        assert start <= region.start <= region.stop <= stop
        at = region.start
        for child in region.children:
            inside(child, at, region.stop)
            at = child.stop

    inside(network.region, 0, len(network.nodes))
    assert (network.region.start, network.region.stop) == (0, len(network.nodes))
    assert network.summary(3) and network.to_json() and network.hash and network.peak_bytes


def test_drawn_networks_cut_anywhere() -> None:
    with one_thread():
        compared, smaller = cut_anywhere(range(12))
    assert compared >= 20 and smaller >= 6


def cut_anywhere(seeds: range) -> tuple[int, int]:
    compared = smaller = 0
    for seed in seeds:
        source = random.Random(seed)
        network = archdsl.loads(drawn_from(source, wild=0.0).text)
        known = backbones.tensors(network)
        names = source.sample(sorted(known), min(3, len(known)))
        cut = archdsl.features(network, names)
        consistent(cut)
        live.verify(cut)
        smaller += len(cut.nodes) < len(network.nodes)
        model = blurred(archdsl.build(network).double())
        x = torch.randn(2, *network.input, dtype=torch.float64)
        whole = everything(model, network, x)
        found = same_weights(archdsl.build(cut).double().eval(), model)(x)
        assert list(found) == names
        for name in found.keys() & whole.keys():
            assert torch.equal(found[name].nan_to_num(), whole[name].nan_to_num()), (seed, name)
            compared += 1
    return compared, smaller


SHIPPED = shipped_names()


@pytest.mark.parametrize(
    "name", [n if i % 8 == 0 else pytest.param(n, marks=pytest.mark.nightly) for i, n in enumerate(SHIPPED)]
)
def test_every_shipped_network_can_be_cut(name: str) -> None:
    network = archdsl.load(name)
    known = list(backbones.tensors(network))
    cut = archdsl.features(network, [known[len(known) // 2], known[len(known) // 4]][: 1 + (len(known) > 3)])
    consistent(cut)
    assert compile(archdsl.emit(cut), name, "exec")


# ---- what is refused ----


@pytest.mark.parametrize("name", ["c9", "side", "unit", "c1.0.conv1", "c1.7", "shortcut"])
def test_no_such_tensor(name: str) -> None:
    network = archdsl.loads(PYRAMID)
    assert codes(lambda: archdsl.features(network, [name])) == {"A501"}


def test_hints_for_a_name_that_is_wrong() -> None:
    network = archdsl.load("resnet18")

    def hint(name: str) -> str:
        with pytest.raises(archdsl.ArchError) as caught:
            archdsl.features(network, name)
        return caught.value.diagnostics[0].hint

    assert hint("C4") == "did you mean `c4`?"
    assert hint("layer4") == "it labels c2, c3, c4, c5"


def test_no_features() -> None:
    network = archdsl.loads("input 3x8x8; conv3-4; maxpool; gap as g; fc-2 as logits")
    assert archdsl.feature_info(network) == ()
    for out in (None, 0):
        assert codes(lambda out=out: archdsl.features(network, out)) == {"A502"}
    assert archdsl.features(network, "maxpool1").shape == (4, 4, 4)


@pytest.mark.parametrize(
    ("out", "error"),
    [(["c1", "c1"], ValueError), (["c1", 0], ValueError), ([], ValueError), (3, ValueError), ([True], TypeError)],
)
def test_wrong_out(out: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        archdsl.features(archdsl.loads(PYRAMID), out)


def test_options_of_build() -> None:
    with pytest.raises(TypeError, match="features_only=True"):
        archdsl.build("lenet5", out=["c1"])
    model = archdsl.build("resnet18", features_only=True, out=[-1], input="3x64x64", classes=3)
    assert model.eval()(torch.randn(1, 3, 64, 64))["c5"].shape == (1, 512, 2, 2)


def test_a_parameter_that_is_not_there() -> None:
    with pytest.raises(archdsl.ArchError, match=r"arch a\(classes=1000\)") as caught:
        archdsl.loads("arch a { input 3x8x8; conv3-4; fc-10 }", classes=3)
    assert [d.code for d in caught.value.diagnostics] == ["A102"]
    assert codes(lambda: archdsl.loads("input 3x8x8; conv3-4; fc-10", classes=3)) == {"A102"}


# ---- the command line ----


def test_compile_features(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compile", "resnet18", "--features", "c3,c5"]) == 0
    assert "wrote resnet18_features.py" in capsys.readouterr().out
    text = (tmp_path / "resnet18_features.py").read_text()
    assert 'return {"c3": c3, "c5": c5}' in text or 'outputs = {"c3": c3, "c5": c5}' in text
    assert main(["summary", "resnet18", "--features", "all"]) == 0
    assert "11,176,512" in capsys.readouterr().out  # 11,689,512 without the fc of 513,000
    assert main(["summary", "resnet18", "--features", "c6"]) == 1
    assert "A501" in capsys.readouterr().err
    assert main(["summary", "resnet18", "--features", "c3,c3"]) == 2


# ---- the Network of a model ----


def test_network_of_a_model() -> None:
    network = archdsl.loads(PYRAMID)
    model = archdsl.build(network)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    wrapped = (nn.DataParallel(model), torch.compile(model), torch.optim.swa_utils.AveragedModel(model))
    saved = (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False))
    for other in (model, *wrapped, *saved):
        assert archdsl.network_of(other) is network
    assert archdsl.network_of(nn.Linear(1, 1)) is None
    assert archdsl.network_of(nn.Sequential(model)) is None
    assert "_archdsl_network" not in vars(model)


def test_networks_of_one_text_keep_apart() -> None:
    """What the text of a module leaves out is still the model's own."""
    text = PYRAMID.replace("as side", "as side_head_with_a_name_too_long_for_a_comment_beside_it_to_show_the_weight_of_its_loss")
    one, two = (archdsl.loads(text.replace("aux(0.3)", f"aux({w})")) for w in (0.3, 0.4))
    assert archdsl.emit(one) == archdsl.emit(two)
    models = [archdsl.build(one), archdsl.build(two)]
    assert [archdsl.network_of(m) for m in models] == [one, two]


def test_a_label_may_be_called_feature_info() -> None:
    model = archdsl.build(archdsl.loads("input 3x8x8; conv3-4 as feature_info; relu"))
    assert model(torch.randn(1, 3, 8, 8)).shape == (1, 4, 8, 8)


# ---- another classifier ----

HEADS = {
    "fc": "input 3x8x8; conv3-4; gap; fc-10",
    "fc without a bias": "input 3x8x8; conv3-4; flatten; fc-10(bias=false); softmax",
    "conv": "input 3x8x8; conv3-4; dropout(0.5); conv1-10(act=relu); gap; flatten",
    "conv and pool": "input 3x8x8; conv3-4; conv1-10; avgpool8; softmax; flatten",
    "conv of every pixel": "input 3x8x8; conv3-4; conv1-10; upsample(2); softmax",
    "in a block": "block top(n) { gap; fc-n }\narch a(classes=10) { input 3x8x8; conv3-4; top(classes) }",
}

NO_HEADS = {
    "normalized": "input 3x8x8; conv3-4; conv1-10(norm=bn)",
    "not 1x1": "input 3x8x8; conv3-10",
    "activated, of every pixel": "input 3x8x8; conv3-4; conv1-10(act=relu)",
    "grouped": "input 3x8x8; conv3-4; conv1-10(groups=2); gap",
    "two meet": "input 3x8x8; conv3-4; gap; add [ fc-10 | fc-10 ]",
    "read elsewhere": "input 3x8x8; conv3-4; gap; fc-10 as a; tanh; concat [ identity | @a; relu ]",
    "channels turn to features": "input 3x8x8; conv3-4; conv1-10; flatten",
    "several outputs": "input 3x8x8; conv3-4; gap as g; fc-10 as a; @g; fc-3 as b; output @a, @b",
    "no layer": "input 3x8x8; relu",
    "a side head without": "input 3x8x8; conv3-4; aux(0.3) { conv3-4; relu; gap }; gap; fc-10",
}


@pytest.mark.parametrize("text", HEADS.values(), ids=HEADS)
def test_replace_head(text: str) -> None:
    network = archdsl.loads(text)
    model = archdsl.build(network).to(torch.float64).eval().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert archdsl.replace_head(model, classes=7) is model
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert model(x).shape[1] == 7
    after = model.state_dict()
    assert list(after) == list(before)
    changed = {name for name in before if after[name].shape != before[name].shape}
    assert changed and all(torch.equal(after[name], before[name]) for name in before.keys() - changed)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == changed
    assert all(p.dtype == torch.float64 for p in model.parameters())
    now = archdsl.network_of(model)
    assert now is not None and now.shape[0] == 7
    assert archdsl.network_of(archdsl.build(network)) is network  # another model of the same spec is as it was
    assert live.verify(now).params == sum(p.numel() for p in model.parameters())
    restored = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert torch.equal(restored(x), model(x))


@pytest.mark.parametrize("text", NO_HEADS.values(), ids=NO_HEADS)
def test_no_head_to_replace(text: str) -> None:
    model = archdsl.build(archdsl.loads(text))
    before = repr(model)
    assert codes(lambda: archdsl.replace_head(model, classes=7)) == {"A503"}
    assert repr(model) == before


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "nin_cifar", "unet", "mobilenet_v2", "alexnet"])
def test_replaced_is_as_built(name: str) -> None:
    """The same network as the spec's own `classes` gives, side heads included."""
    with torch.device("meta"):
        model = archdsl.replace_head(archdsl.build(name), classes=7)
    wanted = archdsl.load(name, classes=7)
    found = archdsl.network_of(model)
    assert found is not None
    assert (found.hash, found.params, found.macs) == (wanted.hash, wanted.params, wanted.macs)
    assert archdsl.emit(found) == archdsl.emit(wanted)
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in archdsl.build(wanted).state_dict().items()
    }


def emitted(network: Network) -> nn.Module:
    """A module of the text alone, as from a file."""
    namespace: dict[str, Any] = {"__name__": "some_file"}
    exec(archdsl.emit(network), namespace)
    return namespace[live.class_name(network)]()


def test_replace_head_of_a_file() -> None:
    model = emitted(archdsl.loads(PYRAMID))
    assert archdsl.network_of(model) is None
    out = archdsl.replace_head(model, classes=7)(torch.randn(2, 3, 32, 32))
    assert {name: y.shape[1] for name, y in out.items()} == {"out": 7, "side": 7}
    assert archdsl.replace_head(emitted(archdsl.loads(HEADS["conv"])), 7)(torch.randn(2, 3, 8, 8)).shape == (2, 7)
    assert codes(lambda: archdsl.replace_head(emitted(archdsl.loads(NO_HEADS["normalized"])), 7)) == {"A503"}
    assert codes(lambda: archdsl.replace_head(nn.ReLU(), 7)) == {"A503"}


@pytest.mark.parametrize("classes", [0, -1, 2.0, True, "7"])
def test_wrong_classes(classes: Any) -> None:
    with pytest.raises(ValueError, match="whole number"):
        archdsl.replace_head(archdsl.build("lenet5"), classes=classes)


# ---- freezing ----


def trained(model: nn.Module) -> set[str]:
    """Attributes of the model in which something is trained."""
    return {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("until", "left"),
    [
        ("c2", {"side", "left", "conv1", "c3", "fc1"}),
        ("stem", {"c1", "c2", "side", "left", "conv1", "c3", "fc1"}),
        ("left", {"side", "conv1", "c3", "fc1"}),  # its own branch only
        ("joined", {"side", "c3", "fc1"}),
        ("c1.0", {"c1", "c2", "side", "left", "conv1", "c3", "fc1"}),
        ("side", {"left", "conv1", "c3", "fc1"}),
        ("fc1", {"side"}),
    ],
)
def test_freeze(until: str, left: set[str]) -> None:
    model = archdsl.build(archdsl.loads(PYRAMID))
    assert archdsl.freeze(model, until=until) is model
    assert trained(model) == left
    assert archdsl.unfreeze(model) is model
    assert all(p.requires_grad for p in model.parameters())


def test_freeze_inside_a_block() -> None:
    model = archdsl.freeze(archdsl.build(archdsl.loads(PYRAMID)), "c2.1.conv1")
    assert all(not p.requires_grad for p in model.c2[0].parameters())
    assert all(not p.requires_grad for p in model.c2[1].conv1.parameters())
    assert all(p.requires_grad for p in (*model.c2[1].conv2.parameters(), *model.c2[2].parameters()))
    for wrong in ("c2.3", "c", "c2.1.conv", ""):
        assert codes(lambda wrong=wrong: archdsl.freeze(model, wrong)) == {"A501"}


def statistics(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: b.clone() for n, b in model.named_buffers() if n.endswith("running_mean")}


@pytest.mark.parametrize("bn", [True, False])
def test_frozen_norms_keep_their_statistics(bn: bool) -> None:
    model = archdsl.freeze(archdsl.build(archdsl.loads(PYRAMID)), until="c2", bn=bn)
    saved = io.BytesIO()
    torch.save(model, saved)
    saved.seek(0)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(saved, weights_only=False)]
    for one in (model, *copies):
        outer = nn.Sequential(one)
        outer.train()  # as of the detector that it is a part of
        before = statistics(one)
        outer(torch.randn(4, 3, 32, 32))["out"].sum().backward()
        moved = {name.split(".")[0] for name, mean in statistics(one).items() if not torch.equal(mean, before[name])}
        assert moved == {"left", "conv1", "c3"} | (set() if bn else {"stem", "c1", "c2"})
        assert one.stem.conv.weight.grad is None and one.c3[0].conv1.conv.weight.grad is not None
        assert one.training and one.c3.training
    assert list(model.state_dict()) == list(archdsl.build(archdsl.loads(PYRAMID)).state_dict())
    assert isinstance(model.stem.bn, nn.BatchNorm2d)
    archdsl.unfreeze(model)
    assert type(model.stem.bn) is nn.BatchNorm2d and model.stem.bn.training


def test_freezing_twice_adds_up() -> None:
    model = archdsl.build(archdsl.loads(PYRAMID))
    archdsl.freeze(archdsl.freeze(model, "c2", bn=True), "c1", bn=True)
    assert trained(model) == {"side", "left", "conv1", "c3", "fc1"}
    archdsl.unfreeze(model.eval())
    assert type(model.stem.bn) is nn.BatchNorm2d and not model.stem.bn.training


def test_norms_without_gamma_freeze_too() -> None:
    """A batch norm whose class the emitted text defines."""
    network = archdsl.loads("input 3x8x8; conv3-4(norm=bn(gamma=false)) as a; fc-2")
    model = pickle.loads(pickle.dumps(archdsl.freeze(archdsl.build(network), "a", bn=True)))
    before = statistics(model)
    model.train()(torch.randn(2, 3, 8, 8))
    assert all(torch.equal(mean, before[name]) for name, mean in statistics(model).items()) and before
    archdsl.unfreeze(model).train()(torch.randn(2, 3, 8, 8))
    assert not any(torch.equal(mean, before[name]) for name, mean in statistics(model).items())


def test_an_optimizer_leaves_what_is_frozen() -> None:
    """With weight decay and a gradient of an earlier step it would go on."""
    model = archdsl.build(archdsl.loads(PYRAMID))
    x = torch.randn(2, 3, 32, 32)
    sum(y.sum() for y in model(x).values()).backward()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    archdsl.freeze(model, "c2")
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer.step()
    changed = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"side", "left", "conv1", "c3", "fc1"}


def test_wrapped_models() -> None:
    for wrap in (nn.DataParallel, torch.compile):
        model = wrap(archdsl.build(archdsl.loads(PYRAMID)))
        assert archdsl.freeze(model, "c2") is model and archdsl.replace_head(model, 7) is model
        inner = live.unwrapped(model)
        assert trained(inner) == {"side", "left", "conv1", "c3", "fc1"} and inner.fc1.out_features == 7
    kind = type("DistributedDataParallel", (nn.Module,), {"__module__": "torch.nn.parallel.distributed"})
    model = kind()
    model.module = archdsl.build(archdsl.loads(PYRAMID))
    for change in (lambda: archdsl.freeze(model, "c2"), lambda: archdsl.replace_head(model, 7)):
        with pytest.raises(ValueError, match="before DistributedDataParallel"):
            change()


def test_freeze_needs_the_network() -> None:
    assert codes(lambda: archdsl.freeze(emitted(archdsl.loads(PYRAMID)), "c2")) == {"A504"}
    archdsl.unfreeze(nn.Linear(1, 1))


def test_export_and_compile_see_a_plain_module() -> None:
    backbone = archdsl.build(archdsl.loads(PYRAMID), features_only=True, out=["c2", "c3"])
    archdsl.freeze(backbone, "c2", bn=True)
    x = torch.randn(2, 3, 32, 32)
    traced = torch.compile(backbone, backend="eager", fullgraph=True)(x)
    assert list(traced) == ["c2", "c3"]
    backbone.eval()
    exported = torch.export.export(backbone, (x,)).module()(x)
    assert torch.equal(exported["c3"], backbone(x)["c3"])
