"""Completion scripts, asked in the shells themselves; and the hooks of pre-commit."""

from __future__ import annotations

import re
import shutil
import subprocess
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

import pytest

from archdsl import api, cli
from archdsl.codes import CODES
from archdsl.commands import COMMANDS
from archdsl.commands._shells import SHELLS

ROOT = Path(__file__).resolve().parent.parent
BASH = r"""
source "$1"
shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_archdsl
for one in "${COMPREPLY[@]}"; do echo "$one"; done
"""

ASKED = [
    (("ch",), {"check"}),
    (("--color", "always", "su"), {"summary"}),
    (("check", "--fo"), {"--format"}),
    (("check", "--format", "js"), {"json"}),
    (("check", "--format", "=", "s"), {"sarif"}),
    (("check", "--lint", "sp"), {"speed"}),
    (("fmt", ""), {"a.arch", "b c.arch", "sub"}),
    (("check", "a.a"), {"a.arch"}),
    (("check", "vgg16_"), {"vgg16_bn"}),
    (("check", "--root", "s"), {"sub"}),
    (("compile", "a.arch", "-o", "d"), {"d.py"}),
    (("weights", "vgg16", "d"), {"d.py"}),
    (("explain", "l10"), set()),
    (("layers", "maxp"), {"maxpool"}),
    (("completions", "f"), {"fish"}),
    (("fmt", "--"), {"--check", "--diff", "--line-length", "--quiet", "--color", "--help"}),
]


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a shell's script, and go to a folder with a few files."""
    folder = tmp_path / "work"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.arch", "b c.arch", "d.py"):
        (folder / name).touch()
    monkeypatch.chdir(folder)

    def write(shell: str) -> Path:
        assert cli.main(["completions", shell]) == 0
        path = tmp_path / f"script.{shell}"
        path.write_text(capsys.readouterr().out)
        return path

    return write


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash(script) -> None:
    path = script("bash")
    for words, wanted in ASKED:
        command = ["bash", "--norc", "-c", BASH, "bash", str(path), "archdsl", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert (set(done.stdout.splitlines()), done.stderr) == (wanted, ""), words


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish(script) -> None:
    path = script("fish")
    for words, wanted in ASKED:
        if "=" in words or words[-1] == "" or words[0] == "--color" or "--root" in words:
            continue
        line = f"source {path}; complete -C 'archdsl {' '.join(words)}'"
        done = subprocess.run(["fish", "--no-config", "-c", line], capture_output=True, text=True)
        found = {one.split("\t")[0] for one in done.stdout.splitlines()}
        assert wanted <= found and done.stderr == "", words


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_well_formed(script, shell: str) -> None:
    path = script(shell)
    if shutil.which(shell) is not None:
        done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text()
    assert all(name in text for name in (*COMMANDS, *CODES, *api.shipped_names()))


def test_completions_refuse_other_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completions", "tcsh"]) == 2
    assert "argument SHELL can't be 'tcsh'" in capsys.readouterr().err


def test_hooks_are_commands_that_exist() -> None:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert re.findall(r"^- id: (.*)$", text, re.M) == ["archdsl-check", "archdsl-fmt"]
    for entry in re.findall(r"^  entry: archdsl (.*)$", text, re.M):
        command, *options = entry.split()
        parser = ArgumentParser()
        import_module(f"archdsl.commands.{command}").arguments(parser)
        parser.parse_args([*options, "net.arch"])
    assert re.findall(r"^  files: (.*)$", text, re.M) == [r"\.arch$"] * 2
