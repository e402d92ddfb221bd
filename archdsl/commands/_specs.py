"""How commands open what SPEC names: a file, a shipped network, or standard input."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archdsl.commands import Unusable, meant
from archdsl.commands._output import why

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.network import Network
    from archdsl.source import Source

LONGEST = 2**20
STDIN = "<stdin>"


def load(args: Namespace, spec: str) -> Network:
    """The one network of a spec that the options choose. Raises ArchError, Unusable.

    args: the options of `of_network`, and those of `of_features` where the command has them.
    """
    from archdsl import api

    chosen = params(args)
    if spec == "-":
        source, _ = read(spec)
        found = api.loads(source.text, name=STDIN, arch=args.arch, input=args.input, **chosen)
    else:
        with _reading(spec):
            found = api.load(spec, arch=args.arch, input=args.input, root=root(args), **chosen)
    labels = getattr(args, "features", None)
    if labels is None:
        return found
    from archdsl.backbones import features

    try:
        return features(found, None if labels == "all" else labels.split(","))
    except ValueError as error:
        raise Unusable(f"--features {labels}: {error}") from None


def read(spec: str) -> tuple[Source, Path | None]:
    """A spec's text, and the file it is in unless that is standard input. Raises Unusable."""
    from archdsl import api
    from archdsl.source import Source

    with _reading(STDIN if spec == "-" else spec):
        if spec != "-":
            return api.open_spec(spec)
        if sys.stdin is None:
            raise Unusable(f"can't read {STDIN}: it is closed")
        # One byte more than a source may have is enough to be refused by its length.
        data = sys.stdin.buffer.read(LONGEST + 1)
        return Source(STDIN, data.decode(errors="ignore" if len(data) > LONGEST else "strict")), None


def read_file(target: str) -> str:
    """The text of a file that may be written too, or of standard input (`-`); no name of a shipped network.

    Raises Unusable.
    """
    if target == "-":
        return read(target)[0].text
    from pathlib import Path

    from archdsl.modules import read_text

    with _reading(target):
        return read_text(Path(target))


def files(targets: list[str]) -> Iterator[str]:
    """Every target once, folders as the .arch files below them. Raises Unusable for a folder without any."""
    seen: set[str] = set()
    for target in targets:
        inside = [target]
        if os.path.isdir(target):
            inside = sorted(_arch_files(target))
            if not inside:
                raise Unusable(f"{target}: no .arch file in this folder")
        for one in inside:
            if one not in seen:
                seen.add(one)
                yield one


def _arch_files(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, name) for name in names if name.endswith(".arch"))


def root(args: Namespace) -> Path | None:
    """The folder of --root. Raises Unusable where there is none."""
    from pathlib import Path

    if args.root is None:
        return None
    if not os.path.isdir(args.root):
        raise Unusable(f"--root {args.root}: not a folder")
    return Path(args.root)


def params(args: Namespace) -> dict[str, Any]:
    """The parameters of every -p. Raises Unusable where one is given twice, or can't be set."""
    found = dict(args.params)
    if len(found) < len(args.params):
        names = [name for name, _ in args.params]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unusable(f"-p {twice} is given twice")
    taken = {"root", "name", "text", "path_or_name", "arch", "input"} & found.keys()
    if taken:
        raise Unusable(f"-p {min(taken)}: a parameter of this name can't be set from the command line")
    return found


@contextmanager
def _reading(target: str) -> Iterator[None]:
    """Turn what can go wrong with a file into one line."""
    if not target:
        raise Unusable("the name of the file to read is empty")
    try:
        yield
    except UnicodeDecodeError as error:
        raise Unusable(f"can't read {target}: it is not UTF-8 text (byte {error.start})") from None
    except FileNotFoundError as error:
        # Without an errno it is about a name, and says all there is to say.
        words = f"can't read {target}: {_not_found(target)}" if error.errno else str(error)
        raise Unusable(words) from None
    except OSError as error:
        raise Unusable(f"can't read {target}: {why(error)}") from None


def _not_found(target: str) -> str:
    """No such file, and which of its neighbours was probably meant."""
    folder, name = os.path.split(target)
    try:
        near = [file for file in os.listdir(folder or ".") if file.endswith(".arch")]
    except OSError:
        return f"there is no folder {folder}"
    return f"no such file{meant(name, near)}"
