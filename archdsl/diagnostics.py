"""What went wrong, as data. The terminal, JSON and the editor each render it (`render.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Literal, NamedTuple

from pydantic import ConfigDict, InstanceOf
from pydantic.dataclasses import dataclass

from archdsl.source import Span

Severity = Literal["error", "warning"]
_frozen = ConfigDict(strict=True, extra="forbid", defer_build=True)


@dataclass(frozen=True, slots=True, config=_frozen)
class Related:
    """A second place that explains the first: the bracket that was opened, the other operand."""

    span: Annotated[Span, InstanceOf]
    message: str


@dataclass(frozen=True, slots=True, config=_frozen)
class Fix:
    """One concrete edit: put `text` where `span` is."""

    span: Annotated[Span, InstanceOf]
    text: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True, config=_frozen)
class Diagnostic:
    """One finding. `message` is the sentence, `label` what stands under the caret, `notes` the arithmetic,
    `hint` what would do, `fix` the edit that does it."""

    code: str
    severity: Severity = "error"
    message: str
    span: Annotated[Span, InstanceOf] | None
    label: str = ""
    related: tuple[Related, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str = ""
    fix: Fix | None = None


class ArchError(Exception):
    """A spec that does not check. `diagnostics` holds every finding, in the order of the text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from archdsl.render import to_text

        return to_text(self.diagnostics)


def refusal(code: str, message: str, hint: str, notes: tuple[str, ...] = ()) -> ArchError:
    """One finding that has no place in a text."""
    return ArchError([Diagnostic(code=code, message=message, span=None, hint=hint, notes=notes)])


class Code(NamedTuple):
    """A kind of finding: its one-line title and the page that `archdsl explain` prints."""

    title: str
    page: str


def did_you_mean(wrong: str, known: Iterable[str]) -> str | None:
    """The known word nearest to a wrong one, whatever its case, or None where none is near. Before others come those of the
    same letters in another order: `vgg61` is vgg16 rather than vgg19."""
    by_lower: dict[str, str] = {}
    for word in sorted(set(known), reverse=True):
        by_lower[word.lower()] = word
    letters = sorted(wrong.lower())
    near = get_close_matches(wrong.lower(), sorted(by_lower), n=max(len(by_lower), 1), cutoff=0.6)
    near.sort(key=lambda word: sorted(word) != letters)
    return by_lower[near[0]] if near else None
