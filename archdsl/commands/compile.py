"""`archdsl compile SPEC`"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from archdsl.commands import CLEAN, FINDINGS, Unusable
from archdsl.commands._options import of_features, of_force, of_network
from archdsl.commands._output import count, figure, printable, refuse_others, report, write
from archdsl.commands._specs import load, read

if TYPE_CHECKING:
    from archdsl.network import Network

STAGES = ("parse", "elaborate", "passes", "lower", "emit")


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    of_features(parser)
    parser.add_argument("spec", metavar="SPEC")
    parser.add_argument(
        "-o", dest="output", metavar="FILE", help="default: NAME.py here; - is standard output"
    )
    parser.add_argument(
        "--stop-after", choices=STAGES, metavar="STAGE", help=f"print a stage: {', '.join(STAGES)}"
    )
    of_force(parser)
    parser.add_argument(
        "--no-verify", action="store_true", help="don't compare shapes and parameters with torch"
    )


def run(args: Namespace) -> int:
    if args.stop_after is not None:
        return _print_stage(args)
    from archdsl import summary
    from archdsl.printer import MARKER, emit

    network = load(args, args.spec)
    to_stdout = args.output == "-"
    talk = sys.stderr if to_stdout else sys.stdout
    report(network.warnings, args)
    print(summary.to_text(network, depth=1), file=talk)
    print(file=talk)
    text = emit(network)
    if to_stdout:
        # The module is UTF-8 whatever the terminal is.
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        path = "the module"
    else:
        path = args.output if args.output is not None else f"{network.name}.py"
        refuse_others(path, args.spec, args.force, MARKER)
        write(path, text)
    wrote = f"wrote {path} ({count(text.count(chr(10)), 'line')})"
    if args.no_verify:
        print(printable(wrote), file=talk)
        return CLEAN
    print(printable(wrote), end="", file=talk)
    return _verify(network, talk)


def _verify(network: Network, talk: TextIO) -> int:
    """Finish the line `wrote ...` with what torch says to it."""
    from archdsl.live import verify

    talk.flush()
    try:
        agreement = verify(network)
    except Exception:
        print(file=talk)
        raise
    shapes = count(agreement.tensors, "shape")
    print(f"; torch agrees with all {shapes} and {figure(network.params)} parameters", file=talk)
    return CLEAN


def _print_stage(args: Namespace) -> int:
    if args.output is not None:
        raise Unusable("--stop-after prints the stage, so it takes no -o")
    if args.stop_after == "parse":
        from archdsl.parse import parse

        source, _ = read(args.spec)
        tree, diagnostics = parse(source)
        report(diagnostics, args)
        if tree is not None:
            print("\n".join(_outline(tree)))
        return FINDINGS if any(found.severity == "error" for found in diagnostics) else CLEAN
    network = load(args, args.spec)
    report(network.warnings, args)
    if args.stop_after == "elaborate":
        print(network.to_json())
    elif args.stop_after == "passes":
        from archdsl.passes import fused
        from archdsl.plan_text import listing

        print(listing(fused(network)))
    elif args.stop_after == "lower":
        from archdsl.lower import lower

        print(lower(network))
    else:
        from archdsl.printer import emit

        print(emit(network), end="")
    return CLEAN


def _outline(tree: Any) -> Iterator[str]:
    """A syntax tree as indented lines: what a node is, its plain values, and its children by role."""
    from dataclasses import fields

    from archdsl.source import Span
    from archdsl.syntax import Syntax

    waiting: list[tuple[Any, str, int]] = [(tree, "", 0)]
    while waiting:
        node, role, level = waiting.pop()
        values, children = [], []
        for part in fields(node):
            value = getattr(node, part.name)
            if isinstance(value, Span) or value is None:
                continue
            if isinstance(value, Syntax):
                children.append((value, part.name, level + 1))
            elif isinstance(value, tuple) and any(isinstance(item, Syntax) for item in value):
                children.extend((item, part.name.removesuffix("s"), level + 1) for item in value)
            elif value != ():
                values.append(f" {part.name}={value!r}" if len(fields(node)) > 2 else f" {value!r}")
        yield f"{'  ' * level}{role + ': ' if role else ''}{type(node).__name__}{''.join(values)}"
        waiting.extend(reversed(children))
