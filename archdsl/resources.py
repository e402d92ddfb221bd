"""The files that come with the compiler: its grammar and the shipped specs.

In a wheel they lie in this package's folder, in a checkout (installed as editable, or not at all) beside it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def _root() -> Path:
    """The folder that holds grammar/ and specs/."""
    package = Path(__file__).resolve().parent
    for root in (package, package.parent):
        if (root / "grammar" / "arch.lark").is_file():
            return root
    raise FileNotFoundError(f"no grammar/arch.lark in {package} or beside it: archdsl is not installed whole")


def grammar_text() -> str:
    """The language's grammar, for lark."""
    return (_root() / "grammar" / "arch.lark").read_text(encoding="utf-8")


def specs_root() -> Path:
    """The folder of the shipped networks."""
    return _root() / "specs"


def library_root() -> Path:
    """The folder of the blocks that every spec can use."""
    return specs_root() / "lib"
