"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import archdsl
from archdsl import api, cli
from archdsl.codes import CODES
from archdsl.commands import COMMANDS
from archdsl.commands._options import setting
from archdsl.commands._output import color
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.ops import LAYERS
from archdsl.source import Source

ROOT = Path(__file__).resolve().parent.parent
GOOD = "arch good(classes=10) { input 3x8x8; conv3-4; gap; fc-classes }\n"
BAD = "arch bad { input 3x8x8; conv3-4 -> 4x9x9 }\n"
WARNS = "arch warns { input 3x8x8; conv3-4; conv3-4 }\n"
TWO = "arch one { input 3x8x8; conv3-4 }\narch two { input 3x8x8; conv3-8 }\n"

Run = Callable[..., tuple[int, str, str]]


def write(name: str, text: str | bytes) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def process(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    command = [sys.executable, "-m", "archdsl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, **more)


# ---- check ----


def test_check_a_clean_file(run: Run) -> None:
    code, out, err = run("check", write("good.arch", GOOD))
    assert (code, err) == (0, "")
    assert out == "good.arch: good 162 parameters, 6,952 MACs\n1 file checked\n"


def test_check_says_what_is_wrong(run: Run) -> None:
    code, out, err = run("check", write("bad.arch", BAD))
    assert (code, err) == (1, "")
    assert out.startswith("error[A203]: ") and " --> bad.arch:1:36\n" in out
    assert "1 error; for more on it: archdsl explain A203\n" in out and out.endswith("1 file checked\n")


def test_check_several_files_and_quiet(run: Run) -> None:
    write("good.arch", GOOD), write("bad.arch", BAD), write("nets.arch", TWO)
    code, out, _ = run("check", "good.arch", "bad.arch", "nets.arch", "good.arch")
    assert code == 1
    assert out.endswith(
        "good.arch: good 162 parameters, 6,952 MACs\n"
        "nets.arch: one 112 parameters, 6,912 MACs\n"
        "nets.arch: two 224 parameters, 13,824 MACs\n"
        "3 files checked\n"
    )
    assert run("check", "-q", "good.arch", "nets.arch") == (0, "", "")
    code, out, _ = run("check", "--quiet", "good.arch", "bad.arch")
    assert code == 1 and out.startswith("error[A203]") and "checked" not in out


def test_check_folders(run: Run) -> None:
    (
        write("d/a.arch", GOOD),
        write("d/deep/b.arch", TWO),
        write("d/.hidden/c.arch", BAD),
        write("d/c.txt", BAD),
    )
    write("d/lib.arch", "block f(a) { conv3-a }\n")
    code, out, _ = run("check", "d")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "d/a.arch",
        "d/deep/b.arch",
        "d/deep/b.arch",
        "d/lib.arch",
        "3 files checked",
    ]
    assert "d/lib.arch: blocks only\n" in out
    os.mkdir("empty")
    code, out, err = run("check", "empty")
    assert (code, out) == (2, "") and err == "archdsl: error: empty: no .arch file in this folder\n"


def test_warnings_alone_are_clean(run: Run) -> None:
    code, out, _ = run("check", write("warns.arch", WARNS))
    assert code == 0
    assert out.startswith("warning[L101]") and "warns.arch: warns 260 parameters" in out
    assert "1 warning; for more on it: archdsl explain L101\n" in out


def test_files_without_a_network(run: Run) -> None:
    write("blocks.arch", "block unit(f) { conv3-f }\n"), write("empty.arch", "")
    code, out, _ = run("check", "blocks.arch", "empty.arch")
    assert code == 0 and "blocks.arch: blocks only\nempty.arch: nothing in it\n2 files" in out


def test_check_formats(run: Run) -> None:
    write("bad.arch", BAD), write("good.arch", GOOD)
    code, out, _ = run("check", "good.arch", "bad.arch", "--format", "json")
    found = json.loads(out)
    assert code == 1 and [(f["code"], f["file"], f["line"], f["column"]) for f in found] == [
        ("A203", "bad.arch", 1, 36)
    ]
    assert run("check", "good.arch", "--format", "json") == (0, "[]\n", "")
    code, out, _ = run("check", "bad.arch", "--format=github")
    assert code == 1 and out.startswith(
        "::error file=bad.arch,line=1,col=36,endColumn=41,title=archdsl A203::"
    )
    assert run("check", "good.arch", "--format=github") == (0, "", "")


def test_a_fault_of_a_shared_file_is_told_once(run: Run) -> None:
    write("d/shared.arch", "block f(a) { conv3-a -> 4x9x9 }\n")
    for name in ("x", "y"):
        write(f"d/{name}.arch", f'use "shared.arch"\narch {name} {{ input 3x8x8; f(4) }}\n')
    code, out, _ = run("check", "d")
    assert code == 1 and out.count("error[A203]") == 1 and out.endswith("3 files checked\n")


def test_check_standard_input(run: Run) -> None:
    code, out, _ = run("check", "-", stdin=GOOD)
    assert (code, out) == (0, "<stdin>: good 162 parameters, 6,952 MACs\n1 file checked\n")
    code, out, _ = run("check", "-", "--input", "3x8x8", stdin="conv3-4; maxpool")
    assert code == 0 and "112 parameters" in out
    code, out, _ = run("check", "-", stdin="conv3-4; maxpool")
    assert code == 1 and "error[A112]" in out
    code, out, err = run("check", "-", stdin=b"\xff")
    assert (code, err) == (2, "archdsl: error: can't read <stdin>: it is not UTF-8 text (byte 0)\n")
    code, out, _ = run("check", "-", stdin="# " + "漢" * 2**19)
    assert code == 1 and "error[A301]" in out


def test_check_shipped_networks_by_name(run: Run) -> None:
    code, out, _ = run("check", "vgg16")
    assert code == 0 and "vgg16 138,357,544 parameters, 15,470,264,320 MACs\n" in out


def test_parameters_and_input_reach_the_network(run: Run) -> None:
    write("good.arch", GOOD)
    assert "good 127 parameters" in run("check", "good.arch", "-p", "classes=3")[1]
    assert "input 3x16x16" in run("summary", "good.arch", "--input", "3x16x16")[1]
    code, out, _ = run("check", "good.arch", "-p", "clases=3")
    assert code == 1 and "error[" in out


def test_arch_chooses(run: Run) -> None:
    write("nets.arch", TWO)
    assert run("check", "nets.arch", "--arch", "two")[1].startswith("nets.arch: two ")
    code, out, err = run("summary", "nets.arch")
    assert (code, out) == (1, "") and err.startswith("error[A113]") and "one, two" in err
    assert run("summary", "nets.arch", "--arch", "one")[1].startswith("one, input 3x8x8\n")
    assert "error[A113]" in run("summary", "nets.arch", "--arch", "tow")[2]


def test_root_limits_what_is_read(run: Run) -> None:
    write("shared.arch", "block f(a) { conv3-a }\n")
    write("d/x.arch", 'use "../shared.arch"\narch x { input 3x8x8; f(4) }\n')
    code, out, _ = run("check", "d/x.arch")
    assert code == 1 and "error[A115]" in out
    assert run("check", "d/x.arch", "--root", ".")[0] == 0
    assert run("check", "d/x.arch", "--root", "no")[2] == "archdsl: error: --root no: not a folder\n"


# ---- files that can't be read, commands that can't be understood ----


def one_line(result: tuple[int, str, str]) -> str:
    """The message of a usage error: exit 2, one line, nothing on stdout."""
    code, out, err = result
    assert (code, out) == (2, "") and err.count("\n") == 1 and re.match(r"archdsl( \w+)?: error: ", err), (
        result
    )
    return err.partition("error: ")[2].rstrip("\n")


@pytest.mark.parametrize("command", ["summary", "compile"])
def test_unreadable_files(run: Run, command: str) -> None:
    write("good.arch", GOOD), write("latin.arch", "# caf\xe9".encode("latin-1"))
    os.mkdir("folder.arch")
    assert (
        one_line(run(command, "god.arch")) == "can't read god.arch: no such file; did you mean 'good.arch'?"
    )
    assert one_line(run(command, "no/god.arch")) == "can't read no/god.arch: there is no folder no"
    assert one_line(run(command, "latin.arch")) == "can't read latin.arch: it is not UTF-8 text (byte 5)"
    assert one_line(run(command, "folder.arch")) == "can't read folder.arch: is a directory"
    assert "did you mean vgg1" in one_line(run(command, "vgg61"))
    assert "\x1b" not in one_line(run(command, "a\x1b[31m.arch"))


def test_check_goes_on_after_an_unreadable_file(run: Run) -> None:
    write("good.arch", GOOD)
    code, out, err = run("check", "god.arch", "good.arch")
    assert code == 2 and "good 162 parameters" in out and out.endswith("1 file checked\n")
    assert err == "archdsl: error: can't read god.arch: no such file; did you mean 'good.arch'?\n"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_permission(run: Run) -> None:
    os.chmod(write("good.arch", GOOD), 0)
    assert one_line(run("check", "good.arch")) == "can't read good.arch: permission denied"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chek", "x"], "no command 'chek'; did you mean 'check'?"),
        (["zzz"], f"no command 'zzz'; choose from {', '.join(COMMANDS)}"),
        (["check", "x", "--formt", "json"], "no option '--formt' here; did you mean '--format'?"),
        (["check", "x", "--format", "jsn"], "argument --format can't be 'jsn'; did you mean 'json'?"),
        (
            ["compile", "x", "--stop-after", "low"],
            "argument --stop-after can't be 'low'; did you mean 'lower'?",
        ),
        (["compile", "x", "y"], "no argument 'y' here"),
        (["check", "x", "--color", "blue"], "can't be 'blue'"),
        (["summary"], "SPEC"),
        (["summary", "x", "--input", "3x224"], "'3x224' is not a shape; write channels x height x width"),
        (["summary", "x", "--input", "3x0x1"], "every side is from 1 to"),
        (["summary", "x", "--input", "3x" + "9" * 50 + "x1"], "every side is from 1 to"),
        (["summary", "x", "-p", "classes"], "'classes' is not a parameter; write name=value"),
        (["summary", "x", "-p", "k=[1]"], "'[1]' is not a value"),
        (["summary", "x", "-p", "k=1e999"], "'1e999' is not a value"),
        (["summary", "x", "-p", "k=1", "-p", "k=2"], "-p k is given twice"),
        (["summary", "x", "-p", "root=1"], "-p root: a parameter of this name"),
        (["summary", "x", "--depth", "0"], "'0' is not a depth"),
        (["compile", "x", "--stop-after", "parse", "-o", "y"], "--stop-after prints the stage"),
        (["explain", "A20"], "no code 'A20'; did you mean 'A20"),
        (["layers", "conf"], "no layer or block 'conf'; did you mean 'conv'?"),
    ],
)
def test_usage_errors(run: Run, arguments: list[str], message: str) -> None:
    assert message in one_line(run(*arguments))


def test_no_command_prints_help(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "") and "compile" in err and "explain" in err


def test_values_of_parameters() -> None:
    assert [
        setting(text)[1] for text in ("a=3", "a=-3", "a=1_000", "a=0.5", "a=1e-3", "a=true", "a=same")
    ] == [
        3,
        -3,
        1000,
        0.5,
        1e-3,
        True,
        "same",
    ]
    assert [type(setting(text)[1]) for text in ("a=3", "a=3.0", "a=false")] == [int, float, bool]


# ---- colour ----


@pytest.mark.parametrize(
    ("arguments", "environment", "coloured"),
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "0"}, False),
        ([], {"CLICOLOR_FORCE": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    coloured: bool,
) -> None:
    write("bad.arch", BAD)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in run("check", "bad.arch", *arguments)[1]) is coloured
    # The option may also stand before the command.
    assert ("\x1b[" in run(*arguments, "check", "bad.arch")[1]) is coloured


def test_a_terminal_gets_colour_unless_it_is_dumb(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    terminal: Any = SimpleNamespace(isatty=lambda: True)
    args = cli._parser()[0].parse_args(["layers"])
    monkeypatch.setenv("TERM", "xterm")
    assert color(args, terminal)
    monkeypatch.setenv("TERM", "dumb")
    assert not color(args, terminal)


# ---- summary, layers, explain ----


def test_summary_formats(run: Run) -> None:
    write("good.arch", GOOD)
    assert run("summary", "good.arch")[1].startswith("good, input 3x8x8\n\nstep ")
    assert json.loads(run("summary", "good.arch", "--format", "json")[1])["params"] == 162
    assert run("summary", "good.arch", "--format", "csv")[1].startswith("depth,step,label,")
    assert run("summary", "good.arch", "--format", "markdown")[1].startswith("**good**, input `3x8x8`\n")
    shallow, deep = (run("summary", "vgg16", "--depth", depth)[1] for depth in "12")
    assert "\n  conv3-64 " in deep and "\n  conv3-64 " not in shallow
    assert run("summary", "-", stdin=GOOD)[1].startswith("good, input 3x8x8\n")


def test_layers_lists_every_layer(run: Run) -> None:
    code, out, _ = run("layers")
    assert code == 0
    words = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert {*LAYERS, "residual", "aux", "carry", "inception"} <= words
    assert max(map(len, out.splitlines())) <= 130


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_every_layer_has_a_page(run: Run, name: str) -> None:
    code, out, _ = run("layers", name)
    assert code == 0 and out.startswith(f"{name}\n\n")
    layer = LAYERS[name]
    for field in layer.model_fields:
        assert re.search(rf"^  {field}(, \w+)*  +\S", out, re.M)
    for example in layer.examples:
        assert f"  {example}\n" in out
    # Types are told in words, not as Python prints them.
    assert not re.search(r"Undefined|typing|Annotated|FieldInfo|class '", out)


def test_the_page_of_conv(run: Run) -> None:
    out = run("layers", "conv3")[1]
    assert re.search(r"^  channels +whole number >= 1 +required +conv3-64$", out, re.M)
    assert re.search(r"^  padding, p +N, .*; same; valid +see above$", out, re.M)
    assert re.search(r"^  order +post or pre +post$", out, re.M)
    assert re.search(r"^  weight +number > 0 +1 +aux\(weight\)$", run("layers", "aux")[1], re.M)


def test_a_library_block_shows_its_source(run: Run) -> None:
    out = run("layers", "inception")[1]
    assert out.startswith("#") and "block inception(" in out
    assert out.rstrip("\n") == (ROOT / "specs/lib/inception.arch").read_text().rstrip("\n")


def test_explain(run: Run) -> None:
    code, out, _ = run("explain", "a201")
    assert code == 0 and out.startswith("A201: a window that does not fit\n\n")
    listed = run("explain")[1].splitlines()
    assert [line.split()[0] for line in listed] == list(CODES)


def page_example(code: str, head: str) -> str | None:
    found = re.search(rf"^{head}:\n\n((?:    .*\n|\n)+)", CODES[code].page + "\n", re.M)
    return textwrap.dedent(found[1]).strip() + "\n" if found else None


@pytest.mark.parametrize("code", CODES)
def test_pages_are_short_and_true(code: str, tmp_path: Path) -> None:
    page = CODES[code].page
    assert 2 <= len(page.splitlines()) <= 26 and max(map(len, page.splitlines())) <= 100
    wrong, right = page_example(code, "Wrong"), page_example(code, "Right")
    assert ("Wrong:" in page, "Right:" in page) == (wrong is not None, right is not None)
    if wrong is not None:
        wanted = [code] if code.startswith("L") else []
        found = api.check(Source("wrong.arch", wrong), path=tmp_path / "wrong.arch", lints=wanted).diagnostics
        assert code in [d.code for d in found], found
    if right is not None:
        found = api.check(Source("right.arch", right), path=tmp_path / "right.arch").diagnostics
        assert not [d for d in found if d.severity == "error" or d.code == code], found


def test_most_pages_have_examples() -> None:
    assert sum(page_example(code, "Wrong") is not None for code in CODES) >= 40
    assert sum(page_example(code, "Right") is not None for code in CODES) >= 38


# ---- compile ----

MODULE = "# Written by archdsl\nimport torch\n# 漢\n"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """emit and build replaced, so that what compile itself does is tested alone."""
    verified: list[Any] = []
    emit: Any = ModuleType("archdsl.printer")
    emit.MARKER, emit.emit = "# Written by archdsl", lambda network: MODULE
    build: Any = ModuleType("archdsl.live")
    build.verify = lambda network: verified.append(network) or SimpleNamespace(tensors=4)
    for name, module in (("printer", emit), ("live", build)):
        monkeypatch.setitem(sys.modules, f"archdsl.{name}", module)
    return SimpleNamespace(verified=verified, build=build, emit=emit)


def test_compile_writes_and_verifies(run: Run, backend: SimpleNamespace) -> None:
    code, out, err = run("compile", write("spec.arch", GOOD))
    assert (code, err) == (0, "")
    assert out.startswith("good, input 3x8x8\n")
    assert out.endswith("wrote good.py (3 lines); torch agrees with all 4 shapes and 162 parameters\n")
    assert Path("good.py").read_text(encoding="utf-8") == MODULE
    assert [network.name for network in backend.verified] == ["good"]
    assert sorted(os.listdir()) == ["good.py", "spec.arch"]
    assert stat.S_IMODE(os.stat("good.py").st_mode) == 0o666 & ~(mask := os.umask(0)) and os.umask(mask) == 0


def test_compile_without_verification(run: Run, backend: SimpleNamespace) -> None:
    code, out, _ = run("compile", write("spec.arch", GOOD), "--no-verify", "-o", "out.py")
    assert code == 0 and out.endswith("\nwrote out.py (3 lines)\n") and not backend.verified


def test_compile_to_standard_output(run: Run, backend: SimpleNamespace) -> None:
    code, out, err = run("compile", write("spec.arch", GOOD), "-o", "-")
    assert (code, out) == (0, MODULE)
    assert err.startswith("good, input 3x8x8\n") and "wrote the module (3 lines); torch agrees" in err
    assert os.listdir() == ["spec.arch"]


def test_compile_spares_files_of_others(run: Run, backend: SimpleNamespace) -> None:
    spec = write("spec.arch", GOOD)
    write("good.py", "print('mine')\n")
    code, _, err = run("compile", spec)
    assert code == 1 and err.startswith("error[A403]: good.py exists, and archdsl did not write it\n")
    assert Path("good.py").read_text() == "print('mine')\n" and not backend.verified
    assert run("compile", spec, "--force")[0] == 0
    assert Path("good.py").read_text(encoding="utf-8") == MODULE
    # Its own files are replaced, keeping their mode.
    os.chmod("good.py", 0o600)
    assert run("compile", spec)[0] == 0 and stat.S_IMODE(os.stat("good.py").st_mode) == 0o600


def test_compile_never_writes_over_its_spec(run: Run, backend: SimpleNamespace) -> None:
    spec = write("spec.arch", GOOD)
    code, _, err = run("compile", spec, "-o", "./spec.arch", "--force")
    assert code == 2 and "it is the spec itself" in err and Path(spec).read_text() == GOOD


def test_compile_where_nothing_can_be_written(run: Run, backend: SimpleNamespace) -> None:
    spec = write("spec.arch", GOOD)
    os.mkdir("folder")
    assert run("compile", spec, "-o", "folder")[::2] == (
        2,
        "archdsl: error: can't write folder: it is a folder\n",
    )
    code, _, err = run("compile", spec, "-o", "no/x.py")
    assert (code, err) == (2, "archdsl: error: can't write no/x.py: there is no folder no\n")
    assert sorted(os.listdir()) == ["folder", "spec.arch"]


@pytest.mark.parametrize(("path", "why"), [("", "the name of the file to write is empty"), ("no/x.html", "there is no folder no")])
@pytest.mark.parametrize("command", ["compile", "export --to pt2", "diff spec.arch", "bench", "weights spec.arch", "draw"])
def test_an_output_that_can_not_be_is_refused_at_once(command: str, path: str, why: str, run: Run) -> None:
    spec = write("spec.arch", GOOD)
    code, out, err = run(*command.split(), spec, "-o", path)
    if command == "draw" and not path:
        why = "the name says what to draw"
    assert code == 2 and why in err
    assert "loaded" not in out and os.listdir() == ["spec.arch"]


def test_a_name_that_is_empty(run: Run) -> None:
    spec = write("spec.arch", GOOD)
    for command in (["check"], ["summary"], ["fmt"], ["diff", spec]):
        code, _, err = run(*command, "")
        assert code == 2 and err == "archdsl: error: the name of the file to read is empty\n"


def test_a_failed_write_leaves_the_old_file(
    run: Run, backend: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write("spec.arch", GOOD)
    old = "# Written by archdsl\nold\n"
    write("good.py", old)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    code, _, err = run("compile", spec)
    assert code == 2 and err == "archdsl: error: can't write good.py: no space left on device\n"
    assert Path("good.py").read_text() == old and sorted(os.listdir()) == ["good.py", "spec.arch"]


def test_compile_follows_links_and_spares_devices(run: Run, backend: SimpleNamespace) -> None:
    spec = write("spec.arch", GOOD)
    write("d/real.py", MODULE + "old")
    os.symlink("d/real.py", "link.py")
    assert run("compile", spec, "-o", "link.py")[0] == 0
    assert os.path.islink("link.py") and Path("d/real.py").read_text(encoding="utf-8") == MODULE
    os.symlink(os.devnull, "null.py")
    assert run("compile", spec, "-o", "null.py")[0] == 0
    assert not os.path.isfile(os.devnull)


def test_compile_with_errors_writes_nothing(run: Run, backend: SimpleNamespace) -> None:
    code, out, err = run("compile", write("bad.arch", BAD))
    assert (code, out) == (1, "") and err.startswith("error[A203]") and os.listdir() == ["bad.arch"]


def test_torch_disagrees(run: Run, backend: SimpleNamespace) -> None:
    def differ(network: object) -> None:
        raise ArchError([Diagnostic(code="A402", message="torch says 8x4x4", span=None)])

    backend.build.verify = differ
    code, out, err = run("compile", write("spec.arch", GOOD))
    assert (
        code == 1 and out.endswith("wrote good.py (3 lines)\n") and err.startswith("error[A402]: torch says")
    )


@pytest.mark.slow
def test_compile_for_real(run: Run) -> None:
    code, out, err = run("compile", "vgg16")
    assert (code, err) == (0, "")
    assert out.startswith("vgg16, input 3x224x224\n\nstep ")
    last = out.splitlines()[-1]
    figures = r"wrote vgg16\.py \(\d+ lines\); torch agrees with all \d+ shapes and 138,357,544 parameters"
    assert re.fullmatch(figures, last)
    text = Path("vgg16.py").read_text(encoding="utf-8")
    assert text.startswith("# Written by archdsl") and f"({text.count(chr(10))} lines)" in last
    # Its own file is replaced, and is what -o - and --stop-after emit print.
    assert run("compile", "vgg16", "--no-verify")[0] == 0
    assert run("compile", "vgg16", "-o", "-", "--no-verify")[1] == text
    assert run("compile", "vgg16", "--stop-after", "emit")[1] == text
    assert "vgg16" in run("compile", "vgg16", "--stop-after", "lower")[1].lower()


def test_torch_is_missing(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from archdsl.cli import main;"
        "sys.exit(main(['compile', 'vgg16', *sys.argv[1:]]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def compile_it(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)

    done = compile_it()
    assert done.returncode == 1 and re.search(r"^wrote vgg16\.py \(\d+ lines\)$", done.stdout, re.M)
    assert (
        done.stderr.startswith("error[A401]: torch is not installed") and "pip install torch" in done.stderr
    )
    assert compile_it("--no-verify").returncode == 0


@pytest.mark.slow
def test_every_shipped_spec_is_clean(run: Run) -> None:
    code, out, err = run("check", str(ROOT / "specs"))
    assert (code, err) == (0, "")
    assert len(re.findall(r"\d parameters, ", out)) >= 3


def test_stop_after(run: Run, backend: SimpleNamespace) -> None:
    spec = write("spec.arch", GOOD)
    code, out, _ = run("compile", spec, "--stop-after", "parse")
    assert code == 0 and out.startswith("File\n  statement: Arch\n    name: Name 'good'\n")
    assert "        head: Name 'conv3'\n        width: Number value=4 text='4'\n" in out
    assert json.loads(run("compile", spec, "--stop-after", "elaborate")[1])["name"] == "good"
    assert run("compile", spec, "--stop-after", "emit")[1] == MODULE
    assert os.listdir() == ["spec.arch"]
    code, out, err = run("compile", "-", "--stop-after", "parse", stdin="arch a { conv3-4 relu }")
    assert code == 1 and "error[A002]" in err


# ---- the outermost edge ----


def test_what_is_unexpected_is_told_in_two_lines(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("oh\x1b[31m\nno")

    monkeypatch.setattr(api, "check", broken)
    write("good.arch", GOOD)
    code, out, err = run("check", "good.arch")
    assert (code, out) == (70, "") and err.startswith("archdsl: internal error: RuntimeError: oh␛[31m no\n")
    assert "report it" in err and "Traceback" not in err
    monkeypatch.setenv("ARCHDSL_DEBUG", "1")
    code, _, err = run("check", "good.arch")
    assert code == 70 and "Traceback" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["check", "lenet5"], ["compile", "lenet5", "-o", "-"], ["--version"], ["--help"]])
def test_output_that_takes_nothing(arguments: list[str], unbuffered: str) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "archdsl", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment, text=True, timeout=60)
        assert done.returncode == 2
        assert done.stderr.endswith("archdsl: error: can't write the output: no space left on device\n")
        assert subprocess.run(command, stdout=full, stderr=full, env=environment, timeout=60).returncode == 2


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("check lenet5 -q >&-", 0, "", ""),
        ("check nope 2>&-", 2, "0 files checked\n", ""),
        ("--help >&- 2>&-", 0, "", ""),
        ("fmt - <&-", 2, "", "archdsl: error: can't read <stdin>: it is closed\n"),
        ("lsp <&-", 2, "", "archdsl: error: a language server speaks with an editor: docs/editors.md shows how one starts it\n"),
    ],
)
def test_streams_that_are_closed(command: str, code: int, out: str, err: str) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    line = ["sh", "-c", f"{sys.executable} -m archdsl {command}"]
    done = subprocess.run(line, capture_output=True, env=environment, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


@pytest.mark.parametrize("command", ["compile", "tune", "export --to pt2", "weights"])
def test_a_network_that_no_memory_holds(command: str, run: Run) -> None:
    name, *options = command.split()
    largest = 2**31 - 1
    text = f"arch n {{ input 3x8x8; conv1-{largest}; conv1-{largest} }}"
    if name == "compile":  # torch's words for a tensor that it can't even describe
        text = f"arch n {{ input 3x{largest}x{largest}; conv1-8 }}"
    files = [write("n.arch", text), *([write("n.pt", "")] if name == "weights" else [])]
    code, _, err = run(name, *files, *options)
    assert code == 2
    assert err.endswith("archdsl: error: the memory is too small for this; try a smaller input, batch or width\n")


def test_interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "check", interrupt)
    assert run("check", write("good.arch", GOOD)) == (130, "", "")


def test_a_reader_that_leaves() -> None:
    # Far more text than a pipe holds, so that the writer is still at it when the reader goes.
    archdsl = f"{sys.executable} -m archdsl compile resnet50 --stop-after elaborate"
    done = subprocess.run(
        ["bash", "-c", f"{archdsl} | head -n 1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.stdout, done.stderr) == ("{\n141\n", "")


def test_an_ascii_terminal_gets_escapes(tmp_path: Path) -> None:
    (tmp_path / "bad.arch").write_text("arch bad { input 3x8x8; 漢 }\n", encoding="utf-8")
    done = process("check", "bad.arch", cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1 and "\\u6f22" in done.stdout and done.stderr == ""


def test_version() -> None:
    done = process("--version")
    assert done.returncode == 0 and done.stdout == f"archdsl {archdsl.__version__}\n"


def test_check_loads_nothing_heavy() -> None:
    program = (
        "import sys; from archdsl.cli import main; code = main(['check', 'resnet50']);"
        "print(code, sorted({'torch', 'rich', 'numpy', 'triton', 'pygls'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


def in_a_process(program: str) -> str:
    """What a program prints last."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_the_parsers_need_only_argparse() -> None:
    """Importing every command and declaring its arguments loads no stage of the compiler."""
    said = in_a_process(
        "import argparse, sys; from importlib import import_module; from archdsl import cli, commands\n"
        "cli._parser()\n"
        "for name in commands.COMMANDS:\n"
        "    import_module(f'archdsl.commands.{name}').arguments(argparse.ArgumentParser())\n"
        "heavy = {'pydantic', 'lark', 'torch', 'rich', 'json', 'inspect'} & set(sys.modules)\n"
        "stages = {name.split('.')[1] for name in sys.modules if name.startswith('archdsl.')}\n"
        "print(sorted(heavy), sorted(stages - {'cli', 'commands'}))"
    )
    assert said == "[] []"


@pytest.mark.parametrize(
    ("arguments", "own"), [(["--help"], []), (["check", "lenet5"], ["check"]), (["explain"], ["explain"])]
)
def test_a_command_loads_no_other(arguments: list[str], own: list[str]) -> None:
    said = in_a_process(
        f"import sys; from archdsl.cli import main; code = main({arguments!r})\n"
        "from archdsl.commands import COMMANDS\n"
        "own = [name for name in COMMANDS if f'archdsl.commands.{name}' in sys.modules]\n"
        "print(own, 'archdsl.bench' in sys.modules, code)"
    )
    assert said == f"{own} False 0"


def test_every_command_is_a_file_and_in_the_list() -> None:
    folder = ROOT / "archdsl" / "commands"
    assert {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")} == COMMANDS.keys()
    for name in COMMANDS:
        command = importlib.import_module(f"archdsl.commands.{name}")
        assert (command.__doc__ or "").startswith(f"`archdsl {name}"), name
        assert list(inspect.signature(command.arguments).parameters) == ["parser"], name
        assert list(inspect.signature(command.run).parameters) == ["args"], name


def test_without_docstrings(tmp_path: Path) -> None:
    (tmp_path / "good.arch").write_text(GOOD)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    for arguments in (["check", "good.arch"], ["layers"], ["layers", "conv"], ["--help"]):
        command = [sys.executable, "-OO", "-m", "archdsl", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
