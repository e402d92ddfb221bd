"""Without the independent implementation the group says so: nobody takes a skip for a pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.parity
TESTS = Path(__file__).parent


@pytest.mark.parametrize("ci", ("", "true"))
def test_a_missing_torchvision_is_told(ci, tmp_path):
    (tmp_path / "torchvision.py").write_text("raise ImportError('not here')")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "resnet18",
        "test_torchvision.py",
    ]
    paths = (tmp_path, TESTS.parent.parent, os.environ.get("PYTHONPATH", ""))
    environment = os.environ | {"CI": ci, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)
    assert "an independent implementation can't be imported" in done.stdout and "ImportError: not here" in done.stdout
    if ci:
        assert done.returncode == 1 and "failed" in done.stdout + done.stderr or "error" in done.stdout
        assert "skipped" not in done.stdout
    else:
        assert done.returncode == 0 and "PARITY NOT CHECKED" in done.stdout
