"""The library as text: what a layer, a combinator or a block of it is, for the command line and for editors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from archdsl.combinators import COMBINATORS
from archdsl.modules import Files, library_block, library_names
from archdsl.ops import LAYERS
from archdsl.ops.base import LIMIT


def stem_of(name: str) -> str:
    """The layer that a step's head names: `conv3` means conv; a block's own name may end in digits."""
    known = name in LAYERS or name in COMBINATORS or name in library_names()
    return name if known else re.sub(r"[0-9]+(x[0-9]+)?$", "", name)


def page(name: str, files: Files | None = None) -> str | None:
    """What a layer or a combinator is, what it takes, and examples; of a library block its text, as `files` has it, or
    the disk. None of another."""
    stem = stem_of(name)
    if stem in LAYERS:
        layer = LAYERS[stem]
        return "\n".join(
            layer_page(stem, layer.__doc__, layer, layer.positional, layer.short, layer.examples)
        )
    if stem in COMBINATORS:
        options, positional = COMBINATORS[stem].options, COMBINATORS[stem].positional
        return "\n".join(layer_page(stem, options.__doc__, options, positional, {}, ()))
    block = (files or Files()).library_block(name)
    return block[1].source.text.rstrip() if block is not None else None


def summary(name: str) -> str:
    """The first sentence on a layer, a combinator or a library block."""
    if name in LAYERS:
        return first_sentence(LAYERS[name].__doc__)
    if name in COMBINATORS:
        return first_sentence(COMBINATORS[name].options.__doc__)
    block = library_block(name)
    return first_sentence(opening_comment(block[1].source.text)) if block is not None else ""


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring, cut at 100 characters."""
    paragraph = " ".join((text or "").strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<=[a-z)\]])\.(?= [A-Za-z]|$)", paragraph)[0].rstrip(".")
    return sentence if len(sentence) <= 100 else sentence[:99].rstrip(" ,(") + "…"


def opening_comment(text: str) -> str:
    """The comment that a file begins with."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    return "\n".join(lines)


def layer_page(
    name: str,
    doc: str | None,
    model: Any,
    positional: tuple[str, ...],
    short: dict[str, str],
    examples: tuple[str, ...],
) -> Iterator[str]:
    """The lines that explain a layer or a combinator: its docstring, a table of its arguments, examples."""
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
        words = type_words(field.annotation, field.metadata, padding_of_kernel="kernel" in model.model_fields)
        rows.append((spelled, words, default_words(field), how))
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


def default_words(field: Any) -> str:
    """A field's default, for people."""
    if field.is_required():
        return "required"
    if field.default is None and "layer" not in type_words(field.annotation):
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


def type_words(annotation: Any, metadata: Iterable[Any] = (), padding_of_kernel: bool = True) -> str:
    """A field's type, for people."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [m for item in parts[1:] for m in (getattr(item, "metadata", None) or [item])]
        return type_words(parts[0], inner, padding_of_kernel)
    if origin is Literal:
        return " or ".join(map(str, parts))
    if origin in (Union, UnionType):
        parts = tuple(part for part in parts if part is not NoneType)
        if len(parts) == 1:
            return type_words(parts[0], metadata, padding_of_kernel)
        if len(get_args(parts[0])) == 4:
            sides = "N, (height, width) or (top, bottom, left, right)"
            # `same` and `valid` say how a window meets the border: without a window they mean nothing.
            return f"{sides}; same; valid" if padding_of_kernel else sides
        return " or ".join(type_words(part, metadata, padding_of_kernel) for part in parts)
    if origin is tuple:
        item = type_words(parts[0])
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
            if bound is not None and bound < LIMIT:
                bounds[name] = bound
    if whole and "gt" in bounds:
        bounds["ge"] = bounds.pop("gt") + 1
    words = [
        f"{sign} {bounds[name]}"
        for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
        if name in bounds
    ]
    return (" " + ", ".join(words)) if words else ""
