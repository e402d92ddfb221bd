"""Quick fixes: the edit that a finding names, all of them at once, a remark taken back, a shape written down."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.lsp.analysis import Analysis
from archdsl.lsp.diagnostics import Places, to_lsp
from archdsl.lsp.hints import wants_contract
from archdsl.ops.base import written

FIX_ALL = "source.fixAll.archdsl"
KINDS = [types.CodeActionKind.QuickFix, types.CodeActionKind.RefactorRewrite, FIX_ALL]


def actions(
    analysis: Analysis, asked: types.Range, only: list[types.CodeActionKind | str] | None
) -> list[types.CodeAction]:
    """What can be done about the findings, and with the steps, that a range touches."""
    start, stop = analysis.lines.offset(asked.start), analysis.lines.offset(asked.end)
    here = [d for d in _own(analysis) if d.span is not None and d.span.start <= stop and start <= d.span.stop]
    found = [*_fixes(analysis, here), *_ignored(analysis, here), *_contracts(analysis, start, stop)]
    every = fix_all(analysis)
    if every is not None:
        found.append(every)
    if only is None:
        return found
    wanted = [_text(kind) for kind in only]
    return [
        one
        for one in found
        if any(f"{_text(one.kind)}.".startswith(f"{kind}.") or not kind for kind in wanted)
    ]


def _text(kind: types.CodeActionKind | str | None) -> str:
    return kind.value if isinstance(kind, types.CodeActionKind) else kind or ""


def _own(analysis: Analysis) -> list[Diagnostic]:
    return [d for d in analysis.diagnostics if d.span is not None and d.span.source is analysis.source]


def _fixes(analysis: Analysis, here: list[Diagnostic]) -> Iterator[types.CodeAction]:
    places = Places(analysis)
    for diagnostic in here:
        if diagnostic.fix is not None and diagnostic.fix.span.source is analysis.source:
            yield types.CodeAction(
                title=diagnostic.fix.title,
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[to_lsp(diagnostic, places)],
                is_preferred=True,
                edit=_edit(analysis, [diagnostic.fix]),
            )


def fix_all(analysis: Analysis) -> types.CodeAction | None:
    """Every fix of the text that no other one touches; None where there is none."""
    fixes = [d.fix for d in _own(analysis) if d.fix is not None and d.fix.span.source is analysis.source]
    chosen: list[Fix] = []
    for fix in sorted(fixes, key=lambda fix: (fix.span.start, fix.span.stop)):
        if not chosen or chosen[-1].span.stop < fix.span.start:
            chosen.append(fix)
    if not chosen:
        return None
    many = f"fix all {len(chosen)} findings" if len(chosen) > 1 else "fix the one finding"
    return types.CodeAction(title=many, kind=FIX_ALL, edit=_edit(analysis, chosen))


def _ignored(analysis: Analysis, here: list[Diagnostic]) -> Iterator[types.CodeAction]:
    """`# archdsl: ignore[L101]` at the end of the line of a remark."""
    places = Places(analysis)
    for diagnostic in here:
        if diagnostic.severity != "warning" or diagnostic.span is None:
            continue
        line = analysis.source.line(diagnostic.span.line)
        if "#" in line:
            continue
        end = analysis.source.line_starts[diagnostic.span.line - 1] + len(line)
        text = f"  # archdsl: ignore[{diagnostic.code}]"
        yield types.CodeAction(
            title=f"ignore {diagnostic.code} in this line",
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[to_lsp(diagnostic, places)],
            edit=_replaced(analysis, [(end, end, text)]),
        )


def _contracts(analysis: Analysis, start: int, stop: int) -> Iterator[types.CodeAction]:
    """`-> 64x112x112` after the step at the cursor, which is from then on held to it."""
    around = [step for step in analysis.steps if step.span.start <= start and stop <= step.span.stop]
    if around and wants_contract(around[-1]):
        text = f" -> {written(around[-1].placed.shapes[0])}"
        end = around[-1].span.stop
        yield types.CodeAction(
            title=f"write `{text.strip()}` after this step",
            kind=types.CodeActionKind.RefactorRewrite,
            edit=_replaced(analysis, [(end, end, text)]),
        )


def _edit(analysis: Analysis, fixes: list[Fix]) -> types.WorkspaceEdit:
    return _replaced(analysis, [(fix.span.start, fix.span.stop, fix.text) for fix in fixes])


def _replaced(analysis: Analysis, edits: list[tuple[int, int, str]]) -> types.WorkspaceEdit:
    made = [types.TextEdit(analysis.lines.range(start, stop), text) for start, stop, text in edits]
    return types.WorkspaceEdit(changes={analysis.uri: made})
