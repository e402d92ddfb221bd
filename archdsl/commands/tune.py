"""`archdsl tune SPEC...`"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from archdsl.commands import CLEAN, FINDINGS, Unusable
from archdsl.commands._options import batch, of_features, of_network, whole
from archdsl.commands._output import printable, printable_lines, why
from archdsl.commands._specs import load

if TYPE_CHECKING:
    from archdsl.network import Network


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    of_features(parser)
    parser.add_argument("specs", metavar="SPEC", nargs="+")
    parser.add_argument("--batch", type=batch, default=1, metavar="N", help="images at once (default 1)")
    parser.add_argument(
        "--dtype", choices=("f32", "bf16"), default="f32", metavar="DTYPE", help="f32 (default) or bf16"
    )
    parser.add_argument(
        "--threads",
        type=whole("number of threads"),
        default=0,
        metavar="N",
        help="default: as many as torch takes",
    )


def run(args: Namespace) -> int:
    from archdsl.live import need_torch

    networks = [load(args, spec) for spec in args.specs]
    torch = need_torch()
    if args.threads:
        torch.set_num_threads(args.threads)
    return max([_tuned(network, args) for network in networks])


def _tuned(network: Network, args: Namespace) -> int:
    import torch

    from archdsl.balance import balance, images
    from archdsl.engine.tuning import keep, to_text, tune
    from archdsl.live import build
    from archdsl.ops.base import written
    from archdsl.symbolic import known

    if not all(map(known, network.input)):
        raise Unusable(f"{network.name} leaves its input {written(network.input)} open: give --input")
    model = build(network)
    balance(network, model)
    dtype = torch.bfloat16 if args.dtype == "bf16" else torch.float32
    tuned = tune(model, images(network, args.batch), dtype=dtype)
    print(printable_lines(to_text(network.name, tuned)))
    try:
        path = keep(tuned)
    except OSError as error:
        print(printable(f"not kept: {error.filename2 or error.filename or 'the file'}: {why(error)}"), file=sys.stderr)
    else:
        print(printable(f"kept in {path}" if path else "not kept: ARCHDSL_CACHE is off") + "\n")
    return CLEAN if tuned.best else FINDINGS
