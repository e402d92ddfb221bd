"""The command line: the parser, and the outermost edge. What each command does is in archdsl/commands/.

Exit codes: 0 clean, 1 findings, 2 a wrong command or a file that can't be used. Heavy imports stand inside
the commands that need them: starting the program is part of what every command costs.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from importlib import import_module
from typing import Any, NoReturn, TextIO

from archdsl.commands import CLEAN, COMMANDS, FINDINGS, UNUSABLE, Unusable, meant
from archdsl.commands._output import printable, report, why

INTERNAL = 70  # EX_SOFTWARE
WHEN = ("auto", "always", "never")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What a write fails with, on a stream that is there but takes nothing."""


class _Parser(argparse.ArgumentParser):
    """argparse with one-line errors that name what was probably meant."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if wrong:
            choices = re.findall(r"'([^']*)'", wrong[2])
            what = "command" if message.startswith("argument COMMAND") else message.split(":")[0]
            message = f"no {what} {wrong[1]!r}" if what == "command" else f"{what} can't be {wrong[1]!r}"
            message += meant(wrong[1], choices) or f"; choose from {', '.join(choices)}"
        self.exit(UNUSABLE, f"{self.prog}: error: {printable(message)}\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # argparse would pass over what can't be written

    def unknown(self, arguments: list[str]) -> NoReturn:
        """Refuse what no option or argument took."""
        wrong = next((a for a in arguments if a.startswith("-") and a != "-"), arguments[0])
        name = wrong.split("=")[0]
        what = "option" if name.startswith("-") else "argument"
        near = meant(name, self._option_string_actions)
        self.error(f"no {what} {name!r} here{near}; see {self.prog} --help")


class _Command(_Parser):
    """The parser of one command, whose file it asks for the arguments once there is something to parse."""

    def __init__(self, *, command: str, **settings: Any) -> None:
        super().__init__(description=COMMANDS[command], **settings)
        self.command = command
        self.declared = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if not self.declared:
            self.declared = True
            command = import_module(f"archdsl.commands.{self.command}")
            command.arguments(self)
            self.set_defaults(run=command.run)
            # A default here would overwrite what was given before the command's name.
            self.add_argument(
                "--color",
                choices=WHEN,
                default=argparse.SUPPRESS,
                metavar="WHEN",
                help="auto (default), always or never; NO_COLOR and FORCE_COLOR are honoured",
            )
        return super().parse_known_args(args, namespace)


class _Version(argparse.Action):
    def __init__(self, **settings: Any) -> None:
        super().__init__(nargs=0, **settings)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # The package itself, already loaded, is no stage to import.
        print(f"archdsl {sys.modules['archdsl'].__version__}")
        parser.exit(CLEAN)


def _parser() -> tuple[_Parser, dict[str, _Command]]:
    """The parser of the whole line, and each command's."""
    parser = _Parser(
        prog="archdsl",
        description="A language for CNN architectures: check, look at and compile specs.",
        epilog="A SPEC is a file, the name of a shipped network such as vgg16, or - for standard input. "
        "Exit codes: 0 clean, 1 findings, 2 a wrong command or a file that can't be read.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    parser.add_argument("--color", choices=WHEN, default="auto", metavar="WHEN")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", parser_class=_Command
    )
    found = {name: commands.add_parser(name, command=name, help=says) for name, says in COMMANDS.items()}
    return parser, found


def main(argv: list[str] | None = None) -> int:
    """Run one command. Raises nothing: what goes wrong is told, and the exit code says what kind it was."""
    # Python has None for one that is closed.
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    for stream in (sys.stdout, sys.stderr):
        # A terminal that can't show a character gets its escape, never an exception.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _exit_code(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _discard(sys.stdout)  # the reader has left
        return 141  # as the shell reports a program ended by SIGPIPE
    except OSError as error:
        return _full(error) if error.errno in FULL and error.filename is None else _internal(error)
    except Exception as error:
        return _internal(error)


def _exit_code(argv: list[str]) -> int:
    try:
        return _run(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else CLEAN


def _full(error: OSError) -> int:
    _discard(sys.stdout)
    try:
        print(f"archdsl: error: can't write the output: {why(error)}", file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)
    return UNUSABLE


def _is_of_memory(error: Exception) -> bool:
    """Whether there is no room for what was wanted. torch says it in words alone."""
    return isinstance(error, MemoryError) or bool(
        re.search("allocate memory|out of memory|Storage size calculation overflowed", str(error))
    )


def _discard(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere: Python would flush it once more at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(argv: list[str]) -> int:
    parser, commands = _parser()
    args, extra = parser.parse_known_args(argv)
    if extra:
        commands.get(args.command, parser).unknown(extra)
    if args.command is None:
        parser.print_help(sys.stderr)
        return UNUSABLE
    from archdsl.diagnostics import ArchError

    try:
        return args.run(args)
    except ArchError as error:
        sys.stdout.flush()
        report(error.diagnostics, args)
        return FINDINGS
    except Unusable as error:
        return _unusable(printable(str(error)))
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        return _unusable("the memory is too small for this; try a smaller input, batch or width")


def _unusable(message: str) -> int:
    sys.stdout.flush()
    print(f"archdsl: error: {message}", file=sys.stderr)
    return UNUSABLE


def _internal(error: Exception) -> int:
    if os.environ.get("ARCHDSL_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    else:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(
            f"archdsl: internal error: {printable(words)}\n"
            "This is a mistake in archdsl, not in your spec; please report it with the spec "
            "(ARCHDSL_DEBUG=1 shows where it happened).",
            file=sys.stderr,
        )
    return INTERNAL


if __name__ == "__main__":
    sys.exit(main())
