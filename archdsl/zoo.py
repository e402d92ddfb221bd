"""The shipped networks side by side: sizes, where they come from, and which published figures they have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

from archdsl import api, figures, summary, syntax
from archdsl.diagnostics import Diagnostic, did_you_mean
from archdsl.figures import WORDS, Figure, Printed
from archdsl.network import Network
from archdsl.ops.base import written
from archdsl.parse import parse
from archdsl.render import printable, width
from archdsl.resources import specs_root
from archdsl.source import Source, Span
from archdsl.symbolic import Dim

OWN = "its spec"
"""Where the figures of an `expect` stand."""

WIDE = 110
"""Cells of a line of words."""

KERAS = "keras/"
"""What Keras Applications has stands in a folder of its own."""


class Paper(NamedTuple):
    """Where a network comes from, as far as the comment above it says."""

    authors: str = ""
    year: int | None = None
    arxiv: str = ""

    def __str__(self) -> str:
        when = str(self.year) if self.year else ""
        return ", ".join(part for part in (self.authors, when, self.arxiv and f"arXiv {self.arxiv}") if part)


@dataclass(frozen=True)
class Size:
    """What is inferred of a network, as `archdsl summary` has it."""

    input: str
    params: Dim
    buffers: Dim
    macs: Dim
    peak_bytes: int | None
    field: str
    totals: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Entry:
    """A shipped network. size: None where the spec does not check, which `errors` say."""

    name: str
    about: str
    paper: Paper
    size: Size | None
    figures: tuple[Figure, ...] = ()
    errors: tuple[Diagnostic, ...] = ()

    @property
    def met(self) -> int:
        return sum(figure.met for figure in self.figures)

    @property
    def wrong(self) -> tuple[Figure, ...]:
        """Figures that are wrong in print."""
        return tuple(figure for figure in self.figures if not figure.met and figure.wrong)

    @property
    def differing(self) -> tuple[Figure, ...]:
        """Figures that differ, and it is known why, or by how much."""
        return tuple(figure for figure in self.figures if not figure.met and figure.differs)

    @property
    def unmet(self) -> tuple[Figure, ...]:
        """Figures that are not met, and nothing says why."""
        return tuple(f for f in self.figures if not (f.met or f.wrong or f.differs))

    @property
    def sound(self) -> bool:
        """Whether it checks, and has every figure that nothing is known against."""
        return not self.errors and not self.unmet


# ---- gathering ----


def chosen(globs: Sequence[str]) -> list[str]:
    """Names of the shipped networks that are meant: all of them, or those that a glob matches.

    Raises LookupError for a glob that matches none.
    """
    names = api.shipped_names()
    found: set[str] = set()
    for glob in globs:
        matching = [name for name in names if fnmatchcase(name, glob)]
        if not matching:
            near = did_you_mean(glob, names)
            raise LookupError(f"no shipped network {glob!r}" + (f"; did you mean {near!r}?" if near else ""))
        found.update(matching)
    return [name for name in names if name in found] if globs else names


def survey(names: Iterable[str]) -> tuple[Entry, ...]:
    """The networks of these names. One that is broken, or lacks a figure, does not stop the others."""
    printed = figures.published()
    others = cache(_network)
    return tuple(_entry(name, printed.get(name, ()), others) for name in names)


def _open(name: str) -> tuple[Source, Path, str]:
    """Source, path and arch of a shipped network, whatever lies under its name where the command runs."""
    source, path = api.open_spec(specs_root() / f"{name}.arch")
    return source, path, name.rpartition("/")[2]


def _network(name: str) -> Network | None:
    source, path, arch = _open(name)
    return api.check(source, path=path, arch=arch).network


def _entry(name: str, printed: tuple[Printed, ...], others: Callable[[str], Network | None]) -> Entry:
    source, path, arch = _open(name)
    checked = api.check(source, path=path, arch=arch)
    expected = _expectations(source, arch)
    unmet = [d.span for d in checked.diagnostics if d.code == "A208"]
    if unmet:
        # The rest of the row is told of the network that the text is without them.
        bare = Source(source.name, _without(source.text, [statement.span for statement in expected]))
        checked = api.check(bare, path=path, arch=arch)
    errors = tuple(d for d in checked.diagnostics if d.severity == "error")
    network = checked.network
    if network is None:
        return Entry(name, "", Paper(), None, errors=errors)
    own = [
        Figure(
            argument.name.name,
            "",
            argument.value.span.text,
            OWN,
            figures.QUANTITIES[argument.name.name](network, None),
            argument.span not in unmet,
        )
        for statement in expected
        for argument in statement.arguments
        if argument.name is not None
    ]
    more = [figures.compare(p, network, others(p.to) if p.to else None) for p in printed]
    return Entry(name, network.documentation, paper(network.documentation), _size(network), (*own, *more))


def _expectations(source: Source, arch: str) -> list[syntax.Expect]:
    """The `expect` statements of an arch itself."""
    tree, _ = parse(source)
    definitions = [s for s in tree.statements if isinstance(s, syntax.Arch)] if tree else []
    bodies = [d.body.statements for d in definitions if d.name.name == arch]
    return [s for body in bodies for s in body if isinstance(s, syntax.Expect)]


def _without(text: str, spans: Iterable[Span]) -> str:
    for span in spans:
        text = text[: span.start] + " " * (span.stop - span.start) + text[span.stop :]
    return text


def _size(network: Network) -> Size:
    return Size(
        input=written(network.input),
        params=network.params,
        buffers=network.buffers,
        macs=network.macs,
        peak_bytes=network.peak_bytes,
        field=summary.field_text(network.last_image.extent),
        totals=summary.totals(network),
    )


def paper(documentation: str) -> Paper:
    """The paper that a comment names: `VGG-16 (Simonyan & Zisserman, 2014, table 1; arXiv 1409.1556)`.

    >>> str(paper("LeNet-5 (LeCun et al., 1998, figure 2)"))
    'LeCun et al., 1998'
    """
    text = " ".join(documentation.split())
    arxiv = re.search(r"arXiv:? ?(\d{4}\.\d{4,5})", text)
    dated = re.search(r"\(([^()\d]*?),? (?:\w+ )?((?:19|20)\d\d)\b", text)
    if dated is not None:
        return Paper(dated[1].strip(), int(dated[2]), arxiv[1] if arxiv else "")
    named = re.search(r"\(([^();]+)[^()]*\)", text)
    if named is None or named[1].startswith("arXiv"):
        return Paper(arxiv=arxiv[1] if arxiv else "")
    # Without a year it is no paper, and the number that follows is another's.
    return Paper(named[1].strip())


# ---- as text ----

_HEADINGS = ("network", "input", "params", "MACs", "peak", "field", "figures", "source")
_LEFT = frozenset({"network", "input", "figures", "source", "figure", "where", "met"})


def to_text(entries: Sequence[Entry], columns: int | None = None) -> str:
    """The table as a terminal of so many columns shows it; of one network, its page."""
    if len(entries) == 1:
        return page(entries[0])
    lines = [*_aligned(_HEADINGS, [_cells(entry) for entry in entries]), "", _counted(entries)]
    if columns is not None:
        lines = [summary.cut(line, columns) for line in lines]
    if any(entry.met < len(entry.figures) for entry in entries):
        lines.append("archdsl zoo NAME says which figures are not met, and why")
    return "\n".join(lines)


def _cells(entry: Entry) -> tuple[str, ...]:
    size = entry.size
    if size is None:
        return (entry.name, "", "", "", "", "", "DOES NOT CHECK", "")
    return (
        entry.name,
        size.input,
        short(size.params),
        short(size.macs),
        summary.bytes_text(size.peak_bytes),
        size.field,
        _verdicts(entry),
        printable(str(entry.paper)),
    )


def _verdicts(entry: Entry) -> str:
    """`4 met, 1 wrong`"""
    parts = [f"{entry.met} met"] if entry.met else []
    parts += [f"{len(entry.differing)} differ{'s'[: len(entry.differing) == 1]}"] if entry.differing else []
    parts += [f"{len(entry.wrong)} wrong"] if entry.wrong else []
    parts += [f"{len(entry.unmet)} NOT MET"] if entry.unmet else []
    return ", ".join(parts)


def short(value: Dim) -> str:
    """A count at four digits: 25.56M. Symbolic ones are as written.

    >>> short(25_557_032), short(62_006), short(1_000), short(999_960)
    ('25.56M', '62.01K', '1000', '1.000M')
    """
    if not isinstance(value, int) or value < 10_000:
        return str(value)
    mantissa, exponent = f"{value:.3e}".split("e")
    group = min(int(exponent) // 3, 3)
    shift = int(exponent) - 3 * group
    return f"{float(mantissa) * 10**shift:.{max(3 - shift, 0)}f}{' KMG'[group]}"


def _counted(entries: Sequence[Entry]) -> str:
    """How many networks, and how many of their figures are met."""
    total = sum(len(entry.figures) for entry in entries)
    counts = {
        "met": sum(entry.met for entry in entries),
        "differ": sum(len(entry.differing) for entry in entries),
        "wrong in print": sum(len(entry.wrong) for entry in entries),
        "NOT MET": sum(len(entry.unmet) for entry in entries),
    }
    said = [f"{number:,} {what}" for what, number in counts.items() if number]
    broken = sum(entry.size is None for entry in entries)
    text = (
        f"{len(entries):,} network{'s'[: len(entries) != 1]}, {total:,} published figures: {', '.join(said)}"
    )
    return text + (f"; {broken} of the specs do not check" if broken else "")


def page(entry: Entry) -> str:
    """All that is known of one network: every figure, printed and computed."""
    size = entry.size
    if size is None:
        return f"{entry.name} does not check"
    lines = [f"{entry.name}, input {size.input}", ""]
    lines += [printable(line) for line in entry.about.split("\n")]
    names = max(len(name) for name, _ in size.totals)
    lines += ["", *(f"{name:<{names}}  {printable(sentence)}" for name, sentence in size.totals), ""]
    headings = ("figure", "printed", "computed", "met", "where")
    rows = [(_what(f), f.printed, _value(f), _verdict(f), f.where) for f in entry.figures]
    head, rule, *table = _aligned(headings, [tuple(map(printable, row)) for row in rows])
    lines += [head, rule, *table]
    notes = [
        (f"{_what(f)}, {f.printed}", f.wrong or f.differs) for f in entry.figures if f.wrong or f.differs
    ]
    for index, (what, why) in enumerate(notes):
        lines += [""] * (index == 0)
        lines += wrap(printable(f"{what}: {why}"), WIDE, subsequent_indent="  ")
    return "\n".join(lines)


def _what(figure: Figure) -> str:
    words = WORDS.get(figure.quantity, figure.quantity)
    return f"{words} of {figure.layer}" if figure.layer else words


def _value(figure: Figure) -> str:
    value = figure.computed
    if isinstance(value, Fraction):
        return f"{float(value):.1f}x"
    if figure.quantity == "size" and isinstance(value, int):
        return summary.bytes_text(value)
    return value if isinstance(value, str) else summary.size(value)


def _verdict(figure: Figure) -> str:
    if figure.met:
        return f"yes, {figure.how}" if figure.how else "yes"
    return "wrong in print" if figure.wrong else "differs" if figure.differs else "NO"


def _aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines: words to the left, numbers to the right."""
    columns = [max(map(width, column)) for column in zip(headings, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell + " " * (wide - width(cell)) if heading in _LEFT else " " * (wide - width(cell)) + cell
            for heading, cell, wide in zip(headings, cells, columns, strict=True)
        ]
        return "  ".join(padded).rstrip()

    rule = "─" * (sum(columns) + 2 * (len(columns) - 1))
    return [line(headings), rule, *map(line, rows)]


# ---- as JSON ----


def to_json(entries: Sequence[Entry]) -> str:
    return json.dumps([_data(entry) for entry in entries], indent=2)


def _data(entry: Entry) -> dict[str, Any]:
    size = entry.size
    data: dict[str, Any] = {"name": entry.name, "errors": [d.message for d in entry.errors]}
    if size is None:
        return data
    return data | {
        "about": entry.about,
        "source": {"authors": entry.paper.authors, "year": entry.paper.year, "arxiv": entry.paper.arxiv},
        "input": size.input,
        "params": _plain(size.params),
        "buffers": _plain(size.buffers),
        "macs": _plain(size.macs),
        "peak_bytes": size.peak_bytes,
        "receptive_field": size.field,
        "figures": [
            {
                "quantity": figure.quantity,
                "layer": figure.layer or None,
                "printed": figure.printed,
                "where": figure.where,
                "computed": _plain(figure.computed),
                "met": figure.met,
                "how": figure.how or None,
                "wrong": figure.wrong or None,
                "differs": figure.differs or None,
            }
            for figure in entry.figures
        ],
    }


def _plain(value: Dim | Fraction | str) -> int | float | str:
    if isinstance(value, Fraction):
        return round(float(value), 4)
    return value if isinstance(value, int) else str(value)


# ---- as a document ----

_COLUMNS = (
    "Peak is the most bytes of activations that are alive at once, for one float32 image; field is the receptive "
    "field of the last image, in pixels. `archdsl zoo NAME` shows each figure of a network. "
    "This page is what `archdsl zoo --format markdown` prints."
)


def to_markdown(entries: Sequence[Entry]) -> str:
    """A document: the networks by year, then what is wrong in print, then who says so."""
    out = ["# The networks", "", *wrap(f"{_counted(entries)}. {_COLUMNS}", WIDE)]
    sections: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=_place):
        sections.setdefault(_section(entry), []).append(entry)
    for title, group in sections.items():
        out += [
            "",
            f"## {title}",
            "",
            "| network | input | parameters | MACs | peak | field | source | figures |",
        ]
        out.append("|:--|:--|--:|--:|--:|--:|:--|:--|")
        out += [_row(entry) for entry in group]
    wrong = [(entry, figure, figure.wrong) for entry in entries for figure in entry.wrong]
    differing = [(entry, figure, figure.differs) for entry in entries for figure in entry.differing]
    out += _explained("Figures that are wrong in print", "why", wrong)
    out += _explained("Figures that differ", "what is known", differing)
    out += ["", "## The lectures", ""]
    out += [f"{number}. {title}" for number, title in figures.lectures().items()]
    return "\n".join(out)


def _explained(title: str, heading: str, rows: Sequence[tuple[Entry, Figure, str]]) -> list[str]:
    """A section of figures that are not met, with what is known of each."""
    if not rows:
        return []
    out = ["", f"## {title}", "", f"| network | figure | printed | computed | where | {heading} |"]
    out.append("|:--|:--|--:|--:|:--|:--|")
    for entry, figure, words in rows:
        cells = (entry.name, _what(figure), figure.printed, _value(figure), figure.where, words)
        out.append(f"| {' | '.join(map(_cell, cells))} |")
    return out


def _section(entry: Entry) -> str:
    if entry.name.startswith(KERAS):
        return "As Keras Applications has them"
    return str(entry.paper.year) if entry.paper.year else "From lectures"


def _place(entry: Entry) -> tuple[bool, int, str, str]:
    """Years first to last, and within one the networks of a paper together."""
    keras = entry.name.startswith(KERAS)
    return keras, 0 if keras else entry.paper.year or 9999, "" if keras else str(entry.paper), entry.name


def _row(entry: Entry) -> str:
    size = entry.size
    link = f"[{entry.name}](../specs/{entry.name}.arch)"
    if size is None:
        return f"| {link} | | | | | | | does not check |"
    source = _cell(str(entry.paper._replace(arxiv="")))
    if entry.paper.arxiv:
        source = f"[{source}](https://arxiv.org/abs/{entry.paper.arxiv})"
    cells = (
        link,
        size.input,
        summary.size(size.params),
        summary.size(size.macs),
        summary.bytes_text(size.peak_bytes),
        size.field,
        source,
        _verdicts(entry),
    )
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
