"""The shipped specs: each checks, says where it comes from, and has the published figures.

The figures here are written down a second time, from the papers and from independent implementations, so
that a spec and its `expect` can't be wrong together. What a figure can't see is compared in tests/parity.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from published import PUBLISHED

import archdsl
from archdsl import api
from archdsl.network import Network
from archdsl.resources import library_root, specs_root

WITHOUT_SIDE_HEADS = {"googlenet": 6_998_552, "googlenet_bn": 6_624_904, "inception_v3": 23_834_568}

STAGES = {
    "resnet18": "64x56x56 128x28x28 256x14x14 512x7x7",
    "resnet34": "64x56x56 128x28x28 256x14x14 512x7x7",
    "resnet50": "256x56x56 512x28x28 1024x14x14 2048x7x7",
    "resnet101": "256x56x56 512x28x28 1024x14x14 2048x7x7",
    "resnet152": "256x56x56 512x28x28 1024x14x14 2048x7x7",
    "mobilenet_v2": "24x56x56 32x28x28 96x14x14 320x7x7",
}
"""What is labelled c2, c3, c4 and c5: strides 4 to 32, as detectors want them."""

IMAGENET = "input 3x224x224"
CIFAR = "input 3x32x32"
EXAMPLES = {
    "aggregated": (
        f"default conv(norm=bn, act=relu); {IMAGENET}; conv7-64/2; maxpool3/2(p=1); aggregated(64) x3; "
        "aggregated(128) x4/2; aggregated(256) x6/2; aggregated(512) x3/2; gap; fc-1000",
        25_028_904,  # ResNeXt-50 32x4d
    ),
    "basic": (
        f"default conv(norm=bn, act=relu); {CIFAR}; conv3-16; basic(16) x18; basic(32) x18/2; "
        "basic(64) x18/2; gap; fc-10",
        1_730_714,  # ResNet-110 with option B
    ),
    "bottleneck": (
        f"default conv(norm=bn, act=relu); {IMAGENET}; conv7-64/2; maxpool3/2(p=1); bottleneck(64) x3; "
        "bottleneck(128) x4/2; bottleneck(256) x6/2; bottleneck(512) x3/2; gap; fc-1000",
        25_557_032,  # ResNet-50
    ),
    "dense": (
        f"default conv(norm=bn, act=relu, order=pre, bias=false); {CIFAR}; conv3-24(norm=none, act=none); "
        "dense(12) x16; transition(2); dense(12) x16; transition(2); dense(12) x16; bn; relu; gap; fc-10",
        769_162,  # DenseNet-BC, k = 12, L = 100
    ),
    "down": ("default conv(act=relu); input 64x32x32; down(128)", 73_856 + 147_584),
    "fire": (
        f"default conv(act=relu); default maxpool(ceil=true); {IMAGENET}; conv7-96/2(p=0); maxpool3/2; "
        "fire(16, 64, 64) x2; fire(32, 128, 128); maxpool3/2; fire(32, 128, 128); fire(48, 192, 192) x2; "
        "fire(64, 256, 256); maxpool3/2; fire(64, 256, 256); dropout; conv1-1000; gap",
        1_248_424,  # SqueezeNet 1.0
    ),
    "fractal": (f"default conv(bias=false); {CIFAR}; fractal(3, 64)", 9 * (3 * 3 * 64 + 4 * 64 * 64)),
    "inception": (
        "default conv(act=relu); input 192x28x28; inception(64, 96, 128, 16, 32, 32)",
        163_328 + 368,  # GoogLeNet's 3a: the table's 159.5 K weights, K = 1024, and biases
    ),
    "inverted": (
        "default conv(norm=bn, act=relu6); input 24x56x56; inverted/2(6, 32)",
        (24 * 144 + 9 * 144 + 144 * 32) + 2 * (144 + 144 + 32),
    ),
    "mbconv": (
        f"default conv(norm=bn, act=silu); {IMAGENET}; conv3-32/2; mbconv(1, 16); mbconv(6, 24) x2/2; "
        "mbconv(6, 40, 5) x2/2; mbconv(6, 80) x3/2; mbconv(6, 112, 5) x3; mbconv(6, 192, 5) x4/2; "
        "mbconv(6, 320); conv1-1280; gap; dropout(0.2); fc-1000",
        5_288_548,  # EfficientNet-B0
    ),
    "preact": (
        f"{CIFAR}; conv3-16(bias=false); preact(16) x3; preact(32) x3/2; preact(64) x3/2; "
        "bn; relu; gap; fc-10",
        272_282,  # pre-activation ResNet-20 with projections (pytorchcv preresnet20_cifar10)
    ),
    "preact_bottleneck": (
        f"{CIFAR}; conv3-16(bias=false); preact_bottleneck(16) x18; preact_bottleneck(32) x18/2; "
        "preact_bottleneck(64) x18/2; bn; relu; gap; fc-10",
        1_703_258,  # pre-activation ResNet-164
    ),
    "se": ("input 64x8x8; se", 64 * 4 + 4 + 4 * 64 + 64),
    "separable": (
        f"default conv(norm=bn, act=relu); {IMAGENET}; conv3-32/2; separable(64); separable(128) x2/2; "
        "separable(256) x2/2; separable(512) x6/2; separable(1024) x2/2; gap; fc-1000",
        4_231_976,  # MobileNet
    ),
    "transition": ("default conv(bias=false); input 256x56x56; transition(2)", 256 * 128),
    "up": (
        "default conv(act=relu); input 64x32x32; conv3-64 as skip; down(128); up(64, @skip)",
        36_928 + 221_440 + 32_832 + 73_792 + 36_928,
    ),
    "wide": (
        f"{CIFAR}; conv3-16(bias=false); wide(160) x4; wide(320) x4/2; wide(640) x4/2; bn; relu; gap; fc-10",
        36_479_194,  # WRN-28-10
    ),
}
"""Library block: a text that is made of it, and how many parameters that has."""


def spec_files() -> list[Path]:
    return sorted(specs_root().rglob("*.arch"))


def networks() -> list[str]:
    return api.shipped_names()


def families() -> list[Path]:
    return sorted((specs_root() / "families").rglob("*.arch"))


def library() -> list[Path]:
    return sorted(library_root().glob("*.arch"))


def shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def test_every_network_is_listed():
    assert set(networks()) == set(PUBLISHED)
    assert len(networks()) >= 28
    assert len(spec_files()) == len(networks()) + len(families()) + len(library())


@pytest.mark.parametrize("path", spec_files(), ids=lambda p: p.relative_to(specs_root()).as_posix())
def test_checks_without_findings(path):
    source, resolved = api.open_spec(path)
    checked = api.check(source, path=resolved)
    assert checked.diagnostics == ()
    assert len(checked.networks) == len(re.findall(r"^arch ", source.text, re.MULTILINE))


@pytest.mark.parametrize("name", PUBLISHED)
def test_figures(name):
    network, published = archdsl.load(name), PUBLISHED[name]
    assert network.params == published.params
    assert network.macs == published.macs


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes(name):
    """Each size of the list appears, in this order."""
    network = archdsl.load(name)
    sizes = iter([shape_text(network.nodes[i].shape) for i in network.evaluated])
    for wanted in PUBLISHED[name].sizes.split():
        assert wanted in sizes, f"{wanted} does not appear, or not here"
    assert next(sizes, None) in (None, wanted), "the list ends before the network"


@pytest.mark.parametrize("name", WITHOUT_SIDE_HEADS)
def test_without_side_heads(name):
    bare, whole = archdsl.load(name, aux=False), archdsl.load(name)
    assert bare.params == WITHOUT_SIDE_HEADS[name]
    assert bare.macs == whole.macs
    assert [o.name for o in bare.outputs] == ["out"]


def test_side_heads():
    assert [(o.name, o.weight) for o in archdsl.load("googlenet").outputs if o.aux] == [
        ("aux1", 0.3),
        ("aux2", 0.3),
    ]
    assert [(o.name, o.weight) for o in archdsl.load("googlenet_bn").outputs if o.aux] == [
        ("aux1", 0.3),
        ("aux2", 0.3),
    ]
    assert [(o.name, o.weight) for o in archdsl.load("inception_v3").outputs if o.aux] == [("aux1", 0.4)]


@pytest.mark.parametrize("name", STAGES)
def test_stages_are_labelled(name):
    network = archdsl.load(name)
    taps = {label: shape_text(network.nodes[index].shape) for label, index in network.taps}
    assert taps == dict(zip(("c2", "c3", "c4", "c5"), STAGES[name].split(), strict=True))


@pytest.mark.parametrize("name", PUBLISHED)
def test_takes_other_classes(name):
    """`classes` is a parameter of every network, of its main output and of its heads."""
    network = archdsl.load(name, classes=7)
    assert {network.nodes[output.node].shape[0] for output in network.outputs} == {7}


@pytest.mark.parametrize("name", PUBLISHED)
def test_says_where_it_comes_from(name):
    network = archdsl.load(name)
    assert re.search(r"arXiv \d{4}\.\d{4,5}|\b(19|20)\d\d\b|POSTECH", network.documentation), (
        "no source above the arch"
    )


FIGURE = re.compile(r"expect\(params=([\d_]+),(?: buffers=[\d_]+, total=[\d_]+,)? macs=([\d_.]+G?)\)")


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("group", (1, 2), ids=("params", "macs"))
def test_expect_is_there_and_is_checked(name, group):
    """A spec with another figure is refused, and for that figure only."""
    source, path = api.open_spec(name)
    (found,) = FIGURE.finditer(source.text)
    figure = found[group]
    wrong = (
        figure.replace("4.09G", "4.10G") if figure.endswith("G") else str(int(figure.replace("_", "")) + 1)
    )
    text = source.text[: found.start(group)] + wrong + source.text[found.end(group) :]
    checked = api.check(api.Source(source.name, text), path=path)
    assert [(d.code, d.span.text) for d in checked.diagnostics] == [
        ("A208", f"{('params', 'macs')[group - 1]}={wrong}")
    ]


@pytest.mark.parametrize("path", [*library(), *families()], ids=lambda p: p.stem)
def test_shared_files_explain_themselves(path):
    """Every block has a comment right above it, and a file names a source."""
    text = path.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"((?:^#.*\n)*)^block (\w+)\(([^)]*)\)", text, re.MULTILINE))
    assert blocks and not re.search(r"^arch ", text, re.MULTILINE)
    assert re.search(r"arXiv \d{4}\.\d{4,5}", text)
    for block in blocks:
        assert block[1], f"{block[2]} has no comment"


@pytest.mark.parametrize("path", library(), ids=lambda p: p.stem)
def test_library_blocks_explain_their_parameters(path):
    text = path.read_text(encoding="utf-8")
    (found,) = re.finditer(rf"^block {path.stem}\(([^)]*)\)", text, re.MULTILINE)
    comment = text[: found.start()]
    for parameter in found[1].split(","):
        name = parameter.partition("=")[0].strip()
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", comment), f"the comment does not mention {name}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_library_block_has_known_figures(name):
    text, params = EXAMPLES[name]
    assert re.search(rf"\b{name}\b", text)
    assert archdsl.loads(text).params == params


def test_every_library_block_has_an_example():
    assert set(EXAMPLES) == {path.stem for path in library()}


def on_meta(network: Network):
    import torch

    with torch.device("meta"):
        return archdsl.build(network)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_built_module_has_the_parameters(name):
    network = archdsl.load(name)
    model = on_meta(network)
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED[name].params
    buffers = (b.numel() for key, b in model.named_buffers() if not key.endswith("num_batches_tracked"))
    assert sum(buffers) == network.buffers


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: archdsl.loads("conv3-4", input=224), ValueError, "written as 3x224x224, not 224"),
        (lambda: archdsl.loads("conv3-4", input="3x"), ValueError, "written as 3x224x224, not '3x'"),
        (lambda: archdsl.loads(b"conv3-4", input="3x8x8"), TypeError, "the text of a spec, not bytes"),
        (lambda: archdsl.emit("vgg16"), TypeError, "emit takes a Network, not str"),
        (lambda: archdsl.build("vgg16", out="c3"), TypeError, "give features_only=True"),
        (lambda: archdsl.build(archdsl.load("lenet5"), classes=3), TypeError, "already loaded: classes"),
        (lambda: archdsl.build("no_such_net"), OSError, "no shipped network is called 'no_such_net'"),
    ],
    ids=["number", "half", "bytes", "name", "out", "options", "file"],
)
def test_wrong_calls_are_told_in_words(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
