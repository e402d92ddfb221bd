"""What is legal and probably not meant: one file per kind of remark.

`# archdsl: ignore[L101]` at the end of a line, or on a line of its own above, takes a remark back
(`ignores.py`). Most lints are on; those of a group are asked for by its name, since most published networks
would draw them.
"""

from __future__ import annotations

from archdsl.lints.run import GROUPS, LINTS, Lint, Remarks, chosen_codes, lint

__all__ = ["GROUPS", "LINTS", "Lint", "Remarks", "chosen_codes", "lint"]
