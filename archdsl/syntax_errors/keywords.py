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
