"""`archdsl zoo`"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from archdsl.commands import CLEAN, FINDINGS, Unusable
from archdsl.commands._output import report


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "names", metavar="NAME-GLOB", nargs="*", help="resnet50, 'resnet*', 'keras/*' (default: all)"
    )
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", metavar="FORMAT")


def run(args: Namespace) -> int:
    from shutil import get_terminal_size

    from archdsl import zoo

    try:
        names = zoo.chosen(args.names)
    except LookupError as error:
        raise Unusable(str(error)) from None
    entries = zoo.survey(names)
    if args.format == "text":
        # Lines that a terminal would wrap are no table.
        print(zoo.to_text(entries, get_terminal_size().columns if sys.stdout.isatty() else None))
    else:
        print(getattr(zoo, f"to_{args.format}")(entries))
    sys.stdout.flush()
    report((finding for entry in entries for finding in entry.errors), args)
    return CLEAN if all(entry.sound for entry in entries) else FINDINGS
