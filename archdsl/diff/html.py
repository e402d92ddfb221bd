"""A difference as a page of its own: the two networks side by side, step beside step, down to their layers."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from archdsl.diff.align import Pair
from archdsl.diff.compare import Difference, Row, printed
from archdsl.diff.text import to_text, totals
from archdsl.diff.words import headline
from archdsl.headroom import deep_recursion
from archdsl.network import Network, Region
from archdsl.ops.base import written
from archdsl.render import printable
from archdsl.summary import size

MARKER = r"<!doctype html><!-- archdsl diff"
"""How a page of ours begins."""

MOST_ROWS = 5000
"""Rows of a page. What does not fit is said below the table."""


def to_html(difference: Difference) -> str:
    """Nothing is loaded from elsewhere, and every text of the specs is escaped."""
    a, b = difference.a, difference.b
    here = files("archdsl.diff")
    title = escape(printable(f"{a.name} → {b.name}"))
    figures = "".join(
        f"<tr{'' if before == now else ' class=changed'}><th>{name}<td>{escape(before)}<td>{escape(now)}<td>{growth}</tr>\n"
        for name, before, now, growth in totals(a, b)
    )
    with deep_recursion():
        rows = [line for row in difference.rows for line in _rows(a, b, row)]
    left_out = len(rows) - MOST_ROWS
    said = f"<p>{left_out:,} more rows are left out.</p>" if left_out > 0 else ""
    return (
        f'<!doctype html><!-- archdsl diff -->\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>\n{(here / 'page.css').read_text(encoding='utf-8')}</style>\n<body>\n"
        f"<h1>{title}</h1>\n<p>{escape(headline(difference))}</p>\n"
        f"<table class=totals><tr><th><th>{escape(printable(a.name))}<th>{escape(printable(b.name))}<th></tr>\n{figures}</table>\n"
        '<p><label><input type="checkbox" id="same"> steps that are the same</label></p>\n'
        "<table class=steps><thead><tr>"
        + "<th>step<th>output<th>parameters<th>MACs"
        * 2
        + f"</tr></thead>\n<tbody>\n{''.join(rows[:MOST_ROWS])}</tbody></table>\n{said}"
        f"<details><summary>in words</summary><pre>{escape(to_text(difference))}</pre></details>\n"
        f"<script>\n{(here / 'page.js').read_text(encoding='utf-8')}</script>\n</body>\n</html>\n"
    )


def _rows(a: Network, b: Network, row: Row) -> Iterator[str]:
    cells = []
    for step in (row.a, row.b):
        if step is None:
            cells.append("<td><td><td><td>")
        else:
            cells.append(_cells(step.title, written(step.output), size(step.params), size(step.macs), 0))
    single = len(row.pairs) == 1
    inside = row.pairs[0].inside if single else row.pairs
    shown = [pair for pair in inside if not row.change == "same"]
    yield _line(row.change, 1, bool(shown), cells)
    for pair in shown:
        yield from _pairs(a, b, pair, 2)


def _pairs(a: Network, b: Network, pair: Pair, depth: int) -> Iterator[str]:
    change = "same" if pair.alike else "gone" if pair.b is None else "new" if pair.a is None else "changed"
    cells = [_region(network, region, depth) for network, region in ((a, pair.a), (b, pair.b))]
    yield _line(change, depth, bool(pair.inside), cells)
    for inside in pair.inside:
        yield from _pairs(a, b, inside, depth + 1)


def _region(network: Network, region: Region | None, depth: int) -> str:
    if region is None:
        return "<td><td><td><td>"
    params, _, macs = network.cost(region)
    return _cells(
        printed(region), written(network.nodes[region.output].shape), size(params), size(macs), depth - 1
    )


def _cells(title: str, output: str, params: str, macs: str, indent: int) -> str:
    step = f'<td title="{escape(title)}" style="padding-left:{8 + 14 * indent}px">{escape(title)}'
    return f"{step}<td>{escape(output)}<td>{escape(params)}<td>{escape(macs)}"


def _line(change: str, depth: int, folds: bool, cells: list[str]) -> str:
    fold = " data-folds" if folds else ""
    hidden = " hidden" if depth > 1 else ""
    return f'<tr class="{change}" data-depth="{depth}"{fold}{hidden}>{"".join(cells)}</tr>\n'
