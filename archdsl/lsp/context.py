"""What is being typed at a place, told from the text before it alone: there, most texts do not parse."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal, NamedTuple

LONGEST = 50_000
"""Characters before the cursor that are looked at."""

_TOKENS = re.compile(r'"[^"\n]*"?|#[^\n]*|->|[()\[\]{}|;,\n]')
_DEFINITION = re.compile(
    r"^[ \t]*(?:block|arch)[ \t]+([A-Za-z_]\w*)[ \t]*(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?", re.MULTILINE
)
_CALL = re.compile(r"(@?[A-Za-z_]\w*)(?:-(?:\w+|\([^()]*\)))?(?:/(?:\w+|\([^()]*\)))?\s*$")

Kind = Literal[
    "step",
    "argument",
    "value",
    "expression",
    "label",
    "path",
    "figure",
    "contract",
    "member",
    "member of copy",
    "layer",
    "nothing",
]


class Call(NamedTuple):
    """The parentheses around the cursor: whose they are, what stands in them, and where they open."""

    head: str
    given: tuple[str, ...]  # each argument's text; the last is being typed
    start: int


class Context(NamedTuple):
    """kind: what can stand here. word: what of it is written already. call: the parentheses around it, if any."""

    kind: Kind
    word: str
    call: Call | None = None


class _Open(NamedTuple):
    bracket: str
    offset: int
    commas: list[int]


def context_at(text: str, offset: int) -> Context:
    """What can be written at an offset."""
    start = _start(text, offset)
    stack: list[_Open] = []
    begun = start  # where the statement begins that is being typed
    for match in _TOKENS.finditer(text, start, offset):
        token, at = match.group(), match.start()
        if token[0] == "#":
            if match.end() == offset and "\n" not in text[at:offset]:
                return Context("nothing", "")
        elif token[0] == '"':
            if match.end() == offset and (len(token) == 1 or token[-1] != '"'):
                return Context("path", token[1:])
        elif token in "([{":
            stack.append(_Open(token, at, []))
            begun = begun if token == "(" else at + 1
        elif token in ")]}":
            if stack:
                stack.pop()
            begun = begun if token == ")" else at + 1
        elif token == ",":
            if stack:
                stack[-1].commas.append(at)
        elif token != "->" and not (stack and stack[-1].bracket == "("):
            begun = at + 1
    if stack and stack[-1].bracket == "(":
        return _inside(text, offset, begun, stack[-1])
    return _statement(text[begun:offset])


def _start(text: str, offset: int) -> int:
    """Where to begin to read: the definition around the offset, as far as one line tells."""
    at = max(text.rfind("\nblock ", 0, offset), text.rfind("\narch ", 0, offset))
    return max(at + 1, offset - LONGEST, 0)


def _inside(text: str, offset: int, begun: int, opened: _Open) -> Context:
    before = text[begun : opened.offset]
    places = [opened.offset, *opened.commas, offset]
    given = tuple(text[a + 1 : b].strip() for a, b in pairwise(places))
    typed = given[-1]
    word = re.search(r"@?\w*$", typed)[0]  # type: ignore[index]
    lead = before.lstrip()
    if re.match(r"(?:block|arch)\s+\w+\s*$", lead):
        return Context("expression" if "=" in typed else "nothing", word)
    if re.search(r"[-/x]$|[=<>+*%(,]\s*$|(?:^|\s)(?:if|let|and|or|not)\s*$", before) or not before.strip():
        return _expression(typed, word, None)
    found = _CALL.search(before)
    call = Call(found[1], given, opened.offset) if found else None
    if re.match(r"expect\s*$", lead):
        return (
            _expression(typed, word, None)
            if "=" in typed
            else Context("figure", word, Call("expect", given, opened.offset))
        )
    if word.startswith("@"):
        return Context("label", word[1:], call)
    if call is None:
        return _expression(typed, word, None)
    name = re.match(r"(\w+)\s*=\s*", typed)
    if name is None:
        return Context("argument", word, call) if typed == word else _expression(typed, word, call)
    return Context("value", word, call) if typed[name.end() :] == word else _expression(typed, word, call)


def _expression(typed: str, word: str, call: Call | None) -> Context:
    if re.search(r"\bin\.\w*$", typed):
        return Context("member", word, call)
    if re.search(r"\bcopy\.\w*$", typed):
        return Context("member of copy", word, call)
    if word[:1].isdigit():
        return Context("nothing", word, call)
    return Context("label", word[1:], call) if word.startswith("@") else Context("expression", word, call)


def _statement(typed: str) -> Context:
    lead = typed.lstrip()
    word = re.search(r"@?\w*$", lead)[0]  # type: ignore[index]
    if word.startswith("@"):
        return Context("label", word[1:])
    if lead == word:
        return Context("step", word)
    if re.match(r"default\s+\w*$", lead):
        return Context("layer", word)
    if re.match(r"(?:if|else\s+if|let\s+\w+\s*=)\s", lead + " ") and not re.match(r"let\s+\w*$", lead):
        return _expression(lead, word, None)
    if re.search(r"->\s*[\w()]*$", lead):
        return Context("contract", word)
    if re.search(r"\S[-/]\w*$", lead):
        return _expression(lead, word, None)
    return Context("nothing", word)


class Scope(NamedTuple):
    """What the text before a place names: the definition around it, its parameters, values and labels."""

    owner: str
    variables: tuple[str, ...]
    labels: tuple[str, ...]


def scope_at(text: str, offset: int) -> Scope:
    """The names that can be used at an offset."""
    before = re.sub(r"#[^\n]*", "", text[max(0, offset - LONGEST) : offset])
    definitions = list(_DEFINITION.finditer(before))
    owner, variables, labels, body = "", [], [], before
    if definitions:
        last = definitions[-1]
        owner, body = last[1], before[last.end() :]
        for part in re.sub(r"\([^()]*\)", "", last[2] or "").split(","):
            name = part.partition("=")[0].strip()
            if name.startswith("@"):
                labels.append(name[1:])
            elif name.isidentifier():
                variables.append(name)
    variables += re.findall(r"\blet\s+([A-Za-z_]\w*)", body)
    labels += re.findall(r"\bas\s+([A-Za-z_]\w*)", body)
    labels += re.findall(r"\bcarry\s*\(\s*([A-Za-z_]\w*)\s*=", body)
    return Scope(owner, tuple(dict.fromkeys(variables)), tuple(dict.fromkeys(labels)))
