"""Words of the language, misspelt or in capitals: what follows says which one was meant."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic, did_you_mean
from archdsl.syntax_errors.loose import layer_called
from archdsl.syntax_errors.place import Place, error, write
from archdsl.syntax_errors.python import PYTHON

_FOLLOWED_BY = {
    "arch": r"[A-Za-z_]\w*\s*(\([^{}]*\)\s*)?\{",
    "block": r"[A-Za-z_]\w*\s*\([^{}]*\)\s*\{",
    "default": r"[A-Za-z_]\w*\s*\(",
    "let": r"[A-Za-z_]\w*\s*=",
    "input": r"[0-9(]",
    "output": r"@",
    "use": r'"',
}
_ELSEWHERE = {
    "model": "arch",
    "network": "arch",
    "net": "arch",
    "module": "block",
    "function": "block",
    "func": "block",
    "var": "let",
    "const": "let",
    "set": "let",
    "defaults": "default",
    "import": "use",
    "include": "use",
}


def body_after_a_colon(place: Place) -> Diagnostic | None:
    """`arch net:`, `network net:`, `network net`, `block f(k):`"""
    found = re.fullmatch(r"([A-Za-z]+)[ \t]+([A-Za-z_]\w*)[ \t]*(\([^(){}]*\))?[ \t]*(:?)[ \t]*(?:#.*)?", place.line())
    if found is None or place.words[0].start != place.words[place.first].start:
        return None
    word = _ELSEWHERE.get(found[1].lower(), found[1].lower())
    if word not in ("arch", "block") or word == found[1] and not found[4]:  # of those it is known where the brace is missing
        return None
    head = f"{word} {found[2]}{found[3] or ''}"
    label = "not a brace" if found[4] else "no brace after it"
    return error("A001", f"what `{word}` holds stands in braces", place.span(len(place.words) - 1), label,
                 f"write `{head} {{ ... }}`: indents mean nothing here")  # fmt: skip


def misspelt_keyword(place: Place) -> Diagnostic | None:
    """`Arch net {`, `model net {`, `ouput @c1`"""
    word = place.word(place.first)
    if place.index != place.first + 1 or not word.isidentifier() or word in {*_FOLLOWED_BY, *PYTHON} or layer_called(word):
        return None
    rest = place.source.text[place.words[place.first].stop :].lstrip(" \t")
    fitting = [key for key, follows in _FOLLOWED_BY.items() if re.match(follows, rest)]
    meant = _ELSEWHERE.get(word.lower()) or did_you_mean(word, fitting)
    if meant not in fitting:
        return None
    span = place.span(place.first)
    return error("A001", f"`{word}` is not a word of the language: did you mean `{meant}`?", span, "not a word of the language",
                 f"write `{meant}`", write(span, meant))  # fmt: skip
