"""`# archdsl: ignore[L101, L105]`: which remarks it takes back, and L100 where it takes back none."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from archdsl import syntax
from archdsl.diagnostics import Diagnostic, Fix
from archdsl.lints.edits import without
from archdsl.modules import Module
from archdsl.network import Network
from archdsl.source import Source, Span

_IGNORE = re.compile(r"#+[ \t]*archdsl[ \t]*:[ \t]*ignore\b[ \t]*(?:\[([^\]]*)\])?")
_CODE = re.compile(r"[^,\s]+")
_BETWEEN = re.compile(r"[\s,]*")
_REST = re.compile(r"[^\n]*")


class Ignore(NamedTuple):
    """One comment: the codes it names with their places, and the line that it speaks of."""

    span: Span
    codes: tuple[tuple[str, Span], ...]
    line: int

    def covers(self, found: Diagnostic) -> bool:
        """Whether a finding begins on its line, or ends there: a long step has its comment after its last line."""
        span = found.span
        if (
            span is None
            or span.source is not self.span.source
            or found.code not in (code for code, _ in self.codes)
        ):
            return False
        last = span.source.position(max(span.start, span.stop - 1))[0]
        return self.line in (span.line, last)


def sort(
    files: Sequence[Module],
    found: Sequence[Diagnostic],
    networks: Sequence[Network],
    on: Collection[str],
    lints: Mapping[str, Any],
) -> tuple[set[int], list[Diagnostic]]:
    """The ids of the findings that an ignore takes back, and an L100 for each code that takes back none.

    on: the codes that were looked for; lints: all that there are, with `of_file` where the text alone decides.
    """
    ignored: set[int] = set()
    idle: list[Diagnostic] = []
    starts: dict[int, list[int]] | None = None
    for module in files:
        for ignore in _ignores(module):
            used = set()
            for one in found:
                if ignore.covers(one):
                    ignored.add(id(one))
                    used.add(one.code)
            names = {code for code, _ in ignore.codes}
            if "L100" in names:
                continue
            if starts is None:
                starts = _starts(networks)
            seen = _was_elaborated(module, ignore, starts.get(id(module.source), []))
            for code, span in ignore.codes:
                if code not in lints:
                    idle.append(_unknown(code, span, lints))
                elif code in on and code not in used and (seen or lints[code].of_file is not None):
                    idle.append(_idle(ignore, code, span, alone=len(ignore.codes) == 1))
            if not ignore.codes:
                idle.append(
                    _remark(
                        ignore.span, "this `ignore` names no code", "write which: `# archdsl: ignore[L101]`"
                    )
                )
    return ignored, idle


def _ignores(module: Module) -> Iterator[Ignore]:
    """The comments of a file that take remarks back, in order."""
    if module.tree is None or "ignore" not in module.source.text:
        return
    source = module.source
    # Of each comment on a line of its own, the line of the step below it, and below others that may follow it.
    below: dict[int, int] = {}
    for comment in reversed(module.tree.comments):
        if _alone(source, comment.span):
            line = comment.span.line
            below[line] = below.get(line + 1, line + 1)
    for comment in module.tree.comments:
        match = _IGNORE.match(comment.text)
        if match is None:
            continue
        codes = []
        if match[1] is not None:
            base = comment.span.start + match.start(1)
            for word in _CODE.finditer(match[1]):
                codes.append((word[0], Span(source, base + word.start(), base + word.end())))
        line = comment.span.line
        span = Span(source, comment.span.start, comment.span.start + match.end())
        yield Ignore(span, tuple(codes), below.get(line, line))


def _alone(source: Source, span: Span) -> bool:
    return source.line(span.line).lstrip().startswith("#")


def _starts(networks: Sequence[Network]) -> dict[int, list[int]]:
    """Of each source, where its layers begin, in order."""
    found: dict[int, set[int]] = {}
    for network in networks:
        for node in network.nodes:
            found.setdefault(id(node.span.source), set()).add(node.span.start)
    return {key: sorted(starts) for key, starts in found.items()}


def _was_elaborated(module: Module, ignore: Ignore, starts: list[int]) -> bool:
    """Whether the part of the text around a comment became layers: a block that nobody calls, or the arm of an `if`
    that was not taken, says nothing about its remarks."""
    assert module.tree is not None
    scope: tuple[int, int] = (0, len(module.source.text))
    statements = module.tree.statements
    while True:
        at = bisect_right(statements, ignore.span.start, key=lambda statement: statement.span.start) - 1
        around = _bodies(statements[at]) if at >= 0 else ()
        inner = next(
            (part for part in around if part.span.start <= ignore.span.start < part.span.stop),
            None,
        )
        if inner is None:
            break
        scope, statements = (inner.span.start, inner.span.stop), inner.statements
    at = bisect_left(starts, scope[0])
    return at < len(starts) and starts[at] < scope[1]


def _bodies(statement: syntax.Statement) -> Iterator[syntax.Sequence]:
    """The bodies within a statement, one level down."""
    if isinstance(statement, syntax.Definition):
        yield statement.body
    elif isinstance(statement, syntax.If):
        yield from (arm.body for arm in statement.arms)
        if statement.otherwise is not None:
            yield statement.otherwise
    elif isinstance(statement, syntax.Step):
        body = statement.body
        yield from (
            body.branches if isinstance(body, syntax.Branches) else (body,) if body is not None else ()
        )


def _unknown(code: str, span: Span, lints: Mapping[str, Any]) -> Diagnostic:
    if re.fullmatch(r"A\d{3}", code):
        return _remark(
            span, f"{code} is an error, and errors can't be ignored", "mend it, or leave the comment out"
        )
    near = code.upper().replace("O", "0").replace("I", "1")
    if near in lints:
        return _remark(span, f"there is no lint {code}", "", Fix(span, near, f"write {near}"))
    return _remark(span, f"there is no lint {code}", "`archdsl explain` lists all")


def _idle(ignore: Ignore, code: str, span: Span, alone: bool) -> Diagnostic:
    """An ignore without effect; its fix leaves words after the brackets, and other codes, where they are."""
    source, text = span.source, span.source.text
    fix = None
    if not alone:
        start, stop = span.start, span.stop
        while text[start - 1].isspace():
            start -= 1
        if text[start - 1] == ",":
            start -= 1
        else:
            start, stop = span.start, _BETWEEN.match(text, stop, ignore.span.stop).end()  # type: ignore[union-attr]
        fix = Fix(Span(source, start, stop), "", f"leave {code} out")
    elif _REST.match(text, ignore.span.stop)[0].strip():  # type: ignore[index]
        fix = Fix(ignore.span, "#", f"leave {code} out")
    elif _alone(source, ignore.span):
        fix = without(Span(source, ignore.span.start, ignore.span.stop), "leave the comment out")
    else:
        line = source.line_starts[ignore.span.line - 1]
        start = line + len(text[line : ignore.span.start].rstrip(" \t"))
        fix = Fix(Span(source, start, ignore.span.stop), "", "leave the comment out")
    return _remark(span, f"nothing here draws {code}", "" if fix else "leave it out", fix)


def _remark(span: Span, message: str, hint: str, fix: Fix | None = None) -> Diagnostic:
    return Diagnostic(code="L100", severity="warning", message=message, span=span, hint=hint, fix=fix)
