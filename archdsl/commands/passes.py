"""`archdsl passes SPEC`"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from archdsl.commands import CLEAN, Unusable
from archdsl.commands._options import batch, of_features, of_network
from archdsl.commands._output import report
from archdsl.commands._specs import load


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    of_features(parser)
    parser.add_argument("spec", metavar="SPEC")
    parser.add_argument("--batch", type=batch, default=1, metavar="N", help="images at once (default 1)")
    parser.add_argument(
        "--dtype", choices=("f32", "bf16", "f16"), default="f32", metavar="DTYPE", help="default f32"
    )


def run(args: Namespace) -> int:
    from archdsl.plan_text import passes_table

    network = load(args, args.spec)
    report(network.warnings, args)
    try:
        print(passes_table(network, args.batch, args.dtype))
    except ValueError as error:
        raise Unusable(f"{error}: give --input") from None
    return CLEAN
