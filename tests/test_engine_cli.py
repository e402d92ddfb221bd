"""`archdsl passes` and `archdsl compile --stop-after passes`, and the page that shows them.

`UPDATE_DOCS=1 python -m pytest tests/test_engine_cli.py` writes the table into docs/engine.md anew.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from test_imports import CHECKOUT, command, heavy_loaded_by

import archdsl
from archdsl.cli import main
from archdsl.passes import PASSES, fused
from archdsl.plan import plan
from archdsl.plan_text import changed, listing, passes_table

PAGE = CHECKOUT / "docs" / "engine.md"


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_table_has_a_row_for_every_pass(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = output(capsys, "passes", "resnet50", "--batch", "128", "--dtype", "bf16")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert [row[0] for row in rows if row and row[0] in {p.name for p in PASSES}] == [p.name for p in PASSES]
    total = next(row for row in rows if row[:1] == ["all"])
    before, after = (
        plan(n, "bf16").count(128) for n in (archdsl.load("resnet50"), fused(archdsl.load("resnet50")))
    )
    assert total == [
        *("all", f"{before.kernels}", "->", f"{after.kernels}"),
        *(f"{before.moved / 1e6:,.2f}", "->", f"{after.moved / 1e6:,.2f}"),
    ]


def test_each_row_begins_where_the_last_ended() -> None:
    table = passes_table(archdsl.load("googlenet_bn"))
    numbers = re.findall(r"(\d+) -> +(\d+) +([\d.,]+) -> +([\d.,]+)", table)
    assert len(numbers) == len(PASSES) + 1
    for one, two in pairwise(numbers[:-1]):
        assert (one[1], one[3]) == (two[0], two[2])
    assert (numbers[0][0], numbers[-2][1]) == numbers[-1][:2]


def test_nodes_that_are_as_they_were_are_not_counted() -> None:
    network = archdsl.loads("conv3-4(norm=bn); maxpool; conv3-4; fc-2", input="3x8x8")
    after = fused(network, [p for p in PASSES if p.name == "fold"])
    assert changed(network, after) == 2  # the convolution and its norm
    assert changed(after, after) == 0


def test_the_listing_says_what_was_folded(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = output(capsys, "compile", "googlenet_bn", "--stop-after", "passes")
    assert code == 0
    assert "conv7 + relu + maxpool3" in out
    assert "conv: conv1.conv * conv1.bn" in out
    assert re.search(r"^%4 +i3a\.conv1\.conv +conv1 x3 \+ relu => 64 \| 96 \| 16 +%3 +64x28x28$", out, re.M)
    assert re.search(r"^%5 +i3a\.conv2\.conv +way 1 +%4 +96x28x28$", out, re.M)
    assert out.rstrip().endswith(f"output out = %{len(fused(archdsl.load('googlenet_bn')).nodes) - 1}")


def test_a_listing_is_one_line_a_node_and_source() -> None:
    network = fused(archdsl.loads("conv3-4; relu; gap; fc-2", input="3x8x8"))
    assert listing(network).splitlines() == [
        "network: 3 nodes",
        "%0  input  input                   3x8x8",
        "%1  conv1  conv3 + relu + gap  %0  4x1x1",
        "%2  fc1    fc                  %1  2",
        "output out = %2",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["passes", "nothere"], 2, "no file and no shipped network is called 'nothere'"),
        (["passes", "resnet18", "--dtype", "f64"], 2, "argument --dtype can't be 'f64'"),
        (["passes", "resnet18", "--batch", "0"], 2, "'0' is not a batch; write a number from 1"),
        (["passes", "OPEN"], 2, "n leaves the size of its input open; a plan needs numbers: give --input"),
        (["passes", "WRONG"], 1, "error[A101]"),
        (["compile", "resnet18", "--stop-after", "passes", "-o", "x"], 2, "so it takes no -o"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "open.arch").write_text("arch n { input 3xHxW; conv3-8; gap; fc-2 }\n")
    (tmp_path / "wrong.arch").write_text("arch n { input 3x8x8; convv3-8 }\n")
    files = {"OPEN": str(tmp_path / "open.arch"), "WRONG": str(tmp_path / "wrong.arch")}
    found, _, err = output(capsys, *(files.get(word, word) for word in arguments))
    assert found == code
    assert said in err


def test_an_open_size_is_given_on_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "open.arch").write_text("arch n { input 3xHxW; conv3-8; gap; fc-2 }\n")
    code, out, _ = output(capsys, "passes", str(tmp_path / "open.arch"), "--input", "3x16x16")
    assert code == 0
    assert out.startswith("n, 1 image, f32\n")


def test_neither_command_loads_torch() -> None:
    assert heavy_loaded_by(command("passes", "resnet18")) == set()
    assert heavy_loaded_by(command("compile", "resnet18", "--stop-after", "passes")) == set()
    assert heavy_loaded_by("import archdsl.passes.weights, archdsl.passes.reference, archdsl.plan") == set()


def test_the_page_shows_what_is_printed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (place,) = re.finditer(r"^```\n(resnet50.*?)\n```$", text, re.M | re.S)
    table = passes_table(archdsl.load("resnet50"), 128, "bf16")
    if os.environ.get("UPDATE_DOCS"):
        text = text[: place.start(1)] + table + text[place.end(1) :]
        PAGE.write_text(text, encoding="utf-8")
        (place,) = re.finditer(r"^```\n(resnet50.*?)\n```$", text, re.M | re.S)
    assert place[1] == table


def test_the_page_names_every_pass() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert [name for name in rows if name in {p.name for p in PASSES}] == [p.name for p in PASSES]
