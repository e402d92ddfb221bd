"""Steps that run together, or whose parts stand in another order."""

from __future__ import annotations

import itertools
import re

from archdsl.combinators import COMBINATORS
from archdsl.diagnostics import Diagnostic, Fix, Related
from archdsl.resources import library_root
from archdsl.source import Span
from archdsl.syntax_errors.loose import layer_called
from archdsl.syntax_errors.place import COPIES, RESERVED, Place, error, write
from archdsl.words import layer_word

MERGES = ("concat", "add", "mul", "mean", "maximum")


def comma_between_steps(place: Place) -> Diagnostic | None:
    """`conv3-64, relu`"""
    if place.text != "," or not place.step_is_whole():
        return None
    special = _comma_in_a_number(place) or _comma_between_branches(place)
    if special is not None:
        return special
    fix: Fix | None = write(place.span(), ";")
    hint = "write `;`"
    if place.word(place.index + 1) and not starts_a_step(place, place.index + 1):
        fix, hint = None, "write `;` between two steps, and arguments in parentheses: `conv3-64(p=1)`"
    return error("A002", "steps are separated by `;`, not by a comma", place.span(), "a comma between two steps",
                 hint, fix)  # fmt: skip


def _comma_in_a_number(place: Place) -> Diagnostic | None:
    """`conv3-1,024`"""
    before, after = place.before, place.word(place.index + 1)
    span = place.span(place.index - 1, place.index + 1)
    if not re.fullmatch(r"[1-9][0-9]{0,2}", before) or not re.fullmatch(r"[0-9]{3}", after) or " " in span.text:
        return None
    text = f"{before}_{after}"
    # `64,128` may be two widths; a number of its own has no zero in front.
    fix = write(span, text) if after.startswith("0") else None
    return error("A009", "the digits of a number are grouped by _, not by a comma", span, "not a number of the language",
                 f"write `{text}`", fix)  # fmt: skip


def _comma_between_branches(place: Place) -> Diagnostic | None:
    """`concat [ conv3-64, conv1-32 ]`"""
    opened = innermost(place)
    inside = inside_of(place, opened)
    if inside is None or place.source.text[opened] != "[":
        return None
    if place.word(place.index + 1) and not starts_a_step(place, place.index + 1):
        return None
    text = inside.text
    flat = re.sub(r"\([^()]*\)|\{[^{}]*\}|\[[^\[\]]*\]", lambda found: " " * len(found[0]), text)
    commas = [match.start() for match in re.finditer(",", flat)]
    if "|" in flat or not commas:
        return None
    pieces = [text[a + 1 : b] for a, b in itertools.pairwise(commas)]
    span = Span(place.source, inside.start + commas[0], inside.start + commas[-1] + 1)
    return error("A001", "branches are separated by `|`, not by a comma", place.span(), "a comma between two branches",
                 "write `|`", Fix(span, " |" + "".join(f"{piece} |" for piece in pieces), "write `|`"))  # fmt: skip


def innermost(place: Place) -> int:
    """Where the bracket that the word at fault stands in was opened; -1 where none is."""
    stack = [-1]
    for match in re.finditer(r'"[^"\n]*"|#[^\n]*|[()\[\]{}]', place.source.text[: place.span().start]):
        if match[0] in "([{":
            stack.append(match.start())
        elif match[0] in ")]}" and len(stack) > 1:
            stack.pop()
    return stack[-1]


def inside_of(place: Place, opened: int) -> Span | None:
    """What stands between a bracket and its partner, if no comment does."""
    if opened < 0:
        return None
    depth = 0
    for match in re.compile(r"[()\[\]{}#]").finditer(place.source.text, opened):
        if match[0] == "#":
            return None
        depth += 1 if match[0] in "([{" else -1
        if depth == 0:
            return Span(place.source, opened + 1, match.start())
    return None


def starts_a_step(place: Place, index: int) -> bool:
    """Whether a word is one that a step can start with, as far as the text itself says."""
    word = place.word(index)
    if word in RESERVED or word[:1] in ("@", "{"):
        return True
    if not word.isidentifier() or place.word(index + 1) == "=":
        return False
    if layer_called(word.lower()) or word.lower() in COMBINATORS or layer_word(word):
        return True
    if (library_root() / f"{word}.arch").is_file():
        return True
    return bool(re.search(rf"(?m)^[ \t]*use\b|\bblock[ \t]+{word}\b", place.source.text))


def parts_out_of_order(place: Place) -> Diagnostic | None:
    """`conv3-64 as a x2`"""
    if not place.step_is_whole() or place.word(place.first) in (
        "input",
        "output",
        "let",
        "use",
        "expect",
        "default",
    ):
        return None
    if (
        place.text == "x"
        or place.text in ("(", "{", "[", "-", "/", "as", "->")
        or COPIES.fullmatch(place.text)
    ):
        if COPIES.fullmatch(place.text) and any(
            COPIES.fullmatch(w.text) for w in place.words[place.first : place.index]
        ):
            return error("A001", "this step already has its repeat", place.span(), "a second repeat",
                         f"group what is repeated: `{{ ... }} {place.text}`")  # fmt: skip
        moved = _moved_forward(place)
        if moved is not None:
            return moved
        return error("A001", f"`{place.text}` does not fit at this place of a step", place.span(), "out of order",
                     "the parts of a step come in this order: name-width/stride(args){body} xN as label -> shape")  # fmt: skip
    return None


def _moved_forward(place: Place) -> Diagnostic | None:
    """`pair(64)/2`: a width or stride after the arguments, where it stands before them."""
    value = place.word(place.index + 1)
    if place.before != ")" or place.text not in ("-", "/") or not re.fullmatch(r"[0-9]+|[A-Za-z_]\w*", value):
        return None
    opened = place.index - 1
    depth = 0
    while opened > place.first:
        depth += (place.word(opened) == ")") - (place.word(opened) == "(")
        if depth == 0:
            break
        opened -= 1
    if opened != place.first + 1 and place.word(opened - 1) in ("-", "/"):
        return None  # `conv3-(4*k)-8`: arithmetic
    given = _given_stride(place, opened) if place.text == "/" else None
    if given is not None:
        return _stride_given_twice(place, given)
    source = place.source
    start, middle, end = place.words[place.first].start, place.words[opened].start, place.words[place.index].start
    span = place.span(place.index, place.index + 1)
    text = source.text[start:middle] + span.text + source.text[middle:end].rstrip()
    kind = "width" if place.text == "-" else "stride"
    return error("A001", f"a {kind} stands before the arguments", span, "out of order", f"write `{text}`",
                 Fix(Span(source, start, span.stop), text, f"write `{text}`"))  # fmt: skip


def _given_stride(place: Place, opened: int) -> int | None:
    """Where the arguments that start at `opened` say `stride=`, if they do."""
    depth = 0
    for at in range(opened, place.index):
        depth += (place.word(at) == "(") - (place.word(at) == ")")
        if depth == 1 and place.word(at) in ("stride", "s") and place.word(at + 1) == "=":
            return at
    return None


def _stride_given_twice(place: Place, given: int) -> Diagnostic:
    """`conv3-64(stride=2)/2`"""
    opened, value = given - 1, place.word(place.index + 1)
    fix = None
    if [word.text for word in place.words[opened : place.index]] == ["(", place.word(given), "=", value, ")"]:
        fix = write(place.span(opened, place.index + 1), f"/{value}")
    related = (Related(place.span(given, given + 2), "given here"),)
    return error("A103", "the stride is given twice", place.span(place.index, place.index + 1), "here as well",
                 "keep one of them", fix, related)  # fmt: skip


def two_steps(place: Place) -> Diagnostic | None:
    """`conv3-64 relu`"""
    if not place.step_is_whole() or place.glued() and place.before not in (")", "]", "}"):
        return None
    if not re.match(r"[A-Za-z_@{]", place.text) or place.text in ("as", "else"):
        return None
    if place.word(place.first) == "output" and place.text.startswith("@"):
        fix = Fix(place.gap(), ", ", "insert `,`")
        return error("A001", "labels are separated by a comma", place.span(), "`,` is missing before this",
                     "write `output @c3, @c4`", fix)  # fmt: skip
    if place.before in COMBINATORS and place.index == place.first + 1 and place.text != "{":
        last = place.end_of_step(place.index)
        span = place.span(place.index, last)
        return error("A001", f"the steps of `{place.before}` stand in braces", span, "not in braces",
                     f"write `{place.before} {{ {span.text} }}`", write(span, f"{{ {span.text} }}"))  # fmt: skip
    merged = _references_to_merge(place)
    if merged is not None:
        return merged
    if not starts_a_step(place, place.index):
        return error("A002", f"there is no separator before `{place.text}`", place.span(), "not expected here",
                     "put `;` between two steps, and arguments in parentheses: `conv3-64(p=1)`")  # fmt: skip
    left = place.source.text[place.words[place.first].start : place.gap().start]
    shown = f"`{left}; {place.text}`" if len(left) <= 30 else f"`;` before `{place.text}`"
    return error("A002", f"there is no separator before `{place.text}`", place.span(), "a new step starts here",
                 f"put `;` or a newline between two steps: write {shown}", Fix(place.gap(), "; ", "insert `;`"))  # fmt: skip


def _references_to_merge(place: Place) -> Diagnostic | None:
    """`add @c1`"""
    if place.before not in MERGES or place.index != place.first + 1 or not place.text.startswith("@"):
        return None
    last = place.index
    while place.word(last + 1) == "," and place.word(last + 2).startswith("@"):
        last += 2
    labels = [word.text for word in place.words[place.index : last + 1 : 2]]
    branches = " | ".join(labels if len(labels) > 1 else ["identity", *labels])
    span = place.span(place.index, last)
    return error("A001", f"`{place.before}` merges branches in square brackets", span, "not in [ ]",
                 f"write `{place.before} [ {branches} ]`", write(span, f"[ {branches} ]"))  # fmt: skip


def missing_comma(place: Place) -> Diagnostic | None:
    """`inception(64 96)`"""
    if (
        not place.in_parentheses()
        or "COMMA" not in place.expected
        or not re.match(r"[A-Za-z0-9_@]", place.text)
    ):
        return None
    if re.fullmatch(r"[0-9][0-9_.]*", place.before) and re.fullmatch("[kmgKMG]", place.text):
        span = place.span(place.index - 1, place.index)
        return error("A009", "a number and its suffix are written in one piece", span, "a blank inside a number",
                     f"write `{place.before}{place.text.upper()}`", write(span, place.before + place.text.upper()))  # fmt: skip
    if place.text[0].isdigit() and _is_argument(place, place.index - 1):
        return error("A001", f"`{place.before}` gets its value with `=`", place.span(), "`=` is missing before this",
                     f"write `{place.before}={place.text}`", Fix(place.gap(), "=", "insert `=`"))  # fmt: skip
    return error("A001", f"there is no comma before `{place.text}`", place.span(), "a new value starts here",
                 "separate arguments with a comma", Fix(place.gap(), ", ", "insert `,`"))  # fmt: skip


def _is_argument(place: Place, index: int) -> bool:
    """Whether a word is the name of an argument of the step or the `expect` that it stands in."""
    word, head = place.word(index), place.word(place.first)
    if place.word(index - 1) not in ("(", ","):
        return False
    if head == "expect":
        return word.isidentifier()
    layer = layer_called(head if head != "default" else place.word(place.first + 1))
    return layer is not None and (word in layer.model_fields or word in layer.short)


def branches_without_merge(place: Place) -> Diagnostic | None:
    """`[ a | b ]` with no `concat` before it."""
    braces = _branches_in_braces(place) if place.text == "|" else None
    if braces is not None:
        return braces
    if place.text == "|":
        return error("A001", "`|` separates branches, and only inside [ ]", place.span(), "not inside [ ]",
                     "write `concat [ a | b ]`; for `or`, write `or`")  # fmt: skip
    if place.text == "[" and place.index == place.first:
        start = place.span().start
        fix = Fix(Span(place.source, start, start), "concat ", "merge with concat")
        return error("A001", "branches need a merge before their `[`", place.span(), "no merge before this",
                     "write `concat [ a | b ]`, or add, mul, mean, maximum", fix)  # fmt: skip
    return None


def _branches_in_braces(place: Place) -> Diagnostic | None:
    """`concat { a | b }`"""
    opened = innermost(place)
    inside = inside_of(place, opened)
    merge = re.search(r"([A-Za-z_]\w*)\s*$", place.source.text[: max(opened, 0)])
    if inside is None or place.source.text[opened] != "{" or merge is None or merge[1] not in MERGES:
        return None
    span = Span(place.source, opened, inside.stop + 1)
    return error("A001", f"`{merge[1]}` merges branches in square brackets", span, "not in [ ]",
                 f"write `{merge[1]} [ a | b ]`", write(span, f"[{inside.text}]"))  # fmt: skip


def goes_on_from_the_line_before(place: Place) -> Diagnostic | None:
    """`-> 64x8x8` at the start of a line."""
    if place.index != place.first or place.text not in ("-", "/", "->", "as", "+", "*", ",", "."):
        return None
    return error("A001", f"`{place.text}` goes on with a step, and none stands before it on this line", place.span(),
                 "starts a line", "a newline ends a step: write the whole step on one line")  # fmt: skip
