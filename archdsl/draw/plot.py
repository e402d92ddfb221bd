"""Where the parameters, the MACs and the activations of a network sit along its depth: bars in a terminal, and as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from xml.sax.saxutils import escape, quoteattr

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.draw.kinds import category
from archdsl.draw.marks import SMALL, TEXT
from archdsl.draw.metrics import FONT, fitted, sizes, text_width
from archdsl.draw.svg import COLORS, LINE, short_figure
from archdsl.network import BYTES, VIEWS, Network, Region
from archdsl.ops.base import Shape, written
from archdsl.render import width
from archdsl.summary import bytes_text, cut, heading, regions, rows
from archdsl.symbolic import Dim

MARKER = r"<svg [^>]*><!-- archdsl plot"
"""How a plot of ours begins."""

MOST_BARS = 400
"""Steps of one plot as SVG."""

NAMES = ("parameters", "MACs", "activations")
CELLS = 16
"""Of a bar in a terminal."""
STEP, BAR, PANEL, GAP, LEFT = 20.0, 14.0, 84.0, 26.0, 16.0
"""From bar to bar, a bar's width, a panel's height and the room above it, in pixels."""


@dataclass(frozen=True, slots=True)
class Point:
    """A step: its parameters, MACs of one image in evaluation, and bytes of what its layers give, in float32."""

    title: str
    output: Shape
    kind: str
    values: tuple[int, int, int]


def points(network: Network, depth: int = 1) -> list[Point]:
    """The input and the steps of a network in order, those that are opened to a depth by what is inside. Side heads, which don't run in
    evaluation, count with their parameters only.

    Raises ValueError where sizes are symbols.
    """
    runs = set(network.evaluated)
    given: list[int] = []
    for index, node in enumerate(network.nodes):
        if not all(isinstance(side, int) for side in node.shape):
            raise ValueError("sizes that are symbols can't be plotted; give the input's size with --input")
        counts = index in runs and node.kind not in VIEWS
        given.append(BYTES * prod(side for side in node.shape if isinstance(side, int)) if counts else 0)
    stored = list(accumulate(given, initial=0))
    found = [(0, Point("input", network.input, "other", (0, 0, given[0])))]
    told = list(zip(rows(network, depth), regions(network, depth), strict=True))
    for (row, region), below in zip(told, [*told[1:], None], strict=True):
        if below is not None and below[0].depth > row.depth:
            for index in region.own_nodes():  # what is inside stands in its place, but for the merge of branches
                node = network.nodes[index]
                costs = (_whole(node.params), _whole(node.macs) if index in runs else 0, given[index])
                found.append((index, Point(node.kind, node.shape, category(node.op), costs)))
        elif region.stop > region.start:
            macs = _whole(row.macs) if row.evaluated else 0
            costs = (_whole(row.params), macs, stored[region.stop] - stored[region.start])
            found.append((region.start, Point(row.title, row.output, _kind(network, region), costs)))
    return [point for _, point in sorted(found, key=lambda both: both[0])]


def _whole(value: Dim) -> int:
    return value if isinstance(value, int) else 0


def _kind(network: Network, region: Region) -> str:
    """A block's colour, or that of the layer with most parameters."""
    waiting = [region]
    while waiting:
        inside = waiting.pop()
        if inside.kind not in ("layer", "repeat", "group"):
            return "block"
        waiting.extend(inside.children)
    nodes = network.nodes[region.start : region.stop]
    heaviest = max(nodes, key=lambda node: node.params if isinstance(node.params, int) else 0)
    return category(heaviest.op)


def _sums(found: Sequence[Point]) -> tuple[int, int, int]:
    first, second, third = (sum(point.values[i] for point in found) for i in range(3))
    return first, second, third


def said(index: int, value: int) -> str:
    """`138 M`, `24.5 MiB`"""
    return bytes_text(value) if index == 2 else short_figure(value)


# ---- in a terminal ----


def to_text(network: Network, depth: int = 1) -> str:
    """A row a step, with a bar and a share in each column; the longest bar of a column is its largest step."""
    found = points(network, depth)
    sums = _sums(found)
    most = [max((p.values[i] for p in found), default=0) for i in range(3)]
    cells = [[cut(p.title, 44), written(p.output)] for p in found]
    wide = [max(map(width, column)) for column in zip(("step", "output"), *cells, strict=True)]
    totals = [f"{name} {said(i, sums[i])}" for i, name in enumerate(NAMES)]
    column = [max(CELLS + 7, width(total)) for total in totals]
    lines = [heading(network), ""]
    head = [f"{'step':<{wide[0]}}", f"{'output':<{wide[1]}}"]
    lines.append(
        "  ".join([*head, *(f"{total:<{w}}" for total, w in zip(totals, column, strict=True))]).rstrip()
    )
    lines.append("─" * (sum(wide) + sum(column) + 8))
    for point, texts in zip(found, cells, strict=True):
        told = [text + " " * (w - width(text)) for text, w in zip(texts, wide, strict=True)]
        for i, value in enumerate(point.values):
            share = f"{100 * value / sums[i]:5.1f}%" if sums[i] and value else ""
            told.append(f"{_bar(value, most[i]):<{CELLS}} {share:>6}".ljust(column[i]))
        lines.append("  ".join(told).rstrip())
    return "\n".join(lines)


def _bar(value: int, most: int) -> str:
    eighths = round(8 * CELLS * value / most) if most else 0
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")


# ---- as SVG ----


def to_svg(network: Network, depth: int = 1) -> str:
    """Three panels above each other, a bar a step, with the steps below. Raises ArchError (A308)."""
    found = points(network, depth)
    if len(found) > MOST_BARS:
        message = f"a plot of `{network.name}` would have {len(found):,} bars; {MOST_BARS} is the most"
        hint = "draw it with a smaller --depth, or write copies as a repeat: `dense(32) x6`"
        raise ArchError([Diagnostic(code="A308", message=message, span=network.region.span, hint=hint)])
    names = [fitted(point.title, SMALL, 150) for point in found]
    below = max((text_width(name, SMALL) for name in names), default=0.0) + 8
    across = max(2 * LEFT + STEP * len(found), 360.0)
    panels = 3 * (PANEL + GAP)
    high = panels + below + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across:g} {high:.0f}" width="{across:g}" height="{high:.0f}" '
        f'font-family={quoteattr(FONT)} role="img"><!-- archdsl plot -->',
        f"<title>{escape(network.name)}: parameters, MACs and activations along its depth</title>",
        *(line for index in range(3) for line in _panel(found, index, across)),
    ]
    for number, name in enumerate(names):
        x, y = LEFT + STEP * (number + 0.5) + 3.5, panels + 8
        lines.append(
            f'<text x="{x:g}" y="{y:g}" transform="rotate(-90 {x:g} {y:g})" text-anchor="end" font-size="{SMALL:g}" '
            f'fill="{LINE}">{escape(name)}</text>'
        )
    return "\n".join([*lines, "</svg>\n"])


def _panel(found: Sequence[Point], index: int, across: float) -> Iterator[str]:
    values = [point.values[index] for point in found]
    most, whole = max(values, default=0), sum(values)
    base = (index + 1) * (PANEL + GAP)
    yield (
        f'<text x="{LEFT:g}" y="{base - PANEL - 10:g}" font-size="{TEXT:g}" font-weight="600" fill="{LINE}">'
        f"{NAMES[index]} {said(index, whole)}</text>"
    )
    yield f'<path d="M{LEFT:g} {base + 0.5:g}H{across - LEFT:g}" stroke="{LINE}" fill="none"/>'
    for number, (point, value) in enumerate(zip(found, values, strict=True)):
        if not value:
            continue
        tall = max(1.0, (PANEL - 14) * value / most)
        x, fill, stroke = LEFT + STEP * number + (STEP - BAR) / 2, *COLORS[point.kind][:2]
        share = 100 * value / whole
        tip = (
            f"{point.title}\noutput {sizes(point.output)}\n{said(index, value)} {NAMES[index]}, {share:.1f}%"
        )
        yield (
            f'<g><title>{escape(tip)}</title><rect x="{x:g}" y="{base - tall:.1f}" width="{BAR:g}" height="{tall:.1f}" '
            f'fill="{fill}" stroke="{stroke}"/></g>'
        )
        if share >= 5:
            yield (
                f'<text x="{x + BAR / 2:g}" y="{base - tall - 3:.1f}" text-anchor="middle" font-size="8" '
                f'fill="{LINE}">{share:.0f}%</text>'
            )
