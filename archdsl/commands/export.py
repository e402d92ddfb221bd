"""`archdsl export SPEC --to FORMAT`"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from archdsl.commands import CLEAN, Unusable
from archdsl.commands._options import batch, of_features, of_force, of_network
from archdsl.commands._output import printable, printable_lines, refuse_others, report, same_file, why, write
from archdsl.commands._specs import load


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    of_features(parser)
    parser.add_argument("spec", metavar="SPEC")
    parser.add_argument(
        "--to", choices=("onnx", "pt2"), required=True, metavar="FORMAT", help="onnx or pt2"
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="as `archdsl weights` reads them (default: random)"
    )
    parser.add_argument("-o", dest="output", metavar="FILE", help="default: NAME.onnx or NAME.pt2 here")
    parser.add_argument(
        "--batch",
        type=_batch_or_any,
        default=1,
        metavar="N",
        help="images at once (default 1), or dynamic",
    )
    of_force(parser)


def _batch_or_any(text: str) -> int | None:
    return None if text == "dynamic" else batch(text)


def run(args: Namespace) -> int:
    from archdsl.export import export, is_ours

    network = load(args, args.spec)
    report(network.warnings, args)
    path = args.output if args.output is not None else f"{network.name}.{args.to}"
    if path == "-":
        raise Unusable("-o -: an export is written to a file")
    if args.weights and same_file(path, args.weights):
        raise Unusable(f"can't write {path}: it is the file of the weights")
    refuse_others(path, args.spec, args.force, is_ours)
    try:
        made = export(network, args.to, weights=args.weights, batch=args.batch)
    except ValueError as error:
        raise Unusable(f"{error}: give --input") from None
    except OSError as error:
        raise Unusable(f"can't read {args.weights}: {why(error)}") from None
    write(path, made.data)
    random = "weights: random, with which every layer matters"
    print(printable_lines(str(made.weights)) if made.weights else random)
    print(printable(f"wrote {path} ({len(made.data):,} bytes): {made.says[0]}"))
    for line in made.says[1:]:
        print(printable(line))
    return CLEAN
