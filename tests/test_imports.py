"""Imports go one way, and nothing that reads a spec loads torch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

# The stages, first to last; a file or folder of archdsl/ each. One imports only what stands before it.
ORDER = (
    "headroom",
    "malloc",
    "source",
    "symbolic",
    "resources",
    "patch",
    "diagnostics",
    "codes",
    "render",
    "sarif",
    "words",
    "calls_elsewhere",
    "syntax",
    "values",
    "ops",
    "combinators",
    "brackets",
    "syntax_errors",
    "parse",
    "format",
    "modules",
    "pages",
    "vocabulary",
    "highlight",
    "names",
    "references",
    "arguments",
    "checks",
    "network",
    "budget",
    "elaborate",
    "lints",
    "summary",
    "draw",
    "diff",
    "revisions",
    "backbones",
    "heads",
    "passes",
    "plan",
    "plan_text",
    "lower",
    "share",
    "printer",
    "live",
    "transfer",
    "weights",
    "kernels",
    "engine",
    "balance",
    "export",
    "figures",
    "api",
    "view",
    "fixes",
    "zoo",
    "bench",
    "lsp",
    "commands",
    "cli",
    "__main__",
    "__init__",
)

# What may load torch when it is imported. All else reads, checks or prints, or waits until it runs something.
RUNS_TORCH = frozenset({"engine", "kernels"})
HEAVY = ("torch", "triton", "torchvision", "numpy", "onnx", "onnxruntime", "openvino")

# Imports of a later stage, made inside a function: an object that prints itself.
LATER = frozenset({("diagnostics", "render"), ("network", "summary"), ("network", "draw")})


class Import(NamedTuple):
    module: str
    line: int
    at_import: bool  # not inside a function


def imports(tree: ast.AST, package: str, at_import: bool = True) -> Iterator[Import]:
    """Every import of a file, but those for the type checker alone. package: what relative ones start from."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_import)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            for alias in node.names:
                # `from archdsl import parse` is of the stage parse; `from archdsl import __version__` of __init__.
                yield Import(f"{base}.{alias.name}", node.lineno, at_import)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for statement in node.orelse:
                yield from imports(ast.Module([statement], []), package, at_import)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, package, at_import and not inside)


def files(checkout: Path) -> Iterator[tuple[str, str, Path]]:
    """Stage, package and path of every file of the compiler."""
    for root in (checkout / "archdsl", checkout / "kernels"):
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if root.name == "kernels":
                parts = ("kernels", *parts)
            yield parts[0], ".".join(("archdsl", *parts[:-1])), path


def complaints(
    checkout: Path,
    order: tuple[str, ...] = ORDER,
    runs_torch: frozenset[str] = RUNS_TORCH,
    later: frozenset[tuple[str, str]] = LATER,
) -> list[str]:
    """What imports a later stage, or torch at import where it may not; a sentence each."""
    place = {stage: index for index, stage in enumerate(order)}
    assert len(place) == len(order), "a stage stands in the order twice"
    stages = {stage for stage, _, _ in files(checkout)}
    found = []
    for stage, package, path in files(checkout):
        where = path.relative_to(checkout)
        if stage not in place:
            found.append(f"{where}: the stage {stage} is not in ORDER (tests/test_imports.py)")
            continue
        for module, line, at_import in imports(ast.parse(path.read_text(encoding="utf-8")), package):
            top, _, rest = module.partition(".")
            if top in HEAVY and at_import and stage not in runs_torch:
                found.append(f"{where}:{line}: imports {top} when it is imported")
            if top != "archdsl":
                continue
            wanted = rest.partition(".")[0]
            if wanted in stages - place.keys():
                continue  # not in ORDER, which is said of its own files
            wanted = wanted if wanted in place else "__init__"
            if at_import and wanted in runs_torch and stage not in runs_torch:
                found.append(f"{where}:{line}: imports {wanted}, which loads torch, when it is imported")
            if (stage, wanted) in later and not at_import:
                continue
            if place[wanted] > place[stage]:
                found.append(f"{where}:{line}: {stage} imports {wanted}, which comes later")
    return found


def test_imports_go_back_only() -> None:
    assert sum(1 for _ in files(CHECKOUT)) >= 20
    assert complaints(CHECKOUT) == []


CLEAN = {
    "archdsl/__init__.py": "",
    "archdsl/first.py": "from __future__ import annotations\nimport os\n",
    "archdsl/second.py": "from archdsl.first import x\nfrom archdsl import first\ndef f():\n    import torch\n",
    "archdsl/folder/__init__.py": "from archdsl.folder.inner import y\nfrom . import inner\n",
    "archdsl/folder/inner.py": "from archdsl.second import z\nfrom ..first import x\n",
    "archdsl/runs.py": "import torch.nn as nn\nfrom archdsl import second\n",
    "kernels/gemm.py": "import triton\n",
}
CLEAN_ORDER = ("first", "second", "folder", "kernels", "runs", "__init__")


def complaints_with(tmp_path: Path, changed: Mapping[str, str]) -> list[str]:
    for name, text in {**CLEAN, **changed}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return complaints(tmp_path, CLEAN_ORDER, frozenset({"kernels", "runs"}), frozenset({("first", "second")}))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        (
            {"archdsl/first.py": "from archdsl.second import f\n"},
            ["archdsl/first.py:1: first imports second, which comes later"],
        ),
        ({"archdsl/first.py": "def f():\n    from archdsl.second import f\n"}, []),
        (
            {"archdsl/first.py": "class C:\n    def f(self):\n        from archdsl import folder\n"},
            ["archdsl/first.py:3: first imports folder, which comes later"],
        ),
        (
            {"archdsl/second.py": "from .folder import inner\n"},
            ["archdsl/second.py:1: second imports folder, which comes later"],
        ),
        (
            {"archdsl/second.py": "from archdsl import __version__\n"},
            ["archdsl/second.py:1: second imports __init__, which comes later"],
        ),
        (
            {"archdsl/second.py": "try:\n    import torch\nexcept ImportError:\n    torch = None\n"},
            ["archdsl/second.py:2: imports torch when it is imported"],
        ),
        (
            {"archdsl/folder/inner.py": "class C:\n    from triton.language import dot\n"},
            ["archdsl/folder/inner.py:2: imports triton when it is imported"],
        ),
        (
            {"archdsl/__init__.py": "from archdsl.runs import run\n"},
            ["archdsl/__init__.py:1: imports runs, which loads torch, when it is imported"],
        ),
        (
            {"archdsl/first.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"},
            [],
        ),
        (
            {"archdsl/third.py": ""},
            ["archdsl/third.py: the stage third is not in ORDER (tests/test_imports.py)"],
        ),
    ],
)
def test_what_breaks_the_order_is_found(changed: dict[str, str], said: list[str], tmp_path: Path) -> None:
    assert complaints_with(tmp_path, changed) == said


def heavy_loaded_by(code: str, *path: Path) -> set[str]:
    """Which of torch and its like are loaded after `code` has run in a process of its own."""
    # Told at exit, so that code which ends in SystemExit is seen through to its end.
    tell = (
        "import atexit, sys\n"
        "def tell():\n"
        f"    print(*sorted({set(HEAVY)!r} & set(sys.modules)), file=sys.__stdout__)\n"
        "    sys.__stdout__.write('told\\n')\n"
        "atexit.register(tell)\n"
    )
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, CHECKOUT)))}
    done = subprocess.run(
        [sys.executable, "-c", tell + code], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *_, names, told = done.stdout.splitlines()
    assert told == "told"
    return set(names.split())


def command(*arguments: object) -> str:
    """`python -m archdsl` with these arguments."""
    words = ["archdsl", *map(str, arguments)]
    return f"import runpy; sys.argv = {words!r}; runpy.run_module('archdsl', run_name='__main__')"


def test_importing_archdsl_loads_no_torch() -> None:
    assert heavy_loaded_by("import archdsl") == set()
    assert heavy_loaded_by("import archdsl.api, archdsl.elaborate, archdsl.ops") == set()


@pytest.mark.skipif(not (CHECKOUT / "archdsl" / "__main__.py").exists(), reason="no command line yet")
def test_checking_a_spec_loads_no_torch(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.arch"
    spec.write_text("input 3x8x8\nconv3-4; relu; maxpool -> 4x4x4\ngap; fc-10\n")
    assert heavy_loaded_by(command("check", spec)) == set()
    assert heavy_loaded_by(command("check", CHECKOUT / "specs" / "vgg16.arch")) == set()


def test_a_load_of_torch_would_be_seen(tmp_path: Path) -> None:
    """The tests above can fail. A stand-in for torch is as good as torch, and quicker."""
    (tmp_path / "torch.py").touch()
    (tmp_path / "imports_torch.py").write_text("import torch\n")
    assert heavy_loaded_by("import imports_torch", tmp_path) == {"torch"}
    assert heavy_loaded_by("import imports_torch; raise SystemExit(0)", tmp_path) == {"torch"}
    assert heavy_loaded_by("import os", tmp_path) == set()


def test_an_engine_loads_no_algebra() -> None:
    """Some helpers of torch.* load sympy, which takes 40 MiB and half a second."""
    heavy_loaded_by(
        "import archdsl, sys, torch\n"
        f"network = archdsl.load('{CHECKOUT}/specs/efficientnet_b0.arch', input='3x32x32')\n"
        "engine = archdsl.optimize(archdsl.build(network).eval(), torch.zeros(1, 3, 32, 32), backend='onednn')\n"
        "engine(torch.zeros(1, 3, 32, 32))\n"
        "assert 'sympy' not in sys.modules\n"
    )
