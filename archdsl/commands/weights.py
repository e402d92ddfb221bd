"""`archdsl weights SPEC FILE`"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from archdsl.commands import CLEAN, Unusable
from archdsl.commands._options import of_features, of_force, of_network
from archdsl.commands._output import printable, printable_lines, refuse_others, same_file, why, write
from archdsl.commands._specs import load


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    of_features(parser)
    parser.add_argument("spec", metavar="SPEC")
    parser.add_argument("file", metavar="FILE", help="a .pt, .safetensors, .weights.h5 or .h5 file")
    parser.add_argument("-o", dest="output", metavar="OUT.safetensors", help="default: only report")
    parser.add_argument(
        "--skip", action="append", default=[], metavar="NAME", help="leave out of FILE; may have *"
    )
    parser.add_argument(
        "--keep", action="append", default=[], metavar="NAME", help="leave in the network as initialized"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", metavar="FORMAT")
    of_force(parser)


def run(args: Namespace) -> int:
    from archdsl.weights.command import MARKER, convert

    network = load(args, args.spec)
    if args.output is not None:
        if args.output == "-":
            raise Unusable("-o -: weights are written to a file")
        if same_file(args.output, args.file):
            raise Unusable(f"can't write {args.output}: it is the file that is read")
        refuse_others(args.output, args.spec, args.force, MARKER)
    try:
        report, data = convert(network, args.file, args.skip, args.keep, args.output is not None)
    except OSError as error:
        raise Unusable(f"can't read {args.file}: {why(error)}") from None
    print(report.to_json() if args.format == "json" else printable_lines(str(report)))
    if args.output is not None:
        write(args.output, data)
        talk = sys.stderr if args.format == "json" else sys.stdout
        print(printable(f"wrote {args.output} ({len(data):,} bytes)"), file=talk)
    return CLEAN
