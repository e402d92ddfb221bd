"""`archdsl check SPEC...`"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from archdsl.commands import CLEAN, FINDINGS, UNUSABLE, Unusable
from archdsl.commands._options import of_network
from archdsl.commands._output import count, figures, printable, report, write
from archdsl.commands._specs import files, params, read, root

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.api import Checked
    from archdsl.diagnostics import Diagnostic
    from archdsl.source import Source


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    parser.add_argument("specs", metavar="SPEC", nargs="+", help="folders are searched for .arch files")
    parser.add_argument(
        "--format",
        choices=("text", "json", "github", "sarif"),
        default="text",
        metavar="FORMAT",
        help="text (default), json, github (annotations of a workflow) or sarif (code scanning)",
    )
    parser.add_argument(
        "--fix", action="store_true", help="apply the fixes that can't be wrong, and check what is left"
    )
    parser.add_argument(
        "--lint",
        metavar="LIST",
        default="",
        help="look for more: all, groups (reach, speed) or codes, comma-separated",
    )
    parser.add_argument("--strict", action="store_true", help="exit 1 on warnings too")
    parser.add_argument("-q", "--quiet", action="store_true", help="print findings only")


def run(args: Namespace) -> int:
    check = _checker(args)
    code, count_files, fixes = CLEAN, 0, 0
    found: dict[tuple[object, ...], Diagnostic] = {}
    lines: list[str] = []
    for target in files(args.specs):
        try:
            source, path = read(target)
            checked = check(source, path)
            if args.fix and any(diagnostic.fix for diagnostic in checked.diagnostics):
                checked, many = _fixed(target, source, path, check)
                fixes += many
        except Unusable as error:
            print(f"archdsl: error: {printable(str(error))}", file=sys.stderr)
            code = UNUSABLE
            continue
        count_files += 1
        for diagnostic in checked.diagnostics:
            # A file that several specs use is at fault once.
            found.setdefault(_identity(diagnostic), diagnostic)
        if any(diagnostic.severity == "error" for diagnostic in checked.diagnostics):
            continue
        networks = [f"{network.name} {figures(network)}" for network in checked.networks]
        without = "blocks only" if checked.module.definitions else "nothing in it"
        lines.extend(f"{source.name}: {words}" for words in networks or [without])
    diagnostics = list(found.values())
    _show(diagnostics, args)
    if args.format == "text" and not args.quiet:
        if diagnostics:
            print()
        for line in lines:
            print(printable(line))
        print(
            f"{count(count_files, 'file')} checked"
            + (f", {count(fixes, 'finding')} fixed" if args.fix else "")
        )
    bad = any(args.strict or diagnostic.severity == "error" for diagnostic in diagnostics)
    return code or (FINDINGS if bad else CLEAN)


def _checker(args: Namespace) -> Callable[[Source, Path | None], Checked]:
    """`api.check` with the options of the command line. Raises Unusable."""
    from archdsl import api
    from archdsl.lints import chosen_codes

    chosen, folder = params(args), root(args)
    lints = [word.strip() for word in args.lint.split(",") if word.strip()]
    try:
        chosen_codes(lints)
    except ValueError as error:
        raise Unusable(f"--lint: {error}") from None

    def check(source: Source, path: Path | None) -> Checked:
        return api.check(
            source, path=path, root=folder, arch=args.arch, input=args.input, params=chosen, lints=lints
        )

    return check


def _fixed(
    target: str, source: Source, path: Path | None, check: Callable[[Source, Path | None], Checked]
) -> tuple[Checked, int]:
    """Apply what is safe, and write the file if anything was. Raises Unusable."""
    from archdsl.fixes import fixed

    if not os.path.isfile(target):
        raise Unusable(f"--fix needs a file to write, not {'standard input' if target == '-' else target}")
    made = fixed(source, lambda text: check(text, path))
    if made.applied:
        write(target, made.source.text)
    return made.checked, made.applied


def _show(diagnostics: list[Diagnostic], args: Namespace) -> None:
    if args.format == "text":
        report(diagnostics, args, sys.stdout)
    elif args.format == "json":
        from archdsl.render import to_json

        print(to_json(diagnostics))
    elif args.format == "sarif":
        from archdsl.sarif import to_sarif

        print(to_sarif(diagnostics, sys.modules["archdsl"].__version__))
    elif diagnostics:
        from archdsl.render import to_github

        print(to_github(diagnostics))


def _identity(diagnostic: Diagnostic) -> tuple[object, ...]:
    span = diagnostic.span
    place = (span.source.name, span.start, span.stop) if span else ()
    return diagnostic.code, diagnostic.message, *place
