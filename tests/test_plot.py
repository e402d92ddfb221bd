"""The bars of `archdsl plot` are the network's own numbers.

`ARCHDSL_UPDATE_GOLDEN=1 python -m pytest tests/test_plot.py` draws docs/pictures/vgg16-plot.svg anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl.cli import main
from archdsl.draw.plot import MOST_BARS, points, to_svg, to_text

ROOT = Path(__file__).resolve().parent.parent
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize(
    "name", ["vgg16", "googlenet", "resnet50", "unet", "nasnet_a_mobile", "densenet121", "dsn_cifar"]
)
def test_bars_add_up_to_the_network(name: str, depth: int) -> None:
    network = archdsl.load(name)
    sums = tuple(sum(point.values[i] for point in points(network, depth)) for i in range(3))
    assert sums == (network.params, network.macs, network.activation_bytes)


def test_deeper_is_finer_and_in_order() -> None:
    network = archdsl.load("resnet50")
    assert [p.title for p in points(network)][:4] == [
        "input",
        "conv7-64/2",
        "maxpool3/2(p=1)",
        "bottleneck(64) x3 as c2",
    ]
    assert [p.title for p in points(network, 2)].count("bottleneck(256)") == 5
    assert {p.kind for p in points(network)} == {"other", "conv", "pool", "block", "fc"}
    [group] = [p for p in points(archdsl.load("vgg16")) if p.title.startswith("{")]
    assert group.kind == "fc"
    small = archdsl.loads("pixelunshuffle; conv3-12; gn(3); mish; instancenorm; elu; pixelshuffle", input="3x8x8")
    kinds = ["other", "other", "conv", "norm", "act", "norm", "act", "up"]
    assert [p.kind for p in points(small)] == kinds


def test_a_bar_is_as_long_as_its_share() -> None:
    text = to_text(archdsl.load("vgg16"))
    row = next(line for line in text.split("\n") if line.startswith("conv3-128 x2"))
    assert re.search(r"0\.2%  █████████▋ +17\.9%  ████████ +22\.3%$", row)
    assert "parameters 138 M" in text and "activations 109.8 MiB" in text


def bars(text: str) -> list[list[tuple[float, float]]]:
    """(x, height) of the bars of each panel."""
    tree = ElementTree.fromstring(text)
    panels: dict[float, list[tuple[float, float]]] = {}
    for rect in tree.iter(f"{SVG}rect"):
        x, y, tall = (float(rect.get(name, "")) for name in ("x", "y", "height"))
        panels.setdefault(round(y + tall), []).append((x, tall))
    return [panels[base] for base in sorted(panels)]


def test_the_drawing_has_every_bar_at_its_height() -> None:
    network = archdsl.load("googlenet")
    found, panels = points(network), bars(to_svg(network))
    assert len(panels) == 3
    for index, panel in enumerate(panels):
        values = [point.values[index] for point in found if point.values[index]]
        tallest = max(tall for _, tall in panel)
        assert [tall for _, tall in panel] == pytest.approx(
            [max(1, tallest * v / max(values)) for v in values], abs=0.1
        )
        assert [x for x, _ in panel] == sorted(x for x, _ in panel)


def test_too_many_bars_and_open_sizes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = archdsl.loads("input 3x8x8\n" + "relu; tanh\n" * MOST_BARS)
    with pytest.raises(archdsl.ArchError, match="A308"):
        to_svg(long)
    assert len(to_text(long).split("\n")) > 2 * MOST_BARS
    file = tmp_path / "open.arch"
    file.write_text("input 3xHxW; conv3-8")
    assert main(["plot", str(file)]) == 2
    assert "--input" in capsys.readouterr().err
    assert main(["plot", str(file), "--input", "3x8x8"]) == 0


def test_texts_of_a_spec_are_escaped() -> None:
    text = to_svg(archdsl.loads("input 3x8x8; residual { if 1 < 2 { conv3-3 } }"))
    assert "1 &lt; 2" in text and "1 < 2" not in text
    ElementTree.fromstring(text)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plot", "vgg16"]) == 0
    assert capsys.readouterr().out.rstrip() == to_text(archdsl.load("vgg16"))
    for _ in range(2):  # the second time over its own
        assert main(["plot", "resnet50", "--depth", "2", "-o", "r.svg"]) == 0
    assert main(["plot", "resnet50", "-o", "r.png"]) == 2
    Path("mine.svg").write_text("<svg>")
    assert main(["plot", "vgg16", "-o", "mine.svg"]) == 1


def test_the_picture_of_the_documents_is_up_to_date() -> None:
    path, text = ROOT / "docs/pictures/vgg16-plot.svg", to_svg(archdsl.load("vgg16"))
    if os.environ.get("ARCHDSL_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
