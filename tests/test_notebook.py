"""What a notebook shows of a Network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from browsing import browser, page

import archdsl
from archdsl.draw.scene import MOST_ITEMS

__all__ = ["browser", "page"]
ROOT = Path(__file__).resolve().parent.parent


def test_the_picture_and_the_table() -> None:
    text = archdsl.load("googlenet")._repr_html_()
    assert text.count("<svg ") == 1 and text.count("inception(64, 96, 128, 16, 32, 32)") >= 2
    assert "<td>256x28x28<td>163,696<td>" in text and "13,378,280 parameters, 1,582,671,872 MACs" in text
    assert not re.search(r"<script|(src|href)=|@import|https?://(?!www\.w3\.org/2000/svg)| on\w+=", text)


def test_two_networks_of_a_page_have_arrows_of_their_own() -> None:
    ids = [
        re.findall(r'<marker id="([\w-]+)"', archdsl.load(name)._repr_html_()) for name in ("vgg16", "vgg19")
    ]
    assert all(len(found) == 1 for found in ids) and ids[0] != ids[1]


def test_nothing_is_raised_and_texts_are_escaped() -> None:
    """A notebook that shows a value must not fail: too many boxes, symbols, hostile texts."""
    long = archdsl.loads("input 3x8x8\n" + "relu; tanh\n" * MOST_ITEMS)._repr_html_()
    assert "more than 4,000 boxes" in long and "7,000 more" in long
    assert "<details>" in archdsl.loads("input 3xHxW; conv3-8")._repr_html_()
    text = archdsl.loads("input 3x8x8; residual { if 1 < 2 { conv3-3 } }")._repr_html_()
    assert "1 &lt; 2" in text and "1 < 2" not in text


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("div", "svg", "g", "details", "table", "ul"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("div", "svg", "g", "details", "table", "ul"):
            assert self.open.pop() == tag


def test_every_tag_is_closed_so_that_the_rest_of_the_notebook_stays_whole() -> None:
    parser = _Tags()
    parser.feed(archdsl.load("unet")._repr_html_())
    assert parser.open == []


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys, archdsl; network = archdsl.load('vgg16'); assert 'archdsl.draw' not in sys.modules; "
        "network._repr_html_(); assert not {'torch', 'triton', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_a_browser_shows_it(page: Any) -> None:
    page.set_content(archdsl.load("vgg16")._repr_html_())
    assert page.locator("svg").bounding_box()["height"] > 500
    assert not page.locator("table").is_visible()
    page.click("summary")
    assert page.locator("tr").count() == 13


def test_a_notebook_finds_it() -> None:
    """What IPython's formatter asks of a value before it calls the method: that it does not have every attribute."""
    network = archdsl.load("resnet50")
    assert not hasattr(network, "_ipython_canary_method_should_not_exist_")
    assert "<svg " in network._repr_html_()
    assert repr(network) == "Network('resnet50', 174 layers, 25,557,032 parameters)"  # where there is no page
