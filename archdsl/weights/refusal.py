"""Refusals, as the errors that the rest of archdsl raises."""

from __future__ import annotations

from archdsl.diagnostics import ArchError, Diagnostic


def unusable(message: str, hint: str = "") -> ArchError:
    """What was given holds no weights that can be read."""
    return _error("A601", message, hint)


def unequal(message: str, hint: str = "", notes: tuple[str, ...] = ()) -> ArchError:
    """The source's layers are not the network's."""
    return _error("A602", message, hint, notes)


def undecided(message: str, hint: str = "") -> ArchError:
    """More than one assignment is possible."""
    return _error("A603", message, hint)


def contradictory(message: str, hint: str = "") -> ArchError:
    """The source says two things at once."""
    return _error("A604", message, hint)


def missing_package(package: str, what: str) -> ArchError:
    """A reader's package is not installed."""
    return _error("A401", f"{package} is not installed, and {what} needs it", "pip install archdsl[weights]")


def _error(code: str, message: str, hint: str, notes: tuple[str, ...] = ()) -> ArchError:
    return ArchError([Diagnostic(code=code, message=message, span=None, hint=hint, notes=notes)])
