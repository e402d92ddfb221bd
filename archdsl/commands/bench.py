"""`archdsl bench SPEC...`"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from archdsl.commands import CLEAN, FINDINGS, Unusable, meant
from archdsl.commands._options import batch, of_features, of_network, whole
from archdsl.commands._output import printable, refuse_others, write
from archdsl.commands._specs import load


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    of_features(parser)
    parser.add_argument("specs", metavar="SPEC", nargs="+")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", metavar="DEVICE", help="cpu (default) or cuda"
    )
    parser.add_argument("--batch", type=batch, default=1, metavar="N", help="images at once (default 1)")
    parser.add_argument(
        "--dtype", choices=("f32", "bf16"), default="f32", metavar="DTYPE", help="f32 (default) or bf16"
    )
    parser.add_argument(
        "--threads",
        type=whole("number of threads"),
        default=0,
        metavar="N",
        help="of each subject (default: one a core)",
    )
    parser.add_argument(
        "--against",
        type=_peers,
        default=None,
        metavar="PEERS",
        help="eager, channels_last, torchscript, compile, onnxruntime, openvino, archdsl-onednn, archdsl-openvino; on "
        "cuda eager, graph, compile, max-autotune: a list with commas (default: all)",
    )
    parser.add_argument(
        "--rounds",
        type=whole("number of rounds"),
        default=10,
        metavar="N",
        help="turns of each subject (default 10)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", metavar="FORMAT")
    parser.add_argument("--plot", metavar="FILE.svg", help="the ratios to the best peer, as a picture")
    parser.add_argument("-o", dest="output", metavar="FILE.json", help="everything that was measured")
    parser.add_argument("--force", action="store_true", help="replace files that archdsl did not write")


def _peers(text: str) -> tuple[str, ...]:
    from archdsl.bench.subjects import BACKENDS, PEERS

    names = text.split(",")
    known = (*PEERS, *BACKENDS)
    for name in names:
        if name not in known:
            raise ArgumentTypeError(f"no peer {name!r}{meant(name, known)}; there are {', '.join(known)}")
    return tuple(dict.fromkeys(names))


def run(args: Namespace) -> int:
    from archdsl.bench import command, plot, results

    networks = []
    for spec in args.specs:
        networks.append(load(args, spec))
        for path, marker in ((args.output, results.MARKER), (args.plot, plot.MARKER)):
            if path is not None:
                refuse_others(path, spec, args.force, marker)
    try:
        made = command.run(networks, args, _tell if sys.stderr.isatty() else None)
    except (ValueError, command.Failed) as error:
        raise Unusable(str(error)) from None
    print(made.json if args.format == "json" else made.text, end="")
    for path, data in ((args.output, made.json), (args.plot, made.svg)):
        if path is not None:
            write(path, data)
            print(printable(f"wrote {path}"), file=sys.stderr)
    return CLEAN if made.sound else FINDINGS


def _tell(words: str) -> None:
    print(printable(words), file=sys.stderr, flush=True)
