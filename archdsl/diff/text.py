"""A difference as a terminal shows it: on one screen what a reader of the two papers would say."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from archdsl.diff.compare import Difference, Row
from archdsl.diff.weights import Tensor, numbers
from archdsl.diff.words import Entry, entries, headline
from archdsl.network import Network
from archdsl.ops.base import written
from archdsl.render import printable, width
from archdsl.summary import bytes_text, cut, field_text, size
from archdsl.symbolic import Dim

SIGNS = {"same": " ", "changed": "~", "gone": "-", "new": "+"}
COLUMNS = 118
"""Of lines that can be broken or shortened."""
WIDEST = 44
"""Cells of a step's title."""
MOST_LINES = 40
"""Of rows, and of changes inside blocks; `--format json` has all."""
MOST_NAMES = 6


def to_text(difference: Difference) -> str:
    return "\n".join(line.rstrip() for line in _lines(difference))


def _lines(difference: Difference) -> Iterator[str]:
    a, b = difference.a, difference.b
    yield printable(f"{a.name} → {b.name}")
    yield from _wrapped(headline(difference), "")
    if difference.same:
        return
    yield ""
    yield from _table(totals(a, b))
    found = entries(difference.changes, difference.blocks)
    rows = list(_rows(difference.rows))
    if rows:
        yield ""
        yield from _limited(rows)
    yield from _inside(found, difference.blocks)
    if difference.rewired:
        yield ""
        yield "read another tensor"
        rewired = [f"~ {r.layer}: {r.before} → {r.after}" for r in difference.rewired]
        yield from map(printable, _limited(rewired, MOST_NAMES))
    yield ""
    yield from _weights(difference)


def totals(a: Network, b: Network) -> list[tuple[str, str, str, str]]:
    """What is told of the whole networks: its name, the two values, and by how much the second is larger."""
    told = [
        ("parameters", size(a.params), size(b.params), _growth(a.params, b.params)),
        ("buffers", size(a.buffers), size(b.buffers), _growth(a.buffers, b.buffers)),
        ("MACs", size(a.macs), size(b.macs), _growth(a.macs, b.macs)),
    ]
    for name, one, other in (
        ("activations", a.activation_bytes, b.activation_bytes),
        ("at most at once", a.peak_bytes, b.peak_bytes),
    ):
        told.append((name, bytes_text(one), bytes_text(other), _growth(one, other)))
    fields = [field_text(network.last_image.extent) for network in (a, b)]
    told.append(("receptive field", fields[0], fields[1], _growth(a.receptive_field, b.receptive_field)))
    others = (
        ("stride", str(a.last_image.stride), str(b.last_image.stride)),
        ("input", written(a.input), written(b.input)),
        ("output", written(a.shape), written(b.shape)),
        ("outputs", _outputs(a), _outputs(b)),
    )
    return [*told, *((name, before, now, "") for name, before, now in others if before != now)]


def _outputs(network: Network) -> str:
    return printable(", ".join(f"{o.name} × {o.weight:g}" if o.aux else o.name for o in network.outputs))


def _growth(one: Dim | None, other: Dim | None) -> str:
    if one == other:
        return ""
    if not isinstance(one, int) or not isinstance(other, int) or not one or not other:
        return ""
    return f"× {other / one:.3g}"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    wide = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for name, before, now, growth in rows:
        yield f"{name:<{wide[0]}}  {before:>{wide[1]}}  {'=' if before == now else '→'} {now:>{wide[2]}}   {growth}"


# ---- the steps ----


def _rows(rows: Sequence[Row]) -> Iterator[str]:
    """A line a step, and runs of the same ones as their number."""
    if all(row.change == "same" for row in rows):
        return
    told = [_cells(row) for row in rows if row.change != "same"]
    wide = [max(map(width, column)) for column in zip(*told, strict=True)]
    for change, run in groupby(rows, key=lambda row: row.change):
        if change == "same":
            count = sum(1 for _ in run)
            yield f"  {count} step{'s' if count > 1 else ''} the same"
            continue
        for row in run:
            cells = [cell + " " * (w - width(cell)) for cell, w in zip(_cells(row), wide, strict=True)]
            yield f"{SIGNS[change]} {'  '.join(cells)}".rstrip()


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    a, b = row.a, row.b
    steps = [step for step in (a, b) if step]
    said = [f"{row.gone} gone" if row.gone and b else "", f"{row.new} new" if row.new and a else ""]
    said += [note(entry) for entry in entries(row.changes, {})]
    return (
        " → ".join(cut(title, WIDEST) for title in dict.fromkeys(step.title for step in steps)),
        _both(*(written(step.output) for step in steps)),
        _both(*(size(step.params) for step in steps)),
        _both(*(short(step.macs) for step in steps)),
        ", ".join(dict.fromkeys(filter(None, said))),
    )


def note(entry: Entry) -> str:
    """What happened, without where."""
    if entry.kind in ("gone", "new"):
        return f"{SIGNS[entry.kind]} {_titles(entry, 0 if entry.kind == 'gone' else 1)}"
    return entry.words


def _titles(entry: Entry, side: int, brief: bool = False) -> str:
    """Steps as written: the first, and the last of several unless it is to be brief."""
    found = list(dict.fromkeys(titles[side] for titles in entry.titles))
    if brief and len(found) > 1:
        return f"{cut(found[0], 24)} …"
    shown = [cut(title, 40) for title in (found if len(found) < 3 else (found[0], found[-1]))]
    return (", " if len(found) < 3 else " … ").join(shown)


# ---- inside blocks ----


def _inside(found: Sequence[Entry], blocks: Mapping[tuple[str, str], int]) -> Iterator[str]:
    for place, group in groupby(
        sorted(found, key=lambda e: list(blocks).index(e.place or ("", ""))), key=lambda e: e.place
    ):
        told = list(group)
        assert place is not None
        yield ""
        count = blocks[place]
        yield printable(
            f"in {' → '.join(dict.fromkeys(place))}, {count} of them"
            if count > 1
            else f"in {' → '.join(dict.fromkeys(place))}"
        )
        lines = _columns([_entry(entry, brief=False) for entry in told])
        if max(map(width, lines)) > COLUMNS:
            lines = _columns([_entry(entry, brief=True) for entry in told])
        yield from _limited(lines)


def _entry(entry: Entry, brief: bool) -> tuple[str, ...]:
    titles = dict.fromkeys(_titles(entry, side, brief) for side in (0, 1))
    often = f"{len(entry.changes)} of them" if len(entry.changes) < entry.of else ""
    sign = " " if entry.is_consequence else SIGNS[entry.kind]
    return f"{sign} {entry.name}", " → ".join(filter(None, titles)), entry.words, often


def _columns(lines: Sequence[tuple[str, ...]]) -> list[str]:
    wide = [max(map(width, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell + " " * (w - width(cell)) for cell, w in zip(line, wide, strict=True)).rstrip()
        for line in lines
    ]


def _limited(lines: Sequence[str], most: int = MOST_LINES) -> Iterator[str]:
    yield from lines[:most]
    if len(lines) > most:
        yield f"  and {len(lines) - most} more"


# ---- weights ----


def _weights(difference: Difference) -> Iterator[str]:
    weights = difference.weights
    carried, needed = len(weights.carried), weights.needed
    everything = numbers((*weights.carried, *weights.reshaped, *weights.new))
    told = [("of another shape", weights.reshaped), ("new", weights.new), ("gone", weights.gone)]
    if carried == needed and not weights.gone:
        yield f"weights: all {needed:,} tensors carry over"
    else:
        yield (
            f"weights: {carried:,} of {needed:,} tensors carry over (same place, same shape), "
            f"{numbers(weights.carried):,} of {everything:,} numbers"
        )
        told.insert(0, ("carry over", weights.carried))
    if weights.renamed:
        yield f"  {len(weights.renamed):,} of them under another name: {_names([f'{t.a} → {t.b}' for t in weights.renamed][:1])}"
    for what, tensors in told:
        if tensors:
            yield from _wrapped(f"  {len(tensors):,} {what}: {_names(_summed(tensors))}", "    ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _summed(tensors: Sequence[Tensor]) -> list[str]:
    """Layers' names, those of copies and of parts that have the same put together: `conv1, conv2 of c2, c3`."""
    names = dict.fromkeys(re.sub(r"\.\d+(?=\.)", ".*", t.b or t.a).rpartition(".")[0] for t in tensors)
    inside: dict[str, dict[str, None]] = {}
    for name in names:
        part, _, rest = name.partition(".*.")
        inside.setdefault(part if rest else "", {})[rest or name] = None
    of: dict[tuple[str, ...], list[str]] = {}
    for part, found in inside.items():
        of.setdefault(tuple(found) if part else (*found, ""), []).append(part)
    return [
        _few(found) + f" of {_few(parts)}" if parts != [""] else _few(found[:-1])
        for found, parts in of.items()
    ]


def _few(found: Sequence[str]) -> str:
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return ", ".join(found[:MOST_NAMES]) + more


def _names(found: Sequence[str]) -> str:
    more = f"; {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return printable("; ".join(found[:MOST_NAMES])) + more


def _both(*values: str) -> str:
    return " → ".join(dict.fromkeys(values))


def short(value: Dim) -> str:
    """`680M`, `1.98G`: MACs where many stand beside each other."""
    if not isinstance(value, int):
        return str(value)
    for power, suffix in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if value >= power:
            return (
                f"{value / power:.3g}{suffix}" if value < 999.5 * power else f"{value / power:,.0f}{suffix}"
            )
    return str(value)
