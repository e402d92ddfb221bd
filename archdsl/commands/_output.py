"""What commands print, and the files they write."""

from __future__ import annotations

import os
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TextIO

from archdsl.commands import Unusable

if TYPE_CHECKING:
    from archdsl.diagnostics import Diagnostic
    from archdsl.network import Network
    from archdsl.symbolic import Dim


def printable(text: str) -> str:
    """A text that no control character of a file's name or a message can leave."""
    # Most are plain, and need no tables of characters to be loaded.
    if text.isascii() and text.isprintable():
        return text
    from archdsl import render

    return render.printable(text)


def printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def color(args: Namespace, stream: TextIO) -> bool:
    """Whether a stream gets colours: as --color says, else as the environment and the terminal do."""
    if args.color != "auto":
        return bool(args.color == "always")
    environment = os.environ
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") != "0" or environment.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return environment.get("TERM") != "dumb" and stream.isatty()


def report(diagnostics: Iterable[Diagnostic], args: Namespace, stream: TextIO | None = None) -> None:
    """Print diagnostics as text; stream: standard error unless another is given."""
    found = tuple(diagnostics)
    if not found:
        return
    from archdsl.render import to_text

    stream = stream or sys.stderr
    print(to_text(found, color=color(args, stream)), file=stream)


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def figure(value: Dim) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def figures(network: Network) -> str:
    return f"{figure(network.params)} parameters, {figure(network.macs)} MACs"


def why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def same_file(one: str, other: str) -> bool:
    """Whether two paths lead to one file that exists."""
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def refuse_others(path: str, spec: str, force: bool, ours: str | Callable[[str], bool]) -> None:
    """Refuse what can't be written, the spec, and a file that archdsl did not write unless forced to.

    ours: a pattern that the files this command writes begin with, or a function of the path that knows them.
    Raises ArchError (A403), Unusable.
    """
    from archdsl.diagnostics import ArchError, Diagnostic

    if not path:
        raise Unusable("the name of the file to write is empty")
    if os.path.isdir(path):
        raise Unusable(f"can't write {path}: it is a folder")
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise Unusable(f"can't write {path}: there is no folder {os.path.dirname(path) or folder}")
    # A device or a pipe is written to, not replaced.
    if not os.path.isfile(path):
        return
    if same_file(path, spec):
        raise Unusable(f"can't write {path}: it is the spec itself")
    if force:
        return
    try:
        with open(path, "rb") as file:
            first = file.read(1000).decode(errors="replace")
    except OSError as error:
        raise Unusable(f"can't write {path}: {why(error)}") from None
    if re.match(ours, first, re.DOTALL) if isinstance(ours, str) else ours(path):
        return
    message = f"{path} exists, and archdsl did not write it"
    hint = "write elsewhere with -o FILE, or replace it with --force"
    raise ArchError([Diagnostic(code="A403", message=message, span=None, hint=hint)])


def write(path: str, text: str | bytes) -> None:
    """Write a whole file or nothing: beside it first, then in its place. Raises Unusable."""
    import tempfile

    data = text.encode() if isinstance(text, str) else text
    target = os.path.realpath(path)
    temporary = None
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb") as device:
                device.write(data)
            return
        mask = os.umask(0)
        os.umask(mask)
        mode = os.stat(target).st_mode & 0o777 if os.path.exists(target) else 0o666 & ~mask
        handle, temporary = tempfile.mkstemp(prefix=".archdsl-", suffix=".py", dir=os.path.dirname(target))
        with open(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise Unusable(f"can't write {path}: {why(error)}") from None
    finally:
        if temporary is not None:
            os.unlink(temporary)
