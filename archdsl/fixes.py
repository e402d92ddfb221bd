"""Applying the fixes of findings to a text: only those that can't be a wrong guess.

A text that checks keeps its networks: their hashes are compared. A text with errors has fewer of them then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from archdsl.api import Checked
from archdsl.diagnostics import Diagnostic, Fix
from archdsl.patch import Edit, Patch
from archdsl.source import Source

SAFE = frozenset({"A002", "A006", "A011", "L100", "L107", "L108"})
"""A separator that is missing, a repeat or shape that is glued together, a character that looks like another; an
ignore, a `let` or a `use` without effect. All else is a guess, or another network: its author decides."""
ROUNDS = 20
"""A fix can bring another to light; no more often than that."""


class Fixed(NamedTuple):
    """A text with fixes applied, how many they were, and what checking it says now."""

    source: Source
    applied: int
    checked: Checked


def fixed(source: Source, check: Callable[[Source], Checked]) -> Fixed:
    """Apply every safe fix, round after round, until none is left. check: `api.check` with its options bound."""
    checked, count = check(source), 0
    for _ in range(ROUNDS):
        fixes = _apart(_safe(checked.diagnostics, source))
        made = _applied(source, checked, fixes, check)
        while made is None and fixes:  # one of them is at fault: each by itself, the first that helps
            alone = (_applied(source, checked, [fix], check) for fix in fixes)
            made, fixes = next((one for one in alone if one is not None), None), []
        if made is None:
            break
        count += made.applied
        source, checked = made.source, made.checked
    return Fixed(source, count, checked)


def _safe(found: Iterable[Diagnostic], source: Source) -> list[Fix]:
    fixes = [d.fix for d in found if d.fix is not None and d.code in SAFE]
    return [fix for fix in fixes if fix.span.source is source]


def _apart(fixes: Iterable[Fix]) -> list[Fix]:
    """In order of the text, without those that touch the one before."""
    kept: list[Fix] = []
    for fix in sorted(fixes, key=lambda fix: (fix.span.start, fix.span.stop)):
        if not kept or fix.span.start > kept[-1].span.stop:
            kept.append(fix)
    return kept


def _applied(
    source: Source, before: Checked, fixes: list[Fix], check: Callable[[Source], Checked]
) -> Fixed | None:
    """The text with these fixes; None without any, or where they break a promise."""
    if not fixes:
        return None
    patch = Patch(source.text, [Edit(fix.span.start, fix.span.stop, fix.text) for fix in fixes])
    made = Source(source.name, patch.text)
    after = check(made)
    errors = [sum(d.severity == "error" for d in one.diagnostics) for one in (before, after)]
    if errors[0] or errors[1]:
        helped = errors[1] < errors[0]
    else:
        helped = [n.hash for n in before.networks] == [n.hash for n in after.networks]
        helped = helped and len(after.diagnostics) < len(before.diagnostics)
    return Fixed(made, len(fixes), after) if helped else None
