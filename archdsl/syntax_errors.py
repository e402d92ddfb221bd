"""What a syntax error means: the slip behind it, said in the author's words, with the edit that mends it.

The parser says only where a text stopped fitting and which terminals would have fitted. The slips are read from
the words around that place, each by a function of its own that knows one of them; the first that recognises its
slip speaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Fix, Related
from archdsl.source import Source, Span
from archdsl.words import python_call

COMBINATORS = ("residual", "aux", "carry")
RESERVED = ("use", "as", "block", "arch", "default", "let", "if", "else", "input", "output", "expect")

_STRUCTURE = re.compile(r'"[^"\n]*"?|#[^\n]*|[()\[\]{};|\n]')
_WORDS = re.compile(
    r'"[^"\n]*"?|#[^\n]*|->|//|/\*|\*\*|&&|\|\||==|!=|<=|>='
    r"|[0-9][0-9A-Za-z_]*(?:\.[0-9A-Za-z_]*)*|\.[0-9][0-9A-Za-z_]*|@[A-Za-z0-9_]*|[A-Za-z_][A-Za-z0-9_]*|\s+|."
)
_OPENERS = {")": "(", "]": "[", "}": "{"}
_REACH = 2000  # characters of a line that are looked at on each side
_COPIES = re.compile(r"x[0-9]+")
_DIM = r"(?:[0-9][0-9_]*|[A-Za-wyz_][A-Za-wyz0-9_]*|\([^()\n]*\))"


class _Word(NamedTuple):
    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class _Place:
    """Where a text stopped fitting, and the words of its line."""

    source: Source
    words: tuple[_Word, ...]  # of the line, without blanks and comment
    index: int  # of the word at fault; len(words) at the line's end
    first: int  # index of the first word of the statement
    expected: frozenset[str]

    @property
    def text(self) -> str:
        return self.words[self.index].text if self.index < len(self.words) else ""

    @property
    def at_end(self) -> bool:
        return self.text in ("", ";", "}", "]", "|", ")")

    @property
    def before(self) -> str:
        return self.words[self.index - 1].text if self.index > self.first else ""

    def word(self, index: int) -> str:
        return self.words[index].text if self.first <= index < len(self.words) else ""

    def span(self, first: int | None = None, last: int | None = None) -> Span:
        """From one word to another, both included; the word at fault if none is named."""
        if not self.words:
            return Span(self.source, 0, 0)
        first = self.index if first is None else first
        last = first if last is None else last
        if first >= len(self.words):
            stop = self.words[-1].stop
            return Span(self.source, stop, stop)
        return Span(self.source, self.words[first].start, self.words[min(last, len(self.words) - 1)].stop)

    def gap(self) -> Span:
        """The blank between the word at fault and the one before it."""
        stop = self.span().start
        start = self.words[self.index - 1].stop if self.index else stop
        return Span(self.source, start, stop)

    def glued(self) -> bool:
        return self.index > 0 and self.gap().start == self.gap().stop

    def step_is_whole(self) -> bool:
        """Whether the statement could have ended before the word at fault."""
        return "_SEPARATOR" in self.expected and self.index > self.first and not self.in_parentheses()

    def in_parentheses(self) -> bool:
        depth = 0
        for word in self.words[self.first : self.index]:
            depth += (word.text == "(") - (word.text == ")")
        return depth > 0


def statement_around(text: str, offset: int) -> tuple[int, int]:
    """The stretch to leave out so that the rest still fits: the statement at fault, without a body of its own.

    The brackets of what is left out are balanced, if those of the whole text are.
    """
    starts = [0]  # for every open bracket, where the statement in it starts
    kinds = [""]
    depth_at_fault = None
    for match in _STRUCTURE.finditer(text):
        token, place = match.group(), match.start()
        if depth_at_fault is None and place >= offset:
            depth_at_fault = max(index for index, kind in enumerate(kinds) if kind != "(")
        if depth_at_fault is not None:
            start = starts[depth_at_fault]
            depth = len(kinds) - 1
            ends = (
                depth == depth_at_fault
                and (token in ";\n}]" or token in "{[" or token == "|" and kinds[depth] == "[")
                and token[0] not in '"#()'
            )
            if ends and text[start:place].strip():
                return start, place
            if ends and place > offset and token in ";\n}]|":
                return start, place
        if token in ("(", "[", "{"):
            starts.append(match.end())
            kinds.append(token)
        elif token in (")", "]", "}"):
            if kinds[-1] == _OPENERS[token]:
                starts.pop()
                kinds.pop()
            if token != ")":
                if depth_at_fault is not None and len(kinds) - 1 == depth_at_fault and place > offset:
                    return starts[-1], match.end()
                if len(kinds) - 1 < (depth_at_fault or 0):
                    return offset, min(offset + 1, len(text))
                starts[-1] = match.end()
        elif token in (";", "\n") and kinds[-1] != "(" or token == "|" and kinds[-1] == "[":
            starts[-1] = match.end()
    level = depth_at_fault if depth_at_fault is not None else 0
    return starts[min(level, len(starts) - 1)], len(text)


def explain(source: Source, at: int, expected: frozenset[str]) -> Diagnostic:
    """What is wrong at an offset where the parser stopped."""
    place = _place(source, at, expected)
    for slip in _SLIPS:
        found = slip(place)
        if found is not None:
            return found
    return _anything(place)


def _place(source: Source, at: int, expected: frozenset[str]) -> _Place:
    text = source.text
    if at >= len(text):
        at = len(text.rstrip())
    line_start = text.rfind("\n", 0, at) + 1
    line_stop = text.find("\n", at)
    line_stop = len(text) if line_stop < 0 else line_stop
    line_start, line_stop = max(line_start, at - _REACH), min(line_stop, at + _REACH)
    words = []
    for match in _WORDS.finditer(text, line_start, line_stop):
        token = match.group()
        if not token.isspace() and token[0] not in "#\ufeff":
            words.append(_Word(token, match.start(), match.end()))
    index = next((i for i, word in enumerate(words) if word.stop > at), len(words))
    return _Place(source, tuple(words), index, _first_of_statement(words, index), expected)


def _first_of_statement(words: list[_Word], index: int) -> int:
    depth = 0
    for at in range(index - 1, -1, -1):
        token = words[at].text
        if token in (")", "]", "}"):
            depth += 1
        elif token in ("(", "[", "{"):
            if depth == 0 and token != "(":
                return at + 1
            depth = max(0, depth - 1)
        elif token in (";", "|") and depth == 0:
            return at + 1
    return 0


def _error(
    code: str,
    message: str,
    span: Span,
    label: str,
    hint: str,
    fix: Fix | None = None,
    related: tuple[Related, ...] = (),
) -> Diagnostic:
    message = message.removesuffix(f": {hint}")
    if fix is not None and hint.startswith("write `") and fix.title.startswith("write `"):
        fix = Fix(fix.span, fix.text, hint)
    return Diagnostic(code=code, message=message, span=span, label=label, hint=hint, fix=fix, related=related)


def _write(span: Span, text: str) -> Fix:
    shown = text.strip()
    return Fix(span, text, f"write `{shown}`" if shown else f"remove `{span.text}`")


# ---- characters ----

_LOOKALIKES = {
    "\u00d7": ("x", "a multiplication sign", "x"),
    "\u2013": ("-", "a dash", "a plain minus, -"),
    "\u2014": ("-", "a dash", "a plain minus, -"),
    "\u2212": ("-", "a typographic minus", "a plain minus, -"),
    "\u2010": ("-", "a typographic hyphen", "a plain minus, -"),
    "\u2011": ("-", "a typographic hyphen", "a plain minus, -"),
    "\u2192": ("->", "an arrow", "->"),
    "\u21d2": ("->", "an arrow", "->"),
    "\u201c": ('"', "a curly quote", 'a plain quote, "'),
    "\u201d": ('"', "a curly quote", 'a plain quote, "'),
    "\u201e": ('"', "a curly quote", 'a plain quote, "'),
    "\u00f7": ("/", "a division sign", "/"),
    "\u2044": ("/", "a fraction slash", "/"),
    "\u2264": ("<=", "a sign", "<="),
    "\u2265": (">=", "a sign", ">="),
    "\u2260": ("!=", "a sign", "!="),
    "\uff1b": (";", "a full-width semicolon", ";"),
    "\uff0c": (",", "a full-width comma", ","),
    "\uff08": ("(", "a full-width bracket", "("),
    "\uff09": (")", "a full-width bracket", ")"),
    "\u00a0": (" ", "a no-break space", "a plain space"),
    "\u202f": (" ", "a no-break space", "a plain space"),
    "\u3000": (" ", "a wide space", "a plain space"),
    "\u200b": ("", "a space of no width", "nothing in its place"),
    "\ufeff": ("", "a byte-order mark", "nothing in its place"),
    "\u2028": ("\n", "a line separator", "a newline"),
    "\u2029": ("\n", "a paragraph separator", "a newline"),
    "\u0085": ("\n", "a next-line character", "a newline"),
    "\x0b": (" ", "a vertical tab", "a plain space"),
    "\x0c": (" ", "a form feed", "a plain space"),
    "&": ("and", "a Python or C operator", "`and`"),
    "!": ("not ", "a C operator", "`not`"),
}
_PLAIN = frozenset(' \t\r\n()[]{}<>=+-*/%.,;|@#_"')


def _foreign_character(place: _Place) -> Diagnostic | None:
    source = place.source
    word = place.words[place.index] if place.index < len(place.words) else None
    # A blank that the language does not know is no word, so it is looked for in the gap as well.
    gap = place.gap() if place.words else Span(source, 0, len(source.text.rstrip("\n")))
    stretch = range(gap.start, word.stop if word else gap.stop)
    for offset in stretch:
        character = source.text[offset]
        if character in _PLAIN or character.isascii() and character.isalnum():
            continue
        if word is not None and word.text in ("!=",):
            continue
        return _unknown_character(source, offset, character)
    return None


def _unknown_character(source: Source, offset: int, character: str) -> Diagnostic:
    span = Span(source, offset, offset + 1)
    if character in _LOOKALIKES:
        text, called, better = _LOOKALIKES[character]
        if source.text[offset : offset + 2] == "&&":
            span = Span(source, offset, offset + 2)
        quoted = re.compile(r"[\u201c\u201e]([^\n\"\u201c\u201d\u201e]*)[\u201c\u201d]").match(
            source.text, offset
        )
        if quoted:
            span, text, better = (
                Span(source, offset, quoted.end()),
                f'"{quoted[1]}"',
                f'"{quoted[1]}", in plain quotes',
            )
        shown = (
            f"`{span.text}`"
            if character.isprintable() and not character.isspace()
            else f"U+{ord(character):04X}"
        )
        return _error("A011", f"{shown} is {called}, which the language does not use", span, "not of the language",
                      f"write {better}", Fix(span, text, f"write {better}"))  # fmt: skip
    if character.isalnum():
        return _error("A011", f"`{character}` can't stand in a name", span, "not of the language",
                      "a name is made of the letters a to z, digits and _")  # fmt: skip
    shown = f"`{character}`" if character.isprintable() else f"U+{ord(character):04X}"
    if character == "'":
        quoted = re.compile(r"'([A-Za-z_]\w*|[0-9.]+)'").match(source.text, offset)
        if quoted:
            span = Span(source, offset, quoted.end())
            return _error("A011", "a word needs no quotes", span, "in quotes", f"write `{quoted[1]}`",
                          _write(span, quoted[1]))  # fmt: skip
        hint = "words need no quotes: write same, not 'same'"
    elif character == ":":
        hint = "a body stands in braces: block f(k) { ... }; a value is given with ="
    else:
        hint = "remove it"
    return _error("A011", f"{shown} is not a character of the language", span, "not of the language", hint)


def _comment_of_another_language(place: _Place) -> Diagnostic | None:
    index = place.index
    # The lexer reads the `//` after a width as a stride that lacks its number.
    if place.text not in ("//", "/*", "--"):
        return None
    source, start = place.source, place.words[index].start
    spaced = start == 0 or source.text[start - 1].isspace() or index == place.first
    following = source.text[start + 2 : start + 3]
    if place.text == "//" and not spaced and (following.isalnum() or following in ("(", "_")):
        return None
    span = place.span()
    line_stop = source.text.find("\n", start)
    line_stop = len(source.text) if line_stop < 0 else line_stop
    line = source.text[start:line_stop]
    if place.text == "/*":
        span = Span(source, start, start + 2)
        closed = line.rstrip().endswith("*/")
        fix = _write(Span(source, start, start + len(line.rstrip())), f"# {line.rstrip()[2:-2].strip()}")
        return _error("A011", "`/*` starts no comment here", span, "not of the language",
                      "comments start with # and end with their line", fix if closed else None)  # fmt: skip
    return _error("A011", f"`{place.text}` starts no comment here", span, "not of the language",
                  "comments start with #", _write(span, "#"))  # fmt: skip


def _string(place: _Place) -> Diagnostic | None:
    if not place.text.startswith('"'):
        return None
    span = place.span()
    whole = len(place.text) > 1 and place.text.endswith('"')
    if not whole:
        stop = span.start + len(span.text.rstrip())
        span = Span(place.source, span.start, stop)
        end = span.at_end()
        fix = Fix(end, '"', 'insert `"`') if place.before == "use" and len(span.text) > 1 else None
        return _error("A012", "this string does not end on its line", span, '`"` is missing at the end',
                      'close it with ", on the same line', fix)  # fmt: skip
    bare = place.text[1:-1]
    if re.fullmatch(r"[A-Za-z_]\w*|[0-9.]+", bare):
        return _error("A001", "a word needs no quotes: a string stands only after `use`", span, "in quotes",
                      f"write `{bare}`", _write(span, bare))  # fmt: skip
    return _error("A001", "a string stands only after `use`", span, "a string",
                  'write `use "path.arch"` to import, or a bare word')  # fmt: skip


# ---- repeats, shapes, arithmetic ----


def _dangling_repeat(place: _Place) -> Diagnostic | None:
    if place.index != place.first or not _COPIES.fullmatch(place.text):
        return None
    span = place.span()
    text = place.source.text
    before = text[: span.start].rstrip(" \t\r\n;")
    last_line = before[before.rfind("\n") + 1 :]
    gap = Span(place.source, len(before), span.stop)
    fix = None
    if before and before[-1] not in "{[|(" and "#" not in last_line:
        fix = Fix(gap, f" {place.text}", "put it on the step's line")
        return _error("A005", f"`{place.text}` repeats the step before it: write it on the same line", span,
                      "no step before it on this line", f"write `... {place.text}` after the step", fix)  # fmt: skip
    hint = "write the step first: `conv3-64 x2`"
    return _error("A005", f"`{place.text}` repeats the step before it: write it on the same line", span,
                  "no step before it", hint)  # fmt: skip


def _glued_repeat(place: _Place) -> Diagnostic | None:
    found = re.fullmatch(r"([0-9][0-9_]*)(x[0-9]+)((?:x[0-9A-Za-z_]+)*)", place.text)
    if found is None or place.before not in ("-", "/"):
        glued = re.fullmatch(r"([0-9][0-9_]*)x", place.text)
        if glued and place.before in ("-", "/") and place.word(place.index + 1) != "(":
            return _error("A006", f"`{place.text}` runs a number and a repeat together, and the repeat has no number",
                          place.span(), "a number ends where a letter starts", f"write `{glued[1]} x2`")  # fmt: skip
        if glued and place.before in ("-", "/") and place.word(place.index + 1) == "(":
            span = place.span()
            text = f"{glued[1]} x"
            return _error("A006", f"`{place.text}(` runs a number and a repeat together", span,
                          "a number ends where a letter starts", f"write `{text}(...)`", _write(span, text))  # fmt: skip
        return None
    span = place.span()
    number, copies, more = found.groups()
    head = place.source.text[place.words[place.first].start : span.start]
    if more:
        text = f"{head}... -> {place.text}"
        return _error("A006", f"`{place.text}` is no width: a shape stands after `->`", span, "a shape glued on",
                      f"write `{text}`")  # fmt: skip
    whole = f"{head}{number} {copies}"
    return _error("A006", f"`{place.text}` runs a number and a repeat together: write `{whole}`", span,
                  "a number ends where a letter starts", f"write `{whole}`", _write(span, f"{number} {copies}"))  # fmt: skip


def _loose_shape(place: _Place) -> Diagnostic | None:
    starts = [i for i in range(place.first, place.index) if place.words[i].text in ("->", "input")]
    if not starts:
        return None
    start = starts[-1] + 1
    stop = start
    while stop < len(place.words) and place.words[stop].text not in (";", "}", "]", "|"):
        stop += 1
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
    if shape == span.text:
        return None
    after = place.words[start - 1].text
    return _error("A006", f"a shape is written in one piece: write `{after} {shape}`", span,
                  "dims are joined by x, with no blank or comma", f"write `{after} {shape}`", _write(span, shape))  # fmt: skip


def _without_outer(text: str) -> str:
    if text[0] in "([" and text[-1] in ")]" and ("," in text or " " in text):
        return text[1:-1]
    return text


_OPERATORS = ("+", "-", "*", "/", "//", "%", ".", "**")


def _bare_arithmetic(place: _Place) -> Diagnostic | None:
    # The lexer reads `64//2` as a stride that has no number, so there the step is not whole.
    if (
        place.in_parentheses()
        or place.text not in _OPERATORS
        or not (place.step_is_whole() or place.text == "//")
    ):
        return None
    sign = _sign_before(place)
    if sign is None or place.word(place.first) in ("let", "if", "else", "input"):
        return None
    first = sign + 1
    last = place.index - 1
    at = place.index
    while at < len(place.words) and place.words[at].text in _OPERATORS:
        if place.words[at].text == "/" and at != place.index:
            break  # the stride
        operand = _operand_after(place, at)
        if operand is None:
            break
        last, at = operand, operand + 1
    kind = "width" if place.words[sign].text == "-" else "stride"
    if last < place.index:
        if place.text == "-":
            span = place.span()
            return _error("A007", "there is nothing after this `-`", span, "a minus with no number",
                          "remove it, or write arithmetic in parentheses", _write(span, ""))  # fmt: skip
        return None
    if place.text == "/" and kind == "stride":
        return None
    if place.text == "**":
        return None
    span = place.span(first, last)
    text = re.sub(r"\s", "", span.text)
    head = place.source.text[place.words[place.first].start : place.words[sign].stop]
    repeat = re.fullmatch(r"(\w+) +\* *([0-9]+)", span.text)
    if repeat and last == len(place.words) - 1:
        return _error("A007", "`*` multiplies only inside parentheses", span, f"the {kind} is a number, a name or ( )",
                      f"to multiply, write `{head}({text})`",
                      Fix(span, f"{repeat[1]} x{repeat[2]}", f"write `{head}{repeat[1]} x{repeat[2]}`"))  # fmt: skip
    return _error("A007", f"arithmetic stands in parentheses: write `{head}({text})`", span,
                  f"the {kind} is a number, a name or ( )", f"write `{head}({text})`", _write(span, f"({text})"))  # fmt: skip


def _sign_before(place: _Place) -> int | None:
    """The `-` or `/` that starts the width or stride which the word at fault goes on with."""
    depth = 0
    for at in range(place.index - 1, place.first, -1):
        token = place.words[at].text
        depth += (token == ")") - (token == "(")
        if depth == 0 and token in ("-", "/"):
            if place.index - at == 2:
                return at
            inside = [word.text for word in place.words[at + 1 : place.index]]
            if len(inside) < 2 or inside[-1] != ")":
                return None
            is_call = inside[0].isidentifier() and inside[1] == "(" and "=" not in inside
            return at if inside[0] == "(" or is_call else None
    return None


def _operand_after(place: _Place, at: int) -> int | None:
    """The last word of the operand that follows an operator, if one does."""
    index = at + 1
    while place.word(index) == "-":
        index += 1
    token = place.word(index)
    if token == "(":
        return _matching(place, index)
    if not token or not (token[0].isalnum() or token[0] == "_"):
        return None
    if _COPIES.fullmatch(token) or token in RESERVED:
        return None
    if place.word(index + 1) == "(" and token.isidentifier() and place.word(at) != ".":
        return _matching(place, index + 1)
    return index


def _matching(place: _Place, index: int) -> int | None:
    depth = 0
    for at in range(index, len(place.words)):
        depth += (place.words[at].text == "(") - (place.words[at].text == ")")
        if depth == 0:
            return at
    return None


# ---- statements ----


def _name_that_is_reserved(place: _Place) -> Diagnostic | None:
    word = place.text.removeprefix("@")
    repeat = bool(_COPIES.fullmatch(word))
    if word not in RESERVED and not repeat:
        return None
    wanted = "REFERENCE" if place.text.startswith("@") else "NAME"
    if wanted not in place.expected and "DIM" not in place.expected:
        return None
    if place.index == place.first and not place.text.startswith("@") and not place.in_parentheses():
        return None
    if word in ("if", "else", "let") and place.before in (")", "}") or place.before == "else":
        return None
    if wanted == "NAME" and place.step_is_whole():
        return None
    span = place.span()
    why = "reads as a repeat" if repeat else "is a word of the language"
    other = f"n{word[1:]}" if repeat else f"{word}_"
    return _error("A010", f"`{word}` {why} and can't be a name", span, "can't be a name",
                  f"choose another name, such as `{other}`")  # fmt: skip


def _orphan_else(place: _Place) -> Diagnostic | None:
    if place.text != "else":
        return None
    fix = None
    start = place.span().start
    between = re.search(r"\}([ \t\r\n]*;[ \t\r\n;]*)$", place.source.text[:start])
    if between:
        fix = Fix(Span(place.source, start - len(between[1]), start), " ", "remove the `;` before `else`")
    return _error("A001", "this `else` has no `if` before it", place.span(), "no `if` ends just before this",
                  "write `if condition { ... } else { ... }`, with no `;` before the `else`", fix)  # fmt: skip


_PYTHON = frozenset("for def class import from return while with lambda elif print".split())


def _python(place: _Place) -> Diagnostic | None:
    first = place.word(place.first)
    if place.in_parentheses():
        return None
    if (
        first in _PYTHON
        and place.index > place.first
        and (place.text == ":" or place.text[:1].isidentifier())
    ):
        span = place.span(place.first)
        hint = {
            "for": "write what repeats once: `conv3-64 x3`, or `{ ... } x3`",
            "while": "write what repeats once: `conv3-64 x3`, or `{ ... } x3`",
            "def": "write a block: `block f(k) { ... }`",
            "class": "write an arch: `arch net { ... }`",
            "import": 'write `use "path.arch"`',
            "from": 'write `use "path.arch"`',
            "elif": "write `else if condition { ... }`",
        }.get(first, "list the layers, one after the other")
        if first == "class":
            hint = f"write an arch, and its layers in order: `arch {place.word(place.first + 1).lower() or 'net'} {{ ... }}`"
        fix = Fix(span, "else if", "write `else if`") if first == "elif" else None
        return _error("A001", f"`{first}` is Python, not a step", span, "not a word of the language", hint, fix)
    if place.text == "." and place.index == place.first + 1:
        whole = place.span(place.first, len(place.words) - 1)
        here = python_call(whole.text)
        return _error("A001", f"`{first}.` looks like Python: here the layers themselves are listed", place.span(),
                      "a step has no dots", f"write `{here or 'conv3-64'}` for the layer",
                      Fix(whole, here, f"write `{here}`") if here else None)  # fmt: skip
    if place.text == "=" and place.index == place.first + 1 and re.fullmatch(r"[A-Za-z_]\w*", first):
        span = place.span(place.first)
        return _error("A001", f"a value gets its name with `let`: write `let {first} = ...`", place.span(),
                      "no name is given a value without `let`", f"write `let {first} = ...`; a step's label is"
                      f" written after it, `as {first}`", _write(span, f"let {first}"))  # fmt: skip
    return None


def _equals(place: _Place) -> Diagnostic | None:
    first = place.word(place.first)
    label = place.word(place.index + 1)
    if place.text == "=" and place.step_is_whole() and place.index == len(place.words) - 2 and label.isidentifier():
        return _error("A001", f"a label is written after its step, with `as`: write `as {label}`", place.span(),
                      "not expected here", f"write `as {label}`", _write(place.span(), "as"))  # fmt: skip
    if place.text == "=" and "EQUAL" not in place.expected and "COMPARE" in place.expected:
        return _error("A001", "`=` gives a value its name; a comparison is written `==`", place.span(),
                      "not a comparison", "write `==`", _write(place.span(), "=="))  # fmt: skip
    if first == "let" and place.index == place.first + 2 and place.text != "=":
        if place.text == "==":
            return _error("A001", "`==` compares; `let` gives a name its value with `=`", place.span(), "a comparison",
                          "write `=`", _write(place.span(), "="))  # fmt: skip
        name = place.word(place.first + 1)
        fix = None if place.at_end else Fix(place.gap(), " = ", "insert `=`")
        return _error("A001", f"`let {name}` gives no value: write `let {name} = ...`", place.span(),
                      "`=` is missing here", f"write `let {name} = ...`", fix)  # fmt: skip
    if place.text == "==" and "EQUAL" in place.expected and place.in_parentheses():
        return _error("A001", "`==` compares; an argument gets its value with `=`", place.span(), "a comparison",
                      "write `=`", _write(place.span(), "="))  # fmt: skip
    return None


def _second_comparison(place: _Place) -> Diagnostic | None:
    if place.text not in ("<", "<=", ">", ">=", "==", "!=") or "AND" not in place.expected:
        return None
    return _error("A001", "a comparison has two sides", place.span(), "a second comparison",
                  "join two comparisons with `and`: `a < b and b < c`")  # fmt: skip


def _missing_body(place: _Place) -> Diagnostic | None:
    first = place.word(place.first)
    if "LBRACE" not in place.expected or place.index == place.first or place.in_parentheses():
        return None
    if first not in ("arch", "block", "if", "else", "}"):
        return None
    if first in ("arch", "block") and place.index < place.first + 2:
        return None
    what = {"arch": "an arch", "block": "a block", "if": "an `if`"}.get(first, "an `else`")
    end = Span(place.source, place.words[place.index - 1].stop, place.words[place.index - 1].stop)
    text = place.source.text
    found = re.compile(r"(?:[ \t\r\n;]|#[^\n]*\n)*\{").match(text, end.stop)
    fix = None
    if place.text == "" and found and "#" not in found.group():
        fix = Fix(Span(place.source, end.stop, found.end()), " {", "put `{` on the same line")
        return _error("A001", f"the body of {what} starts on the same line", end, "`{` belongs here",
                      "write `{` at the end of this line", fix)  # fmt: skip
    if first == "block" and "LPAR" in place.expected and place.word(place.first + 2) != "(":
        return None
    hint = "write the body in braces: { ... }"
    if place.text == ":":
        hint = "a body stands in braces, not after a colon: { ... }"
    return _error("A001", f"the body of {what} is missing: it starts with `{{`", end, "`{` is missing here", hint)  # fmt: skip


def _missing_parameters(place: _Place) -> Diagnostic | None:
    if place.word(place.first) != "block" or place.index != place.first + 2 or place.text == "(":
        return None
    gap = place.span(place.first + 1).at_end()
    return _error("A001", "a block lists its parameters in ( ), even where it has none", place.span(),
                  "`(` is missing before this", f"write `block {place.word(place.first + 1)}() {{ ... }}`",
                  Fix(gap, "()", "insert `()`"))  # fmt: skip


def _nothing_follows(place: _Place) -> Diagnostic | None:
    """A word that promises something, and the end of the statement."""
    body_too_soon = place.text in ("{", "(") and place.before in ("arch", "block", "if")
    if place.index <= place.first or not (place.at_end or body_too_soon):
        return None
    end = place.span() if place.text else place.span(place.index - 1).at_end()
    last = place.before
    promised = {
        "as": ("`as` needs a name", "a name is missing here", "write `as c2`"),
        "->": ("`->` needs a shape", "a shape is missing here", "write `-> 64x112x112`"),
        "-": ("there is no width after `-`", "a width is missing here", "write a number, a name or ( ): `conv3-64`"),
        "/": ("there is no stride after `/`", "a stride is missing here", "write a number, a name or ( ): `conv3/2`"),
        "=": ("there is no value after `=`", "a value is missing here", "write a value after it"),
        "let": ("`let` needs a name and a value", "a name is missing here", "write `let w = 64`"),
        "input": ("`input` needs a shape", "a shape is missing here", "write `input 3x224x224`"),
        "output": ("`output` needs a label", "a label is missing here", "write `output @c3, @c4`"),
        "use": ("`use` needs a path", "a path is missing here", 'write `use "families/resnet.arch"`'),
        "default": ("`default` needs a layer and its arguments", "a layer is missing here",
                    "write `default conv(norm=bn, act=relu)`"),
        "expect": ("`expect` needs its figures", "`(` is missing here", "write `expect(params=25_557_032)`"),
        "arch": ("`arch` needs a name", "a name is missing here", "write `arch net { ... }`"),
        "block": ("`block` needs a name", "a name is missing here", "write `block f(k) { ... }`"),
        "if": ("`if` needs a condition", "a condition is missing here", "write `if s != 1 { ... }`"),
        "@": ("`@` needs the name of a label", "a name is missing here", "write `@c2`"),
    }  # fmt: skip
    if last in promised:
        message, label, hint = promised[last]
        return _error("A001", message, end, label, hint)
    if place.word(place.first) == "default" and place.index == place.first + 2:
        return _error("A001", f"`default {last}` needs its arguments", end, "`(` is missing here",
                      f"write `default {last}(act=relu)`")  # fmt: skip
    if last in ("+", "*", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "not"):
        return _error(
            "A001", f"there is nothing after `{last}`", end, "a value is missing here", "write a value"
        )
    if last == "," and place.text != ")":
        return _error("A001", "there is nothing after this `,`", end, "something is missing here",
                      "remove the comma, or go on after it")  # fmt: skip
    if last == "(" and place.text == ")" and "RPAR" not in place.expected:
        return _error("A001", "there is no value in these parentheses", place.span(place.index - 1, place.index),
                      "a value is missing", "write a value between ( and )")  # fmt: skip
    return None


def _repeat_without_number(place: _Place) -> Diagnostic | None:
    if not place.step_is_whole() or "COPIES" not in place.expected:
        return None
    if place.text == "x":
        following = place.word(place.index + 1)
        if following.isdigit():
            span = place.span(place.index, place.index + 1)
            return _error("A001", f"a repeat is written in one piece: `x{following}`", span, "a blank after the x",
                          f"write `x{following}`", _write(span, f"x{following}"))  # fmt: skip
        if following == "(":
            span = place.span(place.index, place.index + 1)
            return _error("A001", "a repeat is written in one piece: `x(...)`", span, "a blank after the x",
                          "write `x(...)`", _write(span, "x("))  # fmt: skip
        return _error("A001", "`x` needs a number: `x2`", place.span(), "a number is missing after the x",
                      "write `x2`, or `x(n)` for a computed number")  # fmt: skip
    found = re.fullmatch(r"x([A-Za-z_]\w{0,9})", place.text)
    following = place.word(place.index + 1)
    if found and not place.glued() and following in ("", ";", "}", "]", "|", "/", "as", "->"):
        text = f"x({found[1]})"
        return _error("A001", f"a repeat by a name stands in parentheses: `{text}`", place.span(), "reads as a name",
                      f"write `{text}`, or `;` if it is a step of its own", _write(place.span(), text))  # fmt: skip
    return None


def _bad_number(place: _Place) -> Diagnostic | None:
    word, span = place.text, place.span()
    if not re.match(r"\.?[0-9]", word):
        return None
    if word.startswith("."):
        return _error("A009", f"`{word}` starts with its point", span, "not a number of the language",
                      f"write `0{word}`", _write(span, f"0{word}"))  # fmt: skip
    turned = re.fullmatch(r"([0-9]+)[xX]", word)
    if turned and place.step_is_whole() and not place.glued():
        return _error("A009", f"a repeat is written `x{turned[1]}`", span, "not a number of the language",
                      f"write `x{turned[1]}`", _write(span, f"x{turned[1]}"))  # fmt: skip
    suffix = re.fullmatch(r"([0-9][0-9_.]*)([kmgbKMGBT])", word)
    if suffix and suffix[2] not in "KMG":
        big = suffix[2].upper().replace("B", "G")
        fix = _write(span, suffix[1] + big) if suffix[2] in "kmg" and not suffix[1].endswith(".") else None
        return _error("A009", f"`{word}` has a suffix that no number has", span, "not a number of the language",
                      "the suffixes are K, M and G", fix)  # fmt: skip
    if word.endswith("."):
        return _error("A009", f"`{word}` ends with its point", span, "not a number of the language",
                      f"write {word}0 or {word[:-1]}", _write(span, f"{word}0"))  # fmt: skip
    if "__" in word or word.endswith("_"):
        plain = re.sub("_+", "_", word).strip("_")
        fix = _write(span, plain) if re.fullmatch(r"[0-9_]+", plain) else None
        return _error("A009", f"in `{word}` a _ does not stand between two digits", span,
                      "not a number of the language", f"write `{plain}`", fix)  # fmt: skip
    if re.match(r"0[xXbBoO]", word):
        return _error("A009", f"`{word}` is not a decimal number", span, "not a number of the language",
                      "write numbers in decimal")  # fmt: skip
    if re.fullmatch(r"[0-9_]+(\.[0-9_]+)?([eE][0-9]+)?[KMG]?", word):
        if place.before in ("-", "/") and not place.in_parentheses() and not word.isdigit():
            kind = "width" if place.before == "-" else "stride"
            head = place.word(place.index - 2)
            if place.before == "-" and re.fullmatch(r"0?\.[0-9]+", word) and head.isidentifier():
                span = place.span(place.index - 1, place.index)
                return _error("A009", f"a width is a whole number, and `{word}` is none", span, "not a width",
                              f"write `{head}({word})`", _write(span, f"({word})"))  # fmt: skip
            hint = "write all its digits: 4096, not 4.096K" if word[-1] in "KMG" else "channels are counted: write `64`"
            hint = hint if kind == "width" else "write a whole number: `/2`"
            return _error("A009", f"a {kind} is a whole number, and `{word}` is none", span,
                          "not a whole number", hint)  # fmt: skip
        return None
    if re.match(r"[0-9]+[A-Za-z_]", word):
        if place.index == place.first:
            return _error("A009", f"a name does not start with a digit: `{word}`", span, "neither a number nor a name",
                          "write the name first and its kernel after it: `conv3`")  # fmt: skip
        return _error("A009", f"`{word}` is neither a number nor a name", span, "not a number of the language",
                      "numbers are written 64, 25_557_032, 0.5, 1e-3 or 4.09G")  # fmt: skip
    return _error("A009", f"`{word}` is not a number of the language", span, "not a number of the language",
                  "numbers are written 64, 25_557_032, 0.5, 1e-3 or 4.09G")  # fmt: skip


def _loose_kernel(place: _Place) -> Diagnostic | None:
    if place.index != place.first + 1 or not place.text.isdigit() or not place.before.isidentifier():
        return None
    if place.before in RESERVED or place.in_parentheses():
        return None
    whole = f"{place.before}{place.text}"
    return _error("A001", f"a kernel is written straight after the name: `{whole}`", place.span(),
                  "a blank before the kernel", f"write `{whole}`, or `{place.before}-{place.text}` if it is the width",
                  Fix(place.gap(), "", f"write `{whole}`"))  # fmt: skip


def _comma_between_steps(place: _Place) -> Diagnostic | None:
    if place.text != "," or not place.step_is_whole():
        return None
    return _error("A002", "steps are separated by `;`, not by a comma", place.span(), "a comma between two steps",
                  "write `;`", _write(place.span(), ";"))  # fmt: skip


def _parts_out_of_order(place: _Place) -> Diagnostic | None:
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
        or _COPIES.fullmatch(place.text)
    ):
        if _COPIES.fullmatch(place.text) and any(
            _COPIES.fullmatch(w.text) for w in place.words[place.first : place.index]
        ):
            return _error("A001", "this step already has its repeat", place.span(), "a second repeat",
                          f"group what is repeated: `{{ ... }} {place.text}`")  # fmt: skip
        moved = _moved_forward(place)
        if moved is not None:
            return moved
        return _error("A001", f"`{place.text}` does not fit at this place of a step", place.span(), "out of order",
                      "the parts of a step come in this order: name-width/stride(args){body} xN as label -> shape")  # fmt: skip
    return None


def _moved_forward(place: _Place) -> Diagnostic | None:
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
    source = place.source
    start, middle, end = place.words[place.first].start, place.words[opened].start, place.words[place.index].start
    span = place.span(place.index, place.index + 1)
    text = source.text[start:middle] + span.text + source.text[middle:end].rstrip()
    kind = "width" if place.text == "-" else "stride"
    return _error("A001", f"a {kind} stands before the arguments", span, "out of order", f"write `{text}`",
                  Fix(Span(source, start, span.stop), text, f"write `{text}`"))  # fmt: skip


def _two_steps(place: _Place) -> Diagnostic | None:
    if not place.step_is_whole() or place.glued() and place.before not in (")", "]", "}"):
        return None
    if not re.match(r"[A-Za-z_@{]", place.text) or place.text in ("as", "else"):
        return None
    if place.word(place.first) == "output" and place.text.startswith("@"):
        fix = Fix(place.gap(), ", ", "insert `,`")
        return _error("A001", "labels are separated by a comma", place.span(), "`,` is missing before this",
                      "write `output @c3, @c4`", fix)  # fmt: skip
    if place.before in COMBINATORS and place.index == place.first + 1 and place.text != "{":
        last = place.index
        while place.word(last + 1) not in ("", ";", "}", "]", "|"):
            last += 1
        span = place.span(place.index, last)
        return _error("A001", f"the steps of `{place.before}` stand in braces", span, "not in braces",
                      f"write `{place.before} {{ {span.text} }}`", _write(span, f"{{ {span.text} }}"))  # fmt: skip
    left = place.source.text[place.words[place.first].start : place.gap().start]
    shown = f"`{left}; {place.text}`" if len(left) <= 30 else f"`;` before `{place.text}`"
    return _error("A002", f"there is no separator before `{place.text}`", place.span(), "a new step starts here",
                  f"put `;` or a newline between two steps: write {shown}", Fix(place.gap(), "; ", "insert `;`"))  # fmt: skip


def _missing_comma(place: _Place) -> Diagnostic | None:
    if (
        not place.in_parentheses()
        or "COMMA" not in place.expected
        or not re.match(r"[A-Za-z0-9_@]", place.text)
    ):
        return None
    return _error("A001", f"there is no comma before `{place.text}`", place.span(), "a new value starts here",
                  "separate arguments with a comma", Fix(place.gap(), ", ", "insert `,`"))  # fmt: skip


def _branches_without_merge(place: _Place) -> Diagnostic | None:
    if place.text == "|":
        return _error("A001", "`|` separates branches, and only inside [ ]", place.span(), "not inside [ ]",
                      "write `concat [ a | b ]`; for `or`, write `or`")  # fmt: skip
    if place.text == "[" and place.index == place.first:
        start = place.span().start
        fix = Fix(Span(place.source, start, start), "concat ", "merge with concat")
        return _error("A001", "branches need a merge before their `[`", place.span(), "no merge before this",
                      "write `concat [ a | b ]`, or add, mul, mean, maximum", fix)  # fmt: skip
    return None


def _goes_on_from_the_line_before(place: _Place) -> Diagnostic | None:
    if place.index != place.first or place.text not in ("-", "/", "->", "as", "+", "*", ",", "."):
        return None
    return _error("A001", f"`{place.text}` goes on with a step, and none stands before it on this line", place.span(),
                  "starts a line", "a newline ends a step: write the whole step on one line")  # fmt: skip


def _shape_expected(place: _Place) -> Diagnostic | None:
    if "DIM" not in place.expected and "_BY" not in place.expected:
        return None
    return _error("A001", f"`{place.text}` does not fit in a shape", place.span(), "not part of a shape",
                  "a shape is written 3x224x224, 3xHxW or 1000, with no blanks; arithmetic stands in parentheses")  # fmt: skip


_SLIPS: tuple[Callable[[_Place], Diagnostic | None], ...] = (
    _string,
    _comment_of_another_language,
    _loose_shape,
    _foreign_character,
    _dangling_repeat,
    _glued_repeat,
    _orphan_else,
    _python,
    _equals,
    _second_comparison,
    _name_that_is_reserved,
    _bare_arithmetic,
    _missing_parameters,
    _missing_body,
    _nothing_follows,
    _repeat_without_number,
    _bad_number,
    _loose_kernel,
    _comma_between_steps,
    _branches_without_merge,
    _goes_on_from_the_line_before,
    _parts_out_of_order,
    _two_steps,
    _missing_comma,
    _shape_expected,
)


def _anything(place: _Place) -> Diagnostic:
    if not place.text:
        end = place.span(max(place.index - 1, 0)).at_end()
        return _error("A001", "the line ends before its statement does", end, "something is missing here",
                      "go on on the same line, or inside ( )")  # fmt: skip
    if place.index == place.first:
        hint = "a statement starts with a layer, a block, { or one of use, block, arch, default, let, if, input, output"
    elif place.in_parentheses():
        hint = "arguments are values or name=value, separated by commas"
    elif "NAME" in place.expected:
        hint = "a name or a value belongs here"
    else:
        hint = "the parts of a step come in this order: name-width/stride(args){body} xN as label -> shape"
    return _error("A001", f"`{place.text}` does not fit here", place.span(), "not expected here", hint)
