"""`Network.hash`: two ways to write one network have one hash, two networks have two."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from drawing import LABELS, drawn_from, one_thread

import archdsl
from archdsl.api import shipped_names

BLOCK = "block b(f, s=1) { conv3-f/s; relu }\n"


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


def hash_of(body: str, blocks: str = "") -> str:
    text = body if body.lstrip().startswith(("arch", "block")) else f"{blocks}arch n {{ input 4x16x16; {body} }}"
    return archdsl.loads(text).hash


SAME: dict[str, tuple[str, ...]] = {
    "names": ("arch n { input 3x8x8; conv3-8 }", "arch other { input 3x8x8; conv3-8 }"),
    "labels": ("conv3-8; relu", "conv3-8 as a; relu as b"),
    "labels that are used": (
        "conv3-4 as a; conv3-4; add [ identity | @a ]",
        "conv3-4 as z; conv3-4; add [ identity | @z ]",
    ),
    "the order of definitions": (
        "block a() { relu }\nblock b() { tanh }\narch n { input 3x8x8; a; b }",
        "arch n { input 3x8x8; a; b }\nblock b() { tanh }\nblock a() { relu }",
    ),
    "the names of blocks and parameters": (
        "block a(f) { conv3-f }\narch n { input 3x8x8; a(8) }",
        "block c(width) { conv3-width }\narch n { input 3x8x8; c(width=8) }",
    ),
    "comments and blanks": ("conv3-8; relu", "conv3-8  # first\n\n relu ;;"),
    "a repeat": ("conv3-8 x3", "conv3-8; conv3-8; conv3-8", "{ conv3-8 } x3", "conv3-8; conv3-8 x2"),
    "a strided repeat": ("conv3-8 x3/2", "conv3-8/2; conv3-8 x2"),
    "arguments that state the default": (
        "conv3-8",
        "conv3-8(p=1)",
        "conv3-8/1(padding=(1, 1), dilation=1, groups=1)",
        "conv3x3-8(p=same)",
        "conv(kernel=3, channels=8)",
        "conv3-8(norm=none, act=none, bias=true)",
    ),
    "a pool in full": ("maxpool", "maxpool2", "maxpool2/2", "maxpool2/2(p=0, ceil=false)", "maxpool2(p=valid)"),
    "default": ("default conv(norm=bn, act=relu); conv3-8", "conv3-8(norm=bn, act=relu)", "conv3-8(bias=false); bn; relu"),
    "order": ("conv3-8(norm=bn, act=relu, order=pre)", "bn; relu; conv3-8"),
    "a block": ("b(8)", "conv3-8; relu", "b(8, s=1)", "b/1(8)"),
    "a block of the library": (
        "basic(4)",
        "residual { conv3-4; conv3-4 }; relu",
        "add [ conv3-4; conv3-4 | identity ]; relu",
    ),
    "a projection": (
        "residual { conv3-8/2 }",
        "residual(shortcut=projection) { conv3-8/2 }",
        "add [ conv3-8/2 | conv1-8/2 ]",
    ),
    "a group": ("{ conv3-8; relu }", "conv3-8; relu", "{ { conv3-8 }; relu } as g"),
    "if": ("if 1 == 1 { relu } else { tanh }", "relu"),
    "let": ("let w = 4*2; conv3-w", "conv3-8"),
    "fc flattens": ("fc-10", "flatten; fc-10", "flatten; flatten; fc-10", "identity; flatten; fc-10"),
    "identity": ("relu", "identity; relu; identity", "identity as a; relu"),
    "separable": ("sepconv3-8", "dwconv3(bias=false); conv1-8"),
    "the order of what is added": (
        "add [ conv3-8 | conv5-8; relu ]",
        "add [ conv5-8; relu | conv3-8 ]",
    ),
    "the order of means, maxima and products": (
        "mean [ conv3-8 | conv5-8 ]; maximum [ relu | tanh ]; mul [ relu | sigmoid ]",
        "mean [ conv5-8 | conv3-8 ]; maximum [ tanh | relu ]; mul [ sigmoid | relu ]",
    ),
    "a reference": ("conv3-8 as a; relu; add [ identity | @a ]", "conv3-8; add [ relu | identity ]"),
    "a contract": ("conv3-8 -> 8x16x16", "conv3-8"),
    "an expectation": ("conv3-8; expect(params=296)", "conv3-8"),
    "the order of heads": (
        "aux(0.3) { gap; fc-2 } as a; aux(0.5) { gap; fc-3 } as b; relu",
        "aux(0.5) { gap; fc-3 } as b; aux(0.3) { gap; fc-2 } as a; relu",
    ),
    "recursion": ("block f(n) { relu; if n > 1 { f(n - 1) } }\narch n { input 4x16x16; f(3) }", "relu x3"),
    "carry": (
        "relu as a; tanh; carry(p=@a) { add [ relu | @p ] x2 }",
        "relu as a; tanh as b; add [ relu | @a ] as c; add [ relu | @b ]",
    ),
}


@pytest.mark.parametrize("what", SAME)
def test_sugar_and_names_don_t_matter(what):
    texts = SAME[what]
    hashes = {text: hash_of(text, BLOCK) for text in texts}
    assert len(set(hashes.values())) == 1, hashes


DIFFERENT: dict[str, tuple[str, ...]] = {
    "sizes": tuple(f"arch n {{ input {size}; relu }}" for size in ("3x8x8", "4x8x8", "3x9x8", "3x8x9", "3xHxW", "3xHxH")),
    "kinds": ("relu", "relu6", "tanh", "silu", "gelu", "bn", "maxpool", "avgpool", "gap", "lrn", "softmax", "prelu"),
    "a conv's numbers": (
        *("conv3-8", "conv1-8", "conv5-8", "conv3x5-8", "conv5x3-8", "conv3-12", "conv3-8/2", "conv3-8(p=0)"),
        *("conv3-8(p=2)", "conv3-8(p=(0, 2, 1, 1))", "conv3-8(p=(2, 0, 1, 1))", "conv3-8(dilation=2)"),
        *("conv3-8(groups=2)", "conv3-8(groups=4)", "conv3-8(bias=false)", "dwconv3(multiplier=2)", "sepconv3-8"),
    ),
    "even kernels": ("conv2-8(p=same)", "conv2-8", "conv2-8(p=0)"),
    "a pool's numbers": (
        *("maxpool3/2", "maxpool3/2(p=1)", "maxpool3/2(ceil=true)", "maxpool3", "maxpool2", "maxpool3/2(p=same)"),
        *("avgpool3/2", "avgpool3/2(p=1)", "avgpool3/2(p=1, include_pad=false)"),
    ),
    "a norm's numbers": ("bn", "bn(eps=1e-3)", "bn(momentum=0.01)", "bn(gamma=false)", "bn(beta=false)"),
    "a share": ("dropout(0.5)", "dropout(0.4)", "droppath(0.4)"),
    "the order of steps": ("relu; bn", "bn; relu"),
    "the order of a concat": ("concat [ conv1-4 | conv3-4 ]", "concat [ conv3-4 | conv1-4 ]"),
    "the order of a concat of equal ops": (
        "relu as a; tanh as b; concat [ @a | @b ]",
        "relu as a; tanh as b; concat [ @b | @a ]",
    ),
    "the branches of a gate": ("gate [ conv3-4 | conv1-4 ]", "gate [ conv1-4 | conv3-4 ]"),
    "a gate's own input": ("gate [ relu | tanh ]", "relu; gate [ identity | tanh ]"),
    "shared or separate weights": (
        "conv3-4 as a; add [ @a | @a ]",
        "add [ conv3-4 | conv3-4 ]",
        "conv3-4; add [ identity | conv3-4 ]",
    ),
    "shared or separate weights, further up": (
        "conv3-4 as a; concat [ @a; relu | @a; tanh ]",
        "concat [ conv3-4; relu | conv3-4; tanh ]",
    ),
    "how often a tensor is read": ("add [ relu | relu ]", "add [ relu | relu | relu ]", "relu as a; add [ @a | @a | @a ]"),
    "merges": tuple(f"{kind} [ relu | tanh ]" for kind in ("add", "mul", "mean", "maximum", "concat", "gate")),
    "a mean's drop path": ("mean [ relu | tanh ]", "mean(drop_path=0.1) [ relu | tanh ]"),
    "a residual's options": (
        *("residual { conv3-4 }", "residual(shortcut=projection) { conv3-4 }", "residual(scale=0.5) { conv3-4 }"),
        *("residual(drop_path=0.1) { conv3-4 }", "conv3-4"),
    ),
    "a shortcut": ("residual(shortcut=pad) { conv3-8/2 }", "residual { conv3-8/2 }"),
    "depth": ("relu", "relu x2", "relu x3"),
    "heads": (
        "relu; gap",
        "relu; aux(0.3) { gap } as a; gap",
        "relu; aux(0.4) { gap } as a; gap",
        "aux(0.3) { gap } as a; relu; gap",
    ),
    "outputs": (
        "relu as a; tanh as b",
        "relu as a; tanh as b; output @a",
        "relu as a; tanh as b; output @a, @b",
    ),
    "where a copy of a chain is read": (
        "conv3-4 as a; conv3-4 as b; concat [ @a | @b ]",
        "conv3-4 as a; conv3-4 as b; concat [ @b | @a ]",
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_is_real_matters(what):
    texts = DIFFERENT[what]
    hashes = {text: hash_of(text) for text in texts}
    assert len(set(hashes.values())) == len(texts), hashes


def test_shared_and_separate_weights_below_a_merge_of_equals():
    """Two pairs that use one stem each, or one that both use, wired crosswise: counted nodes alone don't tell."""
    one = "conv3-4 as a; relu as b; @a; conv3-4; add [ identity | @b ]"
    two = "conv3-4 as a; conv3-4 as b; @a; relu; add [ identity | @b ]"
    assert hash_of(one) == hash_of(two)
    paired = (
        "relu as i; conv3-4 as a; @i; conv3-4 as b; "
        "concat [ @a; tanh | @a; silu | @b; tanh | @b; silu ]; relu"
    )
    crossed = (
        "relu as i; conv3-4 as a; @i; conv3-4 as b; "
        "concat [ @a; tanh | @b; silu | @b; tanh | @a; silu ]; relu"
    )
    assert hash_of(paired) != hash_of(crossed)


def test_shipped_networks_are_all_different():
    hashes: dict[str, str] = {}
    for name in shipped_names():
        network = archdsl.load(name)
        assert re.fullmatch(r"[0-9a-f]{64}", network.hash)
        assert network.hash == archdsl.load(name).hash
        hashes[name] = network.hash
    assert len(set(hashes.values())) == len(hashes)


def test_a_parameter_changes_the_hash():
    assert archdsl.load("resnet18", classes=10).hash != archdsl.load("resnet18").hash
    assert archdsl.load("resnet18", classes=1000).hash == archdsl.load("resnet18").hash


def test_drawn_specs_renamed():
    """Other labels, other block names, no comments, other blanks: the same network."""
    compared = 0
    for seed in range(180):
        drawn = drawn_from(random.Random(seed), wild=0.0)
        try:
            network = archdsl.loads(drawn.text)
        except archdsl.ArchError:
            continue
        text = drawn.text
        for label in LABELS:
            text = re.sub(rf"(@|as ){label}\b", rf"\1other_{label}", text)
        for block in re.findall(r"^block (\w+)", drawn.text, re.MULTILINE):
            text = re.sub(rf"(?<![@.\w]){block}(?=\()|(?<![@.\w]){block}(?=/[12s]\()", f"my_{block}", text)
        text = text.replace("\n", "  # a comment\n\n")
        try:
            other = archdsl.loads(text)
        except archdsl.ArchError:
            continue  # a label that is a tensor parameter too
        assert other.hash == network.hash, f"seed {seed}\n{drawn.text}\n{text}"
        compared += 1
    assert compared > 60


def test_drawn_specs_changed():
    """One number or activation changed for another that is accepted too: another network."""
    compared = 0
    swaps = [("conv3-", "conv1-"), ("relu", "tanh"), ("silu", "gelu"), ("sigmoid", "hsigmoid"), ("avgpool", "maxpool")]
    for seed in range(300):
        drawn = drawn_from(random.Random(seed), wild=0.0)
        try:
            network = archdsl.loads(drawn.text)
        except archdsl.ArchError:
            continue
        for before, after in swaps:
            head, _, arch = drawn.text.partition("arch net")
            changed = f"{head}arch net{arch.replace(before, after, 1)}"
            if changed == drawn.text:
                continue
            try:
                other = archdsl.loads(changed)
            except archdsl.ArchError:
                continue
            kinds = [(n.kind, str(n.op), n.inputs) for n in network.nodes]
            if kinds != [(n.kind, str(n.op), n.inputs) for n in other.nodes]:
                assert other.hash != network.hash, f"seed {seed}\n{drawn.text}\n{changed}"
                compared += 1
    assert compared > 100
