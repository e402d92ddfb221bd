"""`archdsl layers NAME`"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from archdsl.commands import CLEAN, Unusable, meant
from archdsl.commands._output import printable


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?")


def run(args: Namespace) -> int:
    from archdsl.combinators import COMBINATORS
    from archdsl.modules import library_names
    from archdsl.ops import LAYERS
    from archdsl.pages import page, summary

    if args.name is None:
        rows = {
            "layers": [(name, summary(name)) for name in sorted(LAYERS)],
            "combinators": [(name, summary(name)) for name in sorted(COMBINATORS)],
            "blocks of the library": [(name, summary(name)) for name in library_names()],
        }
        size = max(len(name) for table in rows.values() for name, _ in table)
        for index, (title, table) in enumerate(rows.items()):
            if table:
                print(("\n" if index else "") + title)
            for name, says in table:
                print(f"  {name:<{size}}  {printable(says)}".rstrip())
        print("\nfor more on one of them: archdsl layers conv")
        return CLEAN
    text = page(args.name)
    if text is None:
        raise Unusable(
            f"no layer or block {args.name!r}{meant(args.name, [*LAYERS, *COMBINATORS, *library_names()])}"
        )
    for line in text.split("\n"):
        print(printable(line.rstrip("\r").expandtabs(4)))
    return CLEAN
