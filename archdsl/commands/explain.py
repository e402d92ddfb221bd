"""`archdsl explain CODE`"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from archdsl.commands import CLEAN, Unusable, meant


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", nargs="?")


def run(args: Namespace) -> int:
    from archdsl.codes import CODES

    if args.code is None:
        for code, entry in CODES.items():
            print(f"{code}  {entry.title}")
        return CLEAN
    code = args.code.upper()
    if code not in CODES:
        raise Unusable(f"no code {args.code!r}{meant(code, CODES)}; archdsl explain lists them all")
    print(f"{code}: {CODES[code].title}\n\n{CODES[code].page}")
    return CLEAN
