"""How findings are shown: carets under the right characters, nothing raw in a terminal, data for programs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from textwrap import dedent

import pytest

from archdsl.diagnostics import Diagnostic, Fix, Related
from archdsl.render import printable, to_github, to_json, to_text, width
from archdsl.source import Source, Span

ROOT = Path(__file__).resolve().parent.parent


def span(source: Source, text: str, occurrence: int = 0) -> Span:
    start = -1
    for _ in range(occurrence + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def error(where: Span | None, **more: object) -> Diagnostic:
    return Diagnostic(**{"code": "A201", "message": "it does not fit", "span": where, **more})  # type: ignore[arg-type]


def shown(diagnostic: Diagnostic) -> str:
    """The text of one finding without the closing line."""
    return to_text([diagnostic]).rpartition("\n\n")[0]


def snippet(diagnostic: Diagnostic) -> list[str]:
    """The lines of the first snippet, gutter included."""
    lines = shown(diagnostic).split("\n")[3:]
    return lines[
        : next((i for i, line in enumerate(lines) if re.fullmatch(r" +\||help: .*", line)), len(lines))
    ]


def exact(text: str) -> str:
    return dedent(text).strip("\n")


NET = Source(
    "net.arch",
    exact("""
    arch net {
      input 3x32x32
      conv99-64(p=0)
      conv3-64x2
    }
    """),
)


def test_everything_at_once() -> None:
    found = error(
        span(NET, "conv99"),
        message="a window of 99 does not fit in 32",
        label="99 wide",
        related=(Related(span(NET, "3x32x32"), "32 comes from here"),),
        notes=("32 + 2*0 - 99 < 0", "two\nlines"),
        hint="write conv3-64",
        fix=Fix(span(NET, "99"), "3", "use a kernel of 3"),
    )
    assert to_text([found]) == exact("""
        error[A201]: a window of 99 does not fit in 32
         --> net.arch:3:3
          |
        2 |   input 3x32x32
          |         ------- 32 comes from here
        3 |   conv99-64(p=0)
          |   ^^^^^^ 99 wide
          |
          = note: 32 + 2*0 - 99 < 0
          = note: two
                  lines
          = help: write conv3-64
        help: use a kernel of 3
          |
        3 -   conv99-64(p=0)
        3 +   conv3-64(p=0)
          |       ~

        1 error; for more on it: archdsl explain A201
        """)


def test_an_inserted_blank_shows_one_line() -> None:
    at = span(NET, "x2")
    found = error(at, fix=Fix(Span(NET, at.start, at.start), " ", "put a blank"), hint="put a blank")
    assert shown(found) == exact("""
        error[A201]: it does not fit
         --> net.arch:4:11
          |
        4 |   conv3-64x2
          |           ^^
          |
        help: put a blank
          |
        4 |   conv3-64 x2
          |           +
        """)


def test_a_fix_may_delete_a_line_or_change_several() -> None:
    source = Source("a.arch", "one\ntwo\nthree\nfour")
    gone = error(span(source, "two"), fix=Fix(span(source, "two"), "", "drop it"))
    assert shown(gone).endswith("help: drop it\n  |\n2 - two")
    many = error(span(source, "two"), fix=Fix(span(source, "two\nthree"), "2\n3\n3b", "count"))
    assert shown(many).endswith("  |\n2 - two\n3 - three\n2 + 2\n3 + 3\n4 + 3b")
    kept = error(span(source, "two"), fix=Fix(span(source, "one\ntwo\nthree"), "one\n2\nthree", "count"))
    assert shown(kept).endswith("  |\n2 - two\n2 + 2\n  | ~")


def test_two_marks_on_one_line() -> None:
    source = Source("a.arch", "add [ conv3-8 | conv3-16 ]")
    found = error(
        span(source, "conv3-16"),
        label="16 channels",
        related=(Related(span(source, "conv3-8"), "8 channels"),),
    )
    assert snippet(found) == [
        "1 | add [ conv3-8 | conv3-16 ]",
        "  |       -------   ^^^^^^^^ 16 channels",
        "  |       |",
        "  |       8 channels",
    ]


def test_a_mark_within_a_mark() -> None:
    source = Source("a.arch", "residual { conv3-8 } as x")
    outer = Related(span(source, "residual { conv3-8 }"), "this residual")
    assert snippet(error(span(source, "conv3-8"), label="8", related=(outer,))) == [
        "1 | residual { conv3-8 } as x",
        "  | -----------^^^^^^^-- this residual",
        "  |            |",
        "  |            8",
    ]


def test_lines_far_apart_and_another_file() -> None:
    text = "\n".join(f"line{i}" for i in range(1, 13))
    source, other = Source("a.arch", text), Source("b.arch", "block f(a) { }")
    found = error(
        span(source, "line9"),
        related=(Related(span(source, "line2"), "near the top"), Related(span(other, "f"), "defined here")),
    )
    assert shown(found) == exact("""
        error[A201]: it does not fit
         --> a.arch:9:1
          |
        2 | line2
          | ----- near the top
        ...
        9 | line9
          | ^^^^^
          |
         ::: b.arch:1:7
          |
        1 | block f(a) { }
          |       - defined here
        """)


def test_one_line_between_is_shown() -> None:
    source = Source("a.arch", "one\ntwo\nthree")
    found = error(span(source, "three"), related=(Related(span(source, "one"), "first"),))
    assert "2 | two" in snippet(found)


def test_spans_of_several_lines() -> None:
    source = Source("a.arch", "  concat [\n    a\n  | b ]\nrelu")
    whole = error(Span(source, 2, source.text.index("]") + 1), label="all of it")
    assert snippet(whole) == ["1 | /   concat [", "2 | |     a", "3 | |   | b ]", "  | |_______^ all of it"]
    inner = error(Span(source, 9, source.text.index("]") + 1), label="the branches")
    assert snippet(inner) == [
        "1 |     concat [",
        "  |  __________^",
        "2 | |     a",
        "3 | |   | b ]",
        "  | |_______^ the branches",
    ]


def test_a_long_span_leaves_out_its_middle_and_nests() -> None:
    source = Source("a.arch", "a {\n" + "  relu\n" * 20 + "}")
    found = error(
        Span(source, 0, len(source.text)),
        label="this",
        related=(Related(Span(source, source.text.index("relu"), source.text.index("relu") + 11), "two"),),
    )
    assert snippet(found) == [
        " 1 | /   a {",
        " 2 | | /   relu",
        " 3 | | |   relu",
        "   | | |______- two",
        "...  |",
        "21 | |     relu",
        "22 | |   }",
        "   | |___^ this",
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_empty_spans_show_one_caret(ending: str) -> None:
    source = Source("a.arch", f"conv3{ending}relu{ending}")
    after = span(source, "conv3").at_end()
    for where in (after, Span(source, 5, 5 + len(ending))):
        assert snippet(error(where, label="a width")) == ["1 | conv3", "  |      ^ a width"]
    end = len(source.text)
    assert snippet(error(Span(source, end, end), label="end")) == ["3 |", "  | ^ end"]
    # A place past the text is shown at its end, not as an exception.
    assert snippet(error(Span(source, end + 9, end + 12))) == ["3 |", "  | ^"]


def test_an_empty_source() -> None:
    assert snippet(error(Span(Source("a.arch", ""), 0, 0))) == ["1 |", "  | ^"]


def test_a_span_that_ends_with_the_line_stays_on_it() -> None:
    source = Source("a.arch", "conv3\r\nrelu")
    assert snippet(error(Span(source, 0, 7))) == ["1 | conv3", "  | ^^^^^"]
    blank = Source("a.arch", "conv3\n\n\nrelu")
    assert snippet(error(Span(blank, 0, 8))) == ["1 | conv3", "  | ^^^^^"]


CELLS = {
    "tab": "\tconv",
    "two tabs": "a\tb\tconv",
    "cjk": "# 漢字 conv",
    "emoji": "🙂🙂 conv",
    "combining": "e\u0301e\u0301 conv",
    "zero width": "a\u200bb\u200d conv",
    "full width": "\uff21 conv",
    "escape": "\x1b[31m conv",
    "jamo": "\u1112\u1161\u11ab conv",
}


def cells(text: str) -> int:
    """Terminal cells, counted independently of the renderer (Markus Kuhn's rules)."""
    total = 0
    for character in text:
        if unicodedata.category(character) in ("Mn", "Me", "Cf") or "\u1160" <= character <= "\u11ff":
            continue
        total += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return total


@pytest.mark.parametrize("line", CELLS.values(), ids=CELLS.keys())
def test_carets_stand_under_their_characters(line: str) -> None:
    source = Source("a.arch", f"{line}9 # after")
    text, carets = snippet(error(span(source, "conv9"), label="here"))
    assert "\t" not in text and "\x1b" not in text
    assert cells(text[: text.index("conv9")]) == carets.index("^")
    assert carets[carets.index("^") :] == "^^^^^ here"


def test_carets_are_as_wide_as_their_characters() -> None:
    source = Source("a.arch", "as 漢字🙂e\u0301 x")
    assert snippet(error(span(source, "漢字🙂"), label="h"))[1] == "  |    ^^^^^^ h"
    assert snippet(error(span(source, "e\u0301"), label="h"))[1] == "  |          ^ h"
    assert snippet(error(span(source, "\u0301"), label="h"))[1].endswith("^ h")
    wide = Related(span(source, "漢"), "字 wide message")
    hanging = snippet(error(span(source, "x"), label="h", related=(wide,)))
    assert hanging[1:] == ["  |    --      ^ h", "  |    |", "  |    字 wide message"]


def test_long_lines_are_cut_around_the_mark() -> None:
    source = Source("a.arch", "a " * 1000 + "conv7-77 " + "b " * 1000)
    text, carets = snippet(error(span(source, "conv7-77"), label="here"))
    assert len(text) < 140 and text.startswith("1 | …a a") and text.endswith("…")
    assert text.index("conv7-77") == carets.index("^^^^^^^^ here")
    first = snippet(error(Span(source, 0, 1)))
    assert first[0].startswith("1 | a a") and first[1] == "  | ^"
    last = snippet(error(Span(source, len(source.text) - 2, len(source.text) - 1)))
    assert last[0].endswith("b b") and last[1].endswith("^") and len(last[1]) == len(last[0])
    whole = snippet(error(Span(source, 0, len(source.text)), label="all"))
    assert len(whole[1]) < 140 and whole[1].endswith("^ all")
    million = Source("a.arch", "x" * 10**6)
    assert len(to_text([error(Span(million, 500_000, 500_003))])) < 500


def test_two_marks_too_far_apart_on_a_long_line_get_a_snippet_each() -> None:
    source = Source("a.arch", "first " + "a " * 1000 + "second")
    found = error(span(source, "second"), label="2nd", related=(Related(span(source, "first"), "1st"),))
    text = shown(found)
    assert " ::: a.arch:1:1\n" in text and "^^^^^^ 2nd" in text and "----- 1st" in text


BIDI = "\u202e\u2066"
EVIL = f"\x1b[2J\x07\x00\x7f\x9b1m{BIDI}\u2028\r"


def test_no_control_character_gets_out() -> None:
    source = Source(f"na{EVIL}me", f"co{EVIL}nv9\nrelu")
    where = Span(source, 0, len(EVIL) + 5)
    found = error(
        where,
        message=f"m{EVIL}\nn",
        label=f"l{EVIL}\nn",
        related=(Related(span(source, "relu"), f"r{EVIL}"),),
        notes=(f"n{EVIL}",),
        hint=f"h{EVIL}",
        fix=Fix(where, f"f{EVIL}", f"t{EVIL}"),
    )
    for text in (to_text([found]), to_github([found]), to_json([found])):
        assert not [
            c for c in text if c != "\n" and (unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in BIDI)
        ]
    assert "␛[2J␇␀␡" in to_text([found])
    assert len(to_github([found]).split("\n")) == 1
    assert printable("a\ud800b") == "a\ufffdb"


def test_colour_only_adds_escapes() -> None:
    found = error(
        span(NET, "conv99"),
        label="l",
        related=(Related(span(NET, "3x32x32"), "r"), Related(Span(NET, 0, len(NET.text)), "all")),
        notes=("n",),
        hint="h",
        fix=Fix(span(NET, "99"), "3", "t"),
    )
    plain, coloured = to_text([found]), to_text([found], color=True)
    assert "\x1b" not in plain and coloured.count("\x1b[1;31m") >= 2
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert coloured.count("\x1b[0m") * 2 == coloured.count("\x1b")


def test_the_closing_line_counts() -> None:
    one, warning = error(None), error(None, code="L101", severity="warning")
    assert to_text([]) == ""
    assert to_text([warning]) == "warning[L101]: it does not fit\n\n1 warning; for more on it: archdsl explain L101"
    assert to_text([one]).endswith("\n\n1 error; for more on it: archdsl explain A201")
    assert to_text([warning, one, one]).endswith(
        "\n\n2 errors, 1 warning; for more on one of them: archdsl explain A201"
    )


def test_a_finding_without_a_place() -> None:
    found = error(None, notes=("a note",), hint="pip install torch")
    assert shown(found) == "error[A201]: it does not fit\n  = note: a note\n  = help: pip install torch"


def test_json() -> None:
    source = Source("a.arch", "relu\nconv3🙂 x\n")
    found = error(
        span(source, "3🙂"),
        label="l",
        related=(Related(span(source, "relu"), "r"),),
        notes=("n",),
        hint="h",
        fix=Fix(span(source, "x"), "y", "t"),
    )
    [data, bare] = json.loads(to_json([found, error(None)]))
    where = {"file": "a.arch", "line": 2, "column": 5, "end_line": 2, "end_column": 7, "start": 9, "stop": 11}
    assert data == {
        "code": "A201",
        "severity": "error",
        "message": "it does not fit",
        "label": "l",
        **where,
        "related": [
            {"message": "r", "file": "a.arch"}
            | {"line": 1, "column": 1, "end_line": 1, "end_column": 5, "start": 0, "stop": 4}
        ],
        "notes": ["n"],
        "hint": "h",
        "fix": {"title": "t", "text": "y", "file": "a.arch"}
        | {"line": 2, "column": 8, "end_line": 2, "end_column": 9, "start": 12, "stop": 13},
    }
    assert bare["file"] is None and bare["fix"] is None
    assert json.loads(to_json([])) == []


def test_github() -> None:
    source = Source("specs/a,b:c%.arch", "relu\nconv3 x\n")
    found = error(span(source, "conv3"), message="50%: no\nreally", hint="h")
    assert to_github([found]) == (
        "::error file=specs/a%2Cb%3Ac%25.arch,line=2,col=1,endColumn=6,title=archdsl A201"
        "::50%25: no%0Areally%0Ahelp: h"
    )
    lines = error(Span(source, 0, 8), severity="warning")
    assert to_github([lines]).startswith("::warning file=specs/a%2Cb%3Ac%25.arch,line=1,endLine=2,title=")
    assert (
        to_github([error(Span(Source("<stdin>", "x"), 0, 1))])
        == "::error title=archdsl A201::it does not fit"
    )


def test_width_knows_cells() -> None:
    assert [width(text) for text in ("abc", "漢", "🙂", "e\u0301", "\u200b", "é")] == [3, 2, 2, 1, 0, 1]


def test_every_span_of_an_awkward_text_renders() -> None:
    source = Source("a.arch", "a\tb\r\n\n漢e\u0301🙂\n\x00\u202e {\n}\r\n")
    count = 0
    for start in range(len(source.text) + 1):
        for stop in range(start, len(source.text) + 1):
            lines = snippet(error(Span(source, start, stop), label="L"))
            assert sum(line.count("^") for line in lines) >= 1
            assert sum("^ L" in line for line in lines) == 1
            count += 1
    assert count > 200


def test_the_import_is_cheap() -> None:
    program = "import sys, archdsl.render; print(*{'rich', 'torch', 'pydantic', 'lark'} & set(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "."},
    )
    assert run.stdout.strip() == ""
