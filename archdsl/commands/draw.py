"""`archdsl draw SPEC`"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from archdsl.commands import CLEAN, Unusable
from archdsl.commands._options import of_features, of_force, of_network, whole
from archdsl.commands._output import count, printable, refuse_others, report, write
from archdsl.commands._specs import load

ENDINGS = ("svg", "html", "mmd")


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    of_features(parser)
    of_force(parser)
    parser.add_argument("spec", metavar="SPEC")
    parser.add_argument(
        "-o",
        dest="output",
        metavar="FILE",
        help="FILE.svg, FILE.html or FILE.mmd (mermaid); default: NAME.svg here; - is SVG on standard output",
    )
    parser.add_argument(
        "--depth",
        type=whole("depth", digits=2),
        metavar="N",
        help="how far to open blocks: 1 shows the steps as written (default: as far as it stays readable)",
    )


def run(args: Namespace) -> int:
    from archdsl.draw import html, mermaid, svg
    from archdsl.draw.picture import picture
    from archdsl.draw.scene import scene

    path = args.output
    ending = "svg" if path in (None, "-") else path.rpartition(".")[2].lower()
    if ending not in ENDINGS:
        raise Unusable(f"-o {path}: the name says what to draw, and ends with .svg, .html or .mmd")
    network = load(args, args.spec)
    report(network.warnings, args)
    path = path or f"{network.name}.svg"
    if path != "-":
        refuse_others(path, args.spec, args.force, {"svg": svg, "html": html, "mmd": mermaid}[ending].MARKER)
    shown = scene(network, args.depth)
    if ending == "html":
        text = html.to_html(network, args.depth)
    else:
        text = mermaid.to_mermaid(shown) if ending == "mmd" else svg.to_svg(picture(shown))
    if path == "-":
        sys.stdout.write(text)
        return CLEAN
    write(path, text)
    print(printable(f"wrote {path} ({count(len(text.encode()), 'byte')}), opened to depth {shown.depth}"))
    return CLEAN
