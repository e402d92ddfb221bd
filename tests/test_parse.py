"""Text to tree: what every form becomes, what every slip is told, and that no text can hurt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl import parse as parse_module
from archdsl import syntax
from archdsl.diagnostics import Diagnostic
from archdsl.parse import number_value, parse
from archdsl.source import Source, Span

ANY = Span(Source("any", ""), 0, 0)

VGG = """# VGG configuration D (Simonyan & Zisserman, 2014)
arch vgg16(classes=1000) {
  default conv(act=relu)
  input 3x224x224
  conv3-64  x2; maxpool
  conv3-128 x2; maxpool
  conv3-256 x3; maxpool
  conv3-512 x3; maxpool
  conv3-512 x3; maxpool       -> 512x7x7
  { fc-4096; relu; dropout(0.5) } x2
  fc-classes
  expect(params=138_357_544)
}
"""
RESNET = """block bottleneck(f, s=1) {
  residual { conv1-f; conv3-f/s; conv1-(4*f)(act=none) }
  relu
}
arch resnet50(classes=1000) {
  default conv(norm=bn, act=relu)
  input 3x224x224
  conv7-64/2; maxpool3/2(p=1) -> 64x56x56
  bottleneck(64)  x3          as c2
  bottleneck(128) x4/2        as c3
  gap; fc-classes
  expect(params=25_557_032, macs=4.09G)
}
"""
DENSENET = """block dense(k)      { concat [ identity | conv1-(4*k); conv3-k ] }
block transition(r) { conv1-(in.c // r); avgpool2/2 }
arch densenet121(k=32, classes=1000) {
  default conv(norm=bn, act=relu, order=pre, bias=false)
  input 3x224x224
  conv7-(2*k)/2(order=post); maxpool3/2(p=1)
  dense(k) x6;  transition(2)
  dense(k) x16; bn; relu
  gap; fc-classes
}
"""
INCEPTION = """block inception(a, b1, b2, c1, c2, d) {        # the library's own definition
  concat [ conv1-a
         | conv1-b1; conv3-b2
         | conv1-c1; conv5-c2
         | maxpool3/1(p=1); conv1-d ]
}
"""
CONTROL = """block inverted(t, c, s=1) {                     # MobileNetV2
  residual(shortcut=match) {
    if t != 1 { conv1-(t*in.c) }
    dwconv3/s
    conv1-c(act=none)
  }
}
block fractal(c, f) {                           # FractalNet
  if c == 1 { conv3-f }
  else { mean(drop_path=0.15) [ fractal(c-1, f); fractal(c-1, f) | conv3-f ] }
}
block up(f, @skip) { upconv2-f/2; concat [ @skip | identity ]; conv3-f x2 }   # U-Net
"""
SPECS = {"vgg": VGG, "resnet": RESNET, "densenet": DENSENET, "inception": INCEPTION, "control": CONTROL}


def tree(text: str) -> syntax.File:
    file, diagnostics = parse(Source("test", text))
    assert diagnostics == ()
    assert file is not None
    return file


def only(text: str) -> Any:
    (statement,) = tree(text).statements
    return statement


def errors(text: str) -> tuple[Diagnostic, ...]:
    return parse(Source("test", text))[1]


def name(text: str) -> syntax.Name:
    return syntax.Name(name=text, span=ANY)


def number(value: float, text: str | None = None) -> syntax.Number:
    return syntax.Number(value=value, text=text or str(value), span=ANY)


def chain(operators: str, *operands: syntax.Expr) -> syntax.Chain:
    return syntax.Chain(operands=operands, operators=tuple(operators.split()), span=ANY)


def value(text: str) -> syntax.Expr:
    return only(f"let w = {text}").value


# ---- what every form becomes ----


def test_a_whole_step() -> None:
    step = only("conv1x7-(2*k)/s(p=1, 3){ relu } x4/2 as c2 -> 64xHx_")
    assert step == syntax.Step(
        head=name("conv1x7"),
        width=chain("*", number(2), name("k")),
        stride=name("s"),
        arguments=(
            syntax.Argument(name=name("p"), value=number(1), span=ANY),
            syntax.Argument(value=number(3), span=ANY),
        ),
        body=syntax.Sequence(statements=(syntax.Step(head=name("relu"), span=ANY),), span=ANY),
        repeat=syntax.Repeat(count=number(4), stride=number(2), span=ANY),
        label=syntax.Label(name="c2", span=ANY),
        contract=syntax.ShapeLiteral(dims=(number(64), name("H"), syntax.Wildcard(span=ANY)), span=ANY),
        span=ANY,
    )


def test_arguments_left_out_and_empty() -> None:
    assert only("relu").arguments is None
    assert only("relu()").arguments == ()
    assert len(only("fc(1, b=2,)").arguments) == 2


def test_groups_references_and_branches() -> None:
    assert only("{ relu } x2").head is None
    assert only("@skip").head == syntax.Reference(label="skip", span=ANY)
    body = only("concat [\n a; b\n | c ; \n d\n]").body
    assert [len(branch.statements) for branch in body.branches] == [2, 2]
    assert body.branches[0].span.text == "a; b"


def test_repeat_by_an_expression() -> None:
    repeat = only("relu x(n - 1)/2").repeat
    assert repeat == syntax.Repeat(count=chain("-", name("n"), number(1)), stride=number(2), span=ANY)
    assert repeat.span.text == "x(n - 1)/2"


def test_separators() -> None:
    for text in ("a; b", "a\nb", "a\rb", "a # c\r# d\r\rb\r", "a\n\rb\r\r\n", ";;\n a ;\n; b\n;", "a\r\n\r\nb", "a # c\n# d\n\nb", "\ufeffa;\tb"):
        assert [step.head.name for step in tree(text).statements] == ["a", "b"], text
    assert tree("").statements == tree(" \n;# x").statements == ()
    assert len(only("fc(1,\n 2 # two\n , 3)").arguments) == 3


def test_definitions() -> None:
    block = only("block f(k, s=1, @skip,) { relu }")
    assert isinstance(block, syntax.Block)
    assert [(p.name.name, p.default, p.tensor) for p in block.parameters] == [
        ("k", None, False), ("s", number(1), False), ("skip", None, True),
    ]  # fmt: skip
    assert block.parameters[2].span.text == "@skip"
    assert block.parameters[2].name.span.text == "skip"
    assert only("arch net { }").parameters == only("arch net() {}").parameters == ()


def test_other_statements() -> None:
    assert only("default conv(norm=bn)").op == name("conv")
    assert only("let w = 3") == syntax.Let(name=name("w"), value=number(3), span=ANY)
    assert [r.label for r in only("output @c3, @c4").references] == ["c3", "c4"]
    assert only("expect(params=25_557_032, macs=4.09G)").arguments[1].value == number(4_090_000_000, "4.09G")
    use = only('use "families/resnet.arch"')
    assert (use.path, use.path_span.text) == ("families/resnet.arch", '"families/resnet.arch"')


def test_if_is_flat() -> None:
    found = only("if a { p } else if b { q }\n # why\n else { r }")
    assert [arm.condition for arm in found.arms] == [name("a"), name("b")]
    assert found.arms[1].span.text == "if b { q }"
    assert len(found.otherwise.statements) == 1
    assert only("if a { p }").otherwise is None
    assert [type(s) for s in tree("if a { p }\nrelu").statements] == [syntax.If, syntax.Step]


@pytest.mark.parametrize(
    ("text", "dims"),
    [
        ("3x224x224", (number(3), number(224), number(224))),
        ("3xHxW", (number(3), name("H"), name("W"))),
        ("512x_x_", (number(512), syntax.Wildcard(span=ANY), syntax.Wildcard(span=ANY))),
        ("1000", (number(1000),)),
        ("_", (syntax.Wildcard(span=ANY),)),
        ("classes", (name("classes"),)),
        (
            "Fx(H//2)x(W//2)",
            (name("F"), chain("//", name("H"), number(2)), chain("//", name("W"), number(2))),
        ),
        (
            "3x(16*H)x(16*W)",
            (number(3), chain("*", number(16), name("H")), chain("*", number(16), name("W"))),
        ),
    ],
)
def test_shapes(text: str, dims: tuple[syntax.Expr, ...]) -> None:
    assert only(f"input {text}").shape.dims == dims
    assert only(f"relu->{text}").contract.dims == dims
    assert only(f"relu -> {text} # c").contract.span.text == text


def test_expressions() -> None:
    a, b, c = name("a"), name("b"), name("c")
    assert value("a + b - c") == chain("+ -", a, b, c)
    assert value("a + b * c // a % b") == chain("+", a, chain("* // %", b, c, a, b))
    assert value("(a + b) * c") == chain("*", chain("+", a, b), c)
    assert value("a or b and not c == a") == chain(
        "or", a, chain("and", b, syntax.Unary(operator="not", operand=chain("==", c, a), span=ANY))
    )
    assert (
        value("-a") == value("- - -a") == value("-(-(-a))") == syntax.Unary(operator="-", operand=a, span=ANY)
    )
    assert value("--a") == value("not not a") == a
    assert value("(0, a,)") == syntax.TupleExpr(items=(number(0), a), span=ANY)
    assert value("in.c") == syntax.Member(base=name("in"), member=c, span=ANY)
    assert value("true") == name("true")
    call = value("bn(eps=1e-3)")
    assert call == syntax.CallExpr(
        function=name("bn"),
        arguments=(syntax.Argument(name=name("eps"), value=number(0.001, "1e-3"), span=ANY),),
        span=ANY,
    )
    assert value("(a + b) * c").span.text == "(a + b) * c"
    assert only("fc(@p)").arguments[0].value == syntax.Reference(label="p", span=ANY)


@pytest.mark.parametrize(
    ("text", "worth"),
    [("64", 64), ("25_557_032", 25557032), ("0.5", 0.5), ("1e-3", 0.001), ("4.09G", 4090000000), ("1.5K", 1500),
     ("2.0", 2.0), ("1.2345K", 1234.5), ("3M", 3000000), (str(2**63 - 1), 2**63 - 1)],
)  # fmt: skip
def test_numbers(text: str, worth: float) -> None:
    found = value(text)
    assert (found.value, type(found.value), found.text) == (worth, type(worth), text)


@pytest.mark.parametrize("text", [str(2**63), "9.3e9G", "1e400", "1e999999999G", "1" * 41, "0." + "1" * 39])
def test_numbers_that_are_too_large(text: str) -> None:
    with pytest.raises(OverflowError):
        number_value(text)
    (error,) = errors(f"fc({text})")
    assert (error.code, error.span.text) == ("A307", text)


def test_spans_and_comments() -> None:
    file = tree(VGG)
    assert [comment.text for comment in file.comments] == [VGG.splitlines()[0]]
    assert file.comments[0].span.text == VGG.splitlines()[0]
    steps = file.statements[0].body.statements
    assert [step.span.text for step in steps[2:5]] == ["conv3-64  x2", "maxpool", "conv3-128 x2"]
    assert steps[-4].span.text == "maxpool       -> 512x7x7"
    assert file.statements[0].span.text == VGG.rstrip().partition("\n")[2]
    assert tree("a#1\r\nb # 2").comments[0].text == "#1"
    assert tree('use "a#b" # c').comments[0].text == "# c"


@pytest.mark.parametrize("spec", sorted(SPECS))
def test_the_examples_of_the_language(spec: str) -> None:
    assert tree(SPECS[spec]).statements


def test_shipped_specs_parse() -> None:
    for path in sorted((Path(__file__).parent.parent / "specs").rglob("*.arch")):
        assert errors(path.read_text(encoding="utf-8")) == (), path


# ---- what every slip is told ----

SLIPS = [
    # text, code, text of the span, words of the message or hint, text after the fix
    ("conv3-64\nx2", "A005", "x2", "same line", "conv3-64 x2"),
    ("x2", "A005", "x2", "same line", None),
    ("conv3-64x2; relu", "A006", "64x2", "write `conv3-64 x2`", "conv3-64 x2; relu"),
    ("conv3-64x(n)", "A006", "64x", "64 x(...)", "conv3-64 x(n)"),
    ("a -> 64x112 x112", "A006", "64x112 x112", "-> 64x112x112", "a -> 64x112x112"),
    ("a -> 64 x 112 x 112", "A006", "64 x 112 x 112", "one piece", "a -> 64x112x112"),
    ("conv3-k-1", "A007", "k-1", "conv3-(k-1)", "conv3-(k-1)"),
    ("conv3-64*2", "A007", "64*2", "conv3-(64*2)", "conv3-(64*2)"),
    ("conv3-64/2+1", "A007", "2+1", "conv3-64/(2+1)", "conv3-64/(2+1)"),
    ("conv3-64//2", "A007", "64//2", "conv3-(64//2)", "conv3-(64//2)"),
    ("conv3-4*k/2", "A007", "4*k", "conv3-(4*k)", "conv3-(4*k)/2"),
    ("conv3-2*(k+1)", "A007", "2*(k+1)", "(2*(k+1))", "conv3-(2*(k+1))"),
    ("conv3-in.c", "A007", "in.c", "conv3-(in.c)", "conv3-(in.c)"),
    ("conv3-64 maxpool", "A002", "maxpool", "conv3-64; maxpool", "conv3-64; maxpool"),
    ("conv3-64, relu", "A002", ",", "not by a comma", "conv3-64; relu"),
    ("residual { a } x2 relu", "A002", "relu", "separator", "residual { a } x2; relu"),
    ("conv3(p=1\nrelu", "A003", "", "never closed", "conv3(p=1)\nrelu"),
    ("concat [ a | b", "A003", "", "`[` is never closed", "concat [ a | b ]"),
    (
        "arch a {\n  relu\nblock b() { gap }",
        "A003",
        "",
        "`{` is never",
        "arch a {\n  relu }\nblock b() { gap }",
    ),
    ("arch a {\n  add { b\n  relu\n}", "A003", "", "`{` is never", "arch a {\n  add { b }\n  relu\n}"),
    ("relu }", "A004", "}", "closes nothing", "relu "),
    ("conv3(p=1]", "A004", "]", "`(` is closed by `]`", "conv3(p=1)"),
    ("add [ a | b }", "A004", "}", "`]` in place of `}`", "add [ a | b ]"),
    ("concat [ a | ]", "A008", " ", "identity", "concat [ a | identity ]"),
    ("concat [ ]", "A008", " ", "identity", "concat [ identity ]"),
    ("residual {}", "A008", "", "identity", "residual { identity }"),
    ("block if(a) { relu }", "A010", "if", "word of the language", None),
    ("relu as input", "A010", "input", "can't be a name", None),
    ("let x2 = 3", "A010", "x2", "reads as a repeat", None),
    ("block f(as) { relu }", "A010", "as", "can't be a name", None),
    ("@input", "A010", "@input", "can't be a name", None),
    ("relu $", "A011", "$", "not a character", None),
    ("use \u201ca.arch\u201d", "A011", "\u201ca.arch\u201d", "plain quotes", 'use "a.arch"'),
    ("relu \u00d72", "A011", "\u00d7", "write x", "relu x2"),
    ("conv3\u201364", "A011", "\u2013", "plain minus", "conv3-64"),
    ("conv3\u221264", "A011", "\u2212", "plain minus", "conv3-64"),
    ("relu \u2192 64x1x1", "A011", "\u2192", "write ->", "relu -> 64x1x1"),
    ("relu\u00a0x2", "A011", "\u00a0", "no-break space", "relu x2"),
    ("relu // why", "A011", "//", "comments start with #", "relu # why"),
    ("/* why */", "A011", "/*", "comments start with #", "# why"),
    ('use "a.arch\nrelu', "A012", '"a.arch', "does not end", 'use "a.arch"\nrelu'),
    ("if a = 1 { relu }", "A001", "=", "`==`", "if a == 1 { relu }"),
    ("input 3,224,224", "A006", "3,224,224", "input 3x224x224", "input 3x224x224"),
    ("input (3,224,224)", "A006", "(3,224,224)", "input 3x224x224", "input 3x224x224"),
    ("input 224x224", "A001", "224x224", "three dims or one", "input 3x224x224"),
    ("input 1x2x3x4", "A001", "1x2x3x4", "three dims or one", None),
    ("self.conv = nn.Conv2d(3, 64)", "A001", ".", "Python", None),
    ("w = 3", "A001", "=", "let w", "let w = 3"),
    ("arch net\n  relu\n}", "A001", "", "no `{`", "arch net {\n  relu\n}"),
    ("arch net\n{ relu }", "A001", "", "same line", "arch net { relu }"),
    ("else { relu }", "A001", "else", "no `if`", None),
    ("fc-1000-", "A007", "-", "nothing after", "fc-1000"),
    ("relu as", "A001", "", "needs a name", None),
    ("relu ->", "A001", "", "needs a shape", None),
    ("relu x", "A001", "x", "needs a number", None),
    ("relu xn", "A001", "xn", "x(n)", "relu x(n)"),
    ("let w", "A001", "", "let w = ...", None),
    ("let w 3", "A001", "3", "let w = ...", "let w = 3"),
    ("conv3-", "A001", "", "no width", None),
    ("conv(3 4)", "A001", "4", "comma", "conv(3, 4)"),
    ('conv(p="same")', "A001", '"same"', "no quotes", "conv(p=same)"),
    ("let w = a < b < c", "A001", "<", "`and`", None),
    ("[ a | b ]", "A001", "[", "merge", "concat [ a | b ]"),
    ("block f { relu }", "A001", "{", "( )", "block f() { relu }"),
    ("fc-4.5", "A009", "4.5", "whole number", None),
    ("fc(5k)", "A009", "5k", "K, M and G", "fc(5K)"),
    ("dropout(.5)", "A009", ".5", "write `0.5`", "dropout(0.5)"),
    ("conv 3-64", "A001", "3", "conv3", "conv3-64"),
    ("conv3 64", "A001", "64", "after a `-`", "conv3-64"),
    ("conv1x7 64", "A001", "64", "after a `-`", "conv1x7-64"),
    ("conv 3/2", "A001", "3", "kernel", "conv3/2"),
    ("conv 3", "A001", "3", "write both: `conv3-64`", None),
    ("conv 64", "A001", "64", "write both: `conv3-64`", None),
    ("conv 1x7", "A001", "1x7", "write both: `conv1x7-64`", None),
    ("maxpool 2", "A001", "2", "write `maxpool2`", "maxpool2"),
    ("maxpool 2x2", "A001", "2x2", "write `maxpool2x2`", "maxpool2x2"),
    ("maxpool3 2", "A001", "2", "a stride", "maxpool3/2"),
    ("fc 10", "A001", "10", "after a `-`", "fc-10"),
    ("dropout 0.5", "A001", "0.5", "parentheses", "dropout(0.5)"),
    ("lrn 5", "A001", "5", "write `lrn(5)`", "lrn(5)"),
    ("relu 3", "A001", "3", "in this order", None),
    ("stage 3", "A001", "3", "`stage-3` if it is the width", None),
    ("output @a @b", "A001", "@b", "comma", "output @a, @b"),
    ('residual { use "a"; relu }', "A013", "use", "top of a file", None),
    ("arch a { block b() { relu }; b }", "A013", "block", "top of a file", None),
]


@pytest.mark.parametrize(("text", "code", "at", "words", "fixed"), SLIPS)
def test_slips(text: str, code: str, at: str, words: str, fixed: str | None) -> None:
    (error,) = errors(text)
    assert (error.code, error.span.text) == (code, at)
    assert words in error.message + error.hint
    assert error.label
    assert error.hint
    assert not re.search(r"_SEPARATOR|LBRACE|NAME|Expected one of", error.message + error.hint + error.label)
    assert (None if error.fix is None else applied(text, error)) == fixed
    if fixed is not None:
        assert errors(fixed) == ()


def applied(text: str, error: Diagnostic) -> str:
    assert error.fix is not None
    return text[: error.fix.span.start] + error.fix.text + text[error.fix.span.stop :]


def test_an_unclosed_bracket_points_at_where_it_opened() -> None:
    (error,) = errors("arch a {\n  relu\nblock b() { gap }")
    assert error.span.start == len("arch a {\n  relu")
    assert [related.span.start for related in error.related] == [7]


def test_every_error_once_in_the_order_of_the_text() -> None:
    text = VGG.replace("64  x2", "64x2").replace("128 x2", "128 relu").replace("fc-classes", "fc-k-1")
    file, found = parse(Source("test", text))
    assert [error.code for error in found] == ["A006", "A002", "A007"]
    assert file is not None
    # The slips were mended, so nothing of the network is lost.
    assert len(file.statements[0].body.statements) == len(tree(VGG).statements[0].body.statements) + 1


def test_what_follows_from_an_error_is_not_reported() -> None:
    assert [error.code for error in errors("conv3-(")] == ["A003"]
    assert [error.code for error in errors("{")] == ["A003"]


def test_a_bad_header_does_not_hide_its_body() -> None:
    assert [error.code for error in errors("arch 3net { conv3-64x2 }\nrelu relu")] == ["A009", "A006", "A002"]


def test_the_rest_is_kept() -> None:
    file, found = parse(Source("test", "relu; )(; gap ! ; fc-10"))
    assert found
    assert file is None or all(isinstance(s, syntax.Statement) for s in file.statements)
    file, found = parse(Source("test", "relu\nas as as\nfc-10"))
    assert len(found) == 1
    assert [s.span.text for s in file.statements] == ["relu", "fc-10"]
    assert parse(Source("test", "as as as"))[0] is None


def test_slips_that_once_broke_the_diagnosis() -> None:
    check(VGG.replace("fc-classes", "fc-//classes"))
    check(RESNET.replace("conv1-(4*f)(", ""))
    check(RESNET.replace("s=1)", "s=1\ufeff"))


def test_one_mistake_is_told_once() -> None:
    _, found = parse(Source("x", "input 3x8x8; relu; expect(params=9" + ",000" * 9 + ")"))
    assert [d.code for d in found] == ["A307", "A009"]
    assert {d.span.text for d in found if d.span} == {"9" + ",000" * 9}
    _, found = parse(Source("x", "input 3x8x8; relu \u2192 8x8"))
    assert [d.code for d in found] == ["A011"]
    _, found = parse(Source("x", "input 8x8; relu -> 8x8"))
    assert [(d.code, d.span.start) for d in found if d.span] == [("A001", 6)]


def test_at_most_twenty() -> None:
    assert len(errors("conv3-64x2\n" * 100)) == 20
    assert len(errors("relu }\n" * 100)) == 20


# ---- no text can hurt ----

PIECES = (
    [
        *'()[]{}|;,@#=-+*/%<>.\n"$\u00d7\u2013x_ ',
        "x2",
        "x(",
        "->",
        "//",
        "==",
        "64",
        "64x2",
        "0.5",
        "4.09G",
        "3x224x224",
    ]
    + "use as block arch default let if else input output expect and or not in conv3 relu k".split()
    + [
        " ",
        "\n",
        "; ",
        "conv3-64",
        "concat [ a | b ]",
        "{ relu }",
        "\r\n",
        "\ufeff",
        "\u2028",
        "\ud800",
        "\x00",
    ]
)


def check(text: str) -> None:
    source = Source("test", text)
    file, found = parse(source)
    assert file is not None or found or not text.strip()
    spans = [error.span for error in found]
    spans += [related.span for error in found for related in error.related]
    spans += [error.fix.span for error in found if error.fix]
    if file is not None:
        collect(file, spans)
    for span in spans:
        assert span.source is source
        assert 0 <= span.start <= span.stop <= len(text)
    starts = [(error.span.start, error.span.stop) for error in found]
    assert starts == sorted(starts)
    # Two brackets may lack their partners at the same place: what they point back to tells them apart.
    told = {(error.code, error.span.start, error.message, str(error.related)) for error in found}
    assert len(told) == len(found)


def collect(node: Any, spans: list[Span]) -> None:
    spans.append(node.span)
    for field in node.__dataclass_fields__:
        child = getattr(node, field)
        for one in child if isinstance(child, tuple) else (child,):
            if isinstance(one, syntax.Syntax):
                collect(one, spans)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_token_soup(text: str) -> None:
    check(text)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutated_specs(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(sorted(SPECS.values())))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 8)))
        text = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[stop:]
    check(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("(" * 100_000, ["A302"]),
        ("conv" + "(" * 100_000, ["A302"]),
        ("{[(" * 67 + ")]}" * 67, ["A302"]),
        ("let w = " + "- " * 100_000 + "1", []),
        ("let w = " + "not " * 100_000 + "1", []),
        ("let w = " + "+".join(["1"] * 100_000), []),
        ("if a { b }" + " else if a { b }" * 10_000, []),
        ("fc(" + "1" * 10_000 + ")", ["A307"]),
        ("conv3-64; " * 210_000, ["A301"]),
        ("\u00e9" * (2**19 + 1), ["A301"]),
        ("(\n{\n" * 90 + "}" * 500_000, None),
        ("conv3-64x2\n" * 90_000, ["A006"] * 20),
    ],
    ids=range(12),
)
def test_limits(text: str, codes: list[str] | None) -> None:
    found = [error.code for error in errors(text)]
    assert codes is None or found == codes


def test_nesting_up_to_the_limit() -> None:
    assert errors("{" * 199 + " fc(1) " + "}" * 199) == ()
    assert errors("let w = " + "(" * 200 + "1" + ")" * 200) == ()


@pytest.mark.parametrize("kind", ["file in the way", "corrupt"])
def test_a_cache_that_fails_is_no_matter(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "cache"
    if kind == "corrupt":
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        path = parse_module._cache_path(parse_module.grammar_text())
        assert path is not None
        Path(path).write_bytes(b"not a pickle")
    else:
        home.write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    parse_module._parser.cache_clear()
    try:
        assert errors("conv3-64 x2") == ()
    finally:
        parse_module._parser.cache_clear()
