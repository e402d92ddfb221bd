"""What a user can set: `archdsl.hints.shapes`, `archdsl.hints.costs`, `archdsl.root`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

SECTION = "archdsl"


class Settings(NamedTuple):
    """shapes, costs: what inlay hints tell; root: the folder that `use` may read, the spec's own if None."""

    shapes: bool = True
    costs: bool = False
    root: Path | None = None


def read(given: Any) -> Settings:
    """Settings as a client sends them; what is not understood keeps its default."""
    if isinstance(given, dict) and isinstance(given.get(SECTION), dict):
        given = given[SECTION]
    if not isinstance(given, dict):
        return Settings()
    hints = given.get("hints")
    hints = hints if isinstance(hints, dict) else {}
    root = given.get("root")
    return Settings(
        shapes=hints.get("shapes") is not False,
        costs=hints.get("costs") is True,
        root=Path(root) if isinstance(root, str) and root else None,
    )
