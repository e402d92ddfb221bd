"""Completion: layers, blocks, their arguments with types and defaults, values, names in scope, labels, files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from lsprotocol import types

from archdsl import syntax
from archdsl.checks import FIGURES
from archdsl.combinators import COMBINATORS
from archdsl.lsp.analysis import Analysis
from archdsl.lsp.buffers import Buffers
from archdsl.lsp.context import Context, Scope, context_at, scope_at
from archdsl.lsp.markup import Formats, paged
from archdsl.modules import library_names
from archdsl.names import signature
from archdsl.ops import LAYERS, carried
from archdsl.ops.base import written
from archdsl.pages import default_words, stem_of, summary, type_words
from archdsl.values import FUNCTIONS, function_called
from archdsl.vocabulary import choices_of

TRIGGERS = ["@", "(", ",", "=", '"', "/", "-", "."]
MOST_FILES = 500

_K = types.CompletionItemKind
_STATEMENTS = {
    "input": ("input ${1:3}x${2:224}x${3:224}", "the shape that comes in"),
    "output": ("output @$0", "labelled tensors that leave the network"),
    "default": ("default ${1:conv}($0)", "arguments that every layer of a kind has from here on"),
    "let": ("let ${1:name} = $0", "a compile-time value"),
    "if": ("if $1 {\n\t$0\n}", "steps that stand under a condition"),
    "expect": ("expect(params=$0)", "published figures that the network must meet"),
    "block": ("block ${1:name}($2) {\n\t$0\n}", "steps that can be called by a name"),
    "arch": ("arch ${1:name}(classes=1000) {\n\t$0\n}", "a network"),
    "use": ('use "$0"', "blocks and archs of another file"),
}
_IN = {"c": "channels that come into this block", "h": "height that comes in", "w": "width that comes in"}

_COPY = {"all": "its number among all copies that say so", "total": "how many copies say so, in all of the network"}


def complete(analysis: Analysis, text: str, offset: int, snippets: bool) -> list[types.CompletionItem]:
    """What can be written at an offset of a text, which may be newer than its analysis; the likeliest first, which
    editors otherwise sort by the alphabet."""
    context = context_at(text, offset)
    scope = scope_at(text, offset)
    made: Iterator[types.CompletionItem]
    if context.kind == "step":
        made = _steps(analysis, snippets, outside=not scope.owner)
    elif context.kind == "layer":
        made = (
            _item(name, _K.Function, summary(name)) for name, layer in LAYERS.items() if layer.model_fields
        )
    elif context.kind == "argument":
        made = _arguments(analysis, context, scope)
    elif context.kind == "value":
        made = _values(context, scope)
    elif context.kind == "expression":
        made = _names(scope, snippets)
    elif context.kind == "label":
        made = (_item(label, _K.Field, "a labelled tensor") for label in scope.labels)
    elif context.kind == "member":
        made = (_item(name, _K.Property, says) for name, says in _IN.items())
    elif context.kind == "member of copy":
        made = (_item(name, _K.Property, says) for name, says in _COPY.items())
    elif context.kind == "figure":
        made = (_item(name, _K.Property, "a published figure", f"{name}=") for name in FIGURES)
    elif context.kind == "path":
        made = _files(analysis, context.word)
    elif context.kind == "contract":
        made = _contract(analysis, text, offset)
    else:
        return []
    found = list(made)
    for place, item in enumerate(found):
        item.sort_text = f"{place:04}"
    return found


def resolve(item: types.CompletionItem, buffers: Buffers, formats: Formats) -> types.CompletionItem:
    """The item with the page that `archdsl layers` prints."""
    name = item.data.get("page") if isinstance(item.data, dict) else None
    if isinstance(name, str):
        item.documentation = paged(name, buffers, formats)
    return item


def _item(
    label: str,
    kind: types.CompletionItemKind,
    detail: str,
    insert: str | None = None,
    snippet: bool = False,
    of: str = "",
) -> types.CompletionItem:
    return types.CompletionItem(
        label=label,
        kind=kind,
        detail=detail or None,
        insert_text=insert,
        insert_text_format=types.InsertTextFormat.Snippet if snippet else None,
        data={"page": of} if of else None,
    )


# ---- steps ----


def _steps(analysis: Analysis, snippets: bool, outside: bool) -> Iterator[types.CompletionItem]:
    module = analysis.module
    own = {**{n: d for n, (d, _) in module.imported.items()}, **module.definitions}
    for name, definition in own.items():
        yield _call(name, definition, "", snippets)
    for name in sorted(LAYERS):
        if name not in own:
            yield _layer(name, snippets)
    for name in COMBINATORS:
        arguments = {"aux": "(${1:0.3})", "carry": "(${1:p}=@${2:label})"}.get(name, "")
        insert = f"{name}{arguments} {{ $0 }}" if snippets else name
        yield _item(name, _K.Keyword, summary(name), insert, snippets, name)
    for name in library_names():
        found = analysis.buffers.library_block(name)
        if found is not None and name not in own and name not in LAYERS:
            yield _call(name, found[0], name, snippets)
    for word, (insert, says) in _STATEMENTS.items():
        if outside or word not in ("block", "arch", "use"):
            yield _item(word, _K.Keyword, says, insert if snippets else word, snippets)


def _call(name: str, definition: syntax.Definition, of: str, snippets: bool) -> types.CompletionItem:
    needed = [
        p for p in definition.parameters if p.default is None and not (p.name.name == "s" and not p.tensor)
    ]
    insert = name
    if snippets and needed:
        places = (f"{'@' if p.tensor else ''}${{{i}:{p.name.name}}}" for i, p in enumerate(needed, 1))
        insert = f"{name}({', '.join(places)})"
    return _item(name, _K.Module, signature(definition), insert, snippets and bool(needed), of)


def _layer(name: str, snippets: bool) -> types.CompletionItem:
    layer = LAYERS[name]
    fields = layer.model_fields
    insert = name
    if snippets:
        if "kernel" in fields and fields["kernel"].is_required():
            insert += "${1:3}"
        if "channels" in fields and fields["channels"].is_required():
            insert += "-${2:64}"
        if layer.arity != 1:
            insert += " [ $1 | $0 ]"
    return _item(name, _K.Function, summary(name), insert, insert != name, name)


# ---- arguments ----


def _arguments(analysis: Analysis, context: Context, scope: Scope) -> Iterator[types.CompletionItem]:
    call = context.call
    assert call is not None
    given = {part.partition("=")[0].strip() for part in call.given if "=" in part}
    for name, detail in arguments_of(analysis, call.head):
        if name.lstrip("@") not in given:
            insert = f"{name.lstrip('@')}={'@' if name.startswith('@') else ''}"
            yield _item(name.lstrip("@"), _K.Property, detail, insert)
    definition = definition_of(analysis, call.head)
    if definition is not None or function_called(call.head) or stem_of(call.head) in LAYERS:
        yield from _names(scope, False)


def definition_of(analysis: Analysis, head: str) -> syntax.Definition | None:
    """The block or arch that a head names."""
    found = analysis.module.find(head)
    if found is None and stem_of(head) not in LAYERS:
        found = analysis.buffers.library_block(head)
    return found[0] if found is not None else None


def arguments_of(analysis: Analysis, head: str) -> Iterator[tuple[str, str]]:
    """The arguments of a layer, a combinator or a block, each with its type and default; tensors with their `@`."""
    definition = definition_of(analysis, head)
    if definition is not None:
        for parameter in definition.parameters:
            default = (
                f"default {parameter.default.span.text}" if parameter.default is not None else "required"
            )
            yield (
                ("@" if parameter.tensor else "") + parameter.name.name,
                "a tensor" if parameter.tensor else default,
            )
        return
    stem = stem_of(head)
    for name, field in _fields(stem).items():
        words = type_words(field.annotation, field.metadata)
        default = default_words(field)
        default = (
            "required" if default == "required" else "" if default == "see above" else f"default {default}"
        )
        yield name, f"{words}; {default}" if default else words


def _fields(stem: str) -> dict[str, Any]:
    if stem in LAYERS:
        return dict(LAYERS[stem].model_fields)
    return dict(COMBINATORS[stem].options.model_fields) if stem in COMBINATORS else {}


def _values(context: Context, scope: Scope) -> Iterator[types.CompletionItem]:
    """What an argument can be: its choices, true and false, or a layer; else a name in scope."""
    call = context.call
    assert call is not None
    stem = stem_of(call.head)
    name = call.given[-1].partition("=")[0].strip()
    if stem in LAYERS:
        name = LAYERS[stem].short.get(name, name)
    field = _fields(stem).get(name)
    if field is not None:
        choices = list(choices_of(field.annotation))
        if choices == ["same"] and "kernel" in _fields(stem):
            choices.append("valid")
        for choice in choices:
            yield _item(choice, _K.EnumMember, f"a value of {name}")
        if stem in LAYERS and name in LAYERS[stem].layers:
            yield _item("none", _K.EnumMember, f"no {name}")
            for other in carried(name):
                yield _item(other, _K.Function, summary(other), of=other)
    yield from _names(scope, False)


def _names(scope: Scope, snippets: bool) -> Iterator[types.CompletionItem]:
    for name in scope.variables:
        yield _item(name, _K.Variable, "a parameter or a value of a `let`")
    for name in FUNCTIONS:
        yield _item(name, _K.Function, "a function", f"{name}($0)" if snippets else name, snippets)
    yield _item("in", _K.Keyword, "the sizes that come in: in.c, in.h, in.w")
    yield _item("copy", _K.Keyword, "the number of the copy in a repeat; copy.all, copy.total: of all that say so")


# ---- places ----


def _files(analysis: Analysis, typed: str) -> Iterator[types.CompletionItem]:
    """Specs that `use` can name, relative to this one, and folders."""
    root = analysis.module.root
    if analysis.path is None or root is None or os.path.isabs(typed):
        return
    prefix = typed.rpartition("/")[0]
    folder = (analysis.path.parent / prefix).resolve()
    if not folder.is_relative_to(root.resolve()):
        return
    files = set(folder.iterdir()) if folder.is_dir() else set()
    files |= {b.path for b in analysis.buffers.open.values() if b.path and b.path.parent == folder}
    for entry in sorted(files)[:MOST_FILES]:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield _item(entry.name, _K.Folder, "", f"{entry.name}/")
        elif entry.suffix == ".arch" and entry.resolve() != analysis.path:
            yield _item(entry.name, _K.File, "")


def _contract(analysis: Analysis, text: str, offset: int) -> Iterator[types.CompletionItem]:
    """The shape that the step before the arrow gives, where the last analysis knows it."""
    start = offset - len(re.search(r"\s*->\s*[\w()]*$", text[max(0, offset - 200) : offset])[0])  # type: ignore[index]
    for step in analysis.steps:
        if (
            step.span.stop == start
            or step.placed.step.contract is not None
            and step.span.start < start <= step.span.stop
        ):
            for shape in step.placed.shapes:
                yield _item(written(shape), _K.Value, "what this step gives")
            return
