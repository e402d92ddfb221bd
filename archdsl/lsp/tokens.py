"""Semantic tokens: words told apart by what they stand for, which no grammar of an editor can know."""

from __future__ import annotations

import re

from lsprotocol import types

from archdsl import syntax
from archdsl.combinators import COMBINATORS
from archdsl.lsp.analysis import Analysis
from archdsl.lsp.tree import walk
from archdsl.names import Target, resolve
from archdsl.ops import LAYERS
from archdsl.values import function_called
from archdsl.vocabulary import CONSTANTS, KEYWORDS, choices

TYPES = [
    "keyword", "function", "class", "parameter", "variable", "property", "number", "operator", "string", "comment",
    "enumMember", "method",
]  # fmt: skip
MODIFIERS = ["declaration", "defaultLibrary"]
LEGEND = types.SemanticTokensLegend(TYPES, MODIFIERS)
_DECLARATION, _LIBRARY = 1, 2
CHOICES = frozenset(choices())

_WORDS = re.compile(
    r'(?P<comment>#[^\n]*)|(?P<string>"[^"\n]*"?)|(?P<operator>->|==|!=|<=|>=|//|[-+*/%<>=|])'
    r"|(?P<number>(?<![A-Za-z_@0-9])[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[KMG]?(?![A-Za-z0-9_]))"
    r"|(?P<shape>(?<![A-Za-z_@0-9])[0-9][A-Za-z0-9_]*)|(?P<copies>(?<![A-Za-z0-9_@])x(?=[0-9(]))|(?P<word>[A-Za-z_]\w*)"
)


def tokens(analysis: Analysis) -> types.SemanticTokens:
    """All tokens of a text, each as the difference from the one before it."""
    meant = _meanings(analysis)
    data: list[int] = []
    line = column = 0
    for match in _WORDS.finditer(analysis.text):
        kind, word, start = match.lastgroup or "", match.group().rstrip("\r"), match.start()
        modifiers = 0
        if kind == "word":
            if start in meant:
                kind, modifiers = meant[start]
            elif word in KEYWORDS:
                kind = "keyword"
            elif function_called(word):
                kind, modifiers = "function", _LIBRARY
            elif word in LAYERS or word in CONSTANTS or (word in CHOICES and analysis.text[start - 1] == "="):
                kind = "enumMember"
            else:
                continue
        elif kind == "shape":
            kind = "number"
        elif kind == "copies":
            kind = "keyword"
        place, end = analysis.lines.position(start), analysis.lines.position(start + len(word))
        length = end.character - place.character
        data += [
            place.line - line,
            place.character - (column if place.line == line else 0),
            length,
            TYPES.index(kind),
            modifiers,
        ]
        line, column = place.line, place.character
    return types.SemanticTokens(data=data)


def _meanings(analysis: Analysis) -> dict[int, tuple[str, int]]:
    """What the words at some offsets stand for."""
    found: dict[int, tuple[str, int]] = {}
    tree = analysis.module.tree
    for node in walk(tree) if tree is not None else ():
        if isinstance(node, syntax.Argument) and node.name is not None:
            found[node.name.span.start] = ("parameter", 0)
        elif isinstance(node, syntax.Default):
            found[node.op.span.start] = ("function", _LIBRARY)
        elif isinstance(node, syntax.Step) and isinstance(node.head, syntax.Name):
            target = resolve(node.head, analysis.module) if _may_resolve(node.head.name, analysis) else None
            if isinstance(target, Target):
                library = target.kind != "block" or (target.module is not None and target.module.is_library)
                kind = "method" if node.head.name in COMBINATORS else "function"
                found[node.head.span.start] = (kind, _LIBRARY if library else 0)
    for binding in analysis.bindings:
        kind = {"variable": "variable", "label": "property", "definition": "function"}[binding.kind]
        if binding.kind != "definition" or binding.span == binding.place:
            if binding.kind == "definition" and isinstance(
                analysis.module.definitions.get(binding.span.text), syntax.Arch
            ):
                kind = "class"
            found[binding.span.start] = (kind, _DECLARATION if binding.span == binding.place else 0)
    return found


def _may_resolve(name: str, analysis: Analysis) -> bool:
    """Whether a head may mean something: looking for what was meant by one that does not takes long."""
    stem = re.sub(r"[0-9]+(x[0-9]+)?$", "", name)
    return (
        stem in LAYERS
        or name in COMBINATORS
        or analysis.module.find(name) is not None
        or analysis.module.files.library_block(name) is not None
    )
