"""Remarks: what draws them and what does not, ignores, and fixes that are applied."""

from __future__ import annotations

import random
import re
import time
from functools import partial
from pathlib import Path

import pytest
from test_mutations import mutated

import archdsl
from archdsl import api
from archdsl.fixes import SAFE, fixed
from archdsl.lints import GROUPS, LINTS, chosen_codes
from archdsl.lints.coverage import _unread
from archdsl.lints.windows import _used
from archdsl.resources import specs_root
from archdsl.source import Source

ERRORS = Path(__file__).resolve().parent / "errors"
SPECS = sorted(specs_root().rglob("*.arch"))


def told(text: str, **options) -> list[str]:
    """Code and what is underlined, of each remark."""
    return [f"{d.code} {d.span.text}" for d in api.check(Source("<text>", text), **options).diagnostics]


def in_net(body: str, **options) -> list[str]:
    return told(f"arch net {{\ninput 3x32x32\n{body}\n}}\n", **options)


# ---- each lint ----

CASES = [
    # L104, L105: what windows leave out
    ("maxpool2/3", ["L104 maxpool2/3"]),
    ("conv1-8/2", []),
    ("conv3-8/5(p=0)", ["L104 conv3-8/5(p=0)"]),
    ("conv3-8/4(dilation=2, p=3)", []),
    ("conv3-8(p=0); maxpool as c2 -> 8x15x15", []),
    ("conv4-8(p=0); maxpool as c2 -> 8x14x14", ["L105 maxpool"]),
    ("conv4-8(p=0); maxpool(ceil=true)", []),
    ("conv4-8(p=0); maxpool(p=same)", []),
    ("conv3-8/2", []),  # the row left over is padding
    ("conv3-8/2(p=0)", ["L105 conv3-8/2(p=0)"]),
    ("pad((0, 1, 0, 1)); conv3-8/2(p=0)", []),
    ("pad((1, 0, 1, 0)); conv3-8/2(p=(0, 1, 0, 1))", []),
    ("pad(2); maxpool5/3", []),
    # L106: steps that lead nowhere
    ("conv3-8 as a; relu; conv3-8; @a; relu", ["L106 conv3-8"]),
    ("conv3-8 as a; relu; conv3-8 as b; @a; relu", []),  # a label is a place to tap
    ("conv3-8 as a; relu; identity; @a; relu", ["L106 relu"]),
    ("conv3-8; aux(0.3) { gap; fc-10 } as aux1; relu", []),
    ("conv3-8 as a; relu as b; output @a, @b", []),
    # L110: a softmax at the end
    ("gap; fc-10; softmax", ["L110 softmax"]),
    ("gap; fc-10; softmax; identity", []),
    ("mul [ identity | gap; softmax ]; relu", []),
    # L111: a bias before a norm
    ("conv3-8; bn", ["L111 conv3-8"]),
    ("conv3-8(bias=true); bn", []),
    ("conv3-8(bias=false); bn", []),
    ("conv3-8(norm=bn)", []),
    ("default conv(bias=true)\nconv3-8; bn", []),
    ("default conv(norm=bn, bias=true)\nconv3-8", []),
    ("conv3-8 as a; bn; add [ identity | @a ]", []),
    ("conv3-8; relu; bn", []),
    ("conv3-8/2(p=2); bn", ["L111 conv3-8/2(p=2)"]),
    ("conv3-8; instancenorm", ["L111 conv3-8"]),
    ("conv3-8; gn(2); dwconv3; ln", []),  # a mean of several channels leaves what is different of the biases
    ("conv3-8(bias=false); gn(2); conv3-8", []),  # the norm is not linear
    # L112: windows that never meet the image
    ("maxpool32; conv3-8", ["L112 conv3-8"]),
    ("maxpool16; conv3-8", []),
    ("maxpool16; conv5-8", ["L112 conv5-8"]),
    ("maxpool32; conv1-8", []),
    ("maxpool32; dwconv3", ["L112 dwconv3"]),
    ("maxpool32; conv3-8(p=same)", ["L112 conv3-8(p=same)"]),
    ("conv3-8(dilation=40, p=40)", ["L112 conv3-8(dilation=40, p=40)"]),
]


@pytest.mark.parametrize(("body", "wanted"), CASES)
def test_lints_of_networks(body, wanted):
    assert in_net(body) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("block b(f, s=1) { conv3-f/s; relu }\narch a { input 3x8x8; b(4) }", []),
        ("block b(f, s=1) { conv3-f; relu }\narch a { input 3x8x8; b(4) }", ["L107 s"]),
        ("block b(f, g=2*f) { conv3-g; relu }\narch a { input 3x8x8; b(4) }", []),
        ("block b(relu) { conv3-relu; tanh }\narch a { input 3x8x8; b(4) }", []),
        ("block b(@p) { relu }\narch a { input 3x8x8; conv3-4 as x; b(@x) }", ["L107 p"]),
        ("block b(@p) { add [ relu | @p ] }\narch a { input 3x8x8; conv3-4 as x; b(@x) }", []),
        ("arch a(classes=10) { input 3x8x8; gap; fc-10 }", ["L107 classes"]),
        ("arch a(p=4) { input 3x8x8; if p > 3 { relu } else { tanh } }", []),
        ("arch a(p=4) { input 3x8x8; relu -> 3x(2*p)x8 }", []),
        ("arch a(p=4) { input 3x8x8; relu x(p) }", []),
        ("let n = 3; input 3x8x8; relu", ["L107 n"]),
        ("let n = 3; input 3x8x8; relu x(n)", []),
        ("input 3x8x8; let n = in.c; conv3-n; relu", []),
        ("block b() { relu }\narch a { input 3x8x8; tanh }", ["L108 b"]),
        ("block b() { relu }\nblock c() { b }\narch a { input 3x8x8; tanh }", ["L108 b", "L108 c"]),
        ("block b() { relu }\nblock c() { b }\narch a { input 3x8x8; residual { c } }", []),
        ("block b() { relu }\nblock c() { b }", []),
        ("block b() { relu }\ninput 3x8x8; b", []),
        ("block b() { conv3-4 as x; relu }\ninput 3x8x8; b", ["L109 x"]),
        ("block b() { conv3-4 as x; relu; add [ identity | @x ] }\ninput 3x8x8; b", []),
        ("input 3x8x8; conv3-4 as x; relu", []),
    ],
)
def test_lints_of_texts(text, wanted):
    assert told(text) == wanted


def test_a_softmax_with_a_label_is_not_taken_out():
    """Something may read it."""
    for label, removable in (("", True), (" as a", False)):
        (found,) = api.check(Source("<text>", f"input 3x8x8\ngap; fc-4; softmax{label}")).diagnostics
        assert found.code == "L110" and (found.fix is not None) == removable


def test_a_use_without_effect(tmp_path):
    (tmp_path / "blocks.arch").write_text("block b() { relu }\nblock c() { tanh }\n")
    path = tmp_path / "net.arch"
    both = 'use "blocks.arch"\narch net { input 3x8x8; %s }\n'
    assert told(both % "b", path=path) == []
    assert told(both % "relu", path=path) == ['L108 "blocks.arch"']
    assert told('use "blocks.arch"\n', path=path) == []  # a file that gathers others
    assert told('use "blocks.arch"\nblock b() { gelu }\narch net { input 3x8x8; b }', path=path) == [
        'L108 "blocks.arch"'
    ]


def test_remarks_of_a_used_file(tmp_path):
    (tmp_path / "blocks.arch").write_text(
        "block b() { maxpool2/3 }\nblock c() { maxpool2/3  # archdsl: ignore[L104]\n}\n"
    )
    path = tmp_path / "net.arch"
    (found,) = api.check(
        Source("net.arch", 'use "blocks.arch"\narch net { input 3x8x8; b; c }\n'), path=path
    ).diagnostics
    assert (found.code, found.span.source.name, found.span.start) == ("L104", "blocks.arch", 12)


def test_groups():
    assert in_net("conv3-30; relu; gap; fc-10", lints=["speed"]) == ["L114 conv3-30"]
    assert in_net("conv3-30; relu; gap; fc-10", lints=["L114"]) == ["L114 conv3-30"]
    assert in_net("conv3-30; relu; gap; fc-10") == in_net("conv3-30; relu; gap; fc-10", lints=["reach"]) == []
    assert in_net("conv3-36(groups=3); relu; gap; fc-10", lints=["speed"]) == ["L114 conv3-36(groups=3)"]
    assert in_net("conv3-10(p=0); gap; softmax; identity", lints=["speed"]) == []
    assert set(GROUPS) == {"reach", "speed"}
    assert chosen_codes(()) == {code for code, lint in LINTS.items() if not lint.group}
    with pytest.raises(ValueError, match="did you mean speed"):
        chosen_codes(["sped"])


def test_reach():
    body = "default conv(act=relu)\nconv9-8 x3\nconv9-8\nconv9-8"
    (found,) = (d for d in api.check(Source("<text>", f"input 3x32x32\n{body}"), lints=["reach"]).diagnostics)
    assert found.code == "L113" and found.span.line == 4 and "33x33 of 32x32" in found.message
    assert told("input 3xHxW\nconv9-8; relu", lints=["reach"]) == []


# ---- against counting one by one ----


def test_coverage_is_what_counting_says():
    source = random.Random(0)
    left = narrow = seen = 0
    for _ in range(400):
        size, kernel, stride = source.randint(1, 12), source.randint(1, 6), source.randint(1, 4)
        dilation, before, after = (
            source.choice((1, 1, 2)),
            source.choice((0, 0, 1, 3)),
            source.choice((0, 0, 1, 3)),
        )
        padding = source.choice((f"({before}, {after}, {before}, {after})", "same"))
        text = f"input 3x{size}x{size}; conv{kernel}-4/{stride}(p={padding}, dilation={dilation}); relu"
        network = api.check(Source("<text>", text)).network
        if network is None:
            continue
        node = network.nodes[1]
        extent, count = (kernel - 1) * dilation + 1, node.shape[1]
        if padding == "same":
            before = max((count - 1) * stride + extent - size, 0) // 2
        reads = [
            (tap, place * stride - before + tap * dilation) for place in range(count) for tap in range(kernel)
        ]
        met = {tap for tap, pixel in reads if 0 <= pixel < size}
        assert _used(node, 0, size) == len(met)
        if kernel > 1 and extent >= stride and dilation == 1:
            unread = set(range(size)) - {pixel for _, pixel in reads}
            assert _unread(node, network.nodes[0], 0) == len(unread)
            left += bool(unread)
        narrow += len(met) < kernel
        seen += 1
    assert seen > 250 and left > 8 and narrow > 30


# ---- ignores ----

POOL = "conv4-8(p=0); maxpool"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (f"{POOL}  # archdsl: ignore[L105]", []),
        (f"{POOL}  # archdsl: ignore[L105] as published", []),
        (f"{POOL}  #archdsl:ignore[ L105 ]", []),
        (f"# archdsl: ignore[L105]\n{POOL}", []),
        (f"# archdsl: ignore[L105]\n# as published\n\n{POOL}", ["L105 maxpool", "L100 L105"][::-1]),
        (f"# archdsl: ignore[L105]\n# as published\n{POOL}", []),
        ("conv4-8(p=0)\nresidual {\n  relu\n  conv3-8\n} # archdsl: ignore[L105]", ["L100 L105"]),
        ("conv4-8(p=0)\nmaxpool(\n  p=0\n)  # archdsl: ignore[L105]", []),
        (f"{POOL}  # archdsl: ignore[L104]", ["L105 maxpool", "L100 L104"]),
        (f"{POOL}  # archdsl: ignore[L105, L104]", ["L100 L104"]),
        (f"{POOL}  # archdsl: ignore[L105, L100, L104]", []),
        (f"{POOL}  # archdsl: ignore", ["L105 maxpool", "L100 # archdsl: ignore"]),
        (f"{POOL}  # archdsl: ignore[]", ["L105 maxpool", "L100 # archdsl: ignore[]"]),
        (f"{POOL}  # archdsl: ignored", ["L105 maxpool"]),
        ("relu  # archdsl: ignore[A201]", ["L100 A201"]),
        ("relu  # archdsl: ignore[L999]", ["L100 L999"]),
        ("relu  # archdsl: ignore[L114]", []),  # not looked for
        ("if 1 > 2 { maxpool  # archdsl: ignore[L105]\n}\nrelu", []),  # not taken
        ("if 1 < 2 { maxpool  # archdsl: ignore[L105]\n}\nrelu", ["L100 L105"]),
    ],
)
def test_ignores(body, wanted):
    assert in_net(body) == wanted


def test_ignores_are_judged_by_what_was_looked_at():
    block = "block b() { relu  # archdsl: ignore[L105, L107]\n}\n"
    assert told(block) == ["L100 L107"]
    net = "arch a(n=1) { input 3x8x8; relu x(n)  # archdsl: ignore[L105]\n}\n"
    assert told(net) == ["L100 L105"]
    assert told(net, input="3x9x9") == told(net, params={"n": 2}) == told(net, arch="a") == []
    assert in_net("relu  # archdsl: ignore[L114]", lints=["speed"]) == ["L100 L114"]


# ---- the zoo ----


def test_shipped_specs_say_why_where_they_ignore():
    ignores = [line for path in SPECS for line in path.read_text().splitlines() if "archdsl:" in line]
    assert 1 <= len(ignores) <= 12
    assert all(re.search(r"# archdsl: ignore\[L\d{3}\] as \w+", line) for line in ignores)


def test_published_networks_draw_what_is_asked_for():
    """Why these two are asked for: most networks would draw them."""
    drawn = []
    for name in (
        "resnet50",
        "mobilenet_v2",
        "efficientnet_b0",
        "densenet121",
        "googlenet",
        "nasnet_a_mobile",
    ):
        path = specs_root() / f"{name}.arch"
        found = api.check(Source(path.name, path.read_text()), path=path, lints=["all"]).diagnostics
        drawn += {d.code for d in found}
    assert drawn.count("L113") >= 4 and drawn.count("L114") >= 2


def test_the_library_is_spoken_of_where_it_is_called():
    text = "input 3x8x8\nconv3-8; relu\nbottleneck(9) as c2\ngap; fc-10"
    found = api.check(Source("<text>", text), lints=["speed"]).diagnostics
    assert [(d.code, d.span.text) for d in found] == [("L114", "bottleneck(9)")]
    assert found[0].notes[0].startswith("it is `conv1-f` of lib/bottleneck.arch, line")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "input 3x33x33\ndefault conv(act=relu)\n{ conv3-8; bn; relu } x20000\nmaxpool", id="layers"
        ),
        pytest.param("input 3x8x8\n" + "relu  # archdsl: ignore[L101]\n" * 3000, id="ignores"),
        pytest.param(
            "\n".join(f"block b{i}(a, b) {{ conv3-a as x; relu }}" for i in range(3000))
            + "\ninput 3x8x8; relu",
            id="blocks",
        ),
        pytest.param(
            "input 3x8x8\n"
            + "let a = 1;" * 1
            + "if 1 { " * 150
            + "relu # archdsl: ignore[L105]\n"
            + "}" * 150,
            id="deep",
        ),
    ],
)
def test_remarks_cost_little_and_are_not_endless(text):
    begun = time.process_time()
    found = api.check(Source("<text>", text)).diagnostics
    assert len(found) <= 200 and time.process_time() - begun < 12
    assert not any(d.severity == "error" for d in found)


# ---- fixes ----


def test_every_safe_fix_is_applied_once_and_for_all():
    applied = 0
    for path in sorted(ERRORS.glob("**/*.arch")):
        source = Source(path.name, path.read_text(encoding="utf-8"))

        def check(text, path=path):
            return api.check(text, path=path)

        before = check(source)
        made = fixed(source, check)
        applied += made.applied
        assert fixed(made.source, check).applied == 0
        assert (made.source.text != source.text) == bool(made.applied)
        errors = [sum(d.severity == "error" for d in one.diagnostics) for one in (before, made.checked)]
        assert errors[1] <= errors[0]
        if before.networks:
            assert [n.hash for n in made.checked.networks] == [n.hash for n in before.networks]
    assert applied >= 20


def test_fixes_of_damaged_specs_never_harm():
    applied = 0
    for seed in range(250):
        source = random.Random(seed)
        path = source.choice(SPECS)
        text = Source("<text>", mutated(path.read_text(encoding="utf-8"), source))

        def check(one, path=path):
            return api.check(one, path=path)

        before = check(text)
        if not any(d.code in SAFE and d.fix for d in before.diagnostics):
            continue
        made = fixed(text, check)
        assert fixed(made.source, check).applied == 0
        assert sum(d.severity == "error" for d in made.checked.diagnostics) <= len(before.diagnostics)
        applied += bool(made.applied)
    assert applied >= 5


def test_a_fix_that_would_change_a_network_is_not_applied(monkeypatch):
    monkeypatch.setattr("archdsl.fixes.SAFE", SAFE | {"L102", "L110"})
    text = Source("<text>", "input 3x32x32; let a = 1; conv3-8/2 x2; relu; gap; fc-10; softmax\n")
    made = fixed(text, api.check)
    assert made.applied == 1 and made.source.text == text.text.replace("let a = 1; ", "")


def test_a_fix_that_trades_one_error_for_another_is_not_applied(monkeypatch):
    monkeypatch.setattr("archdsl.fixes.SAFE", SAFE | {"A101"})
    text = Source("<text>", "input 3x8x8; covn3; relu")
    assert fixed(text, api.check).applied == 0
    assert fixed(Source("<text>", "input 3x8x8; covn3-8; relu"), api.check).applied == 1


# ---- the command ----


@pytest.fixture
def run(run, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    return partial(run, "check")


SMELLS = "input 3x32x32\r\nconv3-8; bn  # archdsl: ignore[L111, L104]\r\nrelu  # archdsl: ignore[L105]\r\n"


def test_command_fixes(run):
    Path("a.arch").write_bytes(SMELLS.encode())
    Path("b.arch").write_text("input 3x8x8; conv3-8x2 relu\n")
    code, out, err = run("--fix", "a.arch", "b.arch", "-q")
    assert (code, err) == (0, "") and "L101" in out
    assert (
        Path("a.arch").read_bytes()
        == SMELLS.replace(", L104", "").replace("  # archdsl: ignore[L105]", "").encode()
    )
    assert Path("b.arch").read_text() == "input 3x8x8; conv3-8 x2; relu\n"
    before = Path("a.arch").stat().st_mtime_ns
    assert run("--fix", "a.arch")[1].endswith("1 file checked, 0 findings fixed\n")
    assert Path("a.arch").stat().st_mtime_ns == before


def test_command_fixes_files_only(run):
    assert run("--fix", "-", stdin="relu")[0] in (1, 2)
    code, _, err = run("--fix", "-", stdin="input 3x8x8; conv3-8 relu")
    assert code == 2 and "needs a file" in err
    assert run("--fix", "vgg16")[0] == 0  # nothing to mend


def test_command_looks_for_more(run):
    Path("a.arch").write_text("input 3x32x32\nconv3-30; relu; gap; fc-10\n")
    assert run("a.arch", "-q") == (0, "", "")
    assert "L114" in run("a.arch", "--lint", "speed,reach")[1]
    assert run("a.arch", "--lint", "speed", "--strict")[0] == 1
    assert run("a.arch", "--strict")[0] == 0
    code, _, err = run("a.arch", "--lint", "sped")
    assert code == 2 and "did you mean speed?" in err


def test_removing_a_statement():
    for text, wanted in (
        ("let a = 1; relu", "relu"),
        ("relu; let a = 1", "relu"),
        ("relu ; let a = 1  # why\ntanh", "relu  # why\ntanh"),
        ("tanh\n  let a = 1\nrelu", "tanh\nrelu"),
        ("tanh\r\nlet a = 1;\r\nrelu", "tanh\r\nrelu"),
        ("let a = 1  # why\nrelu", None),
    ):
        text = f"input 3x8x8\n{text}"
        (found,) = api.check(Source("<text>", text)).diagnostics
        fix = found.fix
        made = None if fix is None else text[: fix.span.start] + fix.text + text[fix.span.stop :]
        assert made == (None if wanted is None else f"input 3x8x8\n{wanted}")
        assert made is None or archdsl.loads(made).hash == archdsl.loads(text).hash
