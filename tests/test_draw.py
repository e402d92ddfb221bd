"""Pictures hold together: nothing stands on anything else, every edge goes from where a tensor is made to what reads it,
and texts fit.

`ARCHDSL_UPDATE_GOLDEN=1 python -m pytest tests/test_draw.py` draws docs/pictures/ anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl.api import shipped_names
from archdsl.cli import main
from archdsl.draw import html, mermaid
from archdsl.draw.marks import SMALL, TEXT, Edge, Label, Rect
from archdsl.draw.metrics import fitted, sizes, text_width
from archdsl.draw.picture import Picture, picture
from archdsl.draw.scene import MOST_ITEMS, READABLE, scene
from archdsl.draw.svg import COLORS, INK, LINE, to_svg
from archdsl.draw.tree import Aside, Box, Exit, Frame, Split, items
from archdsl.draw.untangle import crossings, untangled
from archdsl.network import Network

ROOT = Path(__file__).resolve().parent.parent
SOLID = ("box", "header", "footer", "merge", "end")
SLACK = 0.6


class Area(NamedTuple):
    x0: float
    y0: float
    x1: float
    y1: float

    def overlaps(self, other: Area) -> bool:
        across = self.x0 < other.x1 - SLACK and other.x0 < self.x1 - SLACK
        return across and self.y0 < other.y1 - SLACK and other.y0 < self.y1 - SLACK

    def within(self, other: Area) -> bool:
        across = self.x0 >= other.x0 - SLACK and self.x1 <= other.x1 + SLACK
        return across and self.y0 >= other.y0 - SLACK and self.y1 <= other.y1 + SLACK


def area(rect: Rect) -> Area:
    return Area(rect.x, rect.y, rect.x + rect.width, rect.y + rect.height)


def area_of_label(label: Label) -> Area:
    wide = text_width(label.text, SMALL)
    x = label.x if label.anchor == "start" else label.x - wide
    return Area(x, label.y - SMALL * 0.45, x + wide, label.y + SMALL * 0.45)


Placed = tuple[Area, Rect | Label | Edge]


def meeting(
    some: Iterable[Placed], others: Iterable[Placed] | None = None
) -> Iterator[tuple[Placed, Placed]]:
    """Pairs that overlap, within one list or between two, by a sweep from top to bottom."""
    entries = [(entry, 0) for entry in some] + [(entry, 1) for entry in others or ()]
    active: tuple[list[Placed], list[Placed]] = ([], [])
    for entry, side in sorted(entries, key=lambda e: e[0][0].y0):
        against = active[side if others is None else 1 - side]
        against[:] = [other for other in against if other[0].y1 > entry[0].y0]
        yield from ((other, entry) for other in against if other[0].overlaps(entry[0]))
        active[side].append(entry)


def pieces(drawn: Picture) -> Iterator[tuple[Area, Edge]]:
    for mark in drawn.marks:
        if isinstance(mark, Edge):
            for (xa, ya), (xb, yb) in pairwise(mark.points):
                assert abs(xa - xb) < 0.01 or abs(ya - yb) < 0.01, (
                    "an edge is neither horizontal nor vertical"
                )
                if abs(xa - xb) + abs(ya - yb) > 0.01:
                    yield Area(min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)), mark


def texted(mark: Rect | Label | Edge) -> str:
    return "an edge" if isinstance(mark, Edge) else repr(mark.text)


def complaints(drawn: Picture) -> list[str]:
    """What is wrong with a picture, a sentence each."""
    rects = [mark for mark in drawn.marks if isinstance(mark, Rect)]
    solid = [rect for rect in rects if rect.role in SOLID]
    found = []
    for (_, one), (_, other) in meeting((area(rect), rect) for rect in solid):
        found.append(f"{texted(one)} and {texted(other)} overlap")
    frames = [(area(rect), rect) for rect in rects if rect.role == "frame"]
    pairs = [*meeting(frames), *meeting(frames, [(area(rect), rect) for rect in solid])]
    for (a, _), (b, other) in pairs:
        if not a.within(b) and not b.within(a):
            found.append(f"{texted(other)} stands on the border of a frame")
    for rect in rects:
        size = SMALL if rect.role == "end" else TEXT
        if rect.text and text_width(rect.text, size) > rect.width - 4:
            found.append(f"{rect.text!r} is wider than its box")
        if not area(rect).within(Area(0, 0, drawn.width, drawn.height)):
            found.append(f"{rect.text!r} is outside the picture")
    # An edge is a thin area; what it would pass through is shrunk, so that it may end at a border.
    inner = [(Area(a.x0 + 1, a.y0 + 1, a.x1 - 1, a.y1 - 1), rect) for rect in solid for a in [area(rect)]]
    lines = [
        (Area(a.x0 - SLACK, a.y0 - SLACK, a.x1 + SLACK, a.y1 + SLACK), edge) for a, edge in pieces(drawn)
    ]
    labels = [(area_of_label(mark), mark) for mark in drawn.marks if isinstance(mark, Label)]
    for one, other in meeting(inner, lines):
        box = one if isinstance(one[1], Rect) else other
        found.append(f"an edge passes through {texted(box[1])}")
    for one, other in [*meeting(labels), *meeting(labels, [*inner, *lines])]:
        label = one if isinstance(one[1], Label) else other
        found.append(f"something stands on the text {texted(label[1])}")
    return found + upon_each_other(drawn)


def upon_each_other(drawn: Picture) -> list[str]:
    """Edges of different tensors that share a piece, and don't come together in one merge."""
    rows: dict[tuple[str, float], list[tuple[float, float, Edge]]] = defaultdict(list)
    for a, edge in pieces(drawn):
        upright = a.x1 - a.x0 < 0.01
        rows["x" if upright else "y", round(a.x0 if upright else a.y0, 1)].append(
            (a.y0, a.y1, edge) if upright else (a.x0, a.x1, edge)
        )
    found = []
    for row in rows.values():
        row.sort(key=lambda piece: piece[:2])
        for index, (_, stop, edge) in enumerate(row):
            for start, _, other in row[index + 1 :]:
                if start >= stop - 1:
                    break
                if edge.tensor != other.tensor and edge.points[-1] != other.points[-1]:
                    found.append(f"edges of tensors {edge.tensor} and {other.tensor} lie upon each other")
    return found


def unconnected(drawn: Picture) -> list[str]:
    """Boxes that an edge of a tensor they read doesn't reach, from something that makes it."""
    parent: dict[tuple[int, int, int], tuple[int, int, int]] = {}

    def root(key: tuple[int, int, int]) -> tuple[int, int, int]:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    def key(tensor: int, x: float, y: float) -> tuple[int, int, int]:
        return tensor, round(x), round(y)

    corners = defaultdict(list)
    for a, edge in pieces(drawn):
        corners[edge.tensor].append(a)
    for mark in drawn.marks:
        if isinstance(mark, Edge):
            for one, other in pairwise(mark.points):
                parent[root(key(mark.tensor, *one))] = root(key(mark.tensor, *other))
            # It may begin in the middle of another one's piece.
            for end in (mark.points[0], mark.points[-1]):
                for a in corners[mark.tensor]:
                    if a.x0 - SLACK <= end[0] <= a.x1 + SLACK and a.y0 - SLACK <= end[1] <= a.y1 + SLACK:
                        parent[root(key(mark.tensor, *end))] = root(key(mark.tensor, a.x0, a.y0))
    touching: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for mark in drawn.marks:
        if isinstance(mark, Edge):
            touching[mark.tensor] += [mark.points[0], mark.points[-1]]
    rects = [mark for mark in drawn.marks if isinstance(mark, Rect)]

    def touches(rect: Rect, tensor: int) -> set[tuple[int, int, int]]:
        a = area(rect)
        return {
            root(key(tensor, x, y))
            for x, y in touching[tensor]
            if a.x0 - SLACK <= x <= a.x1 + SLACK and a.y0 - SLACK <= y <= a.y1 + SLACK
        }

    # A header hands on what comes in at its outer edge: the edges on its two sides are one.
    for rect in rects:
        if rect.role in ("header", "footer") or rect.role == "frame":
            for tensor, ends in touching.items():
                a = area(rect)
                at = [
                    p
                    for p in ends
                    if a.x0 - SLACK <= p[0] <= a.x1 + SLACK and a.y0 - SLACK <= p[1] <= a.y1 + SLACK
                ]
                for one in at:
                    for other in at:
                        if abs(one[0] - other[0]) < SLACK:
                            parent[root(key(tensor, *one))] = root(key(tensor, *other))
    found = []
    sources: dict[int, set[tuple[int, int, int]]] = defaultdict(set)
    for rect in rects:
        for tensor in touching:
            item = rect.item
            if item is None and tensor == 0 and rect.text.startswith("input"):
                sources[0] |= touches(rect, 0)
            if item is not None and not isinstance(item, Exit) and (item.output == tensor or item.start <= tensor < item.stop):
                sources[tensor] |= touches(rect, tensor)
    for rect in rects:
        if rect.role == "box" and rect.item is not None:
            for tensor in rect.item.reads:
                if not touches(rect, tensor) & sources[tensor]:
                    found.append(f"tensor {tensor} does not reach {rect.text!r}")
    return found + [
        f"{text!r} stands {len(pills)} times, or nothing reaches it"
        for text, tensor in told(drawn.scene.network)
        for pills in [[rect for rect in rects if rect.role == "end" and rect.text == text]]
        if len(pills) != 1 or not touches(pills[0], tensor) & sources[tensor]
    ]


def told(network: Network) -> Iterator[tuple[str, int]]:
    """What each output's pill has to say, and the node that makes the tensor."""
    for output in network.outputs:
        tensor = output.node
        while network.nodes[tensor].kind == "identity":
            tensor = network.nodes[tensor].inputs[0]
        if not output.aux:
            name = "output" if output.name == "out" else f"output {output.name}"
            yield f"{name} {sizes(network.nodes[tensor].shape)}", tensor


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.nightly)])
def test_nothing_overlaps_in_shipped_networks(every: int) -> None:
    names = shipped_names()
    assert len(names) >= 150
    count = 0
    for index, name in enumerate(names[::every]):
        network = archdsl.load(name)
        chosen = scene(network)
        drawn = picture(chosen)
        assert complaints(drawn) == [], name
        boxes = sum(isinstance(item, Box) for item in items(chosen.chain))
        assert boxes <= READABLE or chosen.depth == 1, name
        count += boxes
        if index % 5 == 0:
            assert complaints(picture(scene(network, 3))) == [], name
    assert count > 4000 / every
    assert scene(archdsl.load("resnet50")).depth == 2


def test_every_box_is_reached_by_what_it_reads() -> None:
    for name in (
        "vgg16",
        "resnet50",
        "googlenet",
        "unet",
        "unet_valid",
        "nasnet_a_mobile",
        "fractalnet_cifar",
        "densenet121",
    ):
        for depth in (1, 2, 3):
            assert unconnected(picture(scene(archdsl.load(name), depth))) == [], (name, depth)


def test_what_is_wrong_with_a_picture_is_seen() -> None:
    drawn = picture(scene(archdsl.load("resnet18"), 2))
    boxes = [mark for mark in drawn.marks if isinstance(mark, Rect) and mark.role == "box"]
    edges = [mark for mark in drawn.marks if isinstance(mark, Edge)]
    labels = [mark for mark in drawn.marks if isinstance(mark, Label)]

    def with_mark(*more: object, without: object = None) -> Picture:
        return replace(drawn, marks=(*(m for m in drawn.marks if m is not without), *more))  # type: ignore[arg-type]

    assert complaints(drawn) == unconnected(drawn) == []
    assert any("overlap" in c for c in complaints(with_mark(boxes[3].moved(4, 20))))
    assert any("frame" in c for c in complaints(with_mark(replace(boxes[2], x=boxes[2].x - 60))))
    assert any(
        "wider" in c for c in complaints(with_mark(replace(boxes[0], text="m" * 30), without=boxes[0]))
    )
    through = Edge(((boxes[2].x + 9, boxes[2].y - 40), (boxes[2].x + 9, boxes[2].y + 60)), 999)
    assert any("passes through" in c for c in complaints(with_mark(through)))
    assert any("on the text" in c for c in complaints(with_mark(labels[0].moved(3, 2))))
    assert any(
        "lie upon" in c
        for c in complaints(with_mark(replace(edges[0], tensor=999, points=edges[0].points[::-1])))
    )
    lost = next(e for e in edges if e.arrow and e.tensor == boxes[2].item.reads[0])  # type: ignore[union-attr]
    assert unconnected(with_mark(without=lost)) != []


# ---- what is shown ----


def titles(name: str, depth: int | None = None) -> list[str]:
    return [item.text for item in items(scene(archdsl.load(name), depth).chain)]


def test_copies_are_shown_once() -> None:
    assert titles("vgg16", 1)[:3] == ["conv3-64 ×2", "maxpool", "conv3-128 ×2"]
    assert "bottleneck(128) ×4/2" in titles("resnet50", 1)
    # The first copy has a projection and the others not: two pictures of one block.
    assert [t for t in titles("resnet50", 2) if t.startswith("bottleneck")][:4] == [
        "bottleneck(64)",
        "bottleneck(64) ×2",
        "bottleneck/2(128)",
        "bottleneck(128) ×3",
    ]
    assert [t for t in titles("densenet121") if t.startswith("dense")] == [
        "dense(32) ×6",
        "dense(32) ×12",
        "dense(32) ×24",
        "dense(32) ×16",
    ]


def test_depth_opens_blocks_one_by_one() -> None:
    kinds = [{type(i) for i in items(scene(archdsl.load("googlenet"), depth).chain)} for depth in (1, 2)]
    assert kinds == [{Box, Aside}, {Box, Aside, Frame, Split}]
    opened = [
        sum(isinstance(i, Frame) for i in items(scene(archdsl.load("nasnet_a_mobile"), d).chain))
        for d in (1, 2, 3)
    ]
    assert opened[0] == 0 < opened[1] < opened[2]


def test_a_residual_stays_on_the_line_and_its_projection_beside() -> None:
    network = archdsl.loads(
        "input 3x8x8; residual { conv3-8/2; conv3-8 }; residual(shortcut=match) { conv3-16 }"
    )
    split, box = scene(network, 1).chain.items
    assert isinstance(split, Split) and split.main == 0
    assert [[i.title for i in branch.items] for branch in split.branches] == [
        ["conv3-8/2", "conv3-8"],
        ["conv1-8/2"],
    ]
    assert isinstance(box, Box)  # nothing is skipped where shapes differ


def test_few_edges_cross() -> None:
    """None in any network but NASNet's: its reduction cell is no planar graph, what enters it, `h` and the concat reach
    `a`, `b` and the first sum each without the others (K3,3)."""
    crossed = {}
    for name in (
        "vgg16",
        "resnet50",
        "googlenet",
        "densenet121",
        "unet",
        "fractalnet_cifar",
        "nasnet_a_mobile",
    ):
        for depth in (1, 2):
            drawn = picture(scene(archdsl.load(name), depth))
            crossed[name, depth] = crossings([mark for mark in drawn.marks if isinstance(mark, Edge)])
    found = {key: count for key, count in crossed.items() if count}
    assert list(found) == [("nasnet_a_mobile", 2)] and found["nasnet_a_mobile", 2] <= 3


def test_untangling_moves_wires_and_branches_and_changes_nothing_else() -> None:
    chain = scene(archdsl.load("nasnet_a_mobile"), 2).chain
    before, after = list(items(chain)), list(items(untangled(chain)))
    assert [item.start for item in before] != [item.start for item in after]
    told = [sorted((i.title, i.start, i.stop, i.reads, i.output) for i in found) for found in (before, after)]
    assert told[0] == told[1]
    assert untangled(scene(archdsl.load("googlenet"), 2).chain) == scene(archdsl.load("googlenet"), 2).chain


def test_long_skips_fold_the_picture() -> None:
    drawn = picture(scene(archdsl.load("unet"), 1))
    boxes = {mark.text: mark for mark in drawn.marks if isinstance(mark, Rect)}
    assert boxes["down(256)"].x + boxes["down(256)"].width < boxes["up(128, @d2)"].x
    assert boxes["up(64, @d1)"].y < boxes["up(512, @d4)"].y
    across = [
        m for m in drawn.marks if isinstance(m, Edge) and len(m.points) == 3 and m.tensor in (4, 9, 14, 19)
    ]
    assert len(across) == 4 and all(m.points[0][1] == m.points[1][1] for m in across)


def test_a_tensor_of_another_branch_comes_from_there() -> None:
    network = archdsl.loads("input 3x8x8; add [ conv3-4 as a; conv3-4 | @a; conv3-4 | conv1-4 ]")
    drawn = picture(scene(network))
    assert complaints(drawn) == unconnected(drawn) == []
    far = archdsl.loads("input 3x8x8; add [ conv3-4 as a; conv3-4 | conv1-4 | @a; conv3-4 ]")
    told = [m for m in picture(scene(far)).marks if isinstance(m, Label) and m.role == "note"]
    assert [m.text for m in told] == ["from another branch"] and complaints(picture(scene(far))) == []


ODD = {
    "only the input goes on": "input 3x8x8; conv3-4 as a; relu; @a",
    "a tensor passes by a block": "block b(@p) { conv3-4; add [ @p | identity ] }\n"
    "arch n { input 3x8x8; conv3-4 as a; conv3-4; b(@a) }",
    "the stream waits": "block b(@p) { identity as x; @p; conv1-4 as q; add [ @x | @q ] }\n"
    "arch n { input 3x8x8; conv3-4 as a; conv3-4; b(@a) x2 }",
    "two outputs": "arch n { input 3x8x8; conv3-4 as a; conv3-4 as b; output @a, @b }",
    "a head that reads an earlier tensor": "arch n { input 3x8x8; conv3-4 as a; conv3-4; aux(0.3) { @a; fc-2 }; fc-2 }",
    "two heads in one place": "arch n { input 3x8x8; conv3-4; aux(0.3) { fc-2; relu; fc-2 }; aux(0.1) { fc-3 }; fc-2 }",
    "open sizes": "input 3xHxW; conv3-4/2; maxpool",
    "a gate": "input 4x8x8; gate [ conv3-4 | conv3-4(act=sigmoid) ]",
    "a dense net written out": "input 3x8x8; conv3-4 as a; conv3-4 as b; concat [ @a | @b | identity ]; conv3-4 as c; "
    "concat [ @a | @b | @c | conv3-4 ]",
    "long skips that are not nested": "input 3x8x8; conv3-4 as a; conv3-4 as b; conv3-4; add [ @a | identity ]; relu; "
    "add [ @b | identity ]",
    "nothing in a copy": "input 3x8x8; conv3-4; { identity } x3; relu",
    "long names": f"block {'n' * 80}(f) {{ conv3-f as {'l' * 60} }}\narch n {{ input 3x8x8; {'n' * 80}(4) as {'k' * 70}; relu }}",
}


@pytest.mark.parametrize("case", ODD)
def test_odd_networks_are_drawn_whole(case: str) -> None:
    network = archdsl.loads(ODD[case])
    for depth in (1, 2):
        drawn = picture(scene(network, depth))
        assert complaints(drawn) == []
        assert unconnected(drawn) == []
        ElementTree.fromstring(to_svg(drawn))
        mermaid.to_mermaid(scene(network, depth))
        html.to_html(network, depth)


def test_deep_nesting_and_long_chains_are_drawn_or_refused() -> None:
    deep = "residual { " * 150 + "conv3-4" + " }" * 150
    assert complaints(picture(scene(archdsl.loads(f"input 4x8x8; {deep}")))) == []
    with pytest.raises(archdsl.ArchError, match="A308"):
        scene(archdsl.loads("input 3x8x8\n" + "relu; tanh\n" * MOST_ITEMS))
    assert len(titles("resnet1202_cifar")) < 60


# ---- how it is written ----


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_light_and_dark_pages_can_be_read() -> None:
    for page in ("#ffffff", "#0d1117", "#000000"):
        assert contrast(LINE, page) >= 4
    for fill, stroke, _ in COLORS.values():
        assert contrast(INK, fill) >= 7 and contrast(stroke, fill) >= 1.9
    assert contrast("#777777", "#888888") < 1.5  # the measure tells them apart


def test_svg_is_whole_and_the_same_each_time() -> None:
    network = archdsl.load("nasnet_a_mobile")
    text = to_svg(picture(scene(network, 2)))
    assert text == to_svg(picture(scene(archdsl.load("nasnet_a_mobile"), 2)))
    tree = ElementTree.fromstring(text)
    said = [e.text for e in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "stem" in said and "44×56×56" in said
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|href|<script|<image", text)


def test_texts_of_a_spec_are_escaped() -> None:
    path = "</script><svg onload=alert(1)>&.arch"
    network = archdsl.loads(
        "arch n { input 3x8x8; residual(scale=0.5) { conv3-3(act=none) }; if 1 < 2 { relu } }", name=path
    )
    named = replace(network, name=path)
    for text in (to_svg(picture(scene(named))), html.to_html(named), mermaid.to_mermaid(scene(named))):
        assert "<svg onload" not in text and "</script><svg" not in text
    ElementTree.fromstring(to_svg(picture(scene(named))))


def test_the_page_loads_nothing_and_has_every_depth() -> None:
    text = html.to_html(archdsl.load("googlenet"))
    assert re.findall(r'<div class="level" data-depth="(\d)"', text) == ["1", "2"]
    assert not re.search(r"(src|href)=|@import|url\((?!#)|fetch\(|https?://(?!www\.w3\.org)", text)
    ranges = set(re.findall(r'<tr data-depth="\d+" data-start="(\d+)" data-stop="(\d+)"', text))
    drawn = set(re.findall(r'class="item" data-start="(\d+)" data-stop="(\d+)"', text))
    assert drawn and drawn <= ranges, "a box that no row of the table is about"


def test_mermaid_has_every_box_and_edge() -> None:
    shown = scene(archdsl.load("resnet18"), 2)
    text = mermaid.to_mermaid(shown)
    defined = re.findall(r'^ +(\w+)(?:\[|\(\(|\(\[)"', text, re.M)
    assert (
        len(defined) == len(set(defined)) == sum(isinstance(i, Box | Split) for i in items(shown.chain)) + 2
    )
    edges = re.findall(r'^  (\w+) -->\|"[^"]*"\| (\w+)$', text, re.M)
    assert {a for a, _ in edges} | {b for _, b in edges} == set(defined)
    reads = sum(len(i.reads) for i in items(shown.chain) if isinstance(i, Box))
    reads += sum(len(i.branches) for i in items(shown.chain) if isinstance(i, Split))
    assert len(edges) == reads + 1


def test_a_text_is_cut_where_it_does_not_fit() -> None:
    assert fitted("conv3-64", TEXT, 300) == "conv3-64"
    cut = fitted("inception" * 20, TEXT, 120)
    assert cut.endswith("…") and 100 < text_width(cut, TEXT) <= 120


# ---- the command ----


def test_the_command_writes_what_the_name_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["draw", "vgg16"]) == 0
    assert "wrote vgg16.svg" in capsys.readouterr().out
    for ending, start in (("svg", "<svg"), ("html", "<!doctype html>"), ("mmd", "%% archdsl draw")):
        for _ in range(2):  # the second time over its own
            assert main(["draw", "unet", "-o", f"net.{ending}", "--depth", "1"]) == 0
        assert (tmp_path / f"net.{ending}").read_text(encoding="utf-8").startswith(start)
    capsys.readouterr()
    assert main(["draw", "vgg16", "-o", "-"]) == 0
    assert capsys.readouterr().out == (tmp_path / "vgg16.svg").read_text(encoding="utf-8")
    assert main(["draw", "vgg16", "-o", "net.png"]) == 2
    assert ".svg, .html or .mmd" in capsys.readouterr().err
    (tmp_path / "mine.svg").write_text("<svg>mine</svg>")
    assert main(["draw", "vgg16", "-o", "mine.svg"]) == 1
    assert (tmp_path / "mine.svg").read_text() == "<svg>mine</svg>"


def test_drawing_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from archdsl.cli import main; "
        f"assert main(['draw', 'unet', '-o', {str(tmp_path / 'u.html')!r}]) == 0; "
        "assert not {'torch', 'triton', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_copies_that_differ_in_a_drop_paths_rate_are_drawn_once() -> None:
    found = [item for item in items(scene(archdsl.load("convnext_tiny")).chain) if isinstance(item, Frame)]
    counts = [item.count for item in found if item.title.startswith("convnext(")]
    assert counts == [1, 2, 3, 9, 3]  # 3, 3, 9, 3; the first one of all has no drop path


@pytest.mark.parametrize("text", ["vgg16", "densenet121", "{ relu; tanh } x2", "conv3-8; { conv3-8; relu } x3"])
def test_the_legend_stays_inside(text: str) -> None:
    network = archdsl.loads(f"input 3x8x8; {text}") if " " in text else archdsl.load(text)
    drawn = ElementTree.fromstring(to_svg(picture(scene(network))))
    width, height = float(drawn.get("width", 0)), float(drawn.get("height", 0))
    [legend] = [group for group in drawn if group.get("class") == "legend"]
    top = float(legend.get("transform", "").split()[1].rstrip(")"))
    lines = [part for part in legend if part.tag.endswith("text")]
    assert lines
    for line in lines:
        assert float(line.get("x", 0)) + text_width(line.text or "", SMALL) <= width, line.text
        assert top + float(line.get("y", 0)) < height - 4, line.text


# ---- pictures of the documents ----

# The network, and the depth to which it is opened.
PICTURES = {"vgg16": 1, "googlenet": 2, "resnet50": 2, "densenet121": 2, "unet": 1, "nasnet_a_mobile": 2}


def test_every_picture_of_the_documents_is_one_of_these() -> None:
    shown = [path.stem for path in (ROOT / "docs/pictures").glob("*.svg")]
    assert sorted(shown) == sorted([*PICTURES, "vgg16-plot"])  # tests/test_plot.py has that one


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_the_documents_are_up_to_date(name: str) -> None:
    path = ROOT / "docs/pictures" / f"{name}.svg"
    text = to_svg(picture(scene(archdsl.load(name), PICTURES[name])))
    if os.environ.get("ARCHDSL_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
    assert len(text) < 64_000
