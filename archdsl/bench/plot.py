"""The ratios as an SVG, written by hand: a group of bars a network, 1 is the best correct peer."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from xml.sax.saxutils import escape

from archdsl.bench.results import Case, Found, Results
from archdsl.bench.subjects import OURS, SUBJECTS

MARKER = r"<svg [^>]*><!-- archdsl bench"
"""How a plot of ours begins."""

COLORS = {
    OURS: "#c1432e",
    f"{OURS}-onednn": "#d9806f",
    f"{OURS}-openvino": "#a8583c",
    "eager": "#9aa5b1",
    "channels_last": "#7b8794",
    "torchscript": "#52606d",
    "compile": "#323f4b",
    "onnxruntime": "#3c8dbc",
    "openvino": "#7fb069",
    "graph": "#7b8794",
    "max-autotune": "#3c8dbc",
}
LEFT, WIDE, RIGHT = 150, 560, 70
BAR, GAP, TOP, BOTTOM = 14, 18, 64, 44


def to_svg(results: Results) -> str:
    cases = [case for case in results.cases if case.best is not None]
    height = TOP + BOTTOM + sum(BAR * len(case.subjects) + GAP for case in cases)
    width = LEFT + WIDE + RIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11"><!-- archdsl bench -->',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_marks(results, cases, height),
    ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _marks(results: Results, cases: list[Case], height: int) -> Iterator[str]:
    machine = results.machine
    yield _text(LEFT, 22, "times as fast as the best correct peer", size=14)
    about = f"{machine.get('cpu', '')}, {results.threads} threads, {results.dtype}, {results.date[:10]}; line: middle half of rounds"
    yield _text(LEFT, 40, about, fill="#52606d")
    ratios = [ratio.high for case in cases for found in case.subjects if (ratio := case.ratio(found, case.best))]
    most = max(1.25, ceil(max(ratios, default=1.0) * 4) / 4)
    step = 0.25 if most <= 2.5 else float(ceil(most / 10))
    for mark in range(int(most / step) + 1):
        x = _x(mark * step, most)
        one = mark * step == 1
        yield (
            f'<line x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{height - BOTTOM + 6}" '
            f'stroke="{"#1f2933" if one else "#e4e7eb"}"{" stroke-dasharray=" + chr(34) + "4 3" + chr(34) if one else ""}/>'
        )
        yield _text(x, height - BOTTOM + 20, f"{mark * step:g}", anchor="middle", fill="#52606d")
    y = TOP
    for case in cases:
        yield _text(LEFT - 8, y + BAR * len(case.subjects) / 2 + 4, f"{case.network}, {case.shape[0]}", anchor="end", size=12)
        for found in case.subjects:
            yield from _bar(case, found, y, most)
            y += BAR
        y += GAP


def _bar(case: Case, found: Found, y: int, most: float) -> Iterator[str]:
    ratio = case.ratio(found, case.best)
    middle = y + BAR / 2
    if ratio is None:
        yield _text(LEFT + 4, middle + 4, f"{found.name}: {found.status}", fill="#9aa5b1", size=10)
        return
    end = _x(ratio.value, most)
    title = f"{SUBJECTS[found.name].says}: {ratio.value:.3f}, {found.ms:.2f} ms"
    yield (
        f'<rect class="{found.name}" x="{LEFT}" y="{y + 1}" width="{end - LEFT:.1f}" height="{BAR - 2}" '
        f'fill="{COLORS[found.name]}"><title>{escape(title)}</title></rect>'
    )
    low, high = _x(ratio.low, most), _x(ratio.high, most)
    yield f'<line x1="{low}" x2="{high}" y1="{middle}" y2="{middle}" stroke="#1f2933" stroke-opacity="0.6"/>'
    yield _text(max(end, high) + 5, middle + 4, f"{found.name} {ratio.value:.2f}", size=10)


def _x(value: float, most: float) -> float:
    return round(LEFT + WIDE * min(value / most, 1.0), 1)


def _text(x: float, y: float, words: str, *, anchor: str = "start", fill: str = "#1f2933", size: int = 11) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{fill}" font-size="{size}">{escape(words)}</text>'
