"""The page that `archdsl draw -o NET.html` writes, in a real browser: depths, zoom, frames that close, the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import browser, page

import archdsl
from archdsl.draw.html import to_html

__all__ = ["browser", "page"]


@pytest.fixture
def opened(page: Any, tmp_path: Path) -> Any:
    file = tmp_path / "net.html"
    file.write_text(to_html(archdsl.load("googlenet"), 2), encoding="utf-8")
    page.goto(file.as_uri())
    return page


def drawn(page: Any) -> Any:
    return page.locator("div.level:not([hidden]) svg")


def test_each_depth_is_shown_by_its_button(opened: Any) -> None:
    assert drawn(opened).locator(".header").count() == 13  # nine inceptions, two heads, and what is in those
    opened.click("button[data-depth='1']")
    assert drawn(opened).locator(".header").count() == 2
    assert opened.locator("button[data-depth='1']").get_attribute("aria-pressed") == "true"


def test_zoom_and_fit(opened: Any) -> None:
    def width() -> float:
        return drawn(opened).bounding_box()["width"]

    fitted = width()
    assert 400 < fitted <= 660
    opened.click("#larger")
    assert width() == pytest.approx(1.25 * fitted, rel=0.01)
    opened.mouse.move(900, 400)
    opened.keyboard.down("Control")
    opened.mouse.wheel(0, 300)
    opened.keyboard.up("Control")
    opened.wait_for_timeout(50)
    assert width() == pytest.approx(1.25 * fitted / 2.718, rel=0.02)
    opened.click("#fit")
    assert width() == pytest.approx(fitted)


def test_a_drag_moves_the_picture(opened: Any) -> None:
    before = drawn(opened).bounding_box()
    opened.mouse.move(1150, 700)
    opened.mouse.down()
    opened.mouse.move(1100, 600, steps=4)
    opened.mouse.up()
    after = drawn(opened).bounding_box()
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((-50, -100))


def test_a_frame_closes_and_opens(opened: Any) -> None:
    first = drawn(opened).locator(".header", has_text="inception(64, 96").first
    inside = drawn(opened).locator(".item", has_text="conv5-32").first
    height = drawn(opened).bounding_box()["height"]
    assert inside.is_visible()
    first.click()
    assert not inside.is_visible()
    assert drawn(opened).bounding_box()["height"] < height - 50
    assert drawn(opened).locator(".item", has_text="conv5-96").first.is_visible()  # of the next one
    first.click()
    assert inside.is_visible()
    assert drawn(opened).bounding_box()["height"] == pytest.approx(height)


def test_rows_and_boxes_light_each_other(opened: Any) -> None:
    drawn(opened).locator(".item", has_text="conv3-192").first.hover()
    lit = opened.locator("#table tr.lit")
    assert lit.count() == 1 and "conv3-192" in lit.inner_text()
    opened.locator("#table tr", has_text="fc-1000").last.hover()
    assert drawn(opened).locator(".item.lit > text").all_text_contents() == ["fc-1000"]


def test_a_row_of_the_table_opens(opened: Any) -> None:
    rows = opened.locator("#table tbody tr:visible")
    count = rows.count()
    opened.locator("#table tr", has_text="inception(64, 96").locator("button.fold").click()
    assert rows.count() == count + 1  # the concat
    rows.filter(has_text="concat").locator("button.fold").click()
    assert rows.count() == count + 5
    opened.locator("#table tr", has_text="inception(64, 96").locator("button.fold").click()
    assert rows.count() == count
