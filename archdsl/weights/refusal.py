"""Refusals, as the errors that the rest of archdsl raises."""

from __future__ import annotations

from archdsl.diagnostics import ArchError, refusal


def unusable(message: str, hint: str = "") -> ArchError:
    """What was given holds no weights that can be read."""
    return refusal("A601", message, hint)


def unequal(message: str, hint: str = "", notes: tuple[str, ...] = ()) -> ArchError:
    """The source's layers are not the network's."""
    return refusal("A602", message, hint, notes)


def undecided(message: str, hint: str = "") -> ArchError:
    """More than one assignment is possible."""
    return refusal("A603", message, hint)


def contradictory(message: str, hint: str = "") -> ArchError:
    """The source says two things at once."""
    return refusal("A604", message, hint)


def missing_package(package: str, what: str) -> ArchError:
    """A reader's package is not installed."""
    return refusal("A401", f"{package} is not installed, and {what} needs it", "pip install archdsl[weights]")
