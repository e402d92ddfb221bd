"""`archdsl check SPEC...`"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from archdsl.commands import CLEAN, FINDINGS, UNUSABLE, Unusable
from archdsl.commands._options import of_network
from archdsl.commands._output import count, figures, printable, report
from archdsl.commands._specs import files, params, read, root

if TYPE_CHECKING:
    from archdsl.diagnostics import Diagnostic


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    parser.add_argument("specs", metavar="SPEC", nargs="+", help="folders are searched for .arch files")
    parser.add_argument("--format", choices=("text", "json", "github"), default="text", metavar="FORMAT")
    parser.add_argument("-q", "--quiet", action="store_true", help="print findings only")


def run(args: Namespace) -> int:
    from archdsl import api

    chosen, folder = params(args), root(args)
    code, count_files = CLEAN, 0
    found: dict[tuple[object, ...], Diagnostic] = {}
    lines: list[str] = []
    for target in files(args.specs):
        try:
            source, path = read(target)
        except Unusable as error:
            print(f"archdsl: error: {printable(str(error))}", file=sys.stderr)
            code = UNUSABLE
            continue
        count_files += 1
        checked = api.check(source, path=path, root=folder, arch=args.arch, input=args.input, params=chosen)
        for diagnostic in checked.diagnostics:
            # A file that several specs use is at fault once.
            found.setdefault(_identity(diagnostic), diagnostic)
        if any(diagnostic.severity == "error" for diagnostic in checked.diagnostics):
            continue
        networks = [f"{network.name} {figures(network)}" for network in checked.networks]
        lines.extend(f"{source.name}: {words}" for words in networks or ["blocks only"])
    diagnostics = list(found.values())
    errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
    if args.format == "json":
        from archdsl.render import to_json

        print(to_json(diagnostics))
    elif args.format == "github":
        from archdsl.render import to_github

        if diagnostics:
            print(to_github(diagnostics))
    else:
        report(diagnostics, args, sys.stdout)
        if not args.quiet:
            if diagnostics:
                print()
            for line in lines:
                print(printable(line))
            print(f"{count(count_files, 'file')} checked")
    return code or (FINDINGS if errors else CLEAN)


def _identity(diagnostic: Diagnostic) -> tuple[object, ...]:
    span = diagnostic.span
    place = (span.source.name, span.start, span.stop) if span else ()
    return diagnostic.code, diagnostic.message, *place
