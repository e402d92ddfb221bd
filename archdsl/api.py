"""The Python API: read, check, load. Everything that runs torch stays behind a call."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl import syntax
from archdsl.backbones import features
from archdsl.checks import check_names
from archdsl.diagnostics import ArchError, Diagnostic, did_you_mean
from archdsl.elaborate import Elaboration, elaborate
from archdsl.headroom import collector_paused, deep_recursion
from archdsl.lints import chosen_codes, lint
from archdsl.modules import Files, Module, load_module, read_text
from archdsl.network import Network, need_network
from archdsl.resources import specs_root
from archdsl.source import Source, Span

if TYPE_CHECKING:
    from torch import nn


class Checked(NamedTuple):
    """What checking a text found. networks: one per arch asked for, where there was no error.

    module, drafts: the text as read, and what was elaborated of each arch in spite of errors, for an editor.
    """

    networks: tuple[Network, ...]
    diagnostics: tuple[Diagnostic, ...]
    module: Module
    drafts: tuple[Elaboration, ...]

    @property
    def network(self) -> Network | None:
        """The first network, or None."""
        return self.networks[0] if self.networks else None


def open_spec(path_or_name: str | os.PathLike[str]) -> tuple[Source, Path]:
    """The source and the resolved path of a spec file, or of a shipped network by its name (`vgg16`).

    Raises OSError, UnicodeDecodeError: the file can't be read.
    """
    path = Path(path_or_name)
    text = str(path_or_name)
    if not path.exists() and not path.suffix and "\0" not in text:
        shipped = specs_root() / f"{text}.arch"
        if shipped.is_file() and shipped.resolve().is_relative_to(specs_root().resolve()):
            path = shipped
        else:
            near = did_you_mean(text, shipped_names())
            hint = f"; did you mean {near}?" if near else ""
            raise FileNotFoundError(f"no file and no shipped network is called {text!r}{hint}")
    return Source(str(path_or_name) if path.suffix == Path(text).suffix else f"{text}.arch", read_text(path)), path.resolve()


def shipped_names() -> list[str]:
    """Names of the networks that come with archdsl: `vgg16`, `keras/xception`."""
    root = specs_root()
    folders = [p for p in root.rglob("*.arch") if p.relative_to(root).parts[0] not in ("lib", "families")]
    return sorted(p.relative_to(root).with_suffix("").as_posix() for p in folders)


def check(
    source: Source,
    *,
    path: Path | None = None,
    root: Path | None = None,
    arch: str | None = None,
    input: str | tuple[int, ...] | None = None,
    params: dict[str, Any] | None = None,
    files: Files | None = None,
    lints: Iterable[str] = (),
) -> Checked:
    """Check a text and infer its networks: the arch that is asked for, or all that it defines. Raises nothing that
    the text could cause: findings are in `diagnostics`, in the order of the text, errors and warnings.

    path: the file it came from, so that it can `use` others; root: the folder that they must lie in; files: where they
    are read, if not from the disk.
    lints: groups and codes to look for beside what is always on, `("speed", "L113")`.

    Raises ValueError for other lints, and for an unusable `input`.
    """
    codes = chosen_codes(lints)
    with collector_paused():
        return _check(source, path, root, arch, parse_shape(input), params, files, codes)


def _check(
    source: Source,
    path: Path | None,
    root: Path | None,
    arch: str | None,
    shape: tuple[int, ...] | None,
    params: dict[str, Any] | None,
    files: Files | None,
    codes: frozenset[str],
) -> Checked:
    if path is not None and root is None:
        root = _root_of(path)
    with deep_recursion():
        module = load_module(source, path, root.resolve() if root is not None else None, files)
        found = [d for m in module.everywhere() if not m.is_library for d in (*m.diagnostics, *check_names(m))]
    networks: list[Network] = []
    drafts: list[Elaboration] = []
    chosen, problem = _choose(module, arch)
    if problem is not None and not any(d.code.startswith("A0") for d in found):
        found.append(problem)
    for definition in chosen:
        name = definition.name.name if definition is not None else _name_of(source)
        draft = elaborate(definition, module, name=name, input_shape=shape, params=params)
        drafts.append(draft)
        found.extend(draft.diagnostics)
        if draft.network is not None:
            networks.append(draft.network)
    found = _without_consequences(found)
    diagnostics = _in_order(found, source)
    if any(d.severity == "error" for d in diagnostics):
        return Checked((), diagnostics, module, tuple(drafts))
    # A part of the file, or other values than its own, says nothing about what an `ignore` is for.
    remarks = lint(module, networks, codes=codes, whole=arch is None and shape is None and not params)
    remarked = tuple(replace(n, warnings=w) for n, w in zip(networks, remarks.of_networks, strict=True))
    return Checked(remarked, _in_order(list(remarks.all), source), module, tuple(drafts))


def _without_consequences(found: list[Diagnostic]) -> list[Diagnostic]:
    """Findings that an author can act on: no layers are left of a text whose steps are all wrong, and no shape is to
    be trusted where a statement that could not be mended was left out."""
    syntax_errors = [d for d in found if d.code.startswith("A0") and d.code != "A013"]
    if any(d.fix is None or d.code in ("A003", "A004") for d in syntax_errors):
        found = [d for d in found if not d.code.startswith("A2") and d.code != "A112"]
    if any(d.label == "`{` is missing here" for d in syntax_errors):  # the names that a definition gives are not known
        found = [d for d in found if d.code != "A106"]
    # What was mended is read otherwise than it is written.
    mended = [d.fix.span for d in syntax_errors if d.fix is not None]
    found = [
        d
        for d in found
        if d.code.startswith("A0") or d.span is None or not any(map(d.span.begins_or_ends_in, mended))
    ]
    # The word at which a bracket breaks off is half typed.
    ends = [d.fix.span for d in syntax_errors if d.code == "A003" and d.fix is not None]
    found = [d for d in found if d.code[:2] != "A1" or d.span is None or d.span.at_end() not in ends]
    # A call that is rewritten as a whole needs no word within it mended first.
    rewritten = [d.fix.span for d in found if d.fix is not None and d.code in ("A101", "A102", "A110")]
    found = [d for d in found if d.fix is None or not any(map(d.fix.span.is_part_of, rewritten))]
    # A contract of two sizes is told before it is known what the step gives, and then once more with that.
    known = {d.span for d in found if d.code == "A203" and d.fix is not None}
    found = [d for d in found if d.code != "A203" or d.fix is not None or d.span not in known]
    broken = {d.span for d in syntax_errors}
    found = [d for d in found if d.code != "A114" or d.span not in broken]
    if any(d.code != "A117" and d.severity == "error" for d in found):
        found = [d for d in found if d.code != "A117"]
    return found


def _root_of(path: Path) -> Path:
    """Shipped specs share the folder of all of them; any other spec's root is its own folder."""
    shipped = specs_root().resolve()
    return shipped if path.resolve().is_relative_to(shipped) else path.resolve().parent


def _name_of(source: Source) -> str:
    """A name for loose steps: the file's own, where it is one."""
    stem = Path(source.name).stem
    return stem if stem.isidentifier() else "network"


def _choose(module: Module, arch: str | None) -> tuple[list[syntax.Arch | None], Diagnostic | None]:
    """The archs to elaborate; None stands for the loose steps."""
    archs = module.archs
    loose = any(isinstance(s, syntax.Step) for s in module.loose)
    if archs and module.loose:
        first = module.loose[0]
        return list(archs), Diagnostic(
            code="A013",
            message="steps stand outside the arch",
            span=first.span,
            hint="move them into the arch's braces, or leave the arch out",
        )
    if arch is None:
        return (list(archs) if archs else [None] if loose else []), None
    for definition in archs:
        if definition.name.name == arch:
            return [definition], None
    used = module.imported.get(arch)
    if used is not None and isinstance(used[0], syntax.Arch):
        return [used[0]], None
    names = [a.name.name for a in archs]
    near = did_you_mean(arch, names)
    hint = f"did you mean `{near}`?" if near else f"it defines {', '.join(names)}" if names else "it defines none"
    return [], Diagnostic(
        code="A113", message=f"there is no arch called `{arch}` in this file", span=Span(module.source, 0, 0), hint=hint
    )


def _in_order(found: list[Diagnostic], source: Source) -> tuple[Diagnostic, ...]:
    """Findings in the order of the text, each place and code once."""
    unique: dict[tuple[Any, ...], Diagnostic] = {}
    for d in found:
        key = (d.code, id(d.span.source), d.span.start, d.span.stop) if d.span else (d.code, d.message)
        unique.setdefault(key, d)

    def place(d: Diagnostic) -> tuple[bool, int, int]:
        return (d.span is None or d.span.source is not source, d.span.start if d.span else 0, d.span.stop if d.span else 0)

    return tuple(sorted(unique.values(), key=place))


def parse_shape(input: str | tuple[int, ...] | None) -> tuple[int, ...] | None:
    """`3x224x224`, or a tuple of ints, as a shape. Raises ValueError that says what is wanted."""
    if input is None:
        return None
    try:
        shape = tuple(int(side) for side in input.split("x")) if isinstance(input, str) else tuple(input)
    except (TypeError, ValueError):
        raise ValueError(f"an input is written as 3x224x224, not {input!r}") from None
    if len(shape) not in (1, 3) or not all(isinstance(s, int) and not isinstance(s, bool) and 0 < s < 2**31 for s in shape):
        raise ValueError(f"an input has one or three positive sizes, as in 3x224x224, not {input!r}")
    return shape


def load(
    path_or_name: str | os.PathLike[str],
    /,
    *,
    arch: str | None = None,
    input: str | tuple[int, ...] | None = None,
    root: str | os.PathLike[str] | None = None,
    **params: Any,
) -> Network:
    """The network of a spec file, or of a shipped network by name (`archdsl.load("vgg16", classes=10)`).

    arch: which one, where a file has several. input: "3x224x224" or (3, 224, 224) in place of the spec's own.
    params: the arch's parameters.

    Raises ArchError with every finding; OSError where the file can't be read; ValueError for an unusable `input`.
    """
    source, path = open_spec(path_or_name)
    return _one(source, path, Path(root) if root is not None else None, arch, input, params)


def loads(
    text: str,
    /,
    *,
    arch: str | None = None,
    input: str | tuple[int, ...] | None = None,
    name: str = "<text>",
    **params: Any,
) -> Network:
    """The network of a text: `archdsl.loads("conv3-64 x2; maxpool", input="3x224x224")`.

    Raises ArchError with every finding; ValueError for an unusable `input`; TypeError for what is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"loads takes the text of a spec, not {type(text).__name__}; load takes a file's path")
    return _one(Source(name, text), None, None, arch, input, params)


def load_from(
    source: Source,
    path: Path,
    /,
    *,
    arch: str | None = None,
    input: str | tuple[int, ...] | None = None,
    **params: Any,
) -> Network:
    """The network of a text that stands in for a file: what it uses is read from beside that file.

    Raises ArchError with every finding; ValueError for an unusable `input`.
    """
    return _one(source, path, path.parent, arch, input, params)


def _one(
    source: Source,
    path: Path | None,
    root: Path | None,
    arch: str | None,
    input: str | tuple[int, ...] | None,
    params: dict[str, Any],
) -> Network:
    if arch is None:
        arch = _main_arch(source, path, root)
    checked = check(source, path=path, root=root, arch=arch, input=input, params=params)
    errors = [d for d in checked.diagnostics if d.severity == "error"]
    if errors:
        raise ArchError(checked.diagnostics)
    if len(checked.networks) == 1:
        return checked.networks[0]
    raise ArchError([_which(source, checked)])


def _main_arch(source: Source, path: Path | None, root: Path | None) -> str | None:
    """Of several archs, the one that is named as its file is."""
    if source.text.count("arch") < 2:
        return None
    with deep_recursion():
        names = [a.name.name for a in load_module(source, path, root or (_root_of(path) if path else None)).archs]
    stem = Path(source.name).stem
    return stem if len(names) > 1 and stem in names else None


def _which(source: Source, checked: Checked) -> Diagnostic:
    span = Span(source, 0, 0)
    if not checked.networks:
        message = "this text defines blocks, and no network" if source.text.strip() else "this text is empty"
        return Diagnostic(code="A113", message=message, span=span, hint="write an arch, or steps: conv3-64 x2; maxpool")
    names = ", ".join(n.name for n in checked.networks)
    hint = "say which: --arch NAME on the command line, arch= in Python"
    return Diagnostic(code="A113", message=f"this file defines several networks: {names}", span=span, hint=hint)


def emit(network: Network) -> str:
    """The network as the text of a readable PyTorch module that imports only torch.

    The class of the network itself, `Vgg16` for `vgg16`, takes no arguments. Raises TypeError for what is no Network.
    """
    from archdsl import printer

    need_network(network, "emit")
    return printer.emit(network)


def build(
    network_or_path: Network | str | os.PathLike[str],
    *,
    features_only: bool = False,
    out: str | int | Iterable[str | int] | None = None,
    **options: Any,
) -> nn.Module:
    """The network as an nn.Module with torch's initial weights, in training mode as torch makes it.

    network_or_path: a Network, a spec file, or the name of a shipped network; options are those of `load`.
    The module maps (N, C, H, W) to (N, classes), or to a dict of named outputs where there are several.

    features_only: only what the tensors of `out` need, and a dict of those, as `archdsl.features` has it: labels such as
    "c3", or indices; all that `model.feature_info` tells of, where `out` is None.

    Raises ArchError with every finding where the spec does not check, torch is missing, or there is no tensor of `out`;
    TypeError for `out` without features_only, and for options beside a Network; OSError and ValueError as `load` does.
    """
    from archdsl import live

    if out is not None and not features_only:
        raise TypeError("out= says which features are wanted: give features_only=True with it")
    if isinstance(network_or_path, Network):
        if options:
            raise TypeError(f"a Network is already loaded: {', '.join(options)} can't change it")
        network = network_or_path
    else:
        network = load(network_or_path, **options)
    return live.build(features(network, out) if features_only else network)
