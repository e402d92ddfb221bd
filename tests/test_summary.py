"""The table of a network, in each of its formats."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from textwrap import dedent

import pytest

from archdsl import api, summary
from archdsl.network import Image, Network, Node, Output, Region
from archdsl.ops import LAYERS
from archdsl.render import width
from archdsl.source import Source, Span

NOWHERE = Span(Source("<test>", ""), 0, 0)


def exact(text: str) -> str:
    return dedent(text).strip("\n")


def node(kind: str, shape: tuple[int, ...], inputs: tuple[int, ...], **more: object) -> Node:
    arguments = {"conv": {"channels": 8, "kernel": 3}, "fc": {"channels": 10}}.get(kind, {})
    op = LAYERS[kind](**arguments)
    return Node(op=op, name="", inputs=inputs, shape=shape, span=NOWHERE, **more)  # type: ignore[arg-type]


def region(kind: str, title: str, start: int, stop: int, **more: object) -> Region:
    settings = {"name": "", "inputs": (start - 1,), "output": stop - 1, "span": NOWHERE, **more}
    return Region(kind=kind, title=title, start=start, stop=stop, **settings)  # type: ignore[arg-type]


@pytest.fixture
def network() -> Network:
    """An image, conv3-8 x2 as stem with a relu each, a side head of gap and fc, maxpool, gap, fc."""
    relu, conv = ("relu", (8, 6, 6)), ("conv", (8, 6, 6))
    nodes = (
        Node(op=Image(), name="input", inputs=(), shape=(3, 6, 6), span=NOWHERE),
        node(*conv, (0,), params=224, macs=7776, extent=(3, 3)),
        node(*relu, (1,), extent=(3, 3)),
        node(*conv, (2,), params=584, buffers=16, macs=20736, extent=(5, 7)),
        node(*relu, (3,), extent=(5, 7)),
        node("gap", (8, 1, 1), (4,), extent=(10, 12)),
        node("fc", (10,), (5,), params=90, macs=80, extent=(10, 12)),
        node("maxpool", (8, 3, 3), (4,), extent=(6, 8), jump=(2, 2)),
        node("gap", (8, 1, 1), (7,), extent=(10, 12), jump=(2, 2)),
        node("fc", (10,), (8,), params=90, macs=80, extent=(10, 12), jump=(2, 2)),
    )
    copies = (
        region("layer", "conv3-8", 1, 3, label="stem"),
        region("layer", "conv3-8", 3, 5, label="stem"),
    )
    head = (region("layer", "gap", 5, 6), region("layer", "fc-10", 6, 7))
    children = (
        region("repeat", "conv3-8 x2", 1, 5, label="stem", children=copies),
        region("aux", "aux(0.3)", 5, 7, label="side", children=head),
        region("layer", "maxpool", 7, 8),
        region("layer", "gap", 8, 9),
        region("layer", "fc-10", 9, 10),
    )
    return Network(
        name="tiny",
        nodes=nodes,
        outputs=(
            Output(name="out", node=9, span=NOWHERE),
            Output(name="side", node=6, aux=True, weight=0.3, span=NOWHERE),
        ),
        region=region("arch", "tiny", 1, 10, children=children),
    )


def test_the_table(network: Network) -> None:
    assert summary.to_text(network) == exact("""
        tiny, input 3x6x6

        step                output  parameters    MACs  field
        ─────────────────────────────────────────────────────
        conv3-8 x2 as stem  8x6x6          808  28,512    5x7
        aux(0.3) as side    10              90    (80)
        maxpool             8x3x3            0       0    6x8
        gap                 8x1x1            0       0  10x12
        fc-10               10              90      80
        ─────────────────────────────────────────────────────
        total                              988  28,592
        (in parentheses: not run in evaluation, not part of the total)

        parameters       988 trainable
        buffers          16 not trained
        MACs             28,592 for one image in evaluation (FLOPs = 2 x MACs)
        activations      5.3 KiB for one float32 image, at most 2.2 KiB at once
        receptive field  6x8 pixels, effective stride 2
        auxiliary head   side (weight 0.3): 90 of the parameters, 80 MACs; training only, not in the MACs
        """)


def test_depth_opens_repeats_and_blocks(network: Network) -> None:
    lines = summary.to_text(network, depth=2).split("\n")
    steps = [line[:20].rstrip() for line in lines[4:13]]
    assert steps == [
        "conv3-8 x2 as stem",
        # The label means the last copy's output: the copies don't repeat it.
        "  conv3-8",
        "  conv3-8",
        "aux(0.3) as side",
        "  gap",
        "  fc-10",
        "maxpool",
        "gap",
        "fc-10",
    ]
    assert summary.to_text(network, depth=3) == summary.to_text(network, depth=2)


def test_rows_add_up_to_the_total(network: Network) -> None:
    for depth in (1, 2):
        rows = [row for row in summary.rows(network, depth) if row.depth == 1]
        assert sum(row.params for row in rows) == network.params
        assert sum(row.macs for row in rows if row.evaluated) == network.macs
        assert sum(row.buffers for row in rows) == network.buffers


def test_a_region_that_runs_in_part_counts_that_part(network: Network) -> None:
    block = region("block", "both", 1, 7, output=4)
    rest = network.region.children[2:]
    other = dataclasses.replace(network, region=dataclasses.replace(network.region, children=(block, *rest)))
    first = summary.rows(other)[0]
    assert (first.evaluated, first.macs, first.params) == (True, 28_512, 898)


def test_a_reference_has_a_row_without_costs(network: Network) -> None:
    empty = region("layer", "@stem", 7, 7, output=4)
    children = (*network.region.children[:2], empty, *network.region.children[2:])
    other = dataclasses.replace(network, region=dataclasses.replace(network.region, children=children))
    assert "@stem               8x6x6            0       0    5x7" in summary.to_text(other).split("\n")


def test_json(network: Network) -> None:
    data = json.loads(summary.to_json(network, 2))
    assert (data["name"], data["input"], data["params"], data["macs"]) == ("tiny", [3, 6, 6], 988, 28_592)
    assert data["receptive_field"] == [6, 8] and data["stride"] == ["2", "2"]
    assert data["outputs"][1] == {"name": "side", "shape": [10], "aux": True, "weight": 0.3}
    assert len(data["rows"]) == 9
    assert data["rows"][1] == {
        "depth": 2,
        "step": "conv3-8",
        "label": None,
        "kind": "layer",
        "output": [8, 6, 6],
        "params": 224,
        "buffers": 0,
        "macs": 7776,
        "receptive_field": [3, 3],
        "evaluated": True,
    }
    assert data["rows"][3]["evaluated"] is False and data["rows"][8]["receptive_field"] is None


def test_csv(network: Network) -> None:
    rows = list(csv.DictReader(io.StringIO(summary.to_csv(network))))
    assert [row["step"] for row in rows] == ["conv3-8 x2", "aux(0.3)", "maxpool", "gap", "fc-10"]
    assert rows[0] == {
        "depth": "1",
        "step": "conv3-8 x2",
        "label": "stem",
        "kind": "repeat",
        "output": "8x6x6",
        "params": "808",
        "buffers": "16",
        "macs": "28512",
        "receptive_field": "5x7",
        "evaluated": "true",
    }
    assert rows[1]["evaluated"] == "false"


def retitled(network: Network, title: str) -> Network:
    first = dataclasses.replace(network.region.children[0], title=title)
    children = (first, *network.region.children[1:])
    return dataclasses.replace(network, region=dataclasses.replace(network.region, children=children))


def test_markdown(network: Network) -> None:
    lines = summary.to_markdown(retitled(network, "concat [ a | b ]"), 2).split("\n")
    assert lines[:6] == [
        "**tiny**, input `3x6x6`",
        "",
        "| step | output | parameters | MACs | field |",
        "|:--|:--|--:|--:|--:|",
        "| `concat [ a \\| b ] as stem` | `8x6x6` | 808 | 28,512 | 5x7 |",
        "| &emsp;`conv3-8` | `8x6x6` | 224 | 7,776 | 3 |",
    ]
    table = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {6}


def test_titles_are_shown_safely(network: Network) -> None:
    text = summary.to_text(retitled(network, "a\x1b[31m\n  b\t漢字"))
    assert "\x1b" not in text
    table = text.split("\n")[2:10]
    assert table[2].startswith("a␛[31m b 漢字 as stem  8x6x6")
    # The columns stay aligned although two characters are two cells wide.
    assert width(table[2]) == width(table[4])
    long = summary.to_text(retitled(network, "x" * 500)).split("\n")
    assert max(map(len, long)) < 130 and any(line.startswith("x" * 71 + "…  ") for line in long)


def test_symbolic_sizes_are_written_out() -> None:
    network = api.loads("conv3-8/2 as a; conv3-8 as b; output @a, @b", input="3x8x8")
    assert "outputs          a 8x4x4, b 8x4x4" in summary.to_text(network).split("\n")
    symbolic = api.loads("input 3xHxW; conv3-8/2; maxpool; gap; fc-10")
    text = summary.to_text(symbolic)
    assert text.startswith("network, input 3xHxW\n")
    assert "  8x((H + 1)//2)x((W + 1)//2)  " in text
    assert "MiB" not in text and "receptive field  5 pixels" in text
    data = json.loads(summary.to_json(symbolic))
    assert data["input"] == [3, "H", "W"] and data["peak_bytes"] is None


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "densenet121"])
def test_shipped_networks_add_up(name: str) -> None:
    network = api.load(name)
    rows = summary.rows(network)
    assert len(rows) >= 8
    assert sum(row.params for row in rows) == network.params
    assert sum(row.macs for row in rows if row.evaluated) == network.macs
    text = summary.to_text(network)
    assert f"receptive field  {network.receptive_field:,} pixels" in text
    assert re.search(rf"^total  +{network.params:,}  +{network.macs:,}$", text, re.M)
    assert network.summary() == text
