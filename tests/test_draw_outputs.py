"""Networks of several outputs: each is a pill of its own, at the end of the line or beside it, with an edge from what makes
it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from test_draw import complaints, told, unconnected

import archdsl
from archdsl.api import shipped_names
from archdsl.backbones import tensors
from archdsl.draw import html, mermaid
from archdsl.draw.marks import Edge, Rect
from archdsl.draw.metrics import sizes
from archdsl.draw.picture import Picture, picture
from archdsl.draw.scene import scene
from archdsl.draw.svg import to_svg
from archdsl.draw.tree import Exit, items
from archdsl.draw.untangle import crossings
from archdsl.network import Network, Output

SEVERAL = {
    "two heads at the end": "conv3-16/2; conv3-32/2 as trunk; conv3-16; conv1-4 as cls; @trunk; conv3-16; conv1-8 as box; "
    "output @cls, @box",
    "three heads and what they read": "conv3-32/2 as trunk; conv1-4 as cls; @trunk; conv1-8 as box; @trunk; conv1-2 as far; "
    "output @cls, @box, @far, @trunk",
    "one in the middle": "conv3-16/2 as c1; conv3-32/2; gap; fc-10 as logits; output @c1, @logits",
    "beside skips": "conv3-4 as a; conv3-4 as b; conv3-4 as c; add [ @a | identity ] as d; conv3-4; output @a, @b, @c, @d",
    "in branches": "add [ conv3-4 as a; conv3-4 | conv3-4 as b ] as s; residual { conv3-4 as r; conv3-4 }; conv3-4 as e; "
    "output @a, @b, @s, @r, @e",
    "the last one in a branch": "conv3-4 as a; concat [ conv3-4 | conv1-8 as q; relu | conv3-9 ]; output @a, @q",
    "steps after the last": "conv3-4 as a; conv3-4 as b; conv3-6/2; output @b, @a",
    "beside side heads": "conv3-32/2 as a; aux(0.3) { gap; fc-2 } as h; conv3-8 as b; aux(0.1) { gap; fc-3 } as k; fc-2 as f; "
    "output @a, @b, @f",
    "the image": "identity as image; conv3-4 as a; output @image, @a",
    "open groups": "{ conv3-4 as x; relu } as g; conv3-4 as y; output @g, @y",
}


def of(text: str) -> Network:
    return archdsl.loads(f"arch n {{ input 3x32x32; {text} }}")


def cut(name: str, *out: str) -> Network:
    return archdsl.features(archdsl.load(name), out)


def pills(drawn: Picture) -> list[Rect]:
    return [m for m in drawn.marks if isinstance(m, Rect) and m.role == "end" and m.text.startswith("output")]


def crossed(drawn: Picture) -> int:
    return crossings([mark for mark in drawn.marks if isinstance(mark, Edge)])


def with_outputs(network: Network, wanted: dict[str, int]) -> Network:
    """The whole network, with what is asked for as its outputs, and its side heads."""
    heads = [output for output in network.outputs if output.aux]
    given = [Output(name=name, node=node, span=network.main.span) for name, node in wanted.items()]
    return replace(network, outputs=(*given, *heads))


def wrong(network: Network, depth: int | None) -> Iterator[str]:
    """What is wrong with a picture, and with its outputs: a pill each, and no more crossings than without them."""
    shown = scene(network, depth)
    drawn = picture(shown)
    yield from complaints(drawn)
    yield from unconnected(drawn)
    if sorted(pill.text for pill in pills(drawn)) != sorted(text for text, _ in told(network)):
        yield f"drawn are {[pill.text for pill in pills(drawn)]}"
    one = max((o for o in network.outputs if not o.aux), key=lambda o: o.node)
    alone = replace(network, outputs=(one, *(o for o in network.outputs if o.aux)))
    if crossed(drawn) > crossed(picture(scene(alone, shown.depth))):
        yield "wires cross that need not"


@pytest.mark.parametrize("case", SEVERAL)
def test_every_output_is_a_pill_with_its_edge(case: str) -> None:
    network = of(SEVERAL[case])
    for depth in (1, 2):
        assert list(wrong(network, depth)) == []
        assert crossed(picture(scene(network, depth))) == 0
        for text in (to_svg(picture(scene(network, depth))), html.to_html(network, depth)):
            assert all(said in text for said, _ in told(network))
        written = mermaid.to_mermaid(scene(network, depth))
        for output in network.outputs:
            if not output.aux:
                [box] = re.findall(rf'^ +(\w+)\(\["output {output.name}"\]\)$', written, re.M)
                edges = re.findall(rf'^  (\w+) -->\|"([^"]*)"\| {box}$', written, re.M)
                assert [shape for _, shape in edges] == [sizes(network.nodes[output.node].shape)]
                assert not re.search(rf"^  {box} -->", written, re.M)


def test_where_outputs_stand() -> None:
    heads = {p.text: p for p in pills(picture(scene(of(SEVERAL["two heads at the end"]))))}
    cls, box = heads["output cls 4×8×8"], heads["output box 8×8×8"]
    assert abs(cls.x + cls.width / 2 - box.x - box.width / 2) < 0.1 and cls.y < box.y  # both end their line
    drawn = picture(scene(of(SEVERAL["one in the middle"])))
    middle, last = pills(drawn) if pills(drawn)[0].text.startswith("output c1") else pills(drawn)[::-1]
    assert middle.x + middle.width < last.x + last.width / 2 and middle.y + middle.height < last.y
    # Beside a skip that passes at the left, an output stands at the right.
    a, *_ = sorted(pills(picture(scene(of(SEVERAL["beside skips"])))), key=lambda pill: pill.y)
    assert a.text.startswith("output a") and a.x > picture(scene(of(SEVERAL["beside skips"]))).width / 3


def test_features_of_a_backbone() -> None:
    network = cut("resnet50", "c2", "c3", "c4", "c5")
    for depth in (1, 2, 3):
        assert list(wrong(network, depth)) == []
    drawn = picture(scene(network, 1))
    assert [pill.text for pill in sorted(pills(drawn), key=lambda pill: pill.y)] == [
        "output c2 256×56×56",
        "output c3 512×28×28",
        "output c4 1024×14×14",
        "output c5 2048×7×7",
    ]
    assert any(isinstance(i, Exit) for i in items(scene(cut("unet", "d2", "up2", "up4"), 1).chain))
    assert list(wrong(cut("unet", "d2", "up2", "up4"), 1)) == []


def test_one_tensor_that_is_two_outputs_and_a_copy_in_the_middle() -> None:
    network = cut("resnet50", "c3", "c4.2", "c4", "c4.5")
    for depth in (1, 2):
        assert list(wrong(network, depth)) == []
    # The copies part where one of them is an output; the first run has the stride.
    shown = [item.text for item in items(scene(network, 1).chain)]
    assert shown[-5:] == [
        "output c3",
        "bottleneck(256) ×3/2",
        "output c4.2",
        "bottleneck(256) ×3",
        "output c4",
    ]


def test_one_output_has_its_name() -> None:
    assert [p.text for p in pills(picture(scene(cut("resnet18", "c4"))))] == ["output c4 256×14×14"]
    assert [p.text for p in pills(picture(scene(archdsl.load("resnet18"))))] == ["output 1000"]


def test_missing_edges_and_pills_of_outputs_are_seen() -> None:
    drawn = picture(scene(of(SEVERAL["one in the middle"])))
    [c1] = [pill for pill in pills(drawn) if "c1" in pill.text]
    into = [
        m for m in drawn.marks if isinstance(m, Edge) and m.points[-1][0] == pytest.approx(c1.x + c1.width)
    ]
    assert len(into) == 1
    for gone in (c1, into[0]):
        assert unconnected(replace(drawn, marks=tuple(m for m in drawn.marks if m is not gone))) != []


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.nightly)])
def test_outputs_anywhere_in_shipped_networks(count: int) -> None:
    """Drawn tensors of drawn networks, whole ones with their side heads and ones that are cut down."""
    source = random.Random(count)
    names = [name for name in shipped_names() if len(archdsl.load(name).nodes) < 300] if count > 40 else []
    names = names or [
        "googlenet",
        "unet",
        "resnet18",
        "nasnet_a_mobile",
        "fractalnet_cifar",
        "dsn_cifar",
        "senet154",
    ]
    several = 0
    for _ in range(count):
        whole = archdsl.load(source.choice(names))
        known = tensors(whole)
        wanted = source.sample(list(known), min(len(known), source.randint(2, 6)))
        network = with_outputs(whole, {name: known[name] for name in wanted})
        if source.random() < 0.5:
            network = archdsl.features(whole, wanted)
        several += len({o.node for o in network.outputs}) > 2
        assert list(wrong(network, source.choice((1, 2)))) == [], (whole.name, wanted)
    assert several > count / 2
