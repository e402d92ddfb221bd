"""The texts that are open, and what has been read of the others: unsaved buffers count wherever another text reaches."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from lsprotocol.types import TextDocumentContentChangeEvent, TextDocumentContentChangePartial

from archdsl import syntax
from archdsl.diagnostics import Diagnostic
from archdsl.lsp.positions import Lines
from archdsl.modules import Files, Module, load_library, read_text
from archdsl.parse import parse
from archdsl.resources import library_root
from archdsl.source import Source, line_feeds

MOST_FILES = 200
"""Files that are kept read."""


class Buffer:
    """One open text. path: its file, or None where it has none yet."""

    def __init__(self, uri: str, text: str, version: int | None, unit: str) -> None:
        self.uri, self.text, self.version, self.unit = uri, text, version, unit
        self.path = path_of(uri)

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.text, self.unit)

    def change(self, change: TextDocumentContentChangeEvent) -> None:
        """Put in one edit, or another text."""
        if isinstance(change, TextDocumentContentChangePartial):
            start, stop = self.lines.offset(change.range.start), self.lines.offset(change.range.end)
            self.text = self.text[:start] + change.text + self.text[max(start, stop) :]
        else:
            self.text = change.text
        self.__dict__.pop("lines", None)


class _Read:
    """A text and, once somebody asked, its tree."""

    def __init__(self, source: Source) -> None:
        self.source = source

    @cached_property
    def parsed(self) -> tuple[syntax.File | None, tuple[Diagnostic, ...]]:
        return parse(self.source)


class Buffers(Files):
    """Open texts by URI, and what other texts read: a buffer where the file is open, else the disk.

    A text that is read again, and is as it was, is the same Source with the same tree.
    """

    def __init__(self) -> None:
        self.open: dict[str, Buffer] = {}
        self._read: dict[tuple[Path | None, str], _Read] = {}  # of each file as it was last
        self._library: dict[str, Module] = {}  # the blocks, while one of them is open

    def at(self, path: Path) -> Buffer | None:
        """The buffer of a file that is open."""
        return next((buffer for buffer in self.open.values() if buffer.path == path), None)

    def text(self, path: Path) -> str:
        """A file's text as it is in the editor. Raises OSError, UnicodeDecodeError."""
        buffer = self.at(path)
        return buffer.text if buffer is not None else read_text(path)

    def source(self, path: Path, name: str) -> Source:
        text = line_feeds(self.text(path))
        kept = self._read.get((path, name))
        if kept is None or kept.source.text != text:
            if len(self._read) >= MOST_FILES:
                self._read.clear()
            kept = self._read[path, name] = _Read(Source(name, text, path))
        return kept.source

    def library_block(self, name: str) -> tuple[syntax.Definition, Module] | None:
        """A block of the library as it is in the editor; where that is broken, as it is on the disk."""
        if not any(is_library(buffer.path) for buffer in self.open.values()):
            return super().library_block(name)
        path = _library() / f"{name}.arch"
        try:
            source = self.source(path, f"lib/{path.name}")
        except (OSError, UnicodeDecodeError, ValueError):
            return None
        module = self._library.get(name)
        if module is None or module.source is not source:
            module = self._library[name] = load_library(source, path, self)
        if any(d.severity == "error" for d in module.diagnostics):
            return super().library_block(name)
        definition = module.definitions.get(name)
        return (definition, module) if definition is not None else None

    def parse(self, source: Source) -> tuple[syntax.File | None, tuple[Diagnostic, ...]]:
        kept = self._read.get((source.path, source.name))
        return kept.parsed if kept is not None and kept.source is source else parse(source)


@cache
def _library() -> Path:
    return library_root().resolve()


def is_library(path: Path | None) -> bool:
    """Whether a file holds a block that every spec sees without a `use`."""
    return path is not None and path.parent == _library()


def path_of(uri: str) -> Path | None:
    """The file that a URI names, links followed; None of anything but a file."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or "\0" in unquote(parts.path):
        return None
    path = unquote(parts.path)
    if path[2:3] == ":":  # /C:/specs/vgg16.arch
        path = path[1:]
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def uri_of(path: Path) -> str:
    """The URI of a file."""
    text = path.as_posix()
    return "file://" + quote(text if text.startswith("/") else f"/{text}", safe="/~:")
