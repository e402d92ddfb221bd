"""A picture as a page of its own: every depth, frames that close, zoom, and the table beside it. Nothing is loaded from
elsewhere, and every text of the spec is escaped."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from archdsl.diagnostics import ArchError
from archdsl.draw.picture import picture
from archdsl.draw.scene import DEEPEST, Scene, scene
from archdsl.draw.svg import to_svg
from archdsl.draw.tree import items
from archdsl.network import Network, Region
from archdsl.ops.base import written
from archdsl.summary import Row, field_text, heading, regions, rows, size, totals

MARKER = r"<!doctype html><!-- archdsl draw"
"""How a page of ours begins."""

MOST_BOXES = 1500
"""Boxes at which no deeper picture is put into the page."""
MOST_ROWS = 3000


def to_html(network: Network, depth: int | None = None) -> str:
    """The page, which opens at a depth. Raises ArchError as `scene` does."""
    opened, drawn = drawings(network, depth)
    return page(
        title=network.name,
        depth=opened,
        buttons=buttons([level for level, _ in drawn]),
        table=table(network, opened),
        drawings="".join(html for _, html in drawn),
    )


def drawings(network: Network, depth: int | None = None) -> tuple[int, list[tuple[int, str]]]:
    """The depth to show, and the picture of each depth as HTML. Raises ArchError as `scene` does."""
    first = scene(network, depth)
    return first.depth, [(level.depth, _drawing(level)) for level in _levels(network, first)]


def page(*, title: str, depth: int, buttons: str, table: str, drawings: str) -> str:
    here = files("archdsl.draw")
    style = (here / "page.css").read_text(encoding="utf-8")
    script = (here / "page.js").read_text(encoding="utf-8")
    return (
        f'<!doctype html><!-- archdsl draw -->\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>\n{style}</style>\n<body data-depth="{depth}">\n'
        f"<header><h1>{escape(title)}</h1>{buttons}</header>\n"
        f'<main><div id="table">{table}</div>\n<div id="drawing">{drawings}</div></main>\n'
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def buttons(depths: list[int]) -> str:
    """Zoom, and a button a depth."""
    found = "".join(f'<button data-depth="{d}" aria-pressed="false">{d}</button> ' for d in depths)
    opened = f"<span>depth {found}</span>" if len(depths) > 1 else ""
    return (
        f'{opened}<span><button id="smaller" title="smaller">−</button> <button id="larger" title="larger">+</button> '
        '<button id="fit">fit</button></span>'
    )


def _levels(network: Network, first: Scene) -> list[Scene]:
    """The scene of every depth, as long as one shows more than the one before and is not too large."""
    found: list[Scene] = []
    for depth in range(1, max(DEEPEST, first.depth) + 1):
        try:
            level = scene(network, depth)
        except ArchError:
            break
        if found and level.chain == found[-1].chain and depth > first.depth:
            break
        if depth > first.depth and sum(1 for _ in items(level.chain)) > MOST_BOXES:
            break
        found.append(level)
    return found


def _drawing(level: Scene) -> str:
    svg = to_svg(picture(level), arrow=f"arrow-{level.depth}")
    return f'<div class="level" data-depth="{level.depth}" hidden>{svg}</div>\n'


# ---- the table ----


def table(network: Network, opened: int) -> str:
    """The table of steps, three levels deeper than what is drawn and closed below the first, as HTML."""
    depth = opened + 3
    while depth > 1 and sum(1 for _ in regions(network, depth)) > MOST_ROWS:
        depth -= 1
    told = rows(network, depth)
    lines = []
    for index, (row, region) in enumerate(zip(told, regions(network, depth), strict=True)):
        folds = index + 1 < len(told) and told[index + 1].depth > row.depth
        lines.append(_row(row, region, folds))
    said = "".join(f"<li>{escape(name)}: {escape(sentence)}</li>" for name, sentence in totals(network))
    return (
        f"<table><caption hidden>{escape(heading(network))}</caption><thead><tr><th>step<th>output<th>parameters<th>MACs"
        f'<th>field</tr></thead>\n<tbody>\n{"".join(lines)}</tbody></table>\n<ul class="totals">{said}</ul>'
    )


def _row(row: Row, region: Region, folds: bool) -> str:
    fold = '<button class="fold" title="open or close">▸</button>' if folds else '<span class="fold"></span>'
    hidden = " hidden" if row.depth > 1 else ""
    macs = size(row.macs) if row.evaluated else f"({size(row.macs)})"
    cells = (written(row.output), size(row.params), macs, field_text(row.field))
    return (
        f'<tr data-depth="{row.depth}" data-start="{region.start}" data-stop="{region.stop}"{hidden}>'
        f'<td title="{escape(row.title)}" style="padding-left:{8 + 14 * (row.depth - 1)}px">{fold}{escape(row.title)}'
        + "".join(f"<td>{escape(cell)}" for cell in cells)
        + "</tr>\n"
    )
