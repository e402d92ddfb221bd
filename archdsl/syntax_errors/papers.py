"""Layers as papers and their tables write them: `[3x3, 64] x3`, `3x3 conv, 64, /2`, `global average pool, 1000-d fc`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from archdsl.diagnostics import Diagnostic
from archdsl.ops import LAYERS
from archdsl.syntax_errors.place import COPIES, Place, error, write
from archdsl.words import LAYER_WORDS

_WORDS = re.compile(
    r"(?P<dims>[0-9]+(?:x[0-9]+)+)(?![\w.])|(?P<number>[0-9]+)(?:-?[dD])?(?![\w.])"
    r"|(?P<word>[A-Za-z_]+(?:-[A-Za-z]+)*)(?P<digits>[0-9]+(?:x[0-9]+)?)?(?!\w)|(?P<mark>[-/,=])|\s+|(?P<other>.)"
)
_NOISE = frozenset("filters channels maps kernel kernels units layer classifier with and".split())
_LONGEST_NAME = 3  # words


@dataclass
class _Row:
    """What is said of one layer. numbers: a kernel, and channels that a table may glue on."""

    name: str | None = None
    numbers: list[str] = field(default_factory=list)
    width: str | None = None
    stride: str | None = None
    padding: str | None = None
    lacks: bool = False
    """Whether its step had to make up a width."""


def row_of_a_table(place: Place) -> Diagnostic | None:
    """`[1x1, 64; 3x3, 64] x3`, `64 3x3 conv, stride 2`, `conv 3x3, 64`, `3x3 max pool, stride 2`, `conv(3x3, 64)`"""
    first = place.first
    last = place.end_of_step(first)
    if place.in_parentheses():
        called = re.fullmatch(r"([A-Za-z_]+) *\( *([0-9]+x[0-9]+) *(?:,([^()=]*))?\)(?: *-([0-9]+))?", place.span(first, last).text)
        return _said(place, first, last, " ".join(part for part in called.groups() if part)) if called else None
    if place.word(first) == "[":
        return _bracket(place)
    end = next((at for at in range(first + 1, last + 1) if _goes_on(place.word(at))), last + 1)
    repeated = any(COPIES.fullmatch(place.word(at)) for at in range(end, last + 1))
    return _said(place, first, end - 1, place.span(first, end - 1).text, alone=repeated)


def _goes_on(word: str) -> bool:
    """Whether a step's own parts follow, which are written as here: a repeat, a label, a shape."""
    return word in ("as", "->") or COPIES.fullmatch(word) is not None


def _said(place: Place, first: int, last: int, text: str, alone: bool = False) -> Diagnostic | None:
    rows = _rows(text)
    if rows is None or alone and len(rows) > 1:
        return None
    loose = re.fullmatch(r"([A-Za-z_]+)[0-9x]* +[0-9]+(x[0-9]+)?", text)
    if loose and loose[1] in LAYERS:  # `fc 10`: told of elsewhere
        return None
    if all(word in LAYERS for word in re.split(r"[\s,]+", text)):  # `relu bn`, `conv, relu`
        return None
    steps = [_step(row) for row in rows]
    if not all(steps) or not text[0].isdigit() and any(row.lacks for row in rows):
        return None
    span = place.span(first, last)
    joined = "; ".join(step for step in steps if step)
    if len(rows) > 1 and place.words[first - 1 if first else 0].text in ("[", "|"):
        if place.word(last + 1) != "]" or place.words[first - 1].text == "|":
            return None
        joined = " | ".join(step for step in steps if step)
    whole = not any(row.lacks for row in rows)
    hint = f"write `{joined}`" if whole else f"write `{joined}`, with its own width"
    if re.search(r"pool[3579]/2$", joined):
        hint += ", and (p=1) after it where the size halves exactly" if "pool3" in joined else ""
    message, label = "a layer starts with its name, and its kernel and its width follow", "no name before it"
    if not text[0].isdigit():
        message, label = "a kernel, a width and a stride are written straight after a layer's name", "as in a paper"
        if not re.search(r"[0-9]", text):
            message = "a layer's name is one word here"
    return error("A001", message, span, label, hint, write(span, joined) if whole else None)


def _bracket(place: Place) -> Diagnostic | None:
    first = place.first
    last = place.end_of_step(first)
    while place.word(last + 1) == ";":
        last = place.end_of_step(last + 1)
    if place.word(last + 1) != "]":
        return None
    rows = []
    for line in place.span(first + 1, last).text.split(";"):
        found = _rows(line.strip())
        if found is None:
            return None
        rows += found
    steps = [_step(row) for row in rows]
    if not all(steps):
        return None
    copies = ""
    last += 1
    if place.word(last + 1) in ("x", "*", "\u00d7") and place.word(last + 2).isdigit():
        copies = f" x{place.word(last + 2)}"
        last += 2
    elif COPIES.fullmatch(place.word(last + 1)):
        copies = f" {place.word(last + 1)}"
        last += 1
    span = place.span(first, last)
    plain = f"{{ {'; '.join(step for step in steps if step)} }}{copies}"
    message, label = "a layer starts with its name, and its kernel and its width follow", "no name before it"
    if any(row.lacks for row in rows):
        return error("A001", message, span, label, f"write `{plain}`, with its own widths")
    block = _residual_block(place, steps)
    if block is None:
        return error("A001", message, span, label, f"write `{plain}`", write(span, plain))
    hint = f"write `{block}{copies}`, which adds its input as ResNet does; without that, `{plain}`"
    return error("A001", message, span, label, hint, write(span, f"{block}{copies}"))


def _residual_block(place: Place, steps: list[str | None]) -> str | None:
    """The library's block for the bracket of ResNet's table, where the text has no block of that name."""
    found = re.fullmatch(r"conv1-([0-9]+) conv3-\1 conv1-([0-9]+)", " ".join(map(str, steps)))
    name = "bottleneck" if found and int(found[2]) == 4 * int(found[1]) else None
    if name is None:
        found = re.fullmatch(r"conv3-([0-9]+) conv3-\1", " ".join(map(str, steps)))
        name = "basic" if found else None
    if found is None or name is None or re.search(rf"\bblock\s+{name}\b", place.source.text):
        return None
    return f"{name}({found[1]})"


def _rows(text: str) -> list[_Row] | None:
    """The layers that a line speaks of, one after another; None where it says more than is understood."""
    text = re.sub(r"(?<=[0-9]) ?[x\u00d7] ?(?=[0-9])", "x", text)  # `3 x 3`
    pieces = [match for match in _WORDS.finditer(text) if not match[0].isspace()]
    rows: list[_Row] = []
    at = 0
    while at < len(pieces):
        stop = next((i for i in range(at, len(pieces)) if pieces[i][0] == ","), len(pieces))
        part = pieces[at:stop]
        if not part or not _part(part, rows):
            return None
        at = stop + 1
    return rows if rows and pieces[-1][0] != "," else None


def _part(part: list[re.Match[str]], rows: list[_Row]) -> bool:
    """What stands between two commas: a layer, or more of the one before."""
    named = any(_name(part, at) for at in range(len(part)))
    row = rows[-1] if rows else None
    if row is None or named and (row.name or row.width):
        row = _Row()
        rows.append(row)
    at = 0
    while at < len(part):
        piece = part[at]
        word = (piece["word"] or "").lower()
        following = part[at + 1] if at + 1 < len(part) else None
        stride = word in ("stride", "strides", "s") or piece["mark"] == "/"
        if stride and following is not None and piece["digits"] is None:
            taken = 2 if following["mark"] == "=" or piece["mark"] == "/" and following["word"] else 1
            value = part[at + taken] if at + taken < len(part) else None
            number = value["number"] if value is not None else None
            if piece["mark"] == "/" and following["word"] in ("s", "S") and following["digits"]:
                number, taken = following["digits"], 1
            if number is None or row.stride is not None:
                return False
            row.stride, at = number, at + taken + 1
        elif word == "s" and piece["digits"] and row.stride is None:
            row.stride, at = piece["digits"], at + 1
        elif word in ("pad", "padding", "p") and following is not None and following["number"] and row.padding is None:
            row.padding, at = following["number"], at + 2
        elif found := _name(part, at):
            name, count = found
            if row.name == name == "dwconv" and not piece["digits"]:  # `3x3x32 dw`
                at += count
                continue
            if row.name is not None:
                if {"kernel", "channels"} & set(LAYERS[name].model_fields):
                    return False
                row = _Row()
                rows.append(row)
            row.name, at = name, at + count
            if digits := part[at - 1]["digits"]:
                if row.numbers:
                    return False
                row.numbers = digits.split("x")
            elif word.startswith("pointwise"):
                row.numbers = ["1"]
        elif word in _NOISE or word in ("pool", "pooling") and row.name in ("maxpool", "avgpool", "gap"):
            at += 1
        elif piece["dims"]:
            if row.numbers:
                if named:
                    return False
                row = _Row()
                rows.append(row)
            row.numbers, at = piece["dims"].split("x"), at + 1
        elif piece["mark"] == "-" and at and part[at - 1]["dims"] and following is not None and following["number"]:
            at += 1
        elif piece["number"] and row.width is None:
            row.width, at = piece["number"], at + 1
        else:
            return False
    return True


def _name(part: list[re.Match[str]], at: int) -> tuple[str, int] | None:
    """The layer that words from here on name, and how many words they are."""
    for count in range(min(_LONGEST_NAME, len(part) - at), 0, -1):
        words = [piece["word"] for piece in part[at : at + count]]
        if not all(words) or any(piece["digits"] for piece in part[at : at + count - 1]):
            continue
        said = re.sub(r"[-_]", "", "".join(words).lower())
        if said in ("pad", "pool", "skip"):
            continue
        said = "conv" if said in ("pointwise", "pointwiseconv") else said
        name = said if said in LAYERS else LAYER_WORDS.get(said, "")
        if name in LAYERS and LAYERS[name].arity == 1:
            return name, count
    return None


def _step(row: _Row) -> str | None:
    """A row as a step; None where it says something that the layer does not have."""
    name = row.name or "conv"
    fields, numbers, width = LAYERS[name].model_fields, list(row.numbers), row.width
    stride = row.stride if row.stride != "1" else None
    more = f"(p={row.padding})" if row.padding is not None else ""
    if name == "gap":  # the window of a global pool is the whole image
        return None if width or stride or more or len(numbers) > 2 else name
    if name == "fc" and len(numbers) == 2 and width is None:
        numbers, width = [], numbers[1]
    if len(numbers) > 2:  # `3x3x64`, or with what comes in, `3x3x32x64`
        if len(numbers) > 4 or width is not None or name not in ("conv", "dwconv"):
            return None
        width = numbers[-1] if name == "conv" else None
        numbers = numbers[:2]
    said = {"kernel": numbers, "channels": width, "stride": stride, "padding": more}
    if any(value and key not in fields for key, value in said.items()):
        return None
    if "kernel" in fields and not numbers and "pool" not in name or name == "upconv" and stride is None:
        return None
    if "channels" in fields and width is None:
        width, row.lacks = "64", True
    kernel = numbers[0] if len(set(numbers)) == 1 else "x".join(numbers)
    if "pool" in name and row.stride == "1" and numbers:
        stride = "1"
    stride = f"/{stride}" if stride and not ("pool" in name and stride == kernel) else ""
    return name + kernel + (f"-{width}" if width else "") + stride + more
