"""What was measured: of each problem the fastest correct way to run it on one kind of GPU. Files of JSON
lines, sorted: `tuned.jsonl` ships with archdsl, and a user's own lies in the folder for caches.

A line belongs to one GPU, one version of torch, Triton and cuDNN, one problem with its sizes, and the source
of all kernels that could run it, comments aside. What was measured under anything else is not found."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

CUT = "cut "
APART = "apart"
SHIPPED = Path(__file__).with_name("tuned.jsonl")
VERSION = 1


class Entry(NamedTuple):
    """label: of the candidate, or how the problem is divided; seconds it took; error: its norm over the
    truth's; source: a digest of the kernels that it was measured with and against.

    package: what was there beside torch and Triton, with its versions; plain: where the fastest needs it, label
    and seconds of the fastest that does not."""

    label: str
    seconds: float
    error: float
    source: str
    package: str = ""
    plain: tuple[str, float] | None = None


class Book:
    """Entries by problem, for one machine. Not for several threads at once. package: as in entries, what is there
    now."""

    def __init__(self, machine: str, entries: dict[str, Entry] | None = None, package: str = "") -> None:
        self.machine, self.package = machine, package
        self.entries = dict(entries or {})

    def get(self, key: str, source: str) -> Entry | None:
        """What was measured of a problem with these kernels."""
        found = self.entries.get(key)
        return found if found is not None and found.source == source else None

    def near(self, key: str, source: str) -> tuple[int, Entry] | None:
        """(images, entry) of the same problem with another number of images, the nearest, up to 4 times."""
        question, batch, dtype = apart(key)
        found = []
        for other, entry in self.entries.items():
            same, images, its = apart(other)
            if (same, its, entry.source) == (question, dtype, source):
                times = max(images, batch) / min(images, batch)
                if times <= 4:
                    found.append((times, images, entry))
        return min(found, key=lambda each: each[:2])[1:] if found else None

    def put(self, key: str, entry: Entry) -> None:
        self.entries[key] = entry

    def best(self, entry: Entry) -> tuple[str, float]:
        """(label, seconds) of what was fastest, of what runs with the packages that are there now."""
        if entry.plain is None or entry.package == self.package:
            return entry.label, entry.seconds
        return entry.plain


def apart(key: str) -> tuple[str, int, str]:
    """(the question, images, dtype) of a problem's key."""
    question, _, rest = key.rpartition(" | ")
    batch, _, dtype = rest.partition(" ")
    return question, int(batch), dtype


def machine(device: str, capability: tuple[int, int], processors: int) -> str:
    """What a measurement holds for, in a line."""
    import torch
    import triton

    torch_version = torch.__version__.partition("+")[0]
    versions = f"torch {torch_version}, triton {triton.__version__}, cudnn {torch.backends.cudnn.version()}"
    return f"{device}, sm_{capability[0]}{capability[1]}, {processors} SMs, {versions}"


def source_of(kernels: Iterable[str]) -> str:
    """A digest of kernels, files of archdsl.kernels by name, and of all that they import there."""
    return _digest(tuple(sorted(set(kernels))))


@cache
def _digest(kernels: tuple[str, ...]) -> str:
    folder = resources.files("archdsl.kernels")
    digest, waiting, seen = hashlib.sha256(f"{VERSION}".encode()), [*reversed(kernels)], set()
    while waiting:
        name = waiting.pop()
        file = folder / f"{name}.py"
        if name in seen or not file.is_file():
            continue
        seen.add(name)
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
        digest.update(f"{name}\0{_without_words(text, tree)}\0".encode())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "archdsl.kernels":
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("archdsl.kernels."):
                waiting.append(str(node.module).rpartition(".")[2])
    return digest.hexdigest()[:12]


def _without_words(text: str, tree: ast.Module) -> str:
    """The lines of a file less docstrings, comments of their own, and blank ones: what is said may change."""
    said: set[int] = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            said.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = [line for number, line in enumerate(text.splitlines(), 1) if number not in said]
    return "\n".join(line.rstrip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


# ---- files ----


def own() -> Path:
    """A user's own file: in $ARCHDSL_CACHE, or `archdsl` in the user's folder for caches."""
    stated = os.environ.get("ARCHDSL_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(stated) if stated else (Path(base) if base else Path.home() / ".cache") / "archdsl"
    return folder / "gpu.jsonl"


def load(machine: str, paths: Iterable[Path] | None = None, package: str = "") -> Book:
    """The entries of a machine; of a problem in several files the last one's. paths: unless stated what
    ships, then the user's own. package: what is there now. A line that can't be read is passed over."""
    book = Book(machine, package=package)
    for path in (SHIPPED, own()) if paths is None else paths:
        for line in _lines(path):
            found = _read(line)
            if found is not None and found[0] == machine:
                book.put(*found[1:])
    return book


def save(book: Book, path: Path) -> None:
    """Write a machine's entries; those of others in the file stay. The file is replaced as a whole."""
    lines = {line for line in _lines(path) for found in [_read(line)] if found and found[0] != book.machine}
    for key, entry in book.entries.items():
        value: dict[str, Any] = {"machine": book.machine, "problem": key, "run": entry.label}
        value["source"] = entry.source
        value |= {"us": round(entry.seconds * 1e6, 3), "error": float(f"{entry.error:.2e}")}
        if entry.package:
            value["package"] = entry.package
        if entry.plain is not None:
            value |= {"plain": entry.plain[0], "plain_us": round(entry.plain[1] * 1e6, 3)}
        lines.add(json.dumps(value))
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}.new")
    new.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")
    new.replace(path)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def _read(line: str) -> tuple[str, str, Entry] | None:
    try:
        value = json.loads(line)
        key = str(value["problem"])
        apart(key)
        seconds, error = float(value["us"]) / 1e6, float(value["error"])
        plain = (str(value["plain"]), float(value["plain_us"]) / 1e6) if "plain" in value else None
        told = str(value["run"]), seconds, error, str(value["source"]), str(value.get("package", "")), plain
        return str(value["machine"]), key, Entry(*told)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
