"""The formatter: one form, and nothing but blanks and separators changes."""

from __future__ import annotations

import doctest
import random
import re
import time
from functools import partial
from pathlib import Path

import pytest
from drawing import drawn_from
from test_mutations import mutated

import archdsl
from archdsl.format import TextEdit, _same_tokens, format_edits, format_text, formatted
from archdsl.format.tokens import read_tokens
from archdsl.parse import parse
from archdsl.resources import specs_root
from archdsl.source import Source

ROOT = Path(__file__).resolve().parent.parent
SPECS = sorted(specs_root().rglob("*.arch"))
LENGTHS = (110, 110, 80, 60, 40)
SEEDS = 300


def tree(text: str):
    return parse(Source("<text>", text))


def applied(text: str, edits: list[TextEdit]) -> str:
    for edit in reversed(edits):
        text = text[: edit.start] + edit.text + text[edit.stop :]
    return text


def relaid(text: str, source: random.Random) -> str:
    """The same tokens with other blanks, separators and new comments, wherever the language allows them."""
    tokens = read_tokens(text)
    pieces: list[str] = []
    at = depth = 0
    for index, token in enumerate(tokens):
        gap = text[at : token.start]
        before = tokens[index - 1] if index else None
        if before is not None and source.random() < 0.15:
            if before.kind == "comment":
                gap = "\n" * source.choice((1, 2, 4))
            elif depth and (gap or "symbol" in (before.kind, token.kind)):
                gap += source.choice((" ", "\n", "  # in\n", "\n# between\n", "\t\n;"))
            elif token.separated:
                gap = source.choice((";", "\n", ";\n", "\n\n\n", " # end\r\n", "\n # own\n", " ;; ", "\r\n"))
            elif before.text in ("{", "[", "|") or token.text in ("}", "]", "|"):
                gap += source.choice((" ", "\n", " # a\n", "\n# b\n", ";"))
            elif gap:
                gap += " \t"
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        pieces.append(gap + token.text)
        at = token.stop
    return "".join(pieces) + text[at:]


def drawn_text(seed: int) -> tuple[str, Path | None]:
    """A shipped or a drawn spec, as it is, damaged or laid out anew; and the file that it lies in or would lie in."""
    source = random.Random(seed)
    path = source.choice(SPECS) if seed % 4 else None
    text = path.read_text(encoding="utf-8") if path else drawn_from(source).text
    if seed % 2:
        text = mutated(text, source)
    return (relaid(text, source) if seed % 3 else text), path


def hashes(text: str, path: Path | None) -> list[str]:
    return [network.hash for network in archdsl.api.check(Source("<text>", text), path=path).networks]


def hold(text: str, line_length: int) -> tuple[bool, bool]:
    """All that must hold of one text; whether it has an error, and whether formatting changed it."""
    once = format_text(text, line_length=line_length)
    assert format_text(once, line_length=line_length) == once, "formatted twice it is another text"
    (before, wrong), (after, wrong_after) = tree(text), tree(once)
    if {"A003", "A004"}.isdisjoint(one.code for one in wrong):
        assert [one.code for one in wrong] == [one.code for one in wrong_after]
    else:  # which bracket is at fault is read off the indentation, too
        assert wrong_after
    tokens, kept = read_tokens(text), read_tokens(once)
    assert [token.text for token in tokens] == [token.text for token in kept]
    if not wrong:
        assert before is not None and after is not None
        assert before.statements == after.statements
        assert [one.text.rstrip() for one in before.comments] == [one.text for one in after.comments]
    assert applied(text, format_edits(text, line_length=line_length)) == once
    return bool(wrong), once != text


def hold_many(seeds: range, hash_each: int) -> None:
    """hash_each: every how manieth text is checked to give the same networks; equal trees give them, so this is a
    second, slower witness."""
    broken = changed = same = 0
    for seed in seeds:
        text, path = drawn_text(seed)
        length = LENGTHS[seed % len(LENGTHS)]
        try:
            was_broken, was_changed = hold(text, length)
            if not was_broken and seed % hash_each == 0:
                networks = hashes(text, path)
                assert hashes(format_text(text, line_length=length), path) == networks
                same += bool(networks) and was_changed
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        broken += was_broken
        changed += was_changed and was_broken
    assert len(seeds) / 8 < broken < len(seeds) / 2
    assert changed > broken / 4, "what is sound around an error is formatted"
    assert same > len(seeds) / hash_each / 6, "too few networks were compared"


def test_nothing_changes_but_blanks():
    hold_many(range(SEEDS), hash_each=4)


@pytest.mark.nightly
@pytest.mark.parametrize("start", range(SEEDS, 10_000 + SEEDS, 500))
def test_nothing_changes_but_blanks_in_ten_thousand(start):
    hold_many(range(start, start + 500), hash_each=1)


def test_a_changed_token_is_seen():
    text = "relu # one\nconv3-(4*f) # two\n"
    assert _same_tokens(text, text.replace("\n", "\n\n").replace("*", " * "))
    for wrong in (
        "relu\nconv3-(4*f) # two\n",
        "relu # two\nconv3-(4*f) # one\n",
        text.replace("(4*f)", "4*f"),
    ):
        assert not _same_tokens(text, wrong)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.relative_to(specs_root()).as_posix())
def test_shipped_specs_are_canonical(path):
    text = path.read_text(encoding="utf-8")
    assert format_text(text) == text


DOCUMENTS = [
    path
    for path in (ROOT / "README.md", ROOT / "specs/README.md", *sorted((ROOT / "docs").glob("*.md")))
    if re.search(r"^```\n(?:#.*\n|use .*\n)*(?:arch|block) ", path.read_text(encoding="utf-8"), re.M)
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_specs_in_documents_are_canonical(path):
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)
    plain = [text for language, text in fences if not language]
    specs = [text for text in plain if re.search(r"^(arch|block) ", text, re.M) and "..." not in text]
    assert specs
    for text in specs:
        assert format_text(text) == text


def test_documents_are_found():
    assert len(DOCUMENTS) >= 5


def test_the_example_runs():
    assert doctest.testmod(archdsl.format, raise_on_error=True).attempted == 1


# ---- the form ----

FORMS = {
    "tables": (
        """
arch net(classes=10){default conv(act = relu)
input 3x32x32;
 conv3-64 x2; maxpool->64x16x16
 conv3-128 x10;maxpool -> 128x8x8   # stage 2
\tinception(64,96,128,16,32,32) as a->256x8x8
 relu
 inception(128,8,8,8,8,192)  -> 336x8x8 # stage 4
 gap ; fc - classes }
""",
        """
arch net(classes=10) {
  default conv(act=relu)
  input 3x32x32
  conv3-64  x2;  maxpool                     -> 64x16x16
  conv3-128 x10; maxpool                     -> 128x8x8  # stage 2
  inception( 64, 96, 128, 16, 32,  32) as a  -> 256x8x8
  relu
  inception(128,  8,   8,  8,  8, 192)       -> 336x8x8  # stage 4
  gap; fc-classes
}
""",
    ),
    "copies": (
        """
conv3-16/2 -> 16x8x8
inverted(3, 24) x3/2 as c2 -> 24x4x4
inverted(3,40,k=5) x10
relu as joined
inverted(6,320) -> 320x4x4

conv3-64 x2
conv3-64(norm=none,act=none) x2
relu as a
conv3-128/2 as b

relu as a
dropout(0.25); conv3-128/2 as b

relu -> 64x4x4
""",
        """
conv3-16/2                       -> 16x8x8
inverted(3, 24)      x3/2 as c2  -> 24x4x4
inverted(3, 40, k=5) x10
relu                      as joined
inverted(6, 320)                 -> 320x4x4

conv3-64 x2
conv3-64(norm=none, act=none) x2
relu        as a
conv3-128/2 as b

relu as a
dropout(0.25); conv3-128/2 as b

relu -> 64x4x4
""",
    ),
    "branches": (
        """
concat [ conv1-64 # first
   | conv1-96; conv3-128; # second
   relu
|
 add[ a|b ] ] as c -> 64x8x8
mean [ a | b
# nothing more
]
""",
        """
concat [ conv1-64  # first
       | conv1-96; conv3-128  # second
         relu
       | add [ a | b ] ] as c -> 64x8x8
mean [ a
     | b
       # nothing more
     ]
""",
    ),
    "bodies": (
        """
residual{conv3-64;relu} x2/2 as r
residual(shortcut = pad){
 conv3-64 }
carry(p = @r) { cell(@p);
  relu }
block f() { }
""",
        """
residual { conv3-64; relu } x2/2 as r
residual(shortcut=pad) {
  conv3-64
}
carry(p=@r) {
  cell(@p)
  relu
}
block f() {}
""",
    ),
    "if": (
        """
if a == 1{relu}else{tanh}
if a { relu }
else { tanh }
if a {
 relu }
# otherwise
else if b { tanh } else { gelu }
if a {
 relu }
else { tanh }
""",
        """
if a == 1 { relu } else { tanh }
if a { relu }
else { tanh }
if a {
  relu
}
# otherwise
else if b {
  tanh
} else {
  gelu
}
if a {
  relu
} else {
  tanh
}
""",
    ),
    "values": (
        """
let a=b*c+d//2-e%3
let a = f*d//64 + a//b*c
let a = - b - (-c) * - d
let a = not b and(c or not(d)) or round8( x )
let ok = in . c>=4 and 1 / 255<x
conv1-( 4*f )( act = none ) x( n-1 ) / 2
input 3x( 16 * H )x(W+1)
""",
        """
let a = b*c + d // 2 - e % 3
let a = f*d // 64 + a // b * c
let a = -b - (-c)*-d
let a = not b and (c or not (d)) or round8(x)
let ok = in.c >= 4 and 1/255 < x
conv1-(4*f)(act=none) x(n - 1)/2
input 3x(16*H)x(W + 1)
""",
    ),
    "definitions": (
        """

# file
block a() { relu }
block b() { relu }
# about c
block c() {
  relu
}
# about d

# more about d
arch d { a }


use "x.arch"
""",
        """
# file
block a() { relu }
block b() { relu }

# about c
block c() {
  relu
}

# about d

# more about d
arch d { a }

use "x.arch"
""",
    ),
    "long lists": (
        """
block f(alpha=1, beta=2, # two
  gamma=3) { relu }
dropout(0.5,)
expect(params=25_557_032, buffers=53_120, total=25_610_152, macs=4_089_184_256, flops=8_178_368_512, none=0, more=1)
""",
        """
block f(
  alpha=1,
  beta=2,  # two
  gamma=3
) { relu }

dropout(
  0.5,
)
expect(
  params=25_557_032, buffers=53_120, total=25_610_152, macs=4_089_184_256, flops=8_178_368_512, none=0, more=1
)
""",
    ),
    "errors stay": (
        """
arch a {
conv3-64x2
 conv3 -64;relu
   conv3-k-1   # two
}
""",
        """
arch a {
  conv3-64x2
  conv3-64; relu
  conv3-k-1  # two
}
""",
    ),
    "brackets stay": (
        """
block a() { relu ;tanh }
block b() { residual {  relu
}
block c() { relu ;tanh }
""",
        """
block a() { relu; tanh }
block b() { residual {  relu
}
block c() { relu; tanh }
""",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_form(name):
    given, wanted = FORMS[name]
    assert format_text(given) == wanted.lstrip("\n")


def test_long_rows_break():
    row = "conv3-64; conv3-64; residual { conv3-64; relu; conv3-64 }; concat [ conv1-64 | conv3-64; relu ] as joined"
    assert format_text(row, line_length=50) == (
        "conv3-64; conv3-64\n"
        "residual { conv3-64; relu; conv3-64 }\n"
        "concat [ conv1-64 | conv3-64; relu ] as joined\n"
    )
    assert format_text(row, line_length=40) == (
        "conv3-64; conv3-64\n"
        "residual { conv3-64; relu; conv3-64 }\n"
        "concat [ conv1-64\n"
        "       | conv3-64; relu ] as joined\n"
    )


def test_a_row_that_alignment_would_make_too_long_stays_out():
    rows = "f(1, 2, 3) x2 as a_label_of_many_letters\nf(100, 200, 300) x2\nf(10, 20, 30) x2\n"
    assert format_text(rows, line_length=40) == (
        "f(1, 2, 3) x2 as a_label_of_many_letters\nf(100, 200, 300) x2\nf( 10,  20,  30) x2\n"
    )


def test_line_ends_and_mark():
    assert format_text("\ufeffrelu \r\n tanh  # a \r\n") == "\ufeffrelu\ntanh  # a\n"
    assert format_text("") == "" and format_text("\n;\n") == ""
    old = "relu\r  # a\r\r tanh;\rgelu"
    assert format_text(old) == "relu\n# a\n\ntanh\ngelu\n"
    for edit in reversed(format_edits(old)):
        old = old[: edit.start] + edit.text + old[edit.stop :]
    assert old == "relu\n# a\n\ntanh\ngelu\n"


def test_line_length_is_checked():
    with pytest.raises(ValueError, match="40 to 320"):
        format_text("relu", line_length=20)


def test_edits_of_a_range():
    text = "relu ;tanh\ngelu ;  relu\n"
    second = text.index("gelu")
    edits = format_edits(text, start=second, stop=len(text))
    assert applied(text, edits) == "relu ;tanh\ngelu; relu\n"
    assert format_edits(format_text(text)) == []


def test_what_has_errors_is_counted():
    assert formatted("relu\nconv3-64x2\nconv3-64x3\n").errors == 2
    assert formatted("relu").errors == 0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "\n".join(f"conv3-{i} x{i % 7 + 1}; maxpool -> {i}x8x8 # {i}" for i in range(1, 4001)), id="rows"
        ),
        pytest.param("relu" + "; conv3-64 x2" * 15_000, id="one row"),
        pytest.param("concat [ relu | " * 150 + "relu; " * 4000 + "relu" + " ]" * 150, id="deep"),
        pytest.param("lrn(" + "1, # one\n" * 15_000 + "1)", id="comments in a list"),
        pytest.param("let a = (" + "1+" * 60_000 + "1)", id="a sum"),
        pytest.param("if 1 { relu }" + "\nelse if 1 { relu }" * 6000, id="arms"),
    ],
)
def test_long_texts(text):
    """No more than a few times what parsing costs, whatever is long."""
    begun = time.process_time()
    tree(text)
    parsed = time.process_time() - begun
    once = format_text(text)
    assert time.process_time() - begun - parsed < 6 * parsed + 1
    assert _same_tokens(text, once) and len(once) < 120 * len(text)


def test_a_text_near_the_limit_is_not_pushed_over_it(monkeypatch):
    limit = 2**15
    text = "relu" + ";\n" * 2 + "residual{" * 100 + "relu;" * 6000 + "relu" + "}" * 100
    assert len(text) < limit < len(format_text(text))
    monkeypatch.setattr("archdsl.format.LONGEST_SOURCE", limit)
    assert format_text(text) == text


# ---- the command ----

MESSY = "conv3 - 64 ;relu\n"
NEAT = "conv3-64; relu\n"


@pytest.fixture
def run(run, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    return partial(run, "fmt")


def test_command_writes(run):
    Path("in").mkdir()
    Path("in/a.arch").write_text(MESSY)
    Path("in/b.arch").write_text(NEAT)
    before = Path("in/b.arch").stat().st_mtime_ns
    assert run("in") == (0, "formatted in/a.arch\n1 file changed, 1 unchanged\n", "")
    assert Path("in/a.arch").read_text() == NEAT
    assert Path("in/b.arch").stat().st_mtime_ns == before
    assert run("in", "-q") == (0, "", "")


def test_command_only_looks(run):
    Path("a.arch").write_text(MESSY)
    assert run("--check", "a.arch") == (1, "would format a.arch\n1 file would change, 0 unchanged\n", "")
    code, out, err = run("--diff", "a.arch")
    assert (code, err) == (1, "") and "-conv3 - 64 ;relu\n+conv3-64; relu\n" in out
    assert Path("a.arch").read_text() == MESSY
    Path("a.arch").write_text(NEAT)
    assert run("--check", "--diff", "a.arch") == (0, "", "")


def test_command_filters(run):
    assert run("-", stdin=MESSY) == (0, NEAT, "")
    assert run("-", stdin="relu  # é\n") == (0, "relu  # é\n", "")
    assert run("--check", "-", stdin=MESSY)[0] == 1
    assert run("-", "--line-length", "40", stdin="relu; " * 8)[1].count("\n") == 2


def test_command_refuses(run):
    code, _out, err = run("missing.arch")
    assert code == 2 and "no such file" in err
    Path("b.arch").write_bytes(b"\xff")
    assert run("b.arch")[0] == 2
    assert run("--line-length", "10", "b.arch")[0] == 2
    Path("c.arch").write_text("conv3-64x2\nconv3 -64\n")
    code, _out, err = run("c.arch")
    assert code == 0 and err == "c.arch: 1 error; what has one is left as it is\n"
    assert Path("c.arch").read_text() == "conv3-64x2\nconv3-64\n"
