"""`archdsl diff A B`"""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from typing import TYPE_CHECKING

from archdsl.commands import CLEAN, FINDINGS, Unusable
from archdsl.commands._options import of_force, setting, shape
from archdsl.commands._output import color, printable, refuse_others, write
from archdsl.commands._specs import load, params

if TYPE_CHECKING:
    from archdsl.network import Network

FORMATS = ("text", "json", "html")


def arguments(parser: ArgumentParser) -> None:
    parser.epilog = (
        "A and B are files, names of shipped networks, FILE:ARCH for one of several in a file, or REVISION:FILE for a file "
        "of a git revision, its path from the top of the repository. Exit code 1: they differ."
    )
    parser.add_argument(
        "--input", type=shape, metavar="CxHxW", help="in place of both texts' own input shape"
    )
    parser.add_argument(
        "-p",
        dest="params",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="a parameter of both networks, such as classes=10",
    )
    parser.add_argument("--root", metavar="DIR", help="folder that `use` may read (default: the spec's own)")
    of_force(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        metavar="FORMAT",
        help="text, json or html (default: as FILE.json or FILE.html says, else text)",
    )
    parser.add_argument("-o", dest="output", metavar="FILE", help="write to a file, not to standard output")
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")


def run(args: Namespace) -> int:
    from archdsl.diff import data, html, text
    from archdsl.diff.compare import compare

    ending = (args.output or "").rpartition(".")[2].lower()
    form = args.format or (ending if ending in FORMATS else "text")
    if args.a == args.b == "-":
        raise Unusable("only one of the two can be standard input")
    if args.output is not None:
        ours = {"text": r"\S+ → ", "json": r'\{\s+"a": ', "html": html.MARKER}[form]
        for spec in (args.a, args.b):
            refuse_others(args.output, spec, args.force, ours)
    with ExitStack() as stack:
        difference = compare(*(_network(spec, args, stack) for spec in (args.a, args.b)))
    told = {"text": text.to_text, "json": data.to_json, "html": html.to_html}[form](difference)
    if args.output is not None:
        write(args.output, f"{told.rstrip()}\n")
        print(printable(f"wrote {args.output}"))
    else:
        print(_coloured(told) if form == "text" and color(args, sys.stdout) else told)
    return CLEAN if difference.same else FINDINGS


def _network(spec: str, args: Namespace, stack: ExitStack) -> Network:
    """The network that one argument names."""
    args.arch = None
    left, colon, right = spec.partition(":")
    if not colon or os.path.exists(spec):
        return load(args, spec)
    file, _, arch = spec.rpartition(":")
    if re.fullmatch(r"[A-Za-z_]\w*", arch) and (os.path.isfile(file) or _is_shipped(file)):
        args.arch = arch
        return load(args, file)
    from archdsl import api
    from archdsl.revisions import NoRevision, checked_out
    from archdsl.source import Source

    try:
        path = stack.enter_context(checked_out(left, right))
        text = path.read_text(encoding="utf-8")
    except NoRevision as error:
        raise Unusable(f"can't read {spec}: {error}") from None
    except UnicodeDecodeError as error:
        raise Unusable(f"can't read {spec}: it is not UTF-8 text (byte {error.start})") from None
    return api.load_from(Source(spec, text), path, input=args.input, **params(args))


def _is_shipped(name: str) -> bool:
    from archdsl import api

    return name in api.shipped_names()


def _coloured(text: str) -> str:
    """Lines of what is new, gone and changed in green, red and yellow."""
    inks = {"+ ": 32, "- ": 31, "~ ": 33}
    return "\n".join(
        f"\x1b[{inks[line[:2]]}m{line}\x1b[0m" if line[:2] in inks else line for line in text.split("\n")
    )
