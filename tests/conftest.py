"""What tests share: the independent implementation, and a loud word where it is missing."""

from __future__ import annotations

import os
from types import ModuleType

import pytest
import torch

MISSING = "torchvision can't be imported, so nothing was compared with it"


def import_torchvision() -> ModuleType:
    """torchvision, on a torch of another build too.

    Its compiled operators are then missing, which only detection models need; but the import stops where it
    registers how they behave on the meta device, so a refused registration of one of its own is let pass.
    """
    register_fake = torch.library.register_fake

    def tolerant(op, func=None, /, **options):
        if not str(op).startswith("torchvision::"):
            return register_fake(op, **options) if func is None else register_fake(op, func, **options)

        def register(fake):
            try:
                return register_fake(op, **options)(fake)
            except RuntimeError:
                return fake

        return register if func is None else register(func)

    torch.library.register_fake = tolerant
    try:
        import torchvision
        import torchvision.models
    finally:
        torch.library.register_fake = register_fake
    return torchvision


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """torchvision. Without it a test is skipped, and the summary says so; under CI=true it fails."""
    try:
        return import_torchvision()
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        reason = (
            f"{MISSING} ({type(error).__name__}: {error}); pip install --no-deps -r requirements-parity.txt"
        )
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skip is one letter in the output; this is not to be overlooked."""
    skipped = [r for r in terminalreporter.stats.get("skipped", ()) if MISSING in str(r.longrepr)]
    if skipped:
        reason = str(skipped[0].longrepr[2]).removeprefix("Skipped: ")
        terminalreporter.section("PARITY NOT CHECKED", red=True, bold=True)
        terminalreporter.write_line(f"{len(skipped)} tests skipped: {reason}", red=True, bold=True)
