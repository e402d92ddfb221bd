"""`archdsl plot SPEC`"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from archdsl.commands import CLEAN, Unusable
from archdsl.commands._options import of_features, of_force, of_network, whole
from archdsl.commands._output import count, printable, refuse_others, report, write
from archdsl.commands._specs import load


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    of_features(parser)
    of_force(parser)
    parser.add_argument("spec", metavar="SPEC")
    parser.add_argument("-o", dest="output", metavar="FILE", help="FILE.svg; default: bars in the terminal")
    parser.add_argument(
        "--depth",
        type=whole("depth", digits=2),
        default=1,
        metavar="N",
        help="how far to look into blocks (default 1)",
    )


def run(args: Namespace) -> int:
    from archdsl.draw import plot

    path = args.output
    if path not in (None, "-") and not path.lower().endswith(".svg"):
        raise Unusable(f"-o {path}: the name says what to draw, and ends with .svg")
    network = load(args, args.spec)
    report(network.warnings, args)
    try:
        text = plot.to_text(network, args.depth) if path is None else plot.to_svg(network, args.depth)
    except ValueError as error:
        raise Unusable(str(error)) from None
    if path in (None, "-"):
        sys.stdout.write(text.rstrip("\n") + "\n")
        return CLEAN
    refuse_others(path, args.spec, args.force, plot.MARKER)
    write(path, text)
    print(printable(f"wrote {path} ({count(len(text.encode()), 'byte')})"))
    return CLEAN
