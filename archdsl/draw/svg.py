"""A picture as SVG text: no fonts, scripts or files from elsewhere, and the same text for the same network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from archdsl.draw.layout import NARROWEST
from archdsl.draw.marks import SMALL, TEXT, Edge, Label, Rect
from archdsl.draw.metrics import FONT, sizes, text_width
from archdsl.draw.picture import Picture
from archdsl.draw.tree import Box, Frame, Item, items
from archdsl.summary import size

MARKER = r"<svg [^>]*><!-- archdsl draw"
"""How a drawing of ours begins."""

LINE = "#6f7a87"
"""Of edges and of texts on the page: it reads on white and on black."""
INK = "#1b222c"
"""Of texts in boxes, whose own colours are light."""

COLORS = {
    "conv": ("#cfe1f7", "#3f7cc0", "convolution"),
    "depthwise": ("#c9ece4", "#2f8f79", "depthwise convolution"),
    "up": ("#fde0bd", "#c67a22", "upsampling"),
    "pool": ("#f8cfcf", "#bf4f4f", "pooling"),
    "fc": ("#e0d2f3", "#7a57ad", "fully connected"),
    "norm": ("#eee6b8", "#a08f28", "normalization"),
    "act": ("#f6efcd", "#b8a64a", "activation"),
    "other": ("#e4e7eb", "#828d9a", "other"),
    "block": ("#dbe2ec", "#51647f", "block"),
}
"""Of each kind of box: fill, border and bar, and its name in the legend."""

BORDERS = ("frame", "header", "footer")
LEGEND = 26.0
NARROWEST_PICTURE = 220.0
BAR, FULL = 3.0, NARROWEST - 8
"""Height of a box's bar, and its length at the most MACs of the picture: one scale, which fits in every box."""


def to_svg(picture: Picture, arrow: str = "arrow") -> str:
    """The whole picture with its legend. arrow: the id of the arrow's head, unique in a page of several pictures."""
    network = picture.scene.network
    legend, deep = _legend(picture)
    width, height = max(picture.width, NARROWEST_PICTURE), picture.height + deep
    title = f"{network.name}: {size(network.params)} parameters, {size(network.macs)} MACs"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" '
            f'height="{_n(height)}" font-family={quoteattr(FONT)} role="img"><!-- archdsl draw -->',
            f"<title>{escape(title)}</title>",
            f'<defs><marker id="{arrow}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0.8L8 4L0 7.2z" fill="{LINE}"/></marker></defs>',
            *_marks(picture, arrow),
            f'<g class="legend" transform="translate(0 {_n(picture.height)})">',
            *legend,
            "</g>",
            "</svg>\n",
        ]
    )


def _marks(picture: Picture, arrow: str) -> Iterator[str]:
    """Frames below edges, edges below boxes, texts last."""
    rects = [mark for mark in picture.marks if isinstance(mark, Rect)]
    frames = 0
    for rect in rects:
        if rect.role in BORDERS:
            frames += rect.role == "frame"  # its header comes right after it
            yield _rect(rect, picture, f' data-frame="{frames}"')
    yield f'<g fill="none" stroke="{LINE}" stroke-width="1.3" stroke-linejoin="round">'
    drawn: set[str] = set()
    for mark in picture.marks:
        if isinstance(mark, Edge):
            line = _edge(mark, arrow)
            if line not in drawn:
                drawn.add(line)
                yield line
    yield "</g>"
    for rect in rects:
        if rect.role not in BORDERS:
            yield _rect(rect, picture)
    yield f'<g fill="{LINE}" font-size="{_n(SMALL)}">'
    for mark in picture.marks:
        if isinstance(mark, Label):
            style = ' font-style="italic"' if mark.role != "shape" else ""
            anchor = f' text-anchor="{mark.anchor}"' if mark.anchor != "start" else ""
            yield f'<text x="{_n(mark.x)}" y="{_n(mark.y + SMALL * 0.35)}"{anchor}{style}>{escape(mark.text)}</text>'
    yield "</g>"


def _edge(edge: Edge, arrow: str) -> str:
    """Corners rounded, as far as the pieces beside them are long."""
    points = _corners(edge.points)
    path = f"M{_n(points[0][0])} {_n(points[0][1])}"
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(5.0, _length(before, at) / 2, _length(at, after) / 2)
        into, out = _towards(at, before, radius), _towards(at, after, radius)
        path += f"L{_n(into[0])} {_n(into[1])}Q{_n(at[0])} {_n(at[1])} {_n(out[0])} {_n(out[1])}"
    path += f"L{_n(points[-1][0])} {_n(points[-1][1])}"
    head = f' marker-end="url(#{arrow})"' if edge.arrow else ""
    return f'<path d="{path}"{head}/>'


def _corners(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points where a line turns, and its ends."""
    kept = [points[0]]
    for index in range(1, len(points)):
        at = points[index]
        if index < len(points) - 1:
            after = points[index + 1]
            if at == kept[-1] or kept[-1][0] == at[0] == after[0] or kept[-1][1] == at[1] == after[1]:
                continue
        kept.append(at)
    return kept


def _length(a: tuple[float, float], b: tuple[float, float]) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(a: tuple[float, float], b: tuple[float, float], far: float) -> tuple[float, float]:
    """A point so far from `a` on the way to `b`."""
    length = _length(a, b) or 1.0
    return a[0] + (b[0] - a[0]) * far / length, a[1] + (b[1] - a[1]) * far / length


def _rect(rect: Rect, picture: Picture, frame: str = "") -> str:
    item = rect.item
    box = f'x="{_n(rect.x)}" y="{_n(rect.y)}" width="{_n(rect.width)}" height="{_n(rect.height)}"'
    nodes = f' data-start="{item.start}" data-stop="{item.stop}"' if item is not None else ""
    if rect.role == "frame":
        return f'<rect {box} rx="7" fill="{LINE}" fill-opacity="0.07" stroke="{LINE}" stroke-opacity="0.6"{frame} class="frame"/>'
    if rect.role in ("header", "footer"):
        shape = _header(rect)
        return f'<g class="item header"{nodes}{frame}>{_tip(item)}<path d="{shape}" fill="#dbe2ec" stroke="{LINE}"/>{_text(rect)}</g>'
    if rect.role == "end":
        shape = f'<rect {box} rx="{_n(rect.height / 2)}" fill="#ffffff" stroke="{LINE}"/>'
        return f"<g>{shape}{_text(rect, SMALL)}</g>"
    if rect.role == "merge":
        shape = f'<rect {box} rx="{_n(rect.height / 2)}" fill="#ffffff" stroke="{LINE}" stroke-width="1.3"/>'
        return f'<g class="item"{nodes}>{_tip(item)}{shape}{_text(rect)}</g>'
    assert isinstance(item, Box)
    fill, stroke, _ = COLORS[item.kind]
    shape = f'<rect {box} rx="4" fill="{fill}" stroke="{stroke}"/>'
    filled = picture.share(item) * FULL
    if filled >= 0.5:
        y = rect.y + rect.height - BAR - 1.5
        shape += f'<rect x="{_n(rect.x + 4)}" y="{_n(y)}" width="{_n(max(filled, BAR))}" height="{_n(BAR)}" rx="1.5" fill="{stroke}"/>'
    return f'<g class="item"{nodes}>{_tip(item)}{shape}{_text(rect)}</g>'


def _header(rect: Rect) -> str:
    """A bar whose outer corners are the frame's."""
    x, right, y, low, r = rect.x, rect.x + rect.width, rect.y, rect.y + rect.height, 7.0
    if rect.role == "footer":
        y, low, r = low, y, -r
    return (
        f"M{_n(x)} {_n(low)}L{_n(x)} {_n(y + r)}Q{_n(x)} {_n(y)} {_n(x + abs(r))} {_n(y)}"
        f"L{_n(right - abs(r))} {_n(y)}Q{_n(right)} {_n(y)} {_n(right)} {_n(y + r)}L{_n(right)} {_n(low)}z"
    )


def _text(rect: Rect, points: float = TEXT) -> str:
    x, y = rect.x + rect.width / 2, rect.y + rect.height / 2 + points * 0.35
    if rect.role == "box":
        y -= 1.5
    return f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(points)}" text-anchor="middle" fill="{INK}">{escape(rect.text)}</text>'


def _tip(item: Item | None) -> str:
    """What a pointer on a box is told."""
    if item is None:
        return ""
    params, macs = item.costs
    lines = [item.text, f"output {sizes(item.shape)}", f"{size(params)} parameters", f"{size(macs)} MACs"]
    return f"<title>{escape(chr(10).join(lines))}</title>"


def _legend(picture: Picture) -> tuple[list[str], float]:
    """The colours that are used, in rows as wide as the picture, and what a bar means; with its height."""
    lines, x, y = [], 16.0, 6.0
    width = max(picture.width, NARROWEST_PICTURE)
    for kind in COLORS:
        if kind not in picture.kinds:
            continue
        fill, stroke, name = COLORS[kind]
        wide = 16 + text_width(name, SMALL) + 14
        if x > 16 and x + wide > width:
            x, y = 16.0, y + 16
        lines.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="11" height="11" rx="2" fill="{fill}" stroke="{stroke}"/>'
        )
        lines.append(
            f'<text x="{_n(x + 16)}" y="{_n(y + 9)}" font-size="{_n(SMALL)}" fill="{LINE}">{name}</text>'
        )
        x += wide
    if picture.most:
        y += 16 if lines else 0
        bar = f'<rect x="16" y="{_n(y + 4)}" width="{_n(FULL)}" height="{_n(BAR)}" rx="1.5" fill="{LINE}"/>'
        copies = any(isinstance(item, Frame) and item.count > 1 for item in items(picture.scene.chain))
        words = [f"{short_figure(picture.most)} MACs", *(["in a frame ×n: of one copy"] if copies else [])]
        if FULL + 22 + text_width("; ".join(words), SMALL) + 16 <= width:
            words = ["; ".join(words)]
        lines.append(bar)
        for at, line in zip((FULL + 22, 16.0), words, strict=False):
            lines.append(
                f'<text x="{_n(at)}" y="{_n(y + 9)}" font-size="{_n(SMALL)}" fill="{LINE}">{line}</text>'
            )
            y += 16
        y -= 16
    return lines, (y + LEGEND if lines else 0.0)


def short_figure(count: int) -> str:
    """`1.85 G`, `38.7 K`"""
    for power, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if count >= power:
            return (
                f"{count / power:.3g} {suffix}" if count / power < 999.5 else f"{count / power:.0f} {suffix}"
            )
    return str(count)


def _n(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 0.05 else "0"
