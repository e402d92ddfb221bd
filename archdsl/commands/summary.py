"""`archdsl summary SPEC`"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from archdsl.commands import CLEAN
from archdsl.commands._options import of_features, of_network, whole
from archdsl.commands._output import report
from archdsl.commands._specs import load


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    of_features(parser)
    parser.add_argument("spec", metavar="SPEC")
    parser.add_argument(
        "--depth", type=whole("depth"), default=1, metavar="N", help="how far to look into blocks (default 1)"
    )
    parser.add_argument(
        "--format", choices=("text", "json", "csv", "markdown"), default="text", metavar="FORMAT"
    )


def run(args: Namespace) -> int:
    from archdsl import summary

    network = load(args, args.spec)
    report(network.warnings, args)
    print(getattr(summary, f"to_{args.format}")(network, args.depth))
    return CLEAN
