"""Write the editors' word lists anew, from the registry: python -m editors.generate

tests/test_editors.py fails while a file here is not what this writes.
"""

from __future__ import annotations

import json
import plistlib
from pathlib import Path
from typing import Any

from archdsl import vocabulary

HERE = Path(__file__).resolve().parent
END = r"(?![A-Za-z0-9_])"
START = r"(?<![A-Za-z0-9_@])"
SIDE = r"(?:[0-9][0-9_]*|[A-Za-wyz_][A-Za-wyz0-9_]*|\([^()]*\))"


FUNCTIONS = [*vocabulary.functions(), "round[1-9][0-9]*"]
"""With `round4`, `round16` and their like."""


def any_of(words: tuple[str, ...] | list[str]) -> str:
    return "(?:" + "|".join(sorted(words, key=lambda word: (-len(word), word))) + ")"


def grammar() -> dict[str, Any]:
    """The TextMate grammar, which VS Code and Sublime Text share."""

    def rule(scope: str, match: str) -> dict[str, str]:
        return {"name": f"{scope}.archdsl", "match": match}

    def groups(match: str, *scopes: str) -> dict[str, Any]:
        captures = {str(i): {"name": f"{scope}.archdsl"} for i, scope in enumerate(scopes, 1)}
        return {"match": match, "captures": captures}

    kernel = rf"(?:[0-9]+(?:x[0-9]+)?)?{END}"
    return {
        "name": "archdsl",
        "scopeName": "source.archdsl",
        "fileTypes": ["arch"],
        "patterns": [
            rule("comment.line.number-sign", r"#.*$"),
            rule("string.quoted.double", r'"[^"\n]*"'),
            groups(
                rf"{START}({'|'.join(vocabulary.DEFINITIONS)})[ \t]+([A-Za-z_]\w*)",
                "storage.type",
                "entity.name.function",
            ),
            groups(rf"{START}(as)[ \t]+([A-Za-z_]\w*)", "keyword.control", "entity.name.label"),
            rule("keyword.operator.word", START + any_of(vocabulary.OPERATORS) + END),
            rule("keyword.control", START + any_of(vocabulary.KEYWORDS) + END),
            rule("variable.other.label", r"@[A-Za-z_]\w*"),
            groups(rf"(->)[ \t]*({SIDE}(?:x{SIDE})*)", "keyword.operator.contract", "constant.numeric.shape"),
            rule("constant.numeric.shape", rf"{START}[0-9]+(?:x{SIDE})+"),
            rule("keyword.operator.repeat", rf"{START}x(?:[0-9]+{END}|(?=\())"),
            rule(
                "constant.numeric",
                rf"{START}[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[KMG]?{END}",
            ),
            rule("variable.parameter", rf"{START}[A-Za-z_]\w*(?=[ \t]*=(?!=))"),
            rule("constant.language", "(?<==)" + any_of(vocabulary.choices()) + END),
            rule("support.function.layer", START + any_of(vocabulary.layers()) + kernel),
            rule("keyword.control.combinator", START + any_of(vocabulary.combinators()) + END),
            rule("support.class.block", START + any_of(vocabulary.blocks()) + END),
            rule("support.function.arithmetic", START + any_of(FUNCTIONS) + END),
            rule("constant.language", START + any_of(vocabulary.CONSTANTS) + END),
            rule("keyword.operator", r"==|!=|<=|>=|//|[-+*/%<>=|]"),
        ],
    }


def vim() -> str:
    """Vim's syntax file: enough where no server runs; with one, semantic tokens lie over it."""

    def rule(group: str, pattern: str) -> str:
        return f"syntax match {group} '\\v{pattern}'"

    def words(names: tuple[str, ...] | list[str], after: str = "") -> str:
        return f"<%({'|'.join(names)}){after}>"

    # Of two matches at one place the later rule wins.
    lines = [
        '" Written by python -m editors.generate.',
        "if exists('b:current_syntax')",
        "  finish",
        "endif",
        rule("archdslOperator", "[-+*/%<>=|]"),
        rule("archdslParameter", "<[A-Za-z_]\\w*>(\\s*\\=\\=@!)@="),
        rule("archdslConstant", words(vocabulary.CONSTANTS)),
        rule("archdslFunction", words(FUNCTIONS)),
        rule("archdslBlock", words(vocabulary.blocks())),
        rule("archdslLayer", words(vocabulary.layers(), "%([0-9]+%(x[0-9]+)?)?")),
        rule("archdslKeyword", words([*vocabulary.KEYWORDS, *vocabulary.combinators()])),
        rule("archdslNumber", "<[0-9][0-9_]*%(\\.[0-9]+)?%([eE][+-]?[0-9]+)?[KMG]?>"),
        rule("archdslNumber", "<[0-9]+%(x[0-9A-Za-z_]+)+>"),
        rule("archdslRepeat", "<x[0-9]+>|<x\\(@="),
        rule("archdslLabel", "\\@[A-Za-z_]\\w*"),
        "syntax region archdslString start='\"' end='\"' oneline",
        rule("archdslComment", "#.*$"),
    ]
    looks = {
        "Operator": "Operator",
        "Parameter": "Identifier",
        "Constant": "Constant",
        "Function": "Function",
        "Block": "Type",
        "Layer": "Function",
        "Keyword": "Keyword",
        "Number": "Number",
        "Repeat": "Repeat",
        "Label": "Label",
        "String": "String",
        "Comment": "Comment",
    }
    lines += [f"highlight default link archdsl{group} {look}" for group, look in looks.items()]
    return "\n".join([*lines, "let b:current_syntax = 'archdsl'", ""])


def files() -> dict[Path, str]:
    """Every generated file with its text."""
    made = grammar()
    return {
        HERE / "vscode/syntaxes/archdsl.tmLanguage.json": json.dumps(made, indent=2) + "\n",
        HERE / "textmate/archdsl.tmLanguage": plistlib.dumps(made, sort_keys=False).decode(),
        HERE / "neovim/syntax/archdsl.vim": vim(),
    }


def main() -> None:
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
