"""The command line: a thin adapter over `archdsl.api`.

Exit codes: 0 clean, 1 findings, 2 a wrong command or a file that can't be used. Heavy imports stand inside
the commands that need them: starting the program is part of what every command costs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.diagnostics import Diagnostic
    from archdsl.network import Network
    from archdsl.source import Source
    from archdsl.symbolic import Dim

CLEAN, FINDINGS, UNUSABLE = 0, 1, 2
INTERNAL = 70  # EX_SOFTWARE
STAGES = ("parse", "elaborate", "passes", "lower", "emit")
LARGEST = 2**31 - 1
LONGEST = 2**20
STDIN = "<stdin>"


class Unusable(Exception):
    """What was asked for can't be done: a usage error, told in one line."""


# ---- arguments ----


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
            message += _meant(wrong[1], choices) or f"; choose from {', '.join(choices)}"
        self.exit(UNUSABLE, f"{self.prog}: error: {_printable(message)}\n")

    def unknown(self, arguments: list[str]) -> NoReturn:
        """Refuse what no option or argument took."""
        wrong = next((a for a in arguments if a.startswith("-") and a != "-"), arguments[0])
        name = wrong.split("=")[0]
        what = "option" if name.startswith("-") else "argument"
        near = _meant(name, self._option_string_actions) or ""
        self.error(f"no {what} {name!r} here{near}; see {self.prog} --help")


def _meant(wrong: str, known: Iterable[str]) -> str | None:
    from archdsl.diagnostics import did_you_mean

    near = did_you_mean(wrong, known)
    return f"; did you mean {near!r}?" if near else None


def _shape(text: str) -> tuple[int, ...]:
    """`3x224x224` as (3, 224, 224)."""
    if not re.fullmatch(r"[0-9]+(x[0-9]+x[0-9]+)?", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a shape; write channels x height x width: 3x224x224"
        )
    if len(text) > 40 or not all(0 < int(side) <= LARGEST for side in text.split("x")):
        raise argparse.ArgumentTypeError(f"{text!r}: every side is from 1 to {LARGEST}")
    return tuple(int(side) for side in text.split("x"))


def _setting(text: str) -> tuple[str, int | float | bool | str]:
    """`classes=10` as ("classes", 10)."""
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise argparse.ArgumentTypeError(f"{text!r} is not a parameter; write name=value: classes=10")
    if value in ("true", "false"):
        return name, value == "true"
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        return name, value
    if len(value) <= 40 and re.fullmatch(r"-?[0-9]+(_[0-9]+)*", value):
        return name, int(value)
    if len(value) <= 40 and re.fullmatch(r"-?[0-9]+(_[0-9]+)*(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", value):
        number = float(value)
        if abs(number) != float("inf"):
            return name, number
    raise argparse.ArgumentTypeError(f"{value!r} is not a value; write a number, true, false or a word")


def _depth(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a depth; write a number from 1")
    return int(text)


def _batch(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a batch; write a number from 1")
    return int(text)


def _batch_or_any(text: str) -> int | None:
    return None if text == "dynamic" else _batch(text)


def _threads(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of threads; write a number from 1")
    return int(text)


def _peers(text: str) -> tuple[str, ...]:
    from archdsl.bench.subjects import PEERS

    names = text.split(",")
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(
                f"no peer {name!r}{_meant(name, PEERS) or ''}; there are {', '.join(PEERS)}"
            )
    return tuple(dict.fromkeys(names))


class _Version(argparse.Action):
    def __init__(self, **settings: Any) -> None:
        super().__init__(nargs=0, **settings)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # The package itself, already loaded, is no stage to import.
        print(f"archdsl {sys.modules['archdsl'].__version__}")
        parser.exit(CLEAN)


def _parser() -> tuple[_Parser, dict[str, _Parser]]:
    """The parser of the whole line, and each command's."""
    shared = _Parser(add_help=False)
    # A default here would overwrite what was given before the command's name.
    shared.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default=argparse.SUPPRESS,
        metavar="WHEN",
        help="auto (default), always or never; NO_COLOR and FORCE_COLOR are honoured",
    )
    choosing = _Parser(add_help=False)
    choosing.add_argument(
        "--input", type=_shape, metavar="CxHxW", help="in place of the text's own input shape"
    )
    choosing.add_argument(
        "-p",
        dest="params",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a parameter of the network, such as classes=10",
    )
    cutting = _Parser(add_help=False)
    cutting.add_argument(
        "--features",
        metavar="LABELS",
        help="keep only what these labelled tensors need, and return them: c3,c4; all: every stage that is labelled",
    )
    choosing.add_argument("--arch", metavar="NAME", help="the network that is meant, in a file of several")
    choosing.add_argument(
        "--root", metavar="DIR", help="folder that `use` may read (default: the spec's own)"
    )

    parser = _Parser(
        prog="archdsl",
        description="A language for CNN architectures: check, look at and compile specs.",
        epilog="A SPEC is a file, the name of a shipped network such as vgg16, or - for standard input. "
        "Exit codes: 0 clean, 1 findings, 2 a wrong command or a file that can't be read.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", metavar="WHEN")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    found: dict[str, _Parser] = {}

    def command(name: str, says: str, *parents: _Parser) -> _Parser:
        found[name] = commands.add_parser(name, help=says, description=says, parents=[*parents, shared])
        return found[name]

    add = command("compile", "Check a spec, print its table and write the PyTorch module.", choosing, cutting)
    add.add_argument("spec", metavar="SPEC")
    add.add_argument("-o", dest="output", metavar="FILE", help="default: NAME.py here; - is standard output")
    add.add_argument(
        "--stop-after", choices=STAGES, metavar="STAGE", help=f"print a stage: {', '.join(STAGES)}"
    )
    add.add_argument("--force", action="store_true", help="replace a file that archdsl did not write")
    add.add_argument(
        "--no-verify", action="store_true", help="don't compare shapes and parameters with torch"
    )

    add = command("check", "Check specs and print what is wrong with them.", choosing)
    add.add_argument("specs", metavar="SPEC", nargs="+", help="folders are searched for .arch files")
    add.add_argument("--format", choices=("text", "json", "github"), default="text", metavar="FORMAT")
    add.add_argument("-q", "--quiet", action="store_true", help="print findings only")

    add = command("summary", "Print the table of a network: sizes, parameters, MACs.", choosing, cutting)
    add.add_argument("spec", metavar="SPEC")
    add.add_argument(
        "--depth", type=_depth, default=1, metavar="N", help="how far to look into blocks (default 1)"
    )
    add.add_argument(
        "--format", choices=("text", "json", "csv", "markdown"), default="text", metavar="FORMAT"
    )

    add = command("weights", "Load another implementation's weights, and write them for this network.", choosing, cutting)
    add.add_argument("spec", metavar="SPEC")
    add.add_argument("file", metavar="FILE", help="a .pt, .safetensors, .weights.h5 or .h5 file")
    add.add_argument("-o", dest="output", metavar="OUT.safetensors", help="default: only report")
    add.add_argument("--skip", action="append", default=[], metavar="NAME", help="leave out of FILE; may have *")
    add.add_argument("--keep", action="append", default=[], metavar="NAME", help="leave in the network as initialized")
    add.add_argument("--format", choices=("text", "json"), default="text", metavar="FORMAT")
    add.add_argument("--force", action="store_true", help="replace a file that archdsl did not write")

    add = command("passes", "Show what each pass of the engine saves: kernels and bytes moved.", choosing, cutting)
    add.add_argument("spec", metavar="SPEC")
    add.add_argument("--batch", type=_batch, default=1, metavar="N", help="images at once (default 1)")
    add.add_argument("--dtype", choices=("f32", "bf16", "f16"), default="f32", metavar="DTYPE", help="default f32")

    add = command("export", "Write a network as an ONNX or PT2 file, compared with the module.", choosing, cutting)
    add.add_argument("spec", metavar="SPEC")
    add.add_argument("--to", choices=("onnx", "pt2"), required=True, metavar="FORMAT", help="onnx or pt2")
    add.add_argument("--weights", metavar="FILE", help="as `archdsl weights` reads them (default: random)")
    add.add_argument("-o", dest="output", metavar="FILE", help="default: NAME.onnx or NAME.pt2 here")
    add.add_argument("--batch", type=_batch_or_any, default=1, metavar="N", help="images at once (default 1), or dynamic")
    add.add_argument("--force", action="store_true", help="replace a file that archdsl did not write")

    add = command("bench", "Measure the engine beside what could be run instead.", choosing, cutting)
    add.add_argument("specs", metavar="SPEC", nargs="+")
    add.add_argument("--device", choices=("cpu", "cuda"), default="cpu", metavar="DEVICE", help="cpu (default)")
    add.add_argument("--batch", type=_batch, default=1, metavar="N", help="images at once (default 1)")
    add.add_argument("--dtype", choices=("f32", "bf16"), default="f32", metavar="DTYPE", help="f32 (default) or bf16")
    add.add_argument("--threads", type=_threads, default=0, metavar="N", help="of each subject (default: one a core)")
    add.add_argument(
        "--against",
        type=_peers,
        default=None,
        metavar="PEERS",
        help="eager, channels_last, torchscript, compile, onnxruntime, openvino: a list with commas (default: all)",
    )
    add.add_argument("--rounds", type=_depth, default=10, metavar="N", help="turns of each subject (default 10)")
    add.add_argument("--format", choices=("text", "json"), default="text", metavar="FORMAT")
    add.add_argument("--plot", metavar="FILE.svg", help="the ratios to the best peer, as a picture")
    add.add_argument("-o", dest="output", metavar="FILE.json", help="everything that was measured")
    add.add_argument("--force", action="store_true", help="replace files that archdsl did not write")

    add = command("zoo", "List the shipped networks, and which published figures they have.")
    add.add_argument(
        "names", metavar="NAME-GLOB", nargs="*", help="resnet50, 'resnet*', 'keras/*' (default: all)"
    )
    add.add_argument("--format", choices=("text", "json", "markdown"), default="text", metavar="FORMAT")

    add = command("layers", "List layers and library blocks, or explain one.")
    add.add_argument("name", metavar="NAME", nargs="?")

    add = command("explain", "Explain a diagnostic code.")
    add.add_argument("code", metavar="CODE", nargs="?")
    return parser, found


# ---- what the commands share ----


def _printable(text: str) -> str:
    """A text that no control character of a file's name or a message can leave."""
    # Most are plain, and need no tables of characters to be loaded.
    if text.isascii() and text.isprintable():
        return text
    from archdsl.render import printable

    return printable(text)


def _color(args: argparse.Namespace, stream: TextIO) -> bool:
    if args.color != "auto":
        return bool(args.color == "always")
    environment = os.environ
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") != "0" or environment.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return environment.get("TERM") != "dumb" and stream.isatty()


def _report(diagnostics: Iterable[Diagnostic], args: argparse.Namespace, stream: TextIO) -> None:
    found = tuple(diagnostics)
    if not found:
        return
    from archdsl.render import to_text

    print(to_text(found, color=_color(args, stream)), file=stream)


@contextmanager
def _reading(target: str) -> Iterator[None]:
    """Turn what can go wrong with a file into one line."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise Unusable(f"can't read {target}: it is not UTF-8 text (byte {error.start})") from None
    except FileNotFoundError as error:
        # Without an errno it is about a name, and says all there is to say.
        words = f"can't read {target}: {_not_found(target)}" if error.errno else str(error)
        raise Unusable(words) from None
    except OSError as error:
        raise Unusable(f"can't read {target}: {_why(error)}") from None


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _not_found(target: str) -> str:
    """No such file, and which of its neighbours was probably meant."""
    folder, name = os.path.split(target)
    try:
        near = [file for file in os.listdir(folder or ".") if file.endswith(".arch")]
    except OSError:
        return f"there is no folder {folder}"
    return f"no such file{_meant(name, near) or ''}"


def _open(target: str) -> tuple[Source, Path | None]:
    """A spec's text, and the file it is in unless that is standard input."""
    from archdsl import api
    from archdsl.source import Source

    with _reading(STDIN if target == "-" else target):
        if target != "-":
            return api.open_spec(target)
        # One byte more than a source may have is enough to be refused by its length.
        data = sys.stdin.buffer.read(LONGEST + 1)
        return Source(STDIN, data.decode(errors="ignore" if len(data) > LONGEST else "strict")), None


def _root(args: argparse.Namespace) -> Path | None:
    from pathlib import Path

    if args.root is None:
        return None
    if not os.path.isdir(args.root):
        raise Unusable(f"--root {args.root}: not a folder")
    return Path(args.root)


def _params(args: argparse.Namespace) -> dict[str, Any]:
    params = dict(args.params)
    if len(params) < len(args.params):
        names = [name for name, _ in args.params]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unusable(f"-p {twice} is given twice")
    taken = {"root", "name", "text", "path_or_name", "arch", "input"} & params.keys()
    if taken and args.command != "check":
        raise Unusable(f"-p {min(taken)}: a parameter of this name can't be set from the command line")
    return params


def _network(args: argparse.Namespace) -> Network:
    """The one network that a command is about. Raises ArchError."""
    from archdsl import api

    params = _params(args)
    if args.spec == "-":
        source, _ = _open("-")
        network = api.loads(source.text, name=STDIN, arch=args.arch, input=args.input, **params)
    else:
        with _reading(args.spec):
            network = api.load(args.spec, arch=args.arch, input=args.input, root=_root(args), **params)
    if args.features is None:
        return network
    from archdsl.backbones import features

    try:
        return features(network, None if args.features == "all" else args.features.split(","))
    except ValueError as error:
        raise Unusable(f"--features {args.features}: {error}") from None


def _figures(network: Network) -> str:
    return f"{_figure(network.params)} parameters, {_figure(network.macs)} MACs"


def _figure(value: Dim) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# ---- compile ----


def _compile(args: argparse.Namespace) -> int:
    if args.stop_after is not None:
        return _print_stage(args)
    from archdsl import summary
    from archdsl.printer import MARKER, emit

    network = _network(args)
    to_stdout = args.output == "-"
    talk = sys.stderr if to_stdout else sys.stdout
    _report(network.warnings, args, sys.stderr)
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
        path = args.output or f"{network.name}.py"
        refusal = _refusal(path, args, MARKER)
        if refusal is not None:
            _report([refusal], args, sys.stderr)
            return FINDINGS
        _write(path, text)
    wrote = f"wrote {path} ({_count(text.count(chr(10)), 'line')})"
    if args.no_verify:
        print(_printable(wrote), file=talk)
        return CLEAN
    print(_printable(wrote), end="", file=talk)
    return _verify(network, args, talk)


def _verify(network: Network, args: argparse.Namespace, talk: TextIO) -> int:
    """Finish the line `wrote ...` with what torch says to it."""
    from archdsl.diagnostics import ArchError
    from archdsl.live import verify

    talk.flush()
    try:
        agreement = verify(network)
    except ArchError as error:
        print(file=talk)
        _report(error.diagnostics, args, sys.stderr)
        return FINDINGS
    shapes = _count(agreement.tensors, "shape")
    print(f"; torch agrees with all {shapes} and {_figure(network.params)} parameters", file=talk)
    return CLEAN


def _refusal(path: str, args: argparse.Namespace, marker: str) -> Diagnostic | None:
    """Why a file can't be written over, if one stands there and archdsl did not write it."""
    from archdsl.diagnostics import Diagnostic

    if os.path.isdir(path):
        raise Unusable(f"can't write {path}: it is a folder")
    # A device or a pipe is written to, not replaced.
    if not os.path.isfile(path):
        return None
    if os.path.exists(args.spec) and os.path.samefile(path, args.spec):
        raise Unusable(f"can't write {path}: it is the spec itself")
    if args.force:
        return None
    try:
        with open(path, "rb") as file:
            first = file.read(1000).decode(errors="replace")
    except OSError as error:
        raise Unusable(f"can't write {path}: {_why(error)}") from None
    if re.match(marker, first, re.DOTALL):
        return None
    return Diagnostic(
        code="A403",
        message=f"{path} exists, and archdsl did not write it",
        span=None,
        hint="write elsewhere with -o FILE, or replace it with --force",
    )


def _write(path: str, text: str | bytes) -> None:
    """Write a whole file or nothing: beside it first, then in its place."""
    import tempfile

    data = text.encode() if isinstance(text, str) else text

    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    temporary = None
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb") as device:
                device.write(data)
            return
        mask = os.umask(0)
        os.umask(mask)
        mode = os.stat(target).st_mode & 0o777 if os.path.exists(target) else 0o666 & ~mask
        handle, temporary = tempfile.mkstemp(prefix=".archdsl-", suffix=".py", dir=folder)
        with open(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise Unusable(f"can't write {path}: {_why(error)}") from None
    finally:
        if temporary is not None:
            os.unlink(temporary)


def _print_stage(args: argparse.Namespace) -> int:
    if args.output is not None:
        raise Unusable("--stop-after prints the stage, so it takes no -o")
    if args.stop_after == "parse":
        from archdsl.parse import parse

        source, _ = _open(args.spec)
        tree, diagnostics = parse(source)
        _report(diagnostics, args, sys.stderr)
        if tree is not None:
            print("\n".join(_outline(tree)))
        return FINDINGS if any(found.severity == "error" for found in diagnostics) else CLEAN
    network = _network(args)
    _report(network.warnings, args, sys.stderr)
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


# ---- check ----


def _check(args: argparse.Namespace) -> int:
    from archdsl import api

    params, root = _params(args), _root(args)
    code, files = CLEAN, 0
    found: dict[tuple[object, ...], Diagnostic] = {}
    lines: list[str] = []
    for target in _specs(args.specs):
        try:
            source, path = _open(target)
        except Unusable as error:
            print(f"archdsl: error: {_printable(str(error))}", file=sys.stderr)
            code = UNUSABLE
            continue
        files += 1
        checked = api.check(source, path=path, root=root, arch=args.arch, input=args.input, params=params)
        for diagnostic in checked.diagnostics:
            # A file that several specs use is at fault once.
            found.setdefault(_identity(diagnostic), diagnostic)
        if any(diagnostic.severity == "error" for diagnostic in checked.diagnostics):
            continue
        networks = [f"{network.name} {_figures(network)}" for network in checked.networks]
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
        _report(diagnostics, args, sys.stdout)
        if not args.quiet:
            if diagnostics:
                print()
            for line in lines:
                print(_printable(line))
            print(f"{_count(files, 'file')} checked")
    return code or (FINDINGS if errors else CLEAN)


def _identity(diagnostic: Diagnostic) -> tuple[object, ...]:
    span = diagnostic.span
    place = (span.source.name, span.start, span.stop) if span else ()
    return diagnostic.code, diagnostic.message, *place


def _specs(targets: list[str]) -> Iterator[str]:
    """Every target once, folders as the .arch files below them."""
    seen: set[str] = set()
    for target in targets:
        inside = [target]
        if os.path.isdir(target):
            inside = sorted(_arch_files(target))
            if not inside:
                raise Unusable(f"{target}: no .arch file in this folder")
        for one in inside:
            if one not in seen:
                seen.add(one)
                yield one


def _arch_files(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, name) for name in names if name.endswith(".arch"))


# ---- summary ----


def _summary(args: argparse.Namespace) -> int:
    from archdsl import summary

    network = _network(args)
    _report(network.warnings, args, sys.stderr)
    print(getattr(summary, f"to_{args.format}")(network, args.depth))
    return CLEAN


# ---- weights ----


def _weights(args: argparse.Namespace) -> int:
    from archdsl.weights.command import MARKER, convert

    network = _network(args)
    if args.output is not None:
        if args.output == "-":
            raise Unusable("-o -: weights are written to a file")
        if os.path.exists(args.output) and os.path.exists(args.file) and os.path.samefile(args.output, args.file):
            raise Unusable(f"can't write {args.output}: it is the file that is read")
        refusal = _refusal(args.output, args, MARKER)
        if refusal is not None:
            _report([refusal], args, sys.stderr)
            return FINDINGS
    try:
        report, data = convert(network, args.file, args.skip, args.keep, args.output is not None)
    except OSError as error:
        raise Unusable(f"can't read {args.file}: {_why(error)}") from None
    print(report.to_json() if args.format == "json" else _printable_lines(str(report)))
    if args.output is not None:
        _write(args.output, data)
        print(_printable(f"wrote {args.output} ({len(data):,} bytes)"), file=sys.stderr if args.format == "json" else None)
    return CLEAN


def _printable_lines(text: str) -> str:
    return "\n".join(map(_printable, text.split("\n")))


# ---- passes ----


def _passes(args: argparse.Namespace) -> int:
    from archdsl.plan_text import passes_table

    network = _network(args)
    _report(network.warnings, args, sys.stderr)
    try:
        print(passes_table(network, args.batch, args.dtype))
    except ValueError as error:
        raise Unusable(f"{error}: give --input") from None
    return CLEAN


# ---- export ----


def _export(args: argparse.Namespace) -> int:
    from archdsl.export import export, is_ours

    network = _network(args)
    _report(network.warnings, args, sys.stderr)
    path = args.output or f"{network.name}.{args.to}"
    if path == "-":
        raise Unusable("-o -: an export is written to a file")
    if args.weights and os.path.exists(path) and os.path.exists(args.weights) and os.path.samefile(path, args.weights):
        raise Unusable(f"can't write {path}: it is the file of the weights")
    refusal = _refusal(path, args, "(?!)")  # no first line tells: `is_ours` does
    if refusal is not None and not is_ours(path):
        _report([refusal], args, sys.stderr)
        return FINDINGS
    try:
        made = export(network, args.to, weights=args.weights, batch=args.batch)
    except ValueError as error:
        raise Unusable(f"{error}: give --input") from None
    except OSError as error:
        raise Unusable(f"can't read {args.weights}: {_why(error)}") from None
    _write(path, made.data)
    print(_printable_lines(str(made.weights)) if made.weights else "weights: random, with which every layer matters")
    print(_printable(f"wrote {path} ({len(made.data):,} bytes): {made.says[0]}"))
    for line in made.says[1:]:
        print(_printable(line))
    return CLEAN


# ---- bench ----


def _bench(args: argparse.Namespace) -> int:
    from archdsl.bench import command, plot, results

    if args.device == "cuda":
        raise Unusable("--device cuda: the engine for GPUs does not exist yet; cpu is what can be measured")
    networks = []
    for spec in args.specs:
        args.spec = spec
        networks.append(_network(args))
        for path, marker in ((args.output, results.MARKER), (args.plot, plot.MARKER)):
            refusal = _refusal(path, args, marker) if path else None
            if refusal is not None:
                _report([refusal], args, sys.stderr)
                return FINDINGS
    tell = (lambda words: print(_printable(words), file=sys.stderr, flush=True)) if sys.stderr.isatty() else None
    try:
        made = command.run(networks, args, tell)
    except (ValueError, command.Failed) as error:
        raise Unusable(str(error)) from None
    print(made.json if args.format == "json" else made.text, end="")
    for path, data in ((args.output, made.json), (args.plot, made.svg)):
        if path:
            _write(path, data)
            print(_printable(f"wrote {path}"), file=sys.stderr)
    return CLEAN if made.sound else FINDINGS


# ---- zoo ----


def _zoo(args: argparse.Namespace) -> int:
    from shutil import get_terminal_size

    from archdsl import zoo

    try:
        names = zoo.chosen(args.names)
    except LookupError as error:
        raise Unusable(str(error)) from None
    entries = zoo.survey(names)
    if args.format == "text":
        # Lines that a terminal would wrap are no table.
        print(zoo.to_text(entries, get_terminal_size().columns if sys.stdout.isatty() else None))
    else:
        print(getattr(zoo, f"to_{args.format}")(entries))
    sys.stdout.flush()
    _report((finding for entry in entries for finding in entry.errors), args, sys.stderr)
    return CLEAN if all(entry.sound for entry in entries) else FINDINGS


# ---- layers ----


def _layers(args: argparse.Namespace) -> int:
    from archdsl.combinators import COMBINATORS
    from archdsl.modules import library_block, library_names
    from archdsl.ops import LAYERS

    if args.name is None:
        blocks = {name: library_block(name) for name in library_names()}
        rows = {
            "layers": [(name, _first_sentence(layer.__doc__)) for name, layer in sorted(LAYERS.items())],
            "combinators": [
                (name, _first_sentence(c.options.__doc__)) for name, c in sorted(COMBINATORS.items())
            ],
            "blocks of the library": [
                (name, _first_sentence(_comment(block[1].source.text)))
                for name, block in blocks.items()
                if block
            ],
        }
        size = max(len(name) for table in rows.values() for name, _ in table)
        for index, (title, table) in enumerate(rows.items()):
            if table:
                print(("\n" if index else "") + title)
            for name, says in table:
                print(f"  {name:<{size}}  {_printable(says)}".rstrip())
        print("\nfor more on one of them: archdsl layers conv")
        return CLEAN
    name = args.name
    known = [*LAYERS, *COMBINATORS, *library_names()]
    # `conv3` means conv; a block's own name may end in digits.
    stem = name if name in known else re.sub(r"[0-9]+(x[0-9]+)?$", "", name)
    if stem in LAYERS:
        layer = LAYERS[stem]
        print(
            "\n".join(_layer_page(stem, layer.__doc__, layer, layer.positional, layer.short, layer.examples))
        )
    elif stem in COMBINATORS:
        combinator = COMBINATORS[stem]
        options = combinator.options
        print("\n".join(_layer_page(stem, options.__doc__, options, combinator.positional, {}, ())))
    else:
        block = library_block(name)
        if block is None:
            print(f"archdsl: error: no layer or block {name!r}{_meant(name, known) or ''}", file=sys.stderr)
            return UNUSABLE
        for line in block[1].source.text.rstrip().split("\n"):
            print(_printable(line.rstrip("\r").expandtabs(4)))
    return CLEAN


def _first_sentence(text: str | None) -> str:
    paragraph = " ".join((text or "").strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<=[a-z)\]])\.(?= [A-Za-z]|$)", paragraph)[0].rstrip(".")
    return sentence if len(sentence) <= 100 else sentence[:99].rstrip(" ,(") + "…"


def _comment(text: str) -> str:
    """The comment that a file begins with."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    return "\n".join(lines)


def _layer_page(
    name: str,
    doc: str | None,
    model: Any,
    positional: tuple[str, ...],
    short: dict[str, str],
    examples: tuple[str, ...],
) -> Iterator[str]:
    from inspect import cleandoc

    yield name
    yield ""
    yield cleandoc(doc or "")
    rows: list[tuple[str, ...]] = []
    for field_name, field in model.model_fields.items():
        others = [other for other, full in short.items() if full == field_name]
        spelled = field_name + "".join(f", {other}" for other in others)
        how = {"kernel": f"{name}3", "channels": f"{name}-64", "stride": f"{name}/2"}.get(field_name, "")
        if field_name == "channels" and "kernel" in model.model_fields:
            how = f"{name}3-64"
        if field_name == "stride" and "kernel" in model.model_fields:
            how = f"{name}3-64/2" if "channels" in model.model_fields else f"{name}3/2"
        if field_name in positional:
            how = f"{name}({', '.join(positional[: positional.index(field_name) + 1])})"
        words = _type_words(
            field.annotation, field.metadata, padding_of_kernel="kernel" in model.model_fields
        )
        rows.append((spelled, words, _default_words(field), how))
    if rows:
        headings = ("argument", "value", "default", "also written")
        columns = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        yield ""
        for row in (headings, *rows):
            padded = (f"{cell:<{wide}}" for cell, wide in zip(row, columns, strict=True))
            yield f"  {'  '.join(padded)}".rstrip()
    if examples:
        yield ""
        yield "examples"
        yield from (f"  {example}" for example in examples)


def _default_words(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default is None and "layer" not in _type_words(field.annotation):
        return "see above"
    return _value_words(field.default)


def _value_words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        if len(set(value)) == 1:
            return _value_words(value[0])
        return f"({', '.join(map(_value_words, value))})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _type_words(annotation: Any, metadata: Iterable[Any] = (), padding_of_kernel: bool = True) -> str:
    """A field's type, for people."""
    from types import NoneType, UnionType
    from typing import Annotated, Literal, Union, get_args, get_origin

    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [m for item in parts[1:] for m in (getattr(item, "metadata", None) or [item])]
        return _type_words(parts[0], inner, padding_of_kernel)
    if origin is Literal:
        return " or ".join(map(str, parts))
    if origin in (Union, UnionType):
        parts = tuple(part for part in parts if part is not NoneType)
        if len(parts) == 1:
            return _type_words(parts[0], metadata, padding_of_kernel)
        if len(get_args(parts[0])) == 4:
            sides = "N, (height, width) or (top, bottom, left, right)"
            # `same` and `valid` say how a window meets the border: without a window they mean nothing.
            return f"{sides}; same; valid" if padding_of_kernel else sides
        return " or ".join(_type_words(part, metadata, padding_of_kernel) for part in parts)
    if origin is tuple:
        item = _type_words(parts[0])
        return f"a list of: {item}" if parts[-1] is Ellipsis else f"{item}, or (height, width)"
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        return ("whole number" if annotation is int else "number") + _bounds_words(
            metadata, annotation is int
        )
    return "a layer or none"


def _bounds_words(metadata: Iterable[Any], whole: bool) -> str:
    bounds: dict[str, Any] = {}
    for item in metadata:
        for name in ("gt", "ge", "lt", "le"):
            bound = getattr(item, name, None)
            if bound is not None and bound < LARGEST:
                bounds[name] = bound
    if whole and "gt" in bounds:
        bounds["ge"] = bounds.pop("gt") + 1
    words = [
        f"{sign} {bounds[name]}"
        for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
        if name in bounds
    ]
    return (" " + ", ".join(words)) if words else ""


# ---- explain ----


def _explain(args: argparse.Namespace) -> int:
    from archdsl.codes import CODES

    if args.code is None:
        for code, entry in CODES.items():
            print(f"{code}  {entry.title}")
        return CLEAN
    code = args.code.upper()
    if code not in CODES:
        print(
            f"archdsl: error: no code {args.code!r}{_meant(code, CODES) or ''}; "
            "archdsl explain lists them all",
            file=sys.stderr,
        )
        return UNUSABLE
    print(f"{code}: {CODES[code].title}\n\n{CODES[code].page}")
    return CLEAN


# ---- the outermost edge ----

_COMMANDS = {
    "compile": _compile,
    "check": _check,
    "summary": _summary,
    "passes": _passes,
    "weights": _weights,
    "export": _export,
    "bench": _bench,
    "zoo": _zoo,
    "layers": _layers,
    "explain": _explain,
}


def main(argv: list[str] | None = None) -> int:
    """Run one command. Raises nothing: what goes wrong is told, and the exit code says what kind it was."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that can't show a character gets its escape, never an exception.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else CLEAN
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has left. Python would flush once more at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as the shell reports a program ended by SIGPIPE
    except Exception as error:
        return _internal(error)


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
        return _COMMANDS[args.command](args)
    except ArchError as error:
        sys.stdout.flush()
        _report(error.diagnostics, args, sys.stderr)
        return FINDINGS
    except Unusable as error:
        sys.stdout.flush()
        print(f"archdsl: error: {_printable(str(error))}", file=sys.stderr)
        return UNUSABLE


def _internal(error: Exception) -> int:
    if os.environ.get("ARCHDSL_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    else:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(
            f"archdsl: internal error: {_printable(words)}\n"
            "This is a mistake in archdsl, not in your spec; please report it with the spec "
            "(ARCHDSL_DEBUG=1 shows where it happened).",
            file=sys.stderr,
        )
    return INTERNAL


if __name__ == "__main__":
    sys.exit(main())
