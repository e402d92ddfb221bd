"""Lines to text: rows that differ in numbers only become a table, and what ends rows shares columns.

A run is what stands between two blank lines. A row that would grow over the line length stays out of a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archdsl.format.pen import Line
from archdsl.format.steps import Step

BEFORE_LABEL, BEFORE_CONTRACT, BEFORE_COMMENT = 1, 2, 2
NEAR = 12
"""What starts more columns apart than that would stand too far from its own step, were it moved below the others."""


def to_text(lines: Sequence[Line], limit: int) -> str:
    """The lines as text, aligned, with a line break at its end; empty for no lines."""
    for run in _runs(lines):
        _align_tables(run, limit)
        _align_ends(run, limit)
    return "".join(map(_written, lines))


def _written(line: Line) -> str:
    text = line.text + line.label + line.contract
    if line.comment:
        text = text.rstrip(" ")  # of a `[ ` or `| ` before it
        text += f"{' ' * line.gap if text else ''}{line.comment}"
    above = "\n" if line.blank else ""
    return f"{above}{' ' * line.indent if text else ''}{text}\n"


def _runs(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    start = 0
    for index, line in enumerate(lines):
        if line.blank and index > start:
            yield lines[start:index]
            start = index
    if lines:
        yield lines[start:]


# ---- tables ----


def _align_tables(run: Sequence[Line], limit: int) -> None:
    """Single steps of one operation, wherever they stand in the run; rows of several only where they follow each other
    and have the same arguments."""
    singles: dict[object, list[Line]] = {}
    tables: dict[object, list[Line]] = {}
    above: object = None
    apart = 0  # tells tables of one shape apart that other rows stand between
    for line in run:
        shape = (line.indent, *(step.shape for step in line.steps))
        apart += shape != above
        above = shape
        if not line.steps or line.width > limit:
            continue
        if len(line.steps) == 1:
            singles.setdefault((line.indent, line.steps[0].shape[:1]), []).append(line)
        else:
            tables.setdefault((apart, shape), []).append(line)
    for at, rows in enumerate(singles.values()):
        ends = [len(row.steps[0].core) for row in rows if row.steps[0].repeat]
        together = max(ends, default=0) - min(ends, default=0) <= NEAR
        for row in rows:
            tables.setdefault((-1, at, () if together else row.steps[0].shape), []).append(row)
    for rows in tables.values():
        if len(rows) > 1:
            _align_table(rows, limit)


def _align_table(rows: Sequence[Line], limit: int) -> None:
    texts = [""] * len(rows)
    last = len(rows[0].steps) - 1
    for at in range(last + 1):
        cells = _cells([row.steps[at] for row in rows], at < last)
        wide = _widest(cells)
        texts = [f"{text}{cell}{' ' * (wide - len(cell))} " for text, cell in zip(texts, cells, strict=True)]
    for row, text in zip(rows, texts, strict=True):
        text = text.rstrip(" ")
        if row.width - len(row.text) + len(text) <= limit:
            row.text = text


def _cells(steps: Sequence[Step], goes_on: bool) -> list[str]:
    """The steps of one column, with their numbers, their copies and, within a row, their labels below each other."""
    wide: dict[tuple[str, int, int], int] = {}  # what stands before the numbers, how many, and which of them
    for step in steps:
        for at, number in enumerate(step.numbers):
            place = step.before, len(step.numbers), at
            wide[place] = max(wide.get(place, 0), len(number))
    cores = []
    for step in steps:
        places = [(step.before, len(step.numbers), at) for at in range(len(step.numbers))]
        numbers = [number.rjust(wide[place]) for number, place in zip(step.numbers, places, strict=True)]
        cores.append(step.before + ", ".join(numbers) + step.after)
    repeated = _joined(
        cores, [step.repeat for step in steps], [step.repeat.startswith("x(") for step in steps]
    )
    if not goes_on:
        return repeated
    labelled = _joined(repeated, [step.label for step in steps], [False] * len(steps))
    ended = [
        f"{cell} {step.contract}" if step.contract else cell
        for cell, step in zip(labelled, steps, strict=True)
    ]
    return [f"{cell};" for cell in ended]


def _joined(cells: Sequence[str], ends: Sequence[str], loose: Sequence[bool]) -> list[str]:
    """Each cell with its end, and the ends that are not loose below each other."""
    rows = list(zip(cells, ends, loose, strict=True))
    wide = _widest(cell for cell, end, is_loose in rows if end and not is_loose)
    return [
        f"{cell if is_loose else cell.ljust(wide)} {end}" if end else cell for cell, end, is_loose in rows
    ]


def _widest(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)


# ---- what ends a row ----


def _align_ends(run: Sequence[Line], limit: int) -> None:
    fitting = [line for line in run if line.width <= limit]
    labelled = [line for line in fitting if line.label]
    contracted = [line for line in fitting if line.contract]
    ends = [line.width - len(line.label) - len(line.contract) for line in labelled]
    if contracted or max(ends, default=0) - min(ends, default=0) <= NEAR:
        for line, gap in zip(labelled, _gaps(ends, BEFORE_LABEL), strict=True):
            if line.width + gap - 1 <= limit:
                line.label = " " * (gap - 1) + line.label
    least = BEFORE_CONTRACT if len(contracted) > 1 else 1
    gaps = _gaps([line.width - len(line.contract) for line in contracted], least)
    for line, gap in zip(contracted, gaps, strict=True):
        if line.width + gap - 1 <= limit:
            line.contract = " " * (gap - 1) + line.contract
    commented: dict[int, list[Line]] = {}
    for line in fitting:
        if line.comment and line.text and not line.text.endswith(("(", "{", " ")):
            commented.setdefault(line.indent, []).append(line)
    for lines in commented.values():
        for line, gap in zip(lines, _gaps([line.width for line in lines], BEFORE_COMMENT), strict=True):
            line.gap = gap


def _gaps(ends: Sequence[int], least: int) -> list[int]:
    """Blanks after each that bring what follows into one column, `least` after the longest."""
    column = max(ends, default=0) + least
    return [column - end for end in ends]
