"""`archdsl fmt FILE...`"""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from archdsl.commands import CLEAN, FINDINGS, UNUSABLE, Unusable
from archdsl.commands._output import color, count, printable, printable_lines, write
from archdsl.commands._specs import STDIN, files, read_file


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="folders are searched for .arch files; - is standard input"
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if a file is not in canonical form"
    )
    parser.add_argument(
        "--diff", action="store_true", help="change nothing; print what would change, and exit 1 if anything"
    )
    parser.add_argument(
        "--line-length", type=_columns, default=None, metavar="N", help="columns of a line (default 110)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="don't say which files changed")


def run(args: Namespace) -> int:
    from archdsl.format import LINE_LENGTH, formatted

    code, changed, same = CLEAN, 0, 0
    only_looking = args.check or args.diff
    for target in files(args.files):
        try:
            text = read_file(target)
            made, errors = formatted(text, line_length=args.line_length or LINE_LENGTH)
            if target == "-" and not only_looking:
                sys.stdout.flush()
                sys.stdout.buffer.write(made.encode())  # a spec is UTF-8 wherever it goes
                sys.stdout.buffer.flush()
            elif made != text and not only_looking:
                write(target, made)
        except Unusable as error:
            print(f"archdsl: error: {printable(str(error))}", file=sys.stderr)
            code = UNUSABLE
            continue
        name = printable(STDIN if target == "-" else target)
        if errors:
            print(f"{name}: {count(errors, 'error')}; what has one is left as it is", file=sys.stderr)
        changed, same = changed + (made != text), same + (made == text)
        if made == text:
            continue
        if args.diff:
            _show(text, made, name, color(args, sys.stdout))
        if target != "-" and not args.quiet and not args.diff:
            print(f"would format {name}" if only_looking else f"formatted {name}")
    if args.files != ["-"] and not args.quiet and not args.diff:
        print(f"{count(changed, 'file')} {'would change' if only_looking else 'changed'}, {same:,} unchanged")
    return code or (FINDINGS if only_looking and changed else CLEAN)


def _show(text: str, made: str, name: str, colored: bool) -> None:
    from difflib import unified_diff

    shades = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}
    before, after = text.split("\n"), made.split("\n")
    for line in unified_diff(before, after, name, f"{name} (formatted)", lineterm=""):
        shade = shades.get(line[:1], "") if colored else ""
        print(f"{shade}{printable_lines(line)}{shade and chr(27) + '[0m'}")


def _columns(text: str) -> int:
    from archdsl.format import LONGEST, SHORTEST

    if not re.fullmatch(r"[0-9]{1,4}", text) or not SHORTEST <= int(text) <= LONGEST:
        raise ArgumentTypeError(f"{text!r}: a line has {SHORTEST} to {LONGEST} columns")
    return int(text)
