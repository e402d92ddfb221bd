"""Characters, comments and strings of other languages."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.source import Source, Span
from archdsl.syntax_errors.place import Place, error, write

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


def foreign_character(place: Place) -> Diagnostic | None:
    """A character that no token has: a look-alike, a blank of another kind, a quote."""
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
        return error("A011", f"{shown} is {called}, which the language does not use", span, "not of the language",
                     f"write {better}", Fix(span, text, f"write {better}"))  # fmt: skip
    if character.isalnum():
        return error("A011", f"`{character}` can't stand in a name", span, "not of the language",
                     "a name is made of the letters a to z, digits and _")  # fmt: skip
    shown = f"`{character}`" if character.isprintable() else f"U+{ord(character):04X}"
    if character == "'":
        quoted = re.compile(r"'([A-Za-z_]\w*|[0-9.]+)'").match(source.text, offset)
        if quoted:
            span = Span(source, offset, quoted.end())
            return error("A011", "a word needs no quotes", span, "in quotes", f"write `{quoted[1]}`",
                         write(span, quoted[1]))  # fmt: skip
        hint = "words need no quotes: write same, not 'same'"
    elif character == ":":
        hint = "a body stands in braces: block f(k) { ... }; a value is given with ="
    else:
        hint = "remove it"
    return error("A011", f"{shown} is not a character of the language", span, "not of the language", hint)


def comment_of_another_language(place: Place) -> Diagnostic | None:
    """`// stem`, `/* stem */`"""
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
        fix = write(Span(source, start, start + len(line.rstrip())), f"# {line.rstrip()[2:-2].strip()}")
        return error("A011", "`/*` starts no comment here", span, "not of the language",
                     "comments start with # and end with their line", fix if closed else None)  # fmt: skip
    return error("A011", f"`{place.text}` starts no comment here", span, "not of the language",
                 "comments start with #", write(span, "#"))  # fmt: skip


def string(place: Place) -> Diagnostic | None:
    """`let a = "b"`, or a string without its end."""
    if not place.text.startswith('"'):
        return None
    span = place.span()
    whole = len(place.text) > 1 and place.text.endswith('"')
    if not whole:
        stop = span.start + len(span.text.rstrip())
        span = Span(place.source, span.start, stop)
        end = span.at_end()
        fix = Fix(end, '"', 'insert `"`') if place.before == "use" and len(span.text) > 1 else None
        return error("A012", "this string does not end on its line", span, '`"` is missing at the end',
                     'close it with ", on the same line', fix)  # fmt: skip
    bare = place.text[1:-1]
    if re.fullmatch(r"[A-Za-z_]\w*|[0-9.]+", bare):
        return error("A001", "a word needs no quotes: a string stands only after `use`", span, "in quotes",
                     f"write `{bare}`", write(span, bare))  # fmt: skip
    return error("A001", "a string stands only after `use`", span, "a string",
                 'write `use "path.arch"` to import, or a bare word')  # fmt: skip
