"""What `archdsl diff` says is true: of pairs from the zoo whose papers say the same, of texts that were changed on
purpose, and of every tensor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from browsing import browser, page

import archdsl
from archdsl.cli import main
from archdsl.diff.align import MOST_CELLS
from archdsl.diff.compare import Difference, compare
from archdsl.diff.data import to_data
from archdsl.diff.html import to_html
from archdsl.diff.text import to_text
from archdsl.diff.words import headline

__all__ = ["browser", "page"]
ROOT = Path(__file__).resolve().parent.parent


def zoo(a: str, b: str) -> Difference:
    return compare(archdsl.load(a), archdsl.load(b))


def texts(a: str, b: str) -> Difference:
    return compare(archdsl.loads(a), archdsl.loads(b))


def tensors(network: archdsl.Network) -> Counter[str]:
    names: Counter[str] = Counter()
    for node in network.layers:
        for weight in node.op.weights(*(network.nodes[i].shape for i in node.inputs)):
            names[f"{node.name}.{weight.name}"] += 1
    return names


def check(difference: Difference) -> None:
    """What holds of any two networks."""
    a, b = difference.a, difference.b
    pairs = [both for found in difference.pair.walk() for both in found.nodes]
    assert len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs), (
        "a layer has two partners"
    )
    assert all(a.nodes[one].kind == b.nodes[other].kind for one, other in pairs)
    weights = difference.weights
    assert Counter(t.a for t in (*weights.carried, *weights.reshaped, *weights.gone)) == tensors(a)
    assert Counter(t.b for t in (*weights.carried, *weights.reshaped, *weights.new)) == tensors(b)
    assert all(t.before == t.after for t in weights.carried)
    assert sum(row.a.params for row in difference.rows if row.a) == a.params
    assert sum(row.b.params for row in difference.rows if row.b) == b.params
    shown = {id(r) for row in difference.rows for p in row.pairs for q in p.walk() for r in (q.a, q.b)}
    assert len(shown) > 1
    json.dumps(to_data(difference))
    to_text(difference)


PAIRS = (
    *(
        ("resnet50", "wide_resnet50_2"),
        ("resnet34", "resnet50"),
        ("resnet50", "se_resnet50"),
        ("vgg16", "vgg19"),
    ),
    *(("vgg16", "vgg16_bn"), ("googlenet", "inception_v3"), ("unet", "unet_valid"), ("lenet5", "alexnet")),
    *(
        ("nasnet_a_mobile", "nasnet_a_large"),
        ("mobilenet_v2", "mobilenet_v3_large"),
        ("densenet121", "densenet201"),
    ),
    *(
        ("fractalnet_cifar", "highway_cifar"),
        ("resnet110_cifar", "resnet1202_cifar"),
        ("squeezenet1_0", "vgg11"),
    ),
)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_every_layer_and_tensor_is_accounted_for(a: str, b: str) -> None:
    difference = zoo(a, b)
    check(difference)
    check(zoo(b, a))
    assert not difference.same and headline(difference)


@pytest.mark.parametrize(
    "name", ["resnet50", "googlenet", "nasnet_a_mobile", "unet", "densenet121", "keras/xception"]
)
def test_a_network_is_the_same_as_itself(name: str) -> None:
    difference = zoo(name, name)
    check(difference)
    assert difference.same and difference.wired_alike
    assert {row.change for row in difference.rows} == {"same"}
    assert len(difference.weights.carried) == difference.weights.needed


def test_one_screen_says_what_a_reader_of_the_paper_would_say() -> None:
    text = to_text(zoo("resnet50", "wide_resnet50_2"))
    assert f"```\n{text}\n```" in (ROOT / "docs/diff.md").read_text(encoding="utf-8")
    lines = text.split("\n")
    assert len(lines) <= 28 and max(map(len, lines)) <= 120
    assert (
        lines[1] == "the same 174 layers, wired alike; conv1 and conv2 of every bottleneck are twice as wide"
    )
    assert re.search(r"parameters +25,557,032  → +68,883,240   × 2.7\n", text)
    assert re.search(r"MACs +4,089,184,256  → 11,398,021,120   × 2.79\n", text)
    assert "\nin bottleneck → wide_bottleneck, 16 of them\n" in text
    assert re.search(r"\n~ conv1  conv1-64 … conv1-512 → conv1-128 … conv1-1024 +twice as wide\n", text)
    assert (
        "91 carry over: conv1.conv, conv1.bn, fc1; conv3.bn, shortcut.conv, shortcut.bn of c2, c3, c4, c5"
        in text
    )


def test_a_deeper_network_has_more_copies_and_all_the_old_weights() -> None:
    deeper = zoo("vgg16", "vgg19")
    assert [(row.a.title, row.b.title, row.new) for row in deeper.rows if row.a and row.b and row.new] == [
        ("conv3-256 x3", "conv3-256 x4", 1),
        ("conv3-512 x3", "conv3-512 x4", 1),
        ("conv3-512 x3", "conv3-512 x4", 1),
    ]
    assert len(deeper.weights.carried) == 32 and not deeper.weights.renamed and not deeper.weights.gone
    [row] = [row for row in zoo("resnet50", "resnet101").rows if row.change != "same"]
    assert (row.new, row.gone) == (17, 0)


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ("vgg16", "vgg19", "all 38 layers of vgg16, and 6 more: 1 conv3-256 and 2 conv3-512"),
        ("resnet50", "resnet101", "all 174 layers of resnet50, and 170 more: 17 bottleneck(256) in c4"),
        (
            "densenet121",
            "densenet169",
            "all 484 layers of densenet121, and 192 more: 8 dense(32) in c4 and 16 dense(32); "
            "conv1 of 1 of the 3 transition blocks has width 512 → 640",
        ),
        ("vgg16", "vgg16_bn", "38 layers of 51 are in both; 13 new (bn); bn added in 13"),
        (
            "googlenet",
            "googlenet_bn",
            "151 layers of 212 are in both; 4 gone (2 lrn, 2 avgpool), 61 new (59 bn, 2 adaptiveavgpool); "
            "bn in place of the bias in 59, kernel 5 → 3 in 9, no avgpool5/3 in 2 and adaptiveavgpool added in 2",
        ),
    ],
)
def test_the_headline_says_what_the_papers_say(a: str, b: str, says: str) -> None:
    assert headline(zoo(a, b)) == says


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ("conv3-8; gap; fc-2", "conv3-8; maxpool; gap; fc-2", "all 5 layers of net, and 1 more: 1 maxpool"),
        ("conv3-8; gap; fc-2", "conv3-16; gap; fc-2", "the same 5 layers, wired alike; conv3-8 is twice as wide"),
        (
            "conv3-8; maxpool; gap; fc-2",
            "conv3-8; gap; dropout(0.5); fc-2",
            "5 layers of 6 are in both; 1 gone (maxpool), 1 new (dropout)",
        ),
        ("relu", "relu; tanh", "all 1 layer of net, and 1 more: 1 tanh"),
        ("tanh", "relu", "0 layers of 1 are in both"),
    ],
)
def test_the_headline_of_small_changes(a: str, b: str, says: str) -> None:
    found = texts(arch(a), arch(b))
    check(found)
    assert says in headline(found)


def test_stages_keep_their_partners() -> None:
    """Of another length, too, and where the number of channels agrees elsewhere by chance."""
    rows = [(row.a and row.a.title, row.b and row.b.title) for row in zoo("densenet121", "densenet169").rows]
    assert ("dense(32) x24 as c4", "dense(32) x32 as c4") in rows
    assert ("transition(2)", "transition(2)") in rows and ("dense(32) x16", "dense(32) x32") in rows


def test_blocks_that_only_put_others_together_are_looked_through() -> None:
    """EfficientNet's stages are blocks of a file that all of its sizes use; MobileNetV2's stand in the table."""
    difference = zoo("mobilenet_v2", "efficientnet_b0")
    check(difference)
    rows = [(row.a and row.a.title, row.b and row.b.title, row.gone, row.new) for row in difference.rows]
    assert rows[:4] == [
        ("conv3-32/2", "conv3-32/2", 0, 0),
        ("inverted(1, 16)", "mbconv(1, 16, 3, drop=0)", 0, 0),
        ("inverted(6, 24) x2/2 as c2", "mbconv(6, 24, 3, drop=0.0125…) x2/2", 0, 0),
        ("inverted(6, 32) x3/2 as c3", "mbconv(6, 40, 5, drop=0.0375…) x2/2", 1, 0),
    ]
    assert len(rows) == 12 and difference.together > 100
    words = headline(difference)
    assert "relu6 → silu in" in words and "se added in 15" in words
    assert all(len(line) <= 150 for line in to_text(difference).split("\n"))
    same = zoo("efficientnet_b0", "efficientnet_b1")
    assert "efficientnet_c2(1, 1) as c2" in {row.a.title for row in same.rows if row.a}, "both have it"


def test_only_strides_moved() -> None:
    moved = zoo("resnet50", "resnet50_v1")
    assert headline(moved).endswith("conv1 and conv2 of 3 of the 16 bottleneck blocks have another stride")
    assert len(moved.weights.carried) == moved.weights.needed


def test_networks_of_another_size_have_the_same_weights() -> None:
    larger = compare(archdsl.load("resnet18"), archdsl.load("resnet18", input="3x256x256"))
    assert headline(larger) == "the same 68 layers, wired alike, on 3x256x256 in place of 3x224x224"
    assert len(larger.weights.carried) == larger.weights.needed and not larger.same


def test_tensors_are_called_as_the_modules_call_them() -> None:
    """What is said to carry over does: loaded by name, each in its place."""
    one, other = archdsl.load("resnet18", classes=10), archdsl.load("resnet34", classes=7)
    weights = compare(one, other).weights
    ours, theirs = archdsl.build(one).state_dict(), archdsl.build(other).state_dict()
    counted = [name for name in theirs if not name.endswith("num_batches_tracked")]
    assert {t.b for t in (*weights.carried, *weights.reshaped, *weights.new)} == set(counted)
    assert all(ours[t.a].shape == theirs[t.b].shape for t in weights.carried)
    assert [tuple(ours[t.a].shape) for t in weights.reshaped] == [(10, 512), (10,)]


# ---- texts changed on purpose ----

BODY = "default conv(norm=bn, act=relu)\ninput 3x32x32\n"


def arch(body: str, blocks: str = "") -> str:
    return f"{blocks}\narch net {{\n{BODY}{body}\n}}"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("conv3-8 x3; gap; fc-2", "conv3-8 x3; gap; flatten; fc-2"),
        ("conv3-8; maxpool; gap; fc-2", "conv3-8; { maxpool }; gap; fc-2"),
    ],
)
def test_what_is_written_otherwise_is_not_different(a: str, b: str) -> None:
    assert texts(arch(a), arch(b)).same


def test_copies_written_out_keep_their_partners() -> None:
    """One change among copies is one change, however they are written."""
    found = texts(
        arch("conv3-8; maxpool; conv3-16 x3; gap; fc-2"),
        arch("conv3-8; maxpool; conv3-16; conv5-16; conv3-16; gap; fc-2"),
    )
    check(found)
    assert found.wired_alike
    [change] = [c for row in found.rows for c in row.changes]
    assert change.values["kernel"] == ([3, 3], [5, 5]) and "padding" not in change.values
    assert [t.b for t in found.weights.reshaped] == ["conv3.conv.weight"]


def test_other_names_of_weights_are_a_difference() -> None:
    found = texts(arch("conv3-8 as one; gap; fc-2"), arch("conv3-8 as other; gap; fc-2"))
    assert not found.same and found.a.hash == found.b.hash
    assert headline(found) == "the same computation; 5 of 7 weights have another name"


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("conv3-8", "conv3-8(act=silu)", "relu → silu"),
        ("conv3-8", "conv3-8(norm=none)", "a bias in place of bn"),
        ("conv3-8", "conv3-16", "twice as wide"),
        ("conv3-8", "conv3-12", "width 8 → 12"),
        ("conv3-8", "conv3-8/2", "stride 1 → 2"),
        ("conv3-8", "conv3-8(dilation=2, p=2)", "dilation 1 → 2, padding 1 → 2"),
        ("maxpool", "maxpool(ceil=true)", "ceil false → true"),
        ("dropout(0.5)", "dropout(0.25)", "ratio 0.5 → 0.25"),
        ("conv1-4; split(0, (1, _))", "conv1-4; split(0, (2, 2))", "parts (1, _) → (2, 2)"),
    ],
)
def test_a_changed_argument_is_named(a: str, b: str, words: str) -> None:
    found = texts(arch(f"{a}; gap; fc-2"), arch(f"{b}; gap; fc-2"))
    check(found)
    assert words in to_text(found)


def test_steps_that_came_and_went() -> None:
    found = texts(
        arch("conv3-8; dropout(0.5); conv3-16; gap; fc-2"), arch("conv3-8; maxpool; conv3-16; gap; fc-2")
    )
    assert [(row.change, (row.a or row.b).title) for row in found.rows if row.change in ("gone", "new")] == [  # type: ignore[union-attr]
        ("gone", "dropout(0.5)"),
        ("new", "maxpool"),
    ]


def test_another_wiring_of_the_same_layers_is_seen() -> None:
    body = "conv3-8 as a; conv3-8 as b; conv3-8 as c; add [ @c | {} ]; gap; fc-2"
    found = texts(arch(body.format("@a")), arch(body.format("@b")))
    check(found)
    assert not found.wired_alike and not found.same
    assert [(r.before, r.after) for r in found.rewired] == [("c.relu, a.relu", "c.relu, b.relu")]
    assert "read another tensor" in to_text(found)


def test_a_block_that_changed_is_told_once() -> None:
    block = "block unit(f) {{ residual {{ conv3-f; conv{}-f }} }}"
    found = texts(
        arch("unit(8) x5; gap; fc-2", block.format(3)), arch("unit(8) x5; gap; fc-2", block.format(5))
    )
    check(found)
    text = to_text(found)
    assert "in unit, 5 of them\n~ conv2  conv3-8 → conv5-8  kernel 3 → 5" in text
    assert text.count("kernel 3 → 5") == 1
    assert headline(found).endswith("conv2 of every unit have another kernel")


def test_heads_and_their_weights_are_compared() -> None:
    body = "conv3-8; aux({}) {{ gap; fc-2 }}; conv3-8; gap; fc-2"
    found = texts(arch(body.format(0.3)), arch(body.format(0.5)))
    assert not found.same and "aux1 × 0.3" in to_text(found)


def test_long_networks_are_compared_in_time() -> None:
    count = 1 + int(MOST_CELLS**0.5)
    long = "; ".join(f"conv1-{4 + i % 3}" for i in range(count))
    other = "; ".join(f"conv1-{5 + i % 3}" for i in range(count + 5))
    check(texts(arch(long), arch(other)))
    deep = "residual { " * 150 + "conv3-3" + " }" * 150
    found = texts(f"input 3x8x8; {deep}", f"input 3x8x8; {deep.replace('conv3', 'conv5')}")
    check(found)
    assert "kernel 3 → 5" in to_text(found)
    to_html(found)


def test_texts_of_a_spec_are_escaped() -> None:
    hostile = "arch net { input 3x8x8; residual { if 1 < 2 { conv3-3 } } }"
    found = texts(hostile, hostile.replace("conv3", "conv5"))
    text = to_html(found)
    assert "1 &lt; 2" in text and "1 < 2 {" not in text
    assert not re.search(r"(src|href)=|@import|url\(|fetch\(|https?://", text)


# ---- the command ----


def run(*arguments: str) -> int:
    return main(["diff", *arguments])


def test_exit_codes_and_formats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("vgg16", "vgg16") == 0
    assert run("vgg16", "vgg19") == 1
    capsys.readouterr()
    assert run("vgg16", "vgg19", "--format", "json") == 1
    assert json.loads(capsys.readouterr().out)["layers_in_both"] == 38
    assert run("vgg16", "vgg19", "-o", "d.json") == 1 and json.loads(Path("d.json").read_text())
    assert run("vgg16", "vgg19", "-o", "e.html") == 1 and Path("e.html").read_text().startswith("<!doctype html>")
    assert run("vgg16", "vgg19", "--format", "html", "-o", "d.html") == 1
    assert run("vgg16", "vgg13", "--format", "html", "-o", "d.html") == 1  # over its own
    Path("mine.html").write_text("<p>mine")
    assert run("vgg16", "vgg19", "--format", "html", "-o", "mine.html") == 1
    assert Path("mine.html").read_text() == "<p>mine"
    assert run("vgg16", "nothing") == 2 and run("-", "-") == 2
    assert run("vgg16", "vgg16", "-p", "classes=10") == 0
    assert run("resnet18", "resnet18", "-p", "arch=10") == 2
    capsys.readouterr()
    assert run("vgg16", "vgg19", "--color", "always") == 1
    assert "\x1b[33m~ conv3-256 x3" in capsys.readouterr().out


def test_one_of_several_archs_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = "arch {} {{ input 3x8x8; conv3-{}; gap; fc-2 }}\n"
    Path("two.arch").write_text(one.format("small", 4) + one.format("large", 8))
    assert run("two.arch:small", "two.arch:small") == 0
    assert run("two.arch:small", "two.arch:large") == 1
    assert run("two.arch:small", "two.arch:none") == 1  # A113


GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a spec that uses another, in two revisions, the newest not committed."""
    for name, value in GIT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "nets/parts").mkdir(parents=True)
    (tmp_path / "nets/net.arch").write_text(
        'use "parts/unit.arch"\narch net { input 3x8x8; unit(4); gap; fc-2 }\n'
    )
    (tmp_path / "nets/parts/unit.arch").write_text("block unit(f) { conv3-f; relu }\n")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "nets/parts/unit.arch").write_text("block unit(f) { conv5-f; relu }\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_revision_is_read_with_what_it_uses(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("HEAD:nets/net.arch", "HEAD:nets/net.arch") == 0
    assert run("HEAD:nets/net.arch", "nets/net.arch") == 1
    assert "kernel 3 → 5" in capsys.readouterr().out
    os.chdir("nets")
    assert run("HEAD:./net.arch", "net.arch") == 1


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("HEAD:nets/none.arch", "git knows no file nets/none.arch in HEAD"),
        ("HEAD~7:nets/net.arch", "git knows no file nets/net.arch in HEAD~7"),
        ("HEAD:nets", "HEAD:nets is no file"),
        ("HEAD:large.arch", "large.arch has 1,048,577 bytes"),
        ("HEAD:nets/net.arch\nHEAD:x", "names no file"),
        ("--textconv:nets/net.arch", "git knows no file"),
        (":nets", "names no file"),
    ],
)
def test_what_is_no_revision_is_refused(
    repository: Path, spec: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "large.arch").write_text("#" * (2**20 + 1))
    subprocess.run(["git", "add", "large.arch"], check=True)
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "two"], check=True)
    assert main(["diff", "--", spec, "vgg16"]) == 2
    assert says in capsys.readouterr().err


def test_a_repository_runs_nothing_of_its_own(repository: Path) -> None:
    """A diff driver that the repository's files and configuration name is not asked."""
    (repository / ".gitattributes").write_text("*.arch diff=evil\n")
    subprocess.run(["git", "config", "diff.evil.textconv", f"touch {repository}/ran; cat"], check=True)
    assert run("HEAD:nets/net.arch", "nets/net.arch") == 1
    assert not (repository / "ran").exists()


def test_a_spec_of_a_revision_stays_in_its_folder(repository: Path) -> None:
    (repository / "nets/bad.arch").write_text(
        'use "../secret.arch"\nuse "/etc/passwd"\narch net { input 3x8x8; gap }\n'
    )
    (repository / "secret.arch").write_text("block hidden(f) { conv3-f }\n")
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "two"], check=True)
    assert run("HEAD:nets/bad.arch", "vgg16") == 1  # A115, as for the file itself


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys; from archdsl.cli import main; assert main(['diff', 'resnet50', 'wide_resnet50_2']) == 1; "
        "assert not {'torch', 'triton', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_the_page_opens_steps(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "d.html"
    file.write_text(to_html(zoo("resnet50", "wide_resnet50_2")), encoding="utf-8")
    page.goto(file.as_uri())
    rows = page.locator(".steps tbody tr:visible")
    assert rows.count() == 4
    rows.first.click()
    assert rows.count() == 7
    rows.nth(1).click()
    rows.nth(2).click()
    assert "conv1-64" in rows.nth(3).inner_text() and "conv1-128" in rows.nth(3).inner_text()
    page.check("#same")
    assert page.locator(".steps tbody tr:visible", has_text="maxpool3/2(p=1)").count() == 1
