"""What the documents show, runs, and prints what they say it prints.

`UPDATE_DOCS=1 python -m pytest tests/test_docs.py` writes the outputs into README.md anew.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import archdsl
from archdsl import api
from archdsl.ops import LAYERS
from archdsl.source import Source

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("README.md", "docs/*.md", "specs/**/README.md", "kernels/README.md", "archdsl/ops/README.md", "benchmarks/results/*.md")
DOCUMENTS = [path for place in PLACES for path in sorted(ROOT.glob(place))]
WITH_SPECS = {"README.md", "docs/language.md", "docs/backbones.md", "docs/checking.md", "specs/README.md"}
EXAMPLES = [path for path in sorted((ROOT / "archdsl").rglob("*.py")) if re.search(r"^ *>>> ", path.read_text(), re.M)]

BROKEN = """arch tiny(classes=10) {
  default conv(norm=bn, act=relu)
  input 3x32x32
  conv3-32 x2; maxpool
  residual { conv3-64/2; conv3-64(act=none, p=0) }
  botleneck(64) x2 as c3
  gap; fc-clases
}
"""


def fences(path: Path) -> list[tuple[str, str]]:
    """(language, text) of every fenced block of a document."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), re.M | re.S)


def archdsl_output(*arguments: str, cwd: Path) -> str:
    """What a command prints, on either stream."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "archdsl", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The texts that README shows as output, in its order."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "specs").symlink_to(ROOT / "specs")
    table = archdsl_output("compile", "specs/vgg16.arch", cwd=folder)
    assert (folder / "vgg16.py").exists()
    text = archdsl.emit(archdsl.load(ROOT / "specs/resnet50.arch"))
    block = re.search(r"^class Bottleneck.*?(?=^class )", text, re.M | re.S)
    assert block is not None
    stage = re.search(r"^        self\.c3 = .*?^        \)$", text, re.M | re.S)
    assert stage is not None
    (folder / "tiny.arch").write_text(BROKEN)
    errors = archdsl_output("check", "tiny.arch", cwd=folder)
    module = f"{block[0].rstrip()}\n\n...\n{stage[0]}"
    return [table, module, BROKEN, errors]


def shown_in_readme(text: str) -> list[tuple[int, int]]:
    """Places of README's fences that hold output: the second, and those of the two sections that follow."""
    places = []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        before = text[: match.start()]
        section = re.findall(r"^## (.*)$", before, re.M)[-1:] or [""]
        output = (
            (section[0] == "Two commands" and match[1] == "")
            or section[0] == "What comes out"
            or section[0] == "A mistake"
        )
        if output:
            places.append(match.span(2))
    return places


def test_readme_shows_what_is_printed(outputs: list[str]) -> None:
    path = ROOT / "README.md"
    text = path.read_text()
    places = shown_in_readme(text)
    assert len(places) == len(outputs)
    if os.environ.get("UPDATE_DOCS"):
        for (start, stop), output in reversed(list(zip(places, outputs, strict=True))):
            text = text[:start] + output.rstrip() + "\n" + text[stop:]
        path.write_text(text)
    for (start, stop), output in zip(shown_in_readme(text), outputs, strict=True):
        assert text[start:stop].rstrip() == output.rstrip()


def specs_in(path: Path) -> list[str]:
    return [text for language, text in fences(path) if not language and re.search(r"^(arch|block) ", text, re.M)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_specs_in_documents_check(path: Path) -> None:
    """A whole spec has no finding; a form with `...` in it is not one."""
    texts = [text for text in specs_in(path) if "..." not in text and text != BROKEN]
    for text in texts:
        checked = api.check(Source(path.name, text))
        assert checked.diagnostics == (), text
    assert texts or path.relative_to(ROOT).as_posix() not in WITH_SPECS


def test_documents_are_found() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert found >= WITH_SPECS | {"docs/zoo.md", "kernels/README.md", "archdsl/ops/README.md"}
    assert len(found) >= 18


def test_readme_python_runs() -> None:
    text = "\n".join(text for _, text in fences(ROOT / "README.md") if text.startswith("import archdsl"))
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[512, 1024, 2048]\n(256, 112, 112) 175792\n"


def test_the_layer_of_the_how_to_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The how-to's file, as it stands, is a layer that registers, infers and lowers."""
    text = next(text for language, text in fences(ROOT / "archdsl/ops/README.md") if language == "python")
    file = tmp_path / "softsign.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("softsign", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "softsign", module)
    spec.loader.exec_module(module)
    from archdsl.ops import _register

    registry = dict(LAYERS)
    _register(module.Softsign, registry)
    assert registry["softsign"]().infer((64, 32, 32)) == (64, 32, 32)
    assert registry["softsign"]().lower((10,)).target == "torch.nn.Softsign"
    monkeypatch.setitem(LAYERS, "softsign", module.Softsign)
    checked = api.check(Source("net.arch", "input 3x8x8; conv3-4(act=softsing)"))
    assert [d.hint for d in checked.diagnostics] == ["write `softsign`"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_paths_in_documents_exist(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists(), target
    for target in re.findall(r"`((?:specs|archdsl|tests|grammar|kernels|benchmarks|docs)/[\w./]*)`", text):
        assert "NAME" in target or (ROOT / target).exists(), target


def test_the_language_page_names_every_word() -> None:
    """Reserved words, functions, merges and combinators are all on the page."""
    from archdsl.combinators import COMBINATORS
    from archdsl.names import takes_branches
    from archdsl.values import FUNCTIONS

    page = (ROOT / "docs/language.md").read_text()
    words = [*FUNCTIONS, *COMBINATORS, *(name for name, layer in LAYERS.items() if takes_branches(layer))]
    for word in words:
        assert re.search(rf"\b{word}\b", page), word


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.stem)
def test_examples_in_documents_run(path: Path) -> None:
    """Every `>>>` of a page; a page without any has none to run."""
    ran = doctest.testfile(str(path), module_relative=False, encoding="utf-8", raise_on_error=True).attempted
    assert ran == len(re.findall(r"^>>> ", path.read_text(), re.M))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstring_examples_run(path: Path) -> None:
    """Every `>>>` of a module: none stands where it would not be looked for."""
    if path.parent.name == "lsp":
        pytest.importorskip("pygls", reason="the language server is not installed: archdsl[lsp]")
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    ran = doctest.testmod(importlib.import_module(name), raise_on_error=True).attempted
    assert ran == len(re.findall(r"^ *>>> ", path.read_text(), re.M))


def test_docstring_examples_are_found() -> None:
    assert {"positions", "hints", "symbolic"} <= {path.stem for path in EXAMPLES}
