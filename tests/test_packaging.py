"""Installed in every way, in a clean environment, from a directory outside the checkout: the package finds its own
files and claims no import name but its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
MAPPED = ("grammar", "kernels", "specs")
CLAIMED_BY_OTHERS = (*MAPPED, "tests")
COMPILES = all((CHECKOUT / "archdsl" / name).exists() for name in ("__main__.py", "cli.py", "printer.py"))
LEFT_BEHIND = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".hypothesis", ".*_cache", "*.orig"
)

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """The command's standard output; on failure, all that it said."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=outer | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout without what earlier builds left, and one spec in a folder that only it has."""
    copy = tmp_path_factory.mktemp("tree") / "checkout"
    shutil.copytree(CHECKOUT, copy, ignore=LEFT_BEHIND)
    probe = copy / "specs" / "probe" / "deeper" / "probe.arch"
    probe.parent.mkdir(parents=True)
    probe.write_text("input 3x8x8\nconv3-4\n")
    return copy


@pytest.fixture(scope="session")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that is made from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree, cwd=out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def clean_environment(folder: Path) -> Path:
    """A Python that has the outer one's packages, so that torch is not installed again, and nothing of its own.

    A folder named by a .pth is searched last and its own .pth files are not read, so that an editable install of
    archdsl outside can't be what is found.
    """
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(run(python, "-c", ask, cwd=folder).strip())
    (own / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def install(python: Path, *what: str | Path, cwd: Path) -> None:
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", "--quiet")
    run(sys.executable, "-m", "pip", "--python", python, "install", *offline, *what, cwd=cwd)


INSPECT = """
import importlib.util, json, sys
import archdsl, archdsl.kernels
from archdsl.resources import grammar_text, library_root, specs_root
print(json.dumps({
    "package": archdsl.__file__,
    "kernels": archdsl.kernels.__file__,
    "grammar": grammar_text(),
    "specs": sorted(path.relative_to(specs_root()).as_posix() for path in specs_root().rglob("*.arch")),
    "root": str(specs_root()),
    "library": str(library_root()),
    "claimed": [name for name in sys.argv[1:] if importlib.util.find_spec(name)],
}))
"""


def inspect(python: Path, outside: Path, **variables: str) -> dict[str, object]:
    return json.loads(run(python, "-c", INSPECT, *CLAIMED_BY_OTHERS, cwd=outside, **variables))


def assert_whole(found: dict[str, object], tree: Path) -> None:
    assert found["grammar"] == (tree / "grammar" / "arch.lark").read_text(encoding="utf-8")
    shipped = sorted(path.relative_to(tree / "specs").as_posix() for path in (tree / "specs").rglob("*.arch"))
    assert found["specs"] == shipped
    assert "probe/deeper/probe.arch" in shipped and any(path.startswith("lib/") for path in shipped)
    assert found["library"] == str(Path(str(found["root"])) / "lib")


def assert_compiles(python: Path, outside: Path, **variables: str) -> None:
    """A spec outside the checkout, and the module that comes of it, run where archdsl is not looked for."""
    if not COMPILES:
        return
    spec, module = outside / "tiny.arch", outside / "tiny_out.py"
    spec.write_text("input 3x8x8\nconv3-4; relu; maxpool -> 4x4x4\ngap; fc-10\n")
    run(python, "-m", "archdsl", "compile", spec, "-o", module, cwd=outside, **variables)
    text = module.read_text()
    assert "torch.nn" in text or "nn." in text
    assert not re.search(r"^\s*(import|from)\s+archdsl", text, re.MULTILINE)
    compile(text, str(module), "exec")


@pytest.mark.parametrize("way", ["wheel", "sdist", "editable"])
def test_installed(way: str, tree: Path, built: dict[str, Path], tmp_path: Path) -> None:
    python = clean_environment(tmp_path / "environment")
    outside = tmp_path / "outside"
    outside.mkdir()
    install(python, *(["--editable", tree] if way == "editable" else [built[way]]), cwd=outside)

    found = inspect(python, outside)
    home = tree if way == "editable" else tmp_path / "environment"
    assert Path(str(found["package"])).is_relative_to(home)
    assert Path(str(found["kernels"])).is_relative_to(home)
    assert found["claimed"] == []
    assert_whole(found, tree)
    assert_compiles(python, outside)
    if COMPILES:
        assert "compile" in run(tmp_path / "environment" / "bin" / "archdsl", "--help", cwd=outside)


def test_not_installed(tree: Path, tmp_path: Path) -> None:
    """A bare checkout on the path. The names beside `archdsl` are importable then: the path says so."""
    python = clean_environment(tmp_path / "environment")
    found = inspect(python, tmp_path, PYTHONPATH=str(tree))
    assert Path(str(found["package"])) == tree / "archdsl" / "__init__.py"
    assert Path(str(found["kernels"])) == tree / "kernels" / "__init__.py"
    assert found["root"] == str(tree / "specs")
    assert_whole(found, tree)
    assert_compiles(python, tmp_path, PYTHONPATH=str(tree))


def test_a_claimed_name_would_be_seen(tree: Path, tmp_path: Path) -> None:
    """The check above can fail: in the bare checkout each of the names is found."""
    found = inspect(Path(sys.executable), tmp_path, PYTHONPATH=str(tree))
    assert found["claimed"] == list(CLAIMED_BY_OTHERS)


def test_wheel_contents(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = wheel.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = wheel.read(metadata).decode()
    assert {name.split("/")[0] for name in names} == {"archdsl", metadata.split("/")[0]}
    assert {"archdsl/py.typed", "archdsl/grammar/arch.lark", "archdsl/kernels/__init__.py"} <= set(names)
    assert {"archdsl/specs/vgg16.arch", "archdsl/specs/published.toml"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in text


def test_sdist_has_the_tests(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"tests/test_packaging.py", "constraints.txt", "pyproject.toml", "LICENSE"} <= names


def listed_packages() -> list[str]:
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["tool"]["setuptools"]["packages"]


def packages_on_disk(checkout: Path) -> set[str]:
    """Every folder with Python in it, under archdsl/ and under the folders that are installed inside it."""
    roots = {"archdsl": checkout / "archdsl"} | {f"archdsl.{name}": checkout / name for name in MAPPED}
    found = set()
    for package, root in roots.items():
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
            if any(folder.glob("*.py")):
                found.add(".".join((package, *folder.relative_to(root).parts)))
    return found


def test_every_package_is_listed() -> None:
    listed = listed_packages()
    assert len(set(listed)) == len(listed) >= 5
    assert set(listed) == packages_on_disk(CHECKOUT)


def test_a_package_that_is_not_listed_would_be_seen(tree: Path) -> None:
    forgotten = tree / "archdsl" / "forgotten" / "__init__.py"
    forgotten.parent.mkdir()
    forgotten.touch()
    try:
        assert packages_on_disk(tree) - set(listed_packages()) == {"archdsl.forgotten"}
    finally:
        shutil.rmtree(forgotten.parent)
