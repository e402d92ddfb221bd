"""Numbers and shapes that are written otherwise."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.ops import LAYERS
from archdsl.source import Span
from archdsl.syntax_errors.place import COPIES, RESERVED, Place, error, write

_DIM = r"(?:[0-9][0-9_]*|[A-Za-wyz_][A-Za-wyz0-9_]*|\([^()\n]*\))"
_KERNEL = 15  # a larger number is no kernel that anybody writes


def bad_number(place: Place) -> Diagnostic | None:
    """`.5`, `64k`, `2x`, `0x40`"""
    word, span = place.text, place.span()
    if not re.match(r"\.?[0-9]", word):
        return None
    fraction = _fraction(place)
    if fraction is not None:
        return fraction
    turned = re.fullmatch(r"([0-9]+)[xX]", word)
    if turned and place.step_is_whole() and not place.glued():
        return error("A009", f"a repeat is written `x{turned[1]}`", span, "not a number of the language",
                     f"write `x{turned[1]}`", write(span, f"x{turned[1]}"))  # fmt: skip
    suffix = re.fullmatch(r"([0-9][0-9_.]*)([kmgbKMGBT])", word)
    if suffix and suffix[2] not in "KMG":
        big = suffix[2].upper().replace("B", "G")
        fix = write(span, suffix[1] + big) if suffix[2] in "kmg" and not suffix[1].endswith(".") else None
        return error("A009", f"`{word}` has a suffix that no number has", span, "not a number of the language",
                     "the suffixes are K, M and G", fix)  # fmt: skip
    if "__" in word or word.endswith("_"):
        plain = re.sub("_+", "_", word).strip("_")
        fix = write(span, plain) if re.fullmatch(r"[0-9_]+", plain) else None
        return error("A009", f"in `{word}` a _ does not stand between two digits", span,
                     "not a number of the language", f"write `{plain}`", fix)  # fmt: skip
    if re.match(r"0[xXbBoO]", word):
        return error("A009", f"`{word}` is not a decimal number", span, "not a number of the language",
                     "write numbers in decimal")  # fmt: skip
    if re.fullmatch(r"[0-9_]+(\.[0-9_]+)?([eE][0-9]+)?[KMG]?", word):
        if place.before in ("-", "/") and not place.in_parentheses() and not word.isdigit():
            kind = "width" if place.before == "-" else "stride"
            head = place.word(place.index - 2)
            if place.before == "-" and re.fullmatch(r"0?\.[0-9]+", word) and head.isidentifier():
                span = place.span(place.index - 1, place.index)
                return error("A009", f"a width is a whole number, and `{word}` is none", span, "not a width",
                             f"write `{head}({word})`", write(span, f"({word})"))  # fmt: skip
            hint = "write all its digits: 4096, not 4.096K" if word[-1] in "KMG" else "channels are counted: write `64`"
            hint = hint if kind == "width" else "write a whole number: `/2`"
            return error("A009", f"a {kind} is a whole number, and `{word}` is none", span,
                         "not a whole number", hint)  # fmt: skip
        return None
    if re.match(r"[0-9]+[A-Za-z_]", word):
        if place.index == place.first:
            return error("A009", f"a name does not start with a digit: `{word}`", span, "neither a number nor a name",
                         "write the name first and its kernel after it: `conv3`")  # fmt: skip
        return error("A009", f"`{word}` is neither a number nor a name", span, "not a number of the language",
                     "numbers are written 64, 25_557_032, 0.5, 1e-3 or 4.09G")  # fmt: skip
    return error("A009", f"`{word}` is not a number of the language", span, "not a number of the language",
                 "numbers are written 64, 25_557_032, 0.5, 1e-3 or 4.09G")  # fmt: skip


def _fraction(place: Place) -> Diagnostic | None:
    """`.5` and `64.`, where a fraction fits, and where only a whole number does."""
    word, span = place.text, place.span()
    if not re.fullmatch(r"\.[0-9]+|[0-9]+\.", word):
        return None
    where = "ends" if word.endswith(".") else "starts"
    if COPIES.fullmatch(place.before) and place.glued():
        whole = place.span(place.index - 1, place.index)
        return error("A009", f"a repeat is a whole number, and `{whole.text}` is none", whole, "not a repeat",
                     f"write how many copies there are: `{place.before}`")  # fmt: skip
    if "FLOAT" in place.expected:
        better = f"0{word}" if where == "starts" else f"{word}0"
        hint = f"write `{better}`" if where == "starts" else f"write {better} or {word[:-1]}"
        return error("A009", f"`{word}` {where} with its point", span, "not a number of the language", hint,
                     write(span, better))  # fmt: skip
    kind = {"-": "width", "/": "stride"}.get(place.before)
    if kind == "width" and where == "starts":
        return None  # a width that multiplies, `conv3-.5`: said with whole words further on
    if kind is not None and where == "ends":
        return error("A009", f"a {kind} is a whole number, without a point", span, "not a whole number",
                     f"write `{word[:-1]}`", write(span, word[:-1]))  # fmt: skip
    hint = "write a whole number" if kind else "a statement starts with a layer: `conv3-64`"
    return error("A009", f"`{word}` {where} with its point", span, "not a number of the language", hint)


def loose_number(place: Place) -> Diagnostic | None:
    """`conv 3`, `conv3 64`, `fc 10`, `dropout 0.5`, `maxpool 2x2`"""
    name, number = place.before, place.text
    if place.index != place.first + 1 or place.in_parentheses() or not re.fullmatch(r"[0-9]+(x[0-9]+|\.[0-9]+)?", number):
        return None
    head = re.fullmatch(r"([A-Za-z_]\w*?)([0-9]+(?:x[0-9]+)?)?", name)
    if head is None or name in RESERVED:
        return None
    layer = LAYERS.get(name) or LAYERS.get(head[1])
    sized = head[2] is not None and name not in LAYERS
    fields = () if layer is None else layer.model_fields
    whole, goes_on = number.isdigit(), place.word(place.index + 1) in ("-", "/", "(")

    def joined(by: str, what: str) -> Diagnostic:
        text = f"{name}{by}{number}"
        return error("A001", f"{what}: `{text}`", place.span(), "a blank before it", f"write `{text}`",
                     Fix(place.gap(), by, f"write `{text}`"))  # fmt: skip

    if whole and "channels" in fields and sized == ("kernel" in fields):
        return joined("-", "a width stands after a `-`, without a blank")
    if sized and whole and "kernel" in fields:
        return joined("/", "a stride stands after a `/`, without a blank")
    if not sized and "kernel" in fields and "." not in number:
        if goes_on or "channels" not in fields:
            return joined("", "a kernel is written straight after the name")
        kernel = "x" in number or int(number) <= _KERNEL
        text = f"{name}{number}-64" if kernel else f"{name}3-{number}"
        return error("A001", "a kernel and a width are written straight after the name", place.span(),
                     "the kernel, or the width?", f"write both: `{text}`")  # fmt: skip
    if name == "dropout" and whole and 0 < int(number) < 100 and place.word(place.index + 1) == "%":
        span = Span(place.source, place.gap().start, place.span(place.index + 1).stop)
        share = f"({int(number) / 100:g})"
        return error("A001", f"a share is written as a fraction, in parentheses: `dropout{share}`", place.span(), "not in parentheses",
                     f"write `dropout{share}`", Fix(span, share, f"write `dropout{share}`"))  # fmt: skip
    if not sized and layer is not None and layer.positional and "x" not in number:
        span, text = Span(place.source, place.gap().start, place.span().stop), f"({number})"
        return error("A001", f"an argument stands in parentheses: `{name}{text}`", place.span(), "not in parentheses",
                     f"write `{name}{text}`", Fix(span, text, f"write `{name}{text}`"))  # fmt: skip
    if layer is None and whole and not goes_on:
        return error("A001", "no number stands alone after a name", place.span(), "a blank before it",
                     f"write `{name}-{number}` if it is the width, `{name}({number})` if it is an argument")  # fmt: skip
    return None


def loose_shape(place: Place) -> Diagnostic | None:
    """`-> 64 x 112 x 112`, `input (3, 224, 224)`"""
    starts = [i for i in range(place.first, place.index) if place.words[i].text in ("->", "input")]
    if not starts:
        return None
    start = starts[-1] + 1
    stop = start
    while stop < len(place.words) and place.words[stop].text not in (";", "}", "]", "|"):
        stop += 1
    after = place.words[start - 1].text
    assigned = start < stop and after == "input" and place.words[start].text in ("=", ":")
    start += assigned
    if start >= stop:
        return None
    span = place.span(start, stop - 1)
    dims = re.findall(
        rf"{_DIM}", re.sub(r"(?<![A-Za-z])[xX\u00d7](?![A-Za-z])|[,*]", " ", _without_outer(span.text))
    )
    written = re.sub(r"\s|[x,*()X\u00d7\[\]]", "", span.text)
    if len(dims) not in (1, 3) or re.sub(r"[()]|\s", "", "".join(dims)).replace("x", "") != written:
        return None
    shape = "x".join(re.sub(r"\s", "", dim) for dim in dims)
    whole = Span(place.source, place.words[starts[-1]].start, span.stop)
    if f"{after} {shape}" == whole.text or shape == span.text and after == "->":
        return None
    if assigned:
        sign = place.words[start - 1].text
        return error("A006", f"`input` takes its shape without `{sign}`", place.span(start - 1), "not expected here",
                     f"write `input {shape}`", write(whole, f"input {shape}"))  # fmt: skip
    return error("A006", f"a shape is written in one piece: write `{after} {shape}`", span,
                 "dims are joined by x, with no blank or comma", f"write `{after} {shape}`", write(whole, f"{after} {shape}"))  # fmt: skip


def _without_outer(text: str) -> str:
    if text[0] in "([" and text[-1] in ")]" and ("," in text or " " in text):
        return text[1:-1]
    return text


def shape_expected(place: Place) -> Diagnostic | None:
    """Something in a shape that is no size."""
    if "DIM" not in place.expected and "_BY" not in place.expected:
        return None
    return error("A001", f"`{place.text}` does not fit in a shape", place.span(), "not part of a shape",
                 "a shape is written 3x224x224, 3xHxW or 1000, with no blanks; arithmetic stands in parentheses")  # fmt: skip
