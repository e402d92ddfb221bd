"""What tests share: the independent implementation, and a loud word where it is missing."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from missing import MISSING, NO_BROWSER

from archdsl import cli

# Small images and float64: threads cost more than they give, and many times more where another process wants the core.
torch.set_num_threads(1)

# What was tuned on this machine must not decide what a test runs.
os.environ["ARCHDSL_CACHE"] = "off"


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


def import_keras() -> ModuleType:
    """Keras, computing with torch: its other backends would have to be installed."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    return keras


def import_timm() -> ModuleType:
    """timm, which imports torchvision."""
    import_torchvision()
    import timm

    return timm


def _peer(name: str, import_it: Callable[[], ModuleType]) -> ModuleType:
    """The peer. Without it a test is skipped, and the summary says so; under CI=true it fails."""
    try:
        return import_it()
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        reason = f"{MISSING} ({name}: {type(error).__name__}: {error}); pip install --no-deps -r requirements-parity.txt"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """`run("check", "a.arch", stdin="")` in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "ARCHDSL_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, stdin: str | bytes = "") -> tuple[int, str, str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        code = cli.main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    return _peer("torchvision", import_torchvision)


@pytest.fixture(scope="session")
def timm() -> ModuleType:
    return _peer("timm", import_timm)


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    return _peer("keras", import_keras)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="also what takes minutes: the largest networks")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--nightly"):
        return
    left_out = [item for item in items if item.get_closest_marker("nightly")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skip is one letter in the output; this is not to be overlooked."""
    for words, title in ((MISSING, "PARITY NOT CHECKED"), (NO_BROWSER, "PAGES NOT TRIED")):
        skipped = [r for r in terminalreporter.stats.get("skipped", ()) if words in str(r.longrepr)]
        if skipped:
            reason = str(skipped[0].longrepr[2]).removeprefix("Skipped: ")
            terminalreporter.section(title, red=True, bold=True)
            terminalreporter.write_line(f"{len(skipped)} tests skipped: {reason}", red=True, bold=True)
