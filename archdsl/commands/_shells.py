"""Completion scripts for bash, zsh and fish, from what the commands take.

A script is a plain text of words: completing starts no Python. What a shell would take for its own in a help
text or a name is quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

Kind = Literal["words", "specs", "spec files", "names", "files", "folders", "anything"]


class Argument(NamedTuple):
    """What stands for `name`: one of `words`, or something that the shell finds.

    specs: a spec file or a shipped network's name; names: the name alone.
    """

    name: str
    kind: Kind
    words: tuple[str, ...] = ()


class Option(NamedTuple):
    """`--format FORMAT`, by all its spellings; takes: None for one that is a switch."""

    flags: tuple[str, ...]
    help: str
    takes: Argument | None


class Command(NamedTuple):
    """A command, and what it takes in order; the last may repeat."""

    name: str
    help: str
    options: tuple[Option, ...]
    positional: tuple[Argument, ...]


def bash(commands: Sequence[Command], names: Sequence[str]) -> str:
    """For bash 3.2 and later: `eval "$(archdsl completions bash)"`."""
    found = {
        "words": 'compgen -W "$1" -- "$cur"',
        "specs": 'compgen -W "$_archdsl_names" -- "$cur"; compgen -f -X "!*.arch" -- "$cur"; compgen -d -- "$cur"',
        "spec files": 'compgen -f -X "!*.arch" -- "$cur"; compgen -d -- "$cur"',
        "names": 'compgen -W "$_archdsl_names" -- "$cur"',
        "files": 'compgen -f -- "$cur"',
        "folders": 'compgen -d -- "$cur"',
        "anything": ":",
    }
    lines = [
        "# Completes archdsl in bash. Written by `archdsl completions bash`.",
        f'_archdsl_names="{" ".join(names)}"',
        "_archdsl_take() {",
        "  local IFS=$' \\t\\n' found",
        '  case "$2" in',
        *(f"    {_quoted(kind)}) found=$({how}) ;;" for kind, how in found.items()),
        "  esac",
        "  IFS=$'\\n'",
        "  COMPREPLY=($found)",
        "}",
        "_archdsl() {",
        '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" word at',
        "  COMPREPLY=()",
        "  # bash cuts --format=json into three words",
        '  if [[ "$cur" == "=" ]]; then cur=""; elif [[ "$prev" == "=" ]]; then prev="${COMP_WORDS[COMP_CWORD-2]}"; fi',
        "  for ((at = 1; at < COMP_CWORD; at++)); do",
        '    word="${COMP_WORDS[at]}"',
        '    if [[ "$word" == --color ]]; then ((at++)); elif [[ "$word" != -* ]]; then command="$word"; break; fi',
        "  done",
        '  case "$command $prev" in',
    ]
    for command in commands:
        for option in command.options:
            if option.takes is not None:
                patterns = "|".join(_quoted(f"{command.name} {flag}") for flag in option.flags)
                lines.append(f"    {patterns}) {_bash_take(option.takes)}; return ;;")
    lines += ["  esac", '  case "$command" in']
    top = " ".join(command.name for command in commands)
    lines.append(f'    "") _archdsl_take {_quoted(f"{top} --help --version --color")} words ;;')
    for command in commands:
        flags = " ".join(flag for option in command.options for flag in option.flags)
        takes = "; ".join(map(_bash_take, _merged(command.positional))) or ":"
        lines += [
            f"    {command.name})",
            f'      if [[ "$cur" == -* ]]; then _archdsl_take {_quoted(flags)} words; else {takes}; fi ;;',
        ]
    lines += ["  esac", "}", "complete -o filenames -F _archdsl archdsl"]
    return "\n".join(lines) + "\n"


def _bash_take(argument: Argument) -> str:
    return f"_archdsl_take {_quoted(' '.join(argument.words))} {_quoted(argument.kind)}"


def _merged(arguments: Sequence[Argument]) -> list[Argument]:
    """One argument for all positions: bash's script does not count them."""
    if not arguments:
        return []
    return [arguments[0] if len(arguments) == 1 else Argument(arguments[0].name, "files")]


def zsh(commands: Sequence[Command], names: Sequence[str]) -> str:
    """For zsh, after compinit: in a folder of $fpath as _archdsl, or `eval "$(archdsl completions zsh)"`."""
    described = " ".join(_quoted(f"{c.name}:{c.help}") for c in commands)
    lines = [
        "#compdef archdsl",
        "# Completes archdsl in zsh. Written by `archdsl completions zsh`.",
        f"_archdsl_names() {{ compadd -- {' '.join(names)} }}",
        "_archdsl_spec_files() { _files -g '*.arch(-.)' }",
        "_archdsl_specs() { _alternative 'files:spec:_archdsl_spec_files' 'names:network:_archdsl_names' }",
        "_archdsl() {",
        "  local curcontext=$curcontext state line",
        f"  local -a commands=({described})",
        "  _arguments -C '--version[print the version]' '--help[list the commands]' '1:command:->command' '*::: :->rest'",
        "  case $state in",
        "    command) _describe command commands ;;",
        "    rest)",
        '      words=("$line[1]" "${words[@]}")  # as if the name of the command were the program',
        "      (( CURRENT += 1 ))",
        "      case $line[1] in",
    ]
    for command in commands:
        specs = [_zsh_option(option, flag) for option in command.options for flag in option.flags]
        last = len(command.positional) - 1
        for at, argument in enumerate(command.positional):
            place = "*" if at == last else str(at + 1)
            specs.append(f"{place}:{_zsh_text(argument.name)}:{_zsh_action(argument)}")
        lines.append(f"        {command.name}) _arguments {' '.join(map(_quoted, specs))} ;;")
    lines += [
        "      esac ;;",
        "  esac",
        "}",
        'if [[ $funcstack[1] == _archdsl ]]; then _archdsl "$@"; else compdef _archdsl archdsl; fi',
    ]
    return "\n".join(lines) + "\n"


def _zsh_option(option: Option, flag: str) -> str:
    text = f"{flag}[{_zsh_text(option.help)}]"
    return (
        f"{text}:{_zsh_text(option.takes.name)}:{_zsh_action(option.takes)}"
        if option.takes is not None
        else text
    )


def _zsh_action(argument: Argument) -> str:
    if argument.kind == "words":
        return f"({' '.join(argument.words)})"
    return {
        "specs": "_archdsl_specs",
        "spec files": "_archdsl_spec_files",
        "names": "_archdsl_names",
        "files": "_files",
        "folders": "_files -/",
    }.get(argument.kind, " ")


def _zsh_text(text: str) -> str:
    for special in "\\[]:":
        text = text.replace(special, "\\" + special)
    return text


def fish(commands: Sequence[Command], names: Sequence[str]) -> str:
    """For fish: `archdsl completions fish > ~/.config/fish/completions/archdsl.fish`."""
    lines = [
        "# Completes archdsl in fish. Written by `archdsl completions fish`.",
        "complete -c archdsl -f",
        f"set -g _archdsl_names {' '.join(names)}",
        "complete -c archdsl -n __fish_use_subcommand -l version -d 'print the version'",
    ]
    for command in commands:
        lines.append(
            f"complete -c archdsl -n __fish_use_subcommand -a {command.name} -d {_fish_quoted(command.help)}"
        )
    for command in commands:
        start = f"complete -c archdsl -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            flags = " ".join(
                f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags
            )
            takes = "" if option.takes is None else f" {_fish_takes(option.takes, option=True)}"
            lines.append(f"{start} {flags} -d {_fish_quoted(option.help)}{takes}")
        for argument in command.positional:
            if argument.kind != "anything":
                lines.append(f"{start} {_fish_takes(argument, option=False)}")
    return "\n".join(lines) + "\n"


def _fish_takes(argument: Argument, option: bool) -> str:
    requires = "-x " if option else ""
    arch = "(__fish_complete_suffix .arch)"
    words = {
        "words": " ".join(argument.words),
        "specs": f"$_archdsl_names {arch}",
        "spec files": arch,
        "names": "$_archdsl_names",
        "folders": "(__fish_complete_directories)",
    }.get(argument.kind, "")
    if argument.kind == "files":
        return "-r -F" if option else "-F"
    return f"{requires}-a {_fish_quoted(words)}" if words else requires.strip()


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _quoted(text: str) -> str:
    """A word of bash or zsh."""
    escaped = text.replace("'", "'\\''")
    return f"'{escaped}'"


SHELLS: dict[str, Callable[[Sequence[Command], Sequence[str]], str]] = {
    "bash": bash,
    "zsh": zsh,
    "fish": fish,
}
