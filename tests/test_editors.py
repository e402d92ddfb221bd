"""What editors get beside the server: grammars, the extension's manifest, the Pygments lexer, settings."""

from __future__ import annotations

import json
import plistlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pygments.token import Error, Keyword, Name

from archdsl import vocabulary
from archdsl.highlight import ArchLexer
from archdsl.resources import specs_root

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))
from editors import generate  # noqa: E402

EDITORS = CHECKOUT / "editors"
VSCODE = EDITORS / "vscode"
SPECS = sorted(specs_root().rglob("*.arch"))


@pytest.mark.parametrize("path", generate.files(), ids=lambda path: path.name)
def test_generated_files_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generate.files()[path], "run: python -m editors.generate"


def test_every_word_is_coloured() -> None:
    """The words of grammar/arch.lark, and all that the registry has."""
    grammar = (CHECKOUT / "grammar" / "arch.lark").read_text(encoding="utf-8")
    reserved = re.search(r"NAME: /\(\?!\(\?:([a-z|]+)\|x", grammar)
    assert reserved is not None
    assert set(reserved[1].split("|")) == set(vocabulary.DEFINITIONS) | set(vocabulary.STATEMENTS)
    assert len(vocabulary.layers()) >= 30 and "bottleneck" in vocabulary.blocks()
    words = [*vocabulary.KEYWORDS, *vocabulary.layers(), *vocabulary.combinators(), *vocabulary.blocks()]
    for text in generate.files().values():
        assert not [word for word in words if word not in text]


RULES = [(re.compile(rule["match"]), rule) for rule in generate.grammar()["patterns"]]


def pieces(line: str) -> Iterator[tuple[int, int, str]]:
    """What of a line has a scope: the first rule that matches at the leftmost place, as TextMate takes them."""
    at = 0
    while matches := [(match, rule) for pattern, rule in RULES if (match := pattern.search(line, at))]:
        match, rule = min(matches, key=lambda pair: pair[0].start())
        if "name" in rule:
            yield match.start(), match.end(), rule["name"].removesuffix(".archdsl")
        for number, capture in rule.get("captures", {}).items():
            yield *match.span(int(number)), capture["name"].removesuffix(".archdsl")
        at = max(match.end(), at + 1)


def scopes(line: str) -> dict[str, str]:
    return {line[start:stop]: scope for start, stop, scope in pieces(line)}


def test_textmate_scopes() -> None:
    assert scopes("block twice(k, @skip) { # end") == {
        "block": "storage.type",
        "twice": "entity.name.function",
        "@skip": "variable.other.label",
        "# end": "comment.line.number-sign",
    }
    assert scopes("  conv1x7-8(act=relu) x2 as c1 -> 64x_xW") == {
        "conv1x7": "support.function.layer",
        "8": "constant.numeric",
        "-": "keyword.operator",
        "act": "variable.parameter",
        "=": "keyword.operator",
        "relu": "support.function.layer",
        "x2": "keyword.operator.repeat",
        "as": "keyword.control",
        "c1": "entity.name.label",
        "->": "keyword.operator.contract",
        "64x_xW": "constant.numeric.shape",
    }
    assert scopes("default conv(order=pre)")["pre"] == "constant.language" and "pre" not in scopes(
        "let a = pre"
    )
    assert "conv" not in scopes("my_conv(3)") and "relu" not in scopes("relux")


@pytest.mark.parametrize("path", SPECS[1::4], ids=lambda path: path.stem)
def test_what_is_left_without_a_colour(path: Path) -> None:
    """Names that an author gave, and brackets; never a number, an operator, a word of the language or of the library."""
    words = {*vocabulary.KEYWORDS, *vocabulary.CONSTANTS, *vocabulary.combinators(), *vocabulary.functions()}
    coloured = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        found = list(pieces(line))
        coloured += len(found)
        bare = list(line)
        for start, stop, scope in found:
            bare[start:stop] = " " * (stop - start)
            if scope == "comment.line.number-sign":
                assert line[start] == "#" and stop == len(line)
        left = re.findall(r"[A-Za-z_]\w*|[^\sA-Za-z_]", "".join(bare))
        assert not [piece for piece in left if piece in words], line
        assert all(re.fullmatch(r"[A-Za-z_]\w*|[()\[\]{},;.]", piece) for piece in left), line
        assert ("#" in line) == any(scope.startswith("comment") for _, _, scope in found), line
    assert coloured > 5


def test_the_sublime_grammar_is_the_same() -> None:
    held = plistlib.loads((EDITORS / "textmate" / "archdsl.tmLanguage").read_bytes())
    assert held == json.loads((VSCODE / "syntaxes" / "archdsl.tmLanguage.json").read_text(encoding="utf-8"))


def test_the_extension_names_what_there_is() -> None:
    manifest: dict[str, Any] = json.loads((VSCODE / "package.json").read_text(encoding="utf-8"))
    gives = manifest["contributes"]
    paths = [
        gives["grammars"][0]["path"],
        gives["snippets"][0]["path"],
        gives["languages"][0]["configuration"],
    ]
    for path in paths:
        json.loads((VSCODE / path).read_text(encoding="utf-8"))
    code = (VSCODE / "src" / "extension.js").read_text(encoding="utf-8")
    for command in gives["commands"]:
        assert f"registerCommand('{command['command']}'" in code
    pytest.importorskip("pygls", reason="the language server is not installed: archdsl[lsp]")
    from archdsl.lsp.server import make_server

    for request in re.findall(r"sendRequest\('([^']+)'", code):
        assert request in make_server("0").protocol.fm.features
    for setting in gives["configuration"]["properties"]:
        assert f"'{setting.split('.')[1]}'" in code, setting
    from archdsl.lsp.lens import SHOW_DIAGRAM
    from archdsl.lsp.settings import Settings, read

    assert SHOW_DIAGRAM in {command["command"] for command in gives["commands"]}
    defaults = {name: value["default"] for name, value in gives["configuration"]["properties"].items()}
    given = {"hints": {"shapes": defaults["archdsl.hints.shapes"], "costs": defaults["archdsl.hints.costs"]}}
    assert read({**given, "root": defaults["archdsl.root"]}) == Settings()


def test_snippets_are_specs() -> None:
    """Each snippet, with what it proposes at its places, is read without an error of syntax."""
    from archdsl.parse import parse
    from archdsl.source import Source

    snippets = json.loads((VSCODE / "snippets" / "archdsl.json").read_text(encoding="utf-8"))
    for name, snippet in snippets.items():
        body = snippet["body"]
        text = "\n".join(body) if isinstance(body, list) else body
        text = re.sub(r"\$\{\d+:([^}]*)\}", r"\1", text)
        text = text.replace("  $0\n", "  relu\n").replace("$0", "")
        _, found = parse(Source(name, text))
        assert found == (), (name, text)


def test_helix_settings() -> None:
    held = tomllib.loads((EDITORS / "helix" / "languages.toml").read_text(encoding="utf-8"))
    (language,) = held["language"]
    assert language["file-types"] == ["arch"]
    assert set(language["language-servers"]) == set(held["language-server"])
    # Helix refuses a language with any other key (helix-core/src/syntax/config.rs).
    known = "name scope file-types comment-tokens comment-token roots indent language-servers auto-pairs"
    assert set(language) <= set(known.split())
    assert set(language["indent"]) == {"tab-width", "unit"}
    pytest.importorskip("pygls", reason="the language server is not installed: archdsl[lsp]")
    from archdsl.lsp.settings import Settings, read

    assert read(held["language-server"]["archdsl"]["config"]) == Settings()
    assert read({"archdsl": {"hints": {"costs": True}}}).costs


@pytest.mark.parametrize("path", SPECS[::4], ids=lambda path: path.stem)
def test_pygments_knows_every_word_of_a_spec(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = list(ArchLexer(stripnl=False, ensurenl=False).get_tokens(text))
    assert "".join(word for _, word in found) == text
    assert not [word for kind, word in found if kind in Error]


def test_pygments_tells_words_apart() -> None:
    kinds = {
        word: kind for kind, word in ArchLexer().get_tokens("block f(k) { conv3-k x2 as c1; bottleneck(8) }")
    }
    assert kinds["block"] is Keyword.Declaration and kinds["f"] is Name.Function
    assert kinds["conv3"] is Name.Builtin and kinds["x2"] is Keyword.Pseudo
    assert kinds["c1"] is Name.Label and kinds["bottleneck"] is Name.Class
    assert kinds["k"] in Name


def test_pygments_finds_the_lexer() -> None:
    held = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    module, _, name = held["project"]["entry-points"]["pygments.lexers"]["archdsl"].partition(":")
    assert (module, name) == (ArchLexer.__module__, ArchLexer.__name__)
