"""`archdsl layers NAME`"""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from typing import Any

from archdsl.commands import CLEAN, Unusable, meant
from archdsl.commands._options import LARGEST
from archdsl.commands._output import printable


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?")


def run(args: Namespace) -> int:
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
                print(f"  {name:<{size}}  {printable(says)}".rstrip())
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
            raise Unusable(f"no layer or block {name!r}{meant(name, known)}")
        for line in block[1].source.text.rstrip().split("\n"):
            print(printable(line.rstrip("\r").expandtabs(4)))
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
