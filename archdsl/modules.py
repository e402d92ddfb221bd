"""Files and what they define: `use`, and the library of blocks that needs none.

A module is one parsed text with the definitions it can see. `use` reads nothing outside the root of the spec, links
followed; library blocks (`specs/lib/NAME.arch` defines NAME) are read when a spec first asks for one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from archdsl import syntax
from archdsl.diagnostics import Diagnostic, Fix, Related, did_you_mean
from archdsl.ops import LAYERS
from archdsl.parse import parse
from archdsl.resources import library_root, specs_root
from archdsl.source import Source, open_file

IMPORT_DEPTH = 32
MOST_BYTES = 2**20


class Files:
    """Where used files come from: the disk, at each check anew.

    An editor has its own: buffers that are not saved yet, and trees that it has parsed already.
    """

    def source(self, path: Path, name: str) -> Source:
        """A file's text, called `name` in messages. Raises OSError, UnicodeDecodeError."""
        return Source(name, read_text(path), path)

    def parse(self, source: Source) -> tuple[syntax.File | None, tuple[Diagnostic, ...]]:
        """The tree of a text and what is wrong with its syntax."""
        return parse(source)

    def library_block(self, name: str) -> tuple[syntax.Definition, Module] | None:
        """A block of the library with the module that defines it."""
        return library_block(name)


@dataclass(eq=False)
class Module:
    """One text: its tree, what it defines and imports, and what was found wrong while reading it.

    definitions: own blocks and archs; imported: those of used files, with the module each belongs to; files: where the
    library's blocks are read, too.
    """

    source: Source
    tree: syntax.File | None
    path: Path | None = None
    root: Path | None = None
    is_library: bool = False
    definitions: dict[str, syntax.Definition] = field(default_factory=dict)
    imported: dict[str, tuple[syntax.Definition, Module]] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    uses: list[Module] = field(default_factory=list)
    files: Files = field(default_factory=Files)

    @property
    def archs(self) -> list[syntax.Arch]:
        """The archs that this file itself defines."""
        return [d for d in self.definitions.values() if isinstance(d, syntax.Arch)]

    @property
    def loose(self) -> tuple[syntax.Statement, ...]:
        """Statements outside any definition."""
        if self.tree is None:
            return ()
        return tuple(s for s in self.tree.statements if not isinstance(s, (syntax.Use, syntax.Definition)))

    def find(self, name: str) -> tuple[syntax.Definition, Module] | None:
        """The block or arch of that name that this file can see, before any layer is looked for."""
        own = self.definitions.get(name)
        if own is not None:
            return own, self
        return self.imported.get(name)

    def everywhere(self) -> Iterator[Module]:
        """This module and every one it uses, each once."""
        seen: set[int] = set()
        stack = [self]
        while stack:
            module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield module
                stack.extend(reversed(module.uses))


def load_module(
    source: Source, path: Path | None = None, root: Path | None = None, files: Files | None = None
) -> Module:
    """Parse a text and everything it uses. Findings are in the modules' `diagnostics`; nothing is raised."""
    return _load(source, path, root, files or Files(), {}, 0)


def _load(
    source: Source, path: Path | None, root: Path | None, files: Files, seen: dict[Path, Module], depth: int
) -> Module:
    tree, diagnostics = files.parse(source)
    module = Module(source, tree, path, root, diagnostics=list(diagnostics), files=files)
    if path is not None:
        seen[path] = module
    statements = tree.statements if tree else ()
    for statement in statements:  # own definitions first: files may use each other
        if isinstance(statement, syntax.Definition):
            _define(statement, module)
    for statement in statements:
        if isinstance(statement, syntax.Use):
            _use(statement, module, files, seen, depth)
    return module


def _define(definition: syntax.Definition, module: Module) -> None:
    name = definition.name.name
    first = module.definitions.get(name)
    if first is not None:
        module.diagnostics.append(
            Diagnostic(
                code="A108",
                message=f"`{name}` is defined twice",
                span=definition.name.span,
                label="the second",
                related=(Related(first.name.span, "the first"),),
                hint="give one of them another name",
            )
        )
    elif name in LAYERS and not isinstance(definition, syntax.Arch):
        module.diagnostics.append(
            Diagnostic(
                code="A108",
                message=f"`{name}` is a layer of the language, so no block can be called that",
                span=definition.name.span,
                hint=f"call it my_{name}",
            )
        )
    else:
        module.definitions[name] = definition


def _use(statement: syntax.Use, module: Module, files: Files, seen: dict[Path, Module], depth: int) -> None:
    """Read what a `use` names, inside the root, and make its definitions visible."""
    problem = _refused(statement, module, depth)
    if problem is not None:
        module.diagnostics.append(problem)
        return
    assert module.path is not None and module.root is not None
    path = (module.path.parent / statement.path).resolve()
    used = seen.get(path)
    if used is None:
        try:
            source = files.source(path, _display(path, module))
        except (OSError, UnicodeDecodeError) as error:
            near = did_you_mean(statement.path, _neighbours(module.path.parent, statement.path))
            module.diagnostics.append(
                Diagnostic(
                    code="A114",
                    message=_unreadable(statement.path, error),
                    span=statement.path_span,
                    label=f"looked for beside {os.path.basename(module.source.name)}",
                    hint=f'did you mean "{near}"?'
                    if near
                    else "the path is relative to this file; blocks of the library need no `use`",
                    fix=Fix(statement.path_span, f'"{near}"', f'did you mean "{near}"?') if near else None,
                )
            )
            return
        used = _load(source, path, module.root, files, seen, depth + 1)
    module.uses.append(used)
    for name, definition in used.definitions.items():
        other = module.imported.get(name)
        if other is not None and other[0] is not definition:
            module.diagnostics.append(
                Diagnostic(
                    code="A108",
                    message=f"two used files define `{name}`",
                    span=statement.path_span,
                    related=(Related(other[0].name.span, "the first"), Related(definition.name.span, "the second")),
                    hint="rename one of them, or define the one you mean here",
                )
            )
        module.imported[name] = (definition, used)


def _refused(statement: syntax.Use, module: Module, depth: int) -> Diagnostic | None:
    def refusal(code: str, message: str, hint: str) -> Diagnostic:
        return Diagnostic(code=code, message=message, span=statement.path_span, hint=hint)

    if module.path is None or module.root is None:
        return refusal("A114", "a text that is not a file can't use others", "save it beside the file it uses")
    if depth >= IMPORT_DEPTH:
        return refusal(
            "A306", f"files use each other more than {IMPORT_DEPTH} deep", "let each file use what it needs directly"
        )
    if "\0" in statement.path or os.path.isabs(statement.path) or re.match(r"[A-Za-z]:|\\\\", statement.path):
        return refusal("A115", "only a path relative to this file can be used", "write it relative to this file")
    try:
        path = (module.path.parent / statement.path).resolve()
    except (OSError, RuntimeError, ValueError):
        return refusal("A114", f"`{statement.path}` can't be followed", "a link may lead to itself")
    if not path.is_relative_to(module.root):
        return refusal(
            "A115",
            f"`{statement.path}` lies outside the spec's root",
            f"only files under {module.root.name or module.root}/ can be used; --root widens it",
        )
    return None


def _display(path: Path, module: Module) -> str:
    """A used file's name as the user would type it, relative to the file that the command named."""
    assert module.path is not None
    base = os.path.dirname(module.source.name)
    return os.path.normpath(os.path.join(base, os.path.relpath(path, module.path.parent)))


def _unreadable(path: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no file `{path}`"
    return f"`{path}` can't be read: {_reason(error)}"


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (getattr(error, "strerror", None) or str(error)).lower()


def _neighbours(folder: Path, wanted: str) -> list[str]:
    """Spec files of the folder that a path names, spelled as that path spells them."""
    prefix = os.path.dirname(wanted)
    try:
        names = sorted(os.listdir(folder / prefix))[:1000]
    except OSError:
        return []
    return [os.path.join(prefix, name) for name in names if name.endswith(".arch")]


def read_text(path: Path) -> str:
    """A spec's text. Stops reading just after the largest size that a source may have.

    Raises OSError, UnicodeDecodeError.
    """
    with open_file(path) as file:
        data = file.read(MOST_BYTES + 4)
    if len(data) > MOST_BYTES:  # the parser refuses it by its length; a cut inside a character must not hide that
        return data.decode("utf-8", errors="ignore")
    return data.decode("utf-8")


@lru_cache(maxsize=256)
def _library_module(path: Path, stamp: tuple[int, int]) -> Module:
    return load_library(Source(f"lib/{path.name}", read_text(path), path), path, Files())


def load_library(source: Source, path: Path, files: Files) -> Module:
    """The module of a library block's text."""
    module = load_module(source, path, specs_root(), files)
    for one in module.everywhere():
        one.is_library = True
    return module


def library_names() -> list[str]:
    """Names of the library's blocks."""
    return sorted(path.stem for path in library_root().glob("*.arch"))


def library_block(name: str) -> tuple[syntax.Definition, Module] | None:
    """A block of the library with the module that defines it."""
    if not re.fullmatch(r"\w+", name):
        return None
    path = library_root() / f"{name}.arch"
    try:
        status = path.stat()
    except OSError:
        return None
    module = _library_module(path, (status.st_mtime_ns, status.st_size))
    definition = module.definitions.get(name)
    return (definition, module) if definition is not None else None
