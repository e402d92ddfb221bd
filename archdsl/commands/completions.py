"""`archdsl completions SHELL`"""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from importlib import import_module

from archdsl.commands import CLEAN, COMMANDS
from archdsl.commands._shells import SHELLS, Argument, Command, Option


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=tuple(SHELLS), help=", ".join(SHELLS))


def run(args: Namespace) -> int:
    from archdsl import api

    commands = [_command(name, says) for name, says in COMMANDS.items()]
    print(SHELLS[args.shell](commands, api.shipped_names()), end="")
    return CLEAN


def _command(name: str, says: str) -> Command:
    """What a command takes, read off its parser."""
    parser = ArgumentParser(add_help=False)
    parser.add_argument("-h", "--help", action="store_true", help="show what it takes")
    import_module(f"archdsl.commands.{name}").arguments(parser)
    parser.add_argument("--color", choices=("auto", "always", "never"), help="whether to print colours")
    options, positional = [], []
    for action in parser._actions:
        if action.help == SUPPRESS:
            continue
        if action.option_strings:
            takes = _argument(name, action) if action.nargs != 0 else None
            options.append(Option(tuple(action.option_strings), _help(action), takes))
        else:
            positional.append(_argument(name, action))
    return Command(name, says, tuple(options), tuple(positional))


def _argument(command: str, action: Action) -> Argument:
    """What an option or a positional argument is given: words, files, or what nobody can guess."""
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    words = tuple(map(str, action.choices or ())) or _words(command, action)
    if words:
        return Argument(metavar, "words", words)
    if metavar == "DIR":
        return Argument(metavar, "folders")
    if metavar.startswith(("FILE", "OUT")):
        return Argument(metavar, "spec files" if command == "fmt" else "files")
    if not action.option_strings and metavar in ("SPEC", "NAME-GLOB"):
        return Argument(metavar, "names" if command == "zoo" else "specs")
    return Argument(metavar, "anything")


def _words(command: str, action: Action) -> tuple[str, ...]:
    """Words of a table of ours."""
    if action.dest == "lint":
        from archdsl.lints import GROUPS, LINTS

        return ("all", *GROUPS, *LINTS)
    if command == "explain" and not action.option_strings:
        from archdsl.codes import CODES

        return tuple(CODES)
    if command == "layers" and not action.option_strings:
        from archdsl.modules import library_names
        from archdsl.ops import LAYERS

        return tuple(sorted({*LAYERS, *library_names()}))
    return ()


def _help(action: Action) -> str:
    return (action.help or "").replace("%%", "%").split(";")[0]
