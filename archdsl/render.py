"""Diagnostics for people (carets in a terminal), for programs (JSON) and for GitHub's annotations.

    error[A201]: a window of 99 does not fit in 32
     --> net.arch:3:3
      |
    2 |   input 3x32x32
      |         ------- 32 comes from here
    3 |   conv99-64(p=0)
      |   ^^^^^^ 99 wide
      |
      = note: 32 + 2*0 - 99 < 0
      = help: write conv3-64

Whatever stands in a spec, a file name or a message, no control character reaches the terminal as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unicodedata import category, combining, east_asian_width

from archdsl.source import Source, Span

if TYPE_CHECKING:
    from archdsl.diagnostics import Diagnostic, Fix

TAB = 4
LONG = 200
"""Code points beyond which a line is cut to a window around its mark: a terminal would wrap it."""
WINDOW = 120
BEFORE = 40
"""Code points of the window that stand before the mark."""
WHOLE = 6
"""Lines of a multi-line span, or of a fix, that are shown before its middle is left out."""

# Directional overrides can make a terminal show a line in another order than the compiler reads it.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


# ---- characters and cells ----


def _shown(character: str) -> str:
    """What the output has for one character of any text: itself, or a picture of a control character."""
    code = ord(character)
    if 32 <= code < 127:
        return character
    if code < 32:
        return chr(0x2400 + code)
    if code == 127:
        return "\u2421"
    if character in _BIDI or category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return "\ufffd"
    return character


def printable(text: str) -> str:
    """The text with control characters shown as pictures, on one line."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _width(character: str) -> int:
    """Terminal cells that a printable character takes."""
    code = ord(character)
    if code < 0x300:
        return 1
    if combining(character) or category(character) in ("Mn", "Me", "Cf") or 0x1160 <= code <= 0x11FF:
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def width(text: str) -> int:
    """Terminal cells that a printable text takes."""
    return len(text) if text.isascii() else sum(map(_width, text))


class _View:
    """A source line as shown: tabs spread out, too long a line cut to a window around a column."""

    def __init__(self, line: str, focus: int = 0) -> None:
        self.low, self.high = 0, len(line)
        if len(line) > LONG:
            self.low = max(0, min(focus - BEFORE, len(line) - WINDOW))
            self.high = min(len(line), self.low + WINDOW)
        self._cells: list[int] = []
        pieces = ["…"] if self.low else []
        cell = len(pieces)
        for character in line[self.low : self.high]:
            self._cells.append(cell)
            piece = " " * (TAB - cell % TAB) if character == "\t" else _shown(character)
            pieces.append(piece)
            cell += width(piece)
        self._cells.append(cell)
        if self.high < len(line):
            pieces.append("…")
        self.text = "".join(pieces).rstrip()

    def cell(self, column: int) -> int:
        """The cell where a 0-based column starts; a column outside of the window is its border."""
        return self._cells[min(max(column - self.low, 0), len(self._cells) - 1)]

    def holds(self, column: int) -> bool:
        return self.low <= column <= self.high


# ---- marks: spans, with 1-based lines and 0-based columns ----


@dataclass(frozen=True, slots=True)
class _Mark:
    source: Source
    first: int
    start: int
    last: int
    stop: int
    message: str
    primary: bool

    @property
    def sign(self) -> str:
        return "^" if self.primary else "-"


def _clamped(source: Source, offset: int) -> int:
    return min(max(offset, 0), len(source.text))


def _mark(span: Span, message: str, primary: bool) -> _Mark:
    source = span.source
    begin = _clamped(source, span.start)
    end = max(begin, _clamped(source, span.stop))
    # Newlines at the end belong to the last line that has text: a mark never sits before the first column.
    while end > begin + 1 and source.text[end - 1] in "\r\n":
        end -= 1
    first, start = source.position(begin)
    last, stop = (first, start) if end == begin else source.position(end - 1)
    stop += end > begin
    # A mark on the \r or \n itself stands just after the text.
    start = min(start - 1, len(source.line(first)))
    stop = min(stop - 1, len(source.line(last)))
    return _Mark(source, first, start, last, stop, printable(" ".join(message.splitlines())), primary)


def _same(one: Source, other: Source) -> bool:
    return one is other or (one.name == other.name and one.text == other.text)


# ---- text ----

_COLOURS = {
    "error": "1;31",
    "warning": "1;33",
    "strong": "1",
    "gutter": "1;34",
    "related": "1;34",
    "help": "1;36",
    "added": "32",
    "removed": "31",
}


class _Pen:
    """Puts colour on finished text, or none."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, style: str, text: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if self.color and text.strip() else text


class _Row:
    """One line of marks under a source line, painted cell by cell."""

    def __init__(self) -> None:
        self.cells: dict[int, tuple[str, str]] = {}

    def put(self, cell: int, text: str, style: str) -> None:
        # An entry may hold a character of two cells or of none; what follows is counted in cells.
        for character in text:
            size = _width(character)
            if size == 0 and cell - 1 in self.cells:
                before, _ = self.cells[cell - 1]
                self.cells[cell - 1] = (before + character, style)
                continue
            self.cells[cell] = (character, style)
            if size == 2:
                self.cells[cell + 1] = ("", style)
            cell += size

    def text(self, pen: _Pen) -> str:
        if not self.cells:
            return ""
        runs: list[tuple[str, list[str]]] = []
        for cell in range(max(self.cells) + 1):
            character, style = self.cells.get(cell, (" ", "strong"))
            if runs and (runs[-1][0] == style):
                runs[-1][1].append(character)
            else:
                runs.append((style, [character]))
        return "".join(pen(style, "".join(characters)) for style, characters in runs)


class _Snippet:
    """The lines of one source with their marks. The first mark is the one that the header names."""

    def __init__(self, marks: Sequence[_Mark], severity: str, gutter: int, pen: _Pen) -> None:
        self.source = marks[0].source
        self.marks = marks
        self.severity, self.gutter, self.pen = severity, gutter, pen
        # Each span of several lines has a column of its own at the left, the outermost first.
        several = sorted((m for m in marks if m.last > m.first), key=lambda m: (m.first, -m.last))
        self.columns = {id(mark): column for column, mark in enumerate(several)}
        self.several = several
        self.indent = 2 * len(several)

    def style(self, mark: _Mark) -> str:
        return self.severity if mark.primary else "related"

    def numbers(self) -> list[int]:
        """The lines to show: those with a mark, both ends of long spans, and any single line between."""
        wanted: set[int] = set()
        for mark in self.marks:
            if mark.last - mark.first < WHOLE:
                wanted.update(range(mark.first, mark.last + 1))
            else:
                wanted.update((mark.first, mark.first + 1, mark.first + 2, mark.last - 1, mark.last))
        lines = sorted(wanted)
        for one, other in pairwise(lines):
            if other - one == 2:
                wanted.add(one + 1)
        return sorted(wanted)

    def bar(self, number: int | None = None, sign: str = "|") -> str:
        return self.pen("gutter", f"{'' if number is None else number:>{self.gutter}} {sign}")

    def render(self) -> list[str]:
        out = [self.bar()]
        previous = None
        for number in self.numbers():
            if previous is not None and number > previous + 1:
                out.append(
                    self.left(
                        previous, after=True, head=self.pen("gutter", "...".ljust(self.gutter + 2))
                    ).rstrip()
                )
            out.extend(self.line(number))
            previous = number
        return out

    def left(self, number: int, *, after: bool, head: str) -> str:
        """The gutter, then the columns of the spans that are open at (or after) a line."""
        row = _Row()
        for mark in self.several:
            if mark.first < number <= mark.last or (after and mark.first == number):
                if not (after and mark.last == number):
                    row.put(2 * self.columns[id(mark)], "|", self.style(mark))
            elif mark.first == number and self.at_text_start(mark):
                row.put(2 * self.columns[id(mark)], "/", self.style(mark))
        text = row.text(self.pen)
        size = max(row.cells) + 1 if row.cells else 0
        return f"{head} {text}{' ' * (self.indent - size)}"

    def at_text_start(self, mark: _Mark) -> bool:
        return not self.source.line(mark.first)[: mark.start].strip()

    def line(self, number: int) -> list[str]:
        here = [m for m in self.marks if m.first == m.last == number]
        opening = [m for m in self.several if m.first == number and not self.at_text_start(m)]
        closing = [m for m in self.several if m.last == number]
        focus = next((m.start for m in here if m.primary), None)
        if focus is None:
            focus = next((m.start for m in (*here, *opening)), None)
        if focus is None:
            focus = next((m.stop - 1 for m in closing), 0)
        view = _View(self.source.line(number), focus)
        out = [f"{self.left(number, after=False, head=self.bar(number))}{view.text}".rstrip()]
        blank = self.bar()
        for row in self.carets(view, here):
            out.append(self.with_columns(row, number, opened=()).rstrip())
        done: list[_Mark] = []
        for mark in opening:
            row = _Row()
            column = 2 * self.columns[id(mark)]
            target = self.indent + view.cell(mark.start)
            row.put(column + 1, "_" * (target - column - 1), self.style(mark))
            row.put(target, mark.sign, self.style(mark))
            out.append(f"{blank} {self.columned(row, number, opened=done).text(self.pen)}")
            done.append(mark)
        for mark in sorted(closing, key=lambda m: -self.columns[id(m)]):
            row = _Row()
            column = 2 * self.columns[id(mark)]
            target = self.indent + max(view.cell(mark.stop) - 1, 0)
            row.put(column, "|", self.style(mark))
            row.put(column + 1, "_" * (target - column - 1), self.style(mark))
            row.put(target, f"{mark.sign} {mark.message}".rstrip(), self.style(mark))
            done.append(mark)
            out.append(f"{blank} {self.columned(row, number, opened=opening, closed=done).text(self.pen)}")
        return out

    def columned(self, row: _Row, number: int, opened: Iterable[_Mark], closed: Iterable[_Mark] = ()) -> _Row:
        """A row of marks together with the columns of the spans that run past it."""
        begun, over = {id(m) for m in opened}, {id(m) for m in closed}
        for mark in self.several:
            running = (
                mark.first < number
                or id(mark) in begun
                or (mark.first == number and self.at_text_start(mark))
            )
            column = 2 * self.columns[id(mark)]
            if running and number <= mark.last and id(mark) not in over and column not in row.cells:
                row.put(column, "|", self.style(mark))
        return row

    def with_columns(self, row: _Row, number: int, opened: Iterable[_Mark]) -> str:
        moved = _Row()
        moved.cells = {cell + self.indent: entry for cell, entry in row.cells.items()}
        return f"{self.bar()} {self.columned(moved, number, opened).text(self.pen)}"

    def carets(self, view: _View, marks: list[_Mark]) -> list[_Row]:
        """The underline of one line's marks with the message of the one that ends last; then the others,
        hung below their marks from right to left."""
        if not marks:
            return []
        places = []
        for mark in marks:
            start = view.cell(mark.start)
            places.append((start, max(view.cell(mark.stop), start + 1), mark))
        underline = _Row()
        for start, stop, mark in sorted(places, key=lambda p: (p[2].primary, p[0] - p[1])):
            underline.put(start, mark.sign * (stop - start), self.style(mark))
        inline = max(places, key=lambda p: (p[1], p[0], p[2].primary))
        if inline[2].message:
            underline.put(inline[1] + 1, inline[2].message, self.style(inline[2]))
        hanging = sorted((p for p in places if p is not inline and p[2].message), key=lambda p: -p[0])
        rows = [underline]
        if hanging:
            rows.append(self.stems(hanging))
        for index, (start, _, mark) in enumerate(hanging):
            row = self.stems(hanging[index + 1 :])
            row.put(start, mark.message, self.style(mark))
            rows.append(row)
        return rows

    def stems(self, places: Sequence[tuple[int, int, _Mark]]) -> _Row:
        row = _Row()
        for start, _, mark in places:
            row.put(start, "|", self.style(mark))
        return row


def _snippets(diagnostic: Diagnostic) -> list[list[_Mark]]:
    """Marks grouped by the snippet that shows them: the finding's own first."""
    assert diagnostic.span is not None
    groups = [[_mark(diagnostic.span, diagnostic.label, True)]]
    for related in diagnostic.related:
        mark = _mark(related.span, related.message, False)
        for group in groups:
            if _same(group[0].source, mark.source) and all(_together(mark, other) for other in group):
                group.append(mark)
                break
        else:
            groups.append([mark])
    return groups


def _together(one: _Mark, other: _Mark) -> bool:
    """False where both are on one line that is too long to show both."""
    if one.first != other.first or len(one.source.line(one.first)) <= LONG:
        return True
    return _View(one.source.line(one.first), other.start).holds(one.start)


def _edited(fix: Fix) -> tuple[int, list[str], list[str]]:
    """First line of a fix, and its lines before and after it."""
    source = fix.span.source
    begin, end = _clamped(source, fix.span.start), _clamped(source, max(fix.span.start, fix.span.stop))
    first, column = source.position(begin)
    last, stop = source.position(end)
    before = [source.line(number) for number in range(first, last + 1)]
    text = source.line(first)[: column - 1] + fix.text + source.line(last)[stop - 1 :]
    after = [line.rstrip("\r") for line in text.split("\n")]
    while len(before) > 1 and len(after) > 1 and before[0] == after[0]:
        first, before, after = first + 1, before[1:], after[1:]
    while len(before) > 1 and len(after) > 1 and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return first, before, after


def _alike(one: str, other: str) -> int:
    """How many characters two texts have in common at their start. A line may be a mebibyte: pieces are compared.

    >>> _alike("relu; bn", "relu;bn"), _alike("relu", "relu; bn"), _alike("", "bn")
    (5, 4, 0)
    """
    same, most = 0, min(len(one), len(other))
    while same < most:
        middle = (same + most + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            most = middle - 1
    return same


def _fix_lines(fix: Fix, gutter: int, pen: _Pen) -> list[str]:
    first, before, after = _edited(fix)

    def bar(sign: str, number: int | None = None, style: str = "gutter") -> str:
        return pen(style, f"{'' if number is None else number:>{gutter}} {sign}")

    out = [bar("|")]
    if len(before) == len(after) == 1:
        old, new = before[0], after[0]
        start = _alike(old, new)
        kept = _alike(old[start:][::-1], new[start:][::-1])
        stop = len(new) - kept
        inserted = len(old) == start + kept
        view = _View(new, start)
        row = _Row()
        low, high = view.cell(start), view.cell(stop)
        row.put(low, ("+" if inserted else "~") * (high - low), "added")
        if inserted:
            out.append(f"{bar('|', first)} {view.text}".rstrip())
        else:
            out.append(f"{bar('-', first, 'removed')} {pen('removed', _View(old, start).text)}".rstrip())
            if new.strip():
                out.append(f"{bar('+', first, 'added')} {pen('added', view.text)}".rstrip())
        if row.cells and new.strip():
            out.append(f"{bar('|')} {row.text(pen)}")
        return out
    for sign, style, lines in (("-", "removed", before), ("+", "added", after)):
        for index, line in enumerate(lines):
            if index == WHOLE and len(lines) > WHOLE + 1:
                out.append(pen("gutter", f"... ({len(lines) - WHOLE} more lines)"))
                break
            out.append(f"{bar(sign, first + index, style)} {pen(style, _View(line).text)}".rstrip())
    return out


def _equals(name: str, text: str, gutter: int, pen: _Pen) -> list[str]:
    """`= note: text`, with further lines below the first."""
    head = f"{' ' * gutter} {pen('gutter', '=')} {pen('strong', name + ':')} "
    lines = [printable(line) for line in text.splitlines()] or [""]
    rest = " " * (gutter + len(name) + 5)
    return [head + lines[0], *(rest + line for line in lines[1:])]


def _place(source: Source, line: int, start: int) -> str:
    return f"{printable(source.name)}:{line}:{start + 1}"


def _one(diagnostic: Diagnostic, pen: _Pen) -> list[str]:
    title, *more = diagnostic.message.splitlines() or [""]
    out = [
        pen(diagnostic.severity, f"{diagnostic.severity}[{diagnostic.code}]")
        + pen("strong", f": {printable(title)}")
    ]
    out.extend(f"  {printable(line)}" for line in more)
    groups = _snippets(diagnostic) if diagnostic.span is not None else []
    numbers = [mark.last for group in groups for mark in group]
    if diagnostic.fix is not None:
        first, before, after = _edited(diagnostic.fix)
        numbers.append(first + max(len(before), len(after)) - 1)
    gutter = len(str(max(numbers, default=1)))
    for index, group in enumerate(groups):
        arrow = f"{' ' * gutter}{pen('gutter', '-->' if index == 0 else ':::')}"
        if index:
            out.append(f"{' ' * gutter} {pen('gutter', '|')}")
        out.append(f"{arrow} {_place(group[0].source, group[0].first, group[0].start)}")
        out.extend(_Snippet(group, diagnostic.severity, gutter, pen).render())
    fix = diagnostic.fix
    hint = diagnostic.hint if fix is None or diagnostic.hint != fix.title else ""
    if groups and (diagnostic.notes or hint):
        out.append(f"{' ' * gutter} {pen('gutter', '|')}")
    for note in diagnostic.notes:
        out.extend(_equals("note", note, gutter, pen))
    if hint:
        out.extend(_equals("help", hint, gutter, pen))
    if fix is not None:
        if groups and not (diagnostic.notes or hint):
            out.append(f"{' ' * gutter} {pen('gutter', '|')}")
        out.append(f"{pen('help', 'help')}: {printable(' '.join(fix.title.splitlines()))}")
        if not groups or not _same(fix.span.source, groups[0][0].source):
            first, column = fix.span.source.position(_clamped(fix.span.source, fix.span.start))
            out.append(f"{' ' * gutter}{pen('gutter', '-->')} {_place(fix.span.source, first, column - 1)}")
        out.extend(_fix_lines(fix, gutter, pen))
    return out


def to_text(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> str:
    """Every finding with its place in the text, and a closing line that counts them and says where to read more."""
    found = list(diagnostics)
    pen = _Pen(color)
    parts = ["\n".join(_one(diagnostic, pen)) for diagnostic in found]
    errors = [diagnostic.code for diagnostic in found if diagnostic.severity == "error"]
    if found:
        warnings = len(found) - len(errors)
        counts = [_count(len(errors), "error")] if errors else []
        counts += [_count(warnings, "warning")] if warnings else []
        which = "it" if len(errors or found) == 1 else "one of them"
        code = errors[0] if errors else found[0].code
        parts.append(f"{pen('strong', ', '.join(counts))}; for more on {which}: archdsl explain {code}")
    return "\n\n".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# ---- data ----


def place_of(span: Span | None) -> dict[str, Any]:
    """Where a span is: 1-based lines and columns in code points, the end past the last one; plain offsets."""
    if span is None:
        return dict.fromkeys(("file", "line", "column", "end_line", "end_column", "start", "stop"))
    line, column = span.source.position(_clamped(span.source, span.start))
    end_line, end_column = span.source.position(_clamped(span.source, span.stop))
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "start": span.start,
        "stop": span.stop,
    }


def to_data(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Every finding as plain lists and dicts."""
    return [
        {
            "code": found.code,
            "severity": found.severity,
            "message": found.message,
            "label": found.label,
            **place_of(found.span),
            "related": [{"message": related.message, **place_of(related.span)} for related in found.related],
            "notes": list(found.notes),
            "hint": found.hint,
            "fix": found.fix and {"title": found.fix.title, "text": found.fix.text, **place_of(found.fix.span)},
        }
        for found in diagnostics
    ]


def to_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON list with one object per finding. ASCII only, so nothing in it can reach a terminal raw."""
    return json.dumps(to_data(diagnostics), indent=2)


# ---- GitHub ----


def _escaped(text: str, *, parameter: bool = False) -> str:
    """As GitHub's own toolkit escapes; other control characters as pictures."""
    lines = [printable(line) for line in text.splitlines()]
    text = "\n".join(lines).replace("%", "%25").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if parameter else text


def to_github(diagnostics: Iterable[Diagnostic]) -> str:
    """One workflow command a finding: `::error file=...,line=...::message`."""
    out = []
    for found in diagnostics:
        place = place_of(found.span)
        parameters = {}
        # A name such as <stdin> is no file of the repository.
        if found.span is not None and not found.span.source.name.startswith("<"):
            parameters = {"file": place["file"], "line": place["line"]}
            # GitHub takes columns only for a range within one line.
            if place["line"] == place["end_line"]:
                parameters |= {"col": place["column"], "endColumn": place["end_column"]}
            else:
                parameters |= {"endLine": place["end_line"]}
        parameters["title"] = f"archdsl {found.code}"
        words = [found.message]
        words.extend([found.label] if found.label else [])
        words.extend(found.notes)
        words.extend([f"help: {found.hint}"] if found.hint else [])
        words.extend([f"help: {found.fix.title}"] if found.fix and found.fix.title != found.hint else [])
        settings = ",".join(
            f"{name}={_escaped(str(value), parameter=True)}" for name, value in parameters.items()
        )
        out.append(f"::{found.severity} {settings}::{_escaped(chr(10).join(words))}")
    return "\n".join(out)
