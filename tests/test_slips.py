"""Slips of the hand: each gives one error, and the edit that it suggests is what was meant."""

from __future__ import annotations

import time

import pytest

from archdsl.api import check
from archdsl.diagnostics import Diagnostic
from archdsl.fixes import fixed
from archdsl.render import to_text
from archdsl.source import Source


def text_with(typed: str) -> str:
    return f"arch net(classes=10) {{\n default conv(act=relu)\n input 3x32x32\n {typed}\n gap; fc-classes\n}}\n"


def errors(text: str) -> list[Diagnostic]:
    return [d for d in check(Source("net.arch", text)).diagnostics if d.severity == "error"]


def edited(text: str, d: Diagnostic) -> str | None:
    return None if d.fix is None else text[: d.fix.span.start] + d.fix.text + text[d.fix.span.stop :]


MEANT = [
    ("[conv3-64, relu] * 2", "{ conv3-64; relu } x2"),
    ("[conv3-64(p=(1, 1)); relu] x 3", "{ conv3-64(p=(1, 1)); relu } x3"),
    ("[conv3-64; relu]", "{ conv3-64; relu }"),
    ("(conv3-32, relu) x2", "{ conv3-32; relu } x2"),
    ("2 x { conv3-32; relu }", "{ conv3-32; relu } x2"),
    ("layer1: bottleneck(64) x 3", "bottleneck(64) x3 as layer1"),
    ("conv3-64 \u2192 bn \u21d2 relu", "conv3-64; bn; relu"),
    ("for i in range(3) { conv3-64; relu }", "{ conv3-64; relu } x3"),
    ("conv5x5(6, padding=2)", "conv5x5-6(padding=2)"),
    ("res { conv3-3 }", "residual { conv3-3 }"),
    ("conv3-64 @a; relu", "conv3-64 as a; relu"),
    ("conv3-64/2(p=1) @a", "conv3-64/2(p=1) as a"),
    ("c1: conv3-64 x2; relu", "conv3-64 x2 as c1; relu"),
    ("c1 = conv3-64(p=1)", "conv3-64(p=1) as c1"),
    ("conv3-64 as a; relu @a", "conv3-64 as a; relu; @a"),
    ("conv3-64x2", "conv3-64 x2"),
    ("conv3-64x16", "conv3-64 x16"),
    ("conv3-64(stride=2)/2", "conv3-64/2"),
    ("conv3-64(act=relu)/2", "conv3-64/2(act=relu)"),
    ("conv3-64(", "conv3-64()"),
    ("conv3-64(p=1,", "conv3-64(p=1,)"),
    ("conv3-64(p=1", "conv3-64(p=1)"),
    ("conv3-64(p=1,\n act=relu", "conv3-64(p=1,\n act=relu)"),
    ("conv3-64.", "conv3-64"),
    ("maxpool/2.", "maxpool/2"),
    ("dropout(.5)", "dropout(0.5)"),
    ("residual(scale=1.) { relu }", "residual(scale=1.0) { relu }"),
    ("defualt conv(norm=bn)", "default conv(norm=bn)"),
    ("lett w = 64", "let w = 64"),
    ("Let w = 64", "let w = 64"),
    ("conv3/2-64", "conv3-64/2"),
    ("conv-3-64", "conv3-64"),
    ("conv3-64+bn+relu", "conv3-64; bn; relu"),
    ("conv3-64-bn-relu", "conv3-64; bn; relu"),
    ("let k = 4; conv3-k-1", "let k = 4; conv3-(k-1)"),
    ("let bn = 4; conv3-64-bn", "let bn = 4; conv3-(64-bn)"),
    ("conv3-64, relu", "conv3-64; relu"),
    ("conv3-64, stride 2", "conv3-64/2"),
    ("conv3-64 stride=2", "conv3-64/2"),
    ("conv3-64, stride=2, padding=1", "conv3-64/2(p=1)"),
    ("conv3-64 p1", "conv3-64(p=1)"),
    ("conv3-64 s2 p1", "conv3-64/2(p=1)"),
    ("conv3-64 same", "conv3-64(p=same)"),
    ("maxpool3 stride 2", "maxpool3/2"),
    ("[3x3, 64] x3", "{ conv3-64 } x3"),
    ("[1x1, 64; 3x3, 64; 1x1, 256] x3", "bottleneck(64) x3"),
    ("[1x1, 64; 3x3, 64; 1x1, 128] x 3", "{ conv1-64; conv3-64; conv1-128 } x3"),
    ("[3x3, 64; 3x3, 64] x2 as c2", "basic(64) x2 as c2"),
    ("conv 3x3, 128", "conv3-128"),
    ("conv 3x3/2, 64", "conv3-64/2"),
    ("conv 3x3, stride 2, padding 0, 64", "conv3-64/2(p=0)"),
    ("conv(3x3, 64)", "conv3-64"),
    ("conv(3x3)-64", "conv3-64"),
    ("conv3x3x64", "conv3x3-64"),
    ("3x3-64", "conv3-64"),
    ("64 conv3", "conv3-64"),
    ("3x3 conv, 64, bn, relu", "conv3-64; bn; relu"),
    ("3x3 conv, 64, 3x3 conv, 128", "conv3-64; conv3-128"),
    ("max pool", "maxpool"),
    ("3x3 conv, 64 x2", "conv3-64 x2"),
    ("3x3 conv, 64, stride 2 as c1 -> 64x16x16", "conv3-64/2 as c1 -> 64x16x16"),
    ("3x3 conv, 64, relu -> 64x32x32", "conv3-64; relu -> 64x32x32"),
    ("3\u00d73 conv, 64", "conv3-64"),
    ("conv 3 x 3, 64", "conv3-64"),
    ("[3\u00d73, 64; 3\u00d73, 64] \u00d72", "basic(64) x2"),
    ("MaxPool 2x2", "maxpool2"),
    ("aux(0.1) { FC 1000 }", "aux(0.1) { fc-1000 }"),
    ("aux(0.1) { Dense 10 }", "aux(0.1) { fc-10 }"),
    ("dropout 50%", "dropout(0.5)"),
    ("relu relu", "relu; relu"),
    ("tanh, relu", "tanh; relu"),
    ("3x3 max pool, stride 2", "maxpool3/2"),
    ("Avg Pool / s1 Pool 7x7", "avgpool7/1"),
    ("2x2 average pool, stride 2", "avgpool2"),
    ("aux(0.3) { global average pool, 1000-d fc, softmax }", "aux(0.3) { gap; fc-1000; softmax }"),
    ("Conv / s2 3x3x3x32", "conv3-32/2"),
    ("Conv dw / s1 3x3x32 dw", "dwconv3"),
    ("Conv / s1 1x1x32x64", "conv1-64"),
    ("3x3 depthwise conv, stride 2", "dwconv3/2"),
    ("2x2 transposed conv, 64, stride 2", "upconv2-64/2"),
    ("aux(0.1) { fc/10 }", "aux(0.1) { fc-10 }"),
    ("aux(0.1) { fc[classes] }", "aux(0.1) { fc-classes }"),
    ("conv3-32 -> relu", "conv3-32; relu"),
    ("conv3-32 -> relu -> maxpool", "conv3-32; relu; maxpool"),
    ("conv3-32 -> 32x32x32 -> maxpool", "conv3-32 -> 32x32x32; maxpool"),
    ("conv3-32 -> conv3-64/2", "conv3-32; conv3-64/2"),
    ("conv3-32 => relu => maxpool", "conv3-32; relu; maxpool"),
    ("conv3-32 | bn | relu", "conv3-32; bn; relu"),
    ("residual { conv3-32; conv3-32 } + relu", "residual { conv3-32; conv3-32 }; relu"),
    ("3 x conv3-32/2", "conv3-32/2 x3"),
    ("2x conv3-32", "conv3-32 x2"),
    ("conv3-32 (x3)", "conv3-32 x3"),
    ("basic(64) * 2", "basic(64) x2"),
    ("(conv3-32; relu) x2", "{ conv3-32; relu } x2"),
    ("(conv3-32\n relu)", "{ conv3-32\n relu }"),
    ("- conv3-32", "conv3-32"),
    ("* conv3-32 x2", "conv3-32 x2"),
    ("concat(conv1-32, conv3-32(p=1))", "concat [ conv1-32 | conv3-32(p=1) ]"),
    ("concat(conv1-32 | conv3-32; relu)", "concat [ conv1-32 | conv3-32; relu ]"),
    ("residual(conv3-32; conv3-32)", "residual { conv3-32; conv3-32 }"),
    ("concat(relu, tanh)", "concat [ relu | tanh ]"),
    ("conv3-8 as e1; conv3-8; concat(e1)", "conv3-8 as e1; conv3-8; concat [ identity | @e1 ]"),
    ("residual [ conv3-32; conv3-32 ]", "residual { conv3-32; conv3-32 }"),
    ("conv3-32(bn, relu)", "conv3-32(norm=bn, act=relu)"),
    ("conv3-32(relu)", "conv3-32(act=relu)"),
    ("conv3-32-s2", "conv3-32/2"),
    ("pointwise-128", "conv1-128"),
    ("dw3x3", "dwconv3x3"),
    ("depthwise_conv(3, stride=2)", "dwconv3/2"),
    ("SeparableConv2D(128, 3, padding='same')", "sepconv3-128(p=same)"),
    ("DepthwiseConv2D(3, strides=2, depth_multiplier=2)", "dwconv3/2(p=0, multiplier=2)"),
    ("conv3-32(act=relu) + bn + relu", "conv3-32(act=relu); bn; relu"),
    ("concat [ 1x1 conv 64, 3x3 conv 128 ]", "concat [ conv1-64 | conv3-128 ]"),
    ("64 3x3 conv, stride 2", "conv3-64/2"),
    ("3x3 conv, 64", "conv3-64"),
    ("7x7 conv, 64, /2", "conv7-64/2"),
    ("1x7 conv, 64", "conv1x7-64"),
    ("concat [ conv3-64, conv1-32 ]", "concat [ conv3-64 | conv1-32 ]"),
    ("concat [ conv3-64(p=1, act=relu), conv1-32, identity ]", "concat [ conv3-64(p=1, act=relu) | conv1-32 | identity ]"),
    ("concat [\n conv3-64,\n conv1-32\n ]", "concat [\n conv3-64 |\n conv1-32\n ]"),
    ("concat { conv3-64 | conv1-32 }", "concat [ conv3-64 | conv1-32 ]"),
    ("conv3-64 as c1; conv3-64; add @c1", "conv3-64 as c1; conv3-64; add [ identity | @c1 ]"),
    ("relu as a; tanh as b; concat @a, @b", "relu as a; tanh as b; concat [ @a | @b ]"),
    ("conv3-1,024", "conv3-1_024"),
    ("conv3-64(groups 1)", "conv3-64(groups=1)"),
    ("expect(params=2,506,762)", "expect(params=2_506_762)"),
    ("expect(params=2,506, macs=1M)", "expect(params=2_506, macs=1M)"),
    ("expect(params 2506)", "expect(params=2506)"),
    ("expect(macs=0.03 m)", "expect(macs=0.03M)"),
]


@pytest.mark.parametrize(("typed", "meant"), MEANT)
def test_the_edit_is_what_was_meant(typed: str, meant: str) -> None:
    text = text_with(typed)
    (found,) = (d for d in errors(text) if d.code != "A208")
    assert edited(text, found) == text_with(meant)
    left = [d for d in errors(text_with(meant)) if d.code != "A208"]
    assert left == [], to_text(left)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Arch net {{ {} }}", "arch net {{ {} }}"),
        ("model net {{\n{}\n}}", "arch net {{\n{}\n}}"),
        ("blok bk(f) {{ conv3-f; relu }}\narch net {{ {}; bk(64) }}", "block bk(f) {{ conv3-f; relu }}\narch net {{ {}; bk(64) }}"),
        ("arch net {{ {} as c1; relu; ouput @c1 }}", "arch net {{ {} as c1; relu; output @c1 }}"),
        ("arch net {{ Input 3x9x9; {} }}", "arch net {{ input 3x9x9; {} }}"),
        ("arch net {{ input(3, 9, 9); {} }}", "arch net {{ input 3x9x9; {} }}"),
        ("arch net {{ input = 3x9x9; {} }}", "arch net {{ input 3x9x9; {} }}"),
        ("arch net {{ input 3 x 9 x 9; {} }}", "arch net {{ input 3x9x9; {} }}"),
    ],
)
def test_words_of_the_language(text: str, meant: str) -> None:
    steps = "tanh" if "nput" in text and "9" in text else "input 3x9x9; tanh"
    text, meant = text.format(steps), meant.format(steps)
    (found,) = errors(text)
    assert edited(text, found) == meant
    assert errors(meant) == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("conv3-64x64", "write `conv3-64 x64` for 64 copies"),
        ("conv3-64(stride=2)/4", "keep one of them"),
        ("conv3-64(p=", "write the value, and `)`"),
        ("conv3-64 x2.5", "write how many copies there are: `x2`"),
        ("1. conv3-64", "a statement starts with a layer"),
        ("conv3-64/.5", "write a whole number"),
        ("7x7/2", "write `conv7-64/2`, with its own width"),
        ("[1x1 conv; 3x3 conv] x 6", "write `{ conv1-64; conv3-64 } x6`, with its own widths"),
        ("conv 3x3, 64, 128", "write both: `conv3x3-64`"),
        ("conv3-64-2", "write `conv3-64/2` for a stride, `conv3-(64-2)` for a difference"),
        ("conv-bn-relu", "write `conv3-64(norm=bn, act=relu)`, or `conv3-64; bn; relu`"),
        ("conv64/2", "write the width after it: `conv3-64`"),
        ("x = input", "remove it; `residual { ... }` adds what comes in"),
        ("x = input(3, 32, 32)", "remove it; `residual { ... }` adds what comes in"),
        ("x = conv(x, 64, 3)", "write the layer alone"),
        ("x + y", "write `add [ x | y ]`"),
        ("(conv3-32, relu)", "write `{ conv3-32; relu }` for one after another"),
        ("[conv1-32, conv3-32]", "`concat [ a | b ]` for branches side by side"),
        ("parallel [ conv1-64 | conv3-32 ]", "write `concat [ a | b ]`, or add, mul, mean or maximum"),
        ("Sequential(Conv2d(3, 16, 3), ReLU(), MaxPool2d(2))", "write the layers alone, one after another"),
        ("def tiny(classes=10):", "write a network, `arch net { ... }`"),
        ("conv3-64, 3", "write `;` between two steps"),
        ("conv3-64 frobnicate=3", "put `;` between two steps"),
        ("conv3-64-relu x2", "write `conv3-64; relu`"),
        ("conv3-64,128", "write `64_128`"),
    ],
)
def test_what_may_mean_several_things_is_left_to_its_author(typed: str, said: str) -> None:
    text = text_with(typed)
    (found,) = errors(text)
    assert said in found.hint and found.fix is None
    assert fixed(Source("net.arch", text), check).applied == 0


@pytest.mark.parametrize(
    "text",
    [
        "arch net(relu=32) {\n input 3x9x9; conv3-relu -> relux9x9; fc-relu -> relu\n}",
        "arch net {\n input 3x9x9; let relu = 4; conv1-relu -> relux_x_; fc-10 -> 10\n}",
    ],
)
def test_a_shape_may_be_called_as_a_layer_is(text: str) -> None:
    assert errors(text) == []


def test_a_body_that_is_missing_is_told_once() -> None:
    """What it would have given names to is no other mistake."""
    (found,) = errors("arch net(classes=10)\n input 3x9x9\n fc-classes\n")
    assert found.label == "`{` is missing here"


@pytest.mark.parametrize(("typed", "meant"), MEANT)
def test_what_is_written_without_asking_is_what_was_meant(typed: str, meant: str) -> None:
    assert fixed(Source("net.arch", text_with(typed)), check).source.text in (text_with(typed), text_with(meant))


def test_a_long_word_costs_no_more_than_its_length() -> None:
    started = time.process_time()
    assert errors("a" * 20_000 + "(conv3-3; b)")
    assert time.process_time() - started < 3  # 7 where the end of every name is looked for from each of its letters


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gap; dense(10, relu)", "gap; fc-10(act=relu)"),
        ("gap; dense(classes, activation=softmax)", "gap; fc-classes(act=softmax)"),
        ("flatten; dense(classes)", "flatten; fc-classes"),
        ("flatten; linear(1000)", "flatten; fc-1000"),
        ("gap; Linear( 10 )", "gap; fc-10"),
    ],
)
def test_dense_as_keras_has_it(typed: str, meant: str) -> None:
    """And not as DenseNet, whose layer is the library's."""
    text = f"arch net(classes=10) {{\n input 3x32x32\n {typed}\n}}\n"
    (found,) = errors(text)
    assert edited(text, found) == text.replace(typed, meant)
    assert errors(text.replace(typed, meant)) == []


def test_dense_that_may_be_either() -> None:
    (found,) = errors(text_with("conv3-16; dense-12"))
    assert found.fix is None and "dense(k) adds channels, as in DenseNet; a fully connected layer is `fc-12`" in found.hint
    assert errors(text_with("conv3-16; dense(12)")) == []
    (found,) = check(Source("net.arch", "input 3x32x32; gap; dense(12)")).diagnostics
    assert (found.code, found.hint) == ("L112", "`dense` is a block of convolutions; a fully connected layer is `fc-10`")
