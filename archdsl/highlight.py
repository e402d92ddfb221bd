"""A Pygments lexer: `pygmentize net.arch`, Sphinx and notebooks find it once archdsl is installed."""

from __future__ import annotations

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from archdsl import vocabulary

_END = r"(?![A-Za-z0-9_])"
_KERNEL = r"(?:[0-9]+(?:x[0-9]+)?)?" + _END
_SIDE = r"(?:[0-9][0-9_]*|[A-Za-wyz_][A-Za-wyz0-9_]*|\([^()\n]*\))"


class ArchLexer(RegexLexer):  # type: ignore[misc]
    """archdsl specs. What no rule knows is an Error token; a spec that checks has none."""

    name = "archdsl"
    aliases = ["archdsl", "arch"]
    filenames = ["*.arch"]
    url = "https://pypi.org/project/archdsl/"
    version_added = ""

    tokens = {
        "root": [
            (r"[ \t\r\n]+", Whitespace),
            (r"#[^\n]*", Comment.Single),
            (r'"[^"\n]*"', String),
            (
                r"(block|arch)([ \t]+)([A-Za-z_]\w*)",
                bygroups(Keyword.Declaration, Whitespace, Name.Function),
            ),
            (r"(as)([ \t]+)([A-Za-z_]\w*)", bygroups(Keyword, Whitespace, Name.Label)),
            (words(vocabulary.OPERATORS, suffix=_END), Operator.Word),
            (words(vocabulary.KEYWORDS, suffix=_END), Keyword),
            (r"@[A-Za-z_]\w*", Name.Label),
            (rf"(->)([ \t]*)({_SIDE}(?:x{_SIDE})*)", bygroups(Operator, Whitespace, Number.Integer)),
            (rf"[0-9]+(?:x{_SIDE})+", Number.Integer),
            (r"x[0-9]+" + _END, Keyword.Pseudo),
            (r"x(?=\()", Keyword.Pseudo),
            (r"[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[KMG]?" + _END, Number),
            (r"([A-Za-z_]\w*)([ \t]*)(=)(?!=)", bygroups(Name.Attribute, Whitespace, Operator)),
            (words(vocabulary.choices(), prefix="(?<==)", suffix=_END), Keyword.Constant),
            (words(vocabulary.layers(), suffix=_KERNEL), Name.Builtin),
            (words(vocabulary.combinators(), suffix=_END), Keyword),
            (words(vocabulary.blocks(), suffix=_END), Name.Class),
            (words(vocabulary.functions(), suffix=_END), Name.Function.Magic),
            (words(vocabulary.CONSTANTS, suffix=_END), Keyword.Constant),
            (r"[A-Za-z_]\w*", Name),
            (r"->|==|!=|<=|>=|//|[-+*/%<>=|]", Operator),
            (r"[()\[\]{},;.]", Punctuation),
        ]
    }
