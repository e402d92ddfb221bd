"""Text to tree. The grammar is `grammar/arch.lark`; every error of a text is reported, none is raised."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import lark
from lark import Lark, Token
from lark.exceptions import UnexpectedInput
from lark.parsers.lalr_parser_state import ParserState

from archdsl import syntax
from archdsl.brackets import Brackets, read_brackets
from archdsl.diagnostics import Diagnostic, Fix
from archdsl.patch import Edit, Patch
from archdsl.resources import grammar_text
from archdsl.source import Source, Span

LONGEST_SOURCE = 2**20  # UTF-8 bytes
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(,[0-9]{3})+")
LARGEST_INT = 2**63 - 1
LONGEST_NUMBER = 40  # characters
MOST_ERRORS = 20
# Every error costs one more parse of the whole text, so a large text stops after fewer of them.
MOST_CHARACTERS_PARSED = 500_000


def parse(source: Source) -> tuple[syntax.File | None, tuple[Diagnostic, ...]]:
    """The tree of a text and everything wrong with its syntax, in the order of the text.

    Where there are errors the tree is what is left without the statements at fault; None where nothing is.
    """
    text = source.text
    if len(text) > LONGEST_SOURCE or (
        len(text) * 4 > LONGEST_SOURCE and len(text.encode("utf-8", "replace")) > LONGEST_SOURCE
    ):
        return None, (_too_long(source),)
    brackets = read_brackets(source)
    if brackets.hopeless:
        return None, tuple(sorted(brackets.diagnostics, key=_place))
    file, found = _parse_with_repairs(source, brackets)
    return file, tuple(sorted(found, key=_place))


def _place(diagnostic: Diagnostic) -> tuple[int, int]:
    assert diagnostic.span is not None, "the parser always knows where"
    return diagnostic.span.start, diagnostic.span.stop


def _too_long(source: Source) -> Diagnostic:
    return Diagnostic(
        code="A301",
        message="this source is longer than 1 MiB, the most that is read",
        span=Span(source, 0, 0),
        label="a text of more than 1,048,576 bytes starts here",
        hint="write what repeats with xN, a block or `use`",
    )


def _parse_with_repairs(source: Source, brackets: Brackets) -> tuple[syntax.File | None, list[Diagnostic]]:
    """Parse; while a statement does not fit, say so, mend or blank it in a copy of the text, and parse again."""
    patch = Patch(source.text, brackets.repairs)
    found = list(brackets.diagnostics)
    parsed = 0
    for _ in range(3 * MOST_ERRORS):
        file, soft, offset, expected = _parse_once(source, patch, brackets)
        if offset is None:
            found += [one for one in soft if one.span and not patch.touches(one.span.start, one.span.stop)]
            return (file if file is not None and (file.statements or not found) else None), found
        # Only a text with errors pays for the module that explains them.
        from archdsl.syntax_errors import explain
        from archdsl.syntax_errors.statement import statement_around

        parsed += offset
        start, stop = statement_around(patch.text, offset)
        at = patch.to_source(offset)
        region = (patch.to_source(start), patch.to_source_end(stop))
        repair = Edit(*region, " ")
        if not patch.reported(at, *region):
            diagnostic = explain(source, at, expected)
            fix = None
            # What is explained is the text as written: a slip that was mended may be seen once more from further on.
            if all((other.code, other.span) != (diagnostic.code, diagnostic.span) for other in found):
                found.append(diagnostic)
                fix = diagnostic.fix
            if fix is not None and not patch.touches(fix.span.start, fix.span.stop):
                repair = Edit(fix.span.start, fix.span.stop, fix.text, through=max(at, fix.span.stop))
        mended = patch.with_edit(repair)
        if mended is None or len(found) >= MOST_ERRORS or parsed > MOST_CHARACTERS_PARSED:
            return None, found
        patch = mended
    return None, found


class _Outcome(NamedTuple):
    file: syntax.File | None
    soft: list[Diagnostic]  # found while building: the text fits the grammar all the same
    offset: int | None  # of the patched text
    expected: frozenset[str]  # terminals that would have fitted there


def _parse_once(source: Source, patch: Patch, brackets: Brackets) -> _Outcome:
    # One Lark object holds one builder, and the builder holds one text at a time.
    with _LOCK:
        parser, builder = _parser()
        builder.begin(source, patch, brackets)
        text = patch.text
        if text.startswith("\ufeff"):
            text = " " + text[1:]
        try:
            file = parser.parse(text)
        except UnexpectedInput as error:
            token = getattr(error, "token", None)
            at_end = error.pos_in_stream is None or (token is not None and token.type == "$END")
            offset = len(text) if at_end else error.pos_in_stream
            return _Outcome(None, [], offset, _accepted(error.state))
        finally:
            soft = builder.end()
        return _Outcome(file, soft, None, frozenset())


def _accepted(state: ParserState) -> frozenset[str]:
    """The terminals that would really fit: a table's row also has those that only fit elsewhere."""
    conf = copy(state.parse_conf)
    conf.callbacks = {}
    fitting = set()
    for terminal in state.parse_conf.parse_table.states[state.position]:
        if not terminal.isupper():
            continue
        trial = ParserState(conf, state.lexer, list(state.state_stack), [None] * len(state.value_stack))
        try:
            trial.feed_token(Token(terminal, ""), is_end=terminal == "$END")
        except UnexpectedInput:
            continue
        fitting.add(terminal)
    return frozenset(fitting)


_LOCK = threading.Lock()


@cache
def _parser() -> tuple[Lark, _Builder]:
    grammar = grammar_text()
    builder = _Builder()
    options: dict[str, Any] = {
        "parser": "lalr",
        "lexer": "contextual",
        "start": "file",
        "maybe_placeholders": False,
        "postlex": _Separators(),
        "transformer": builder,
    }
    return Lark(grammar, cache=_cache_path(grammar) or False, **options), builder


def _cache_path(grammar: str) -> str | None:
    """Where the built tables are kept; None where there is no such place, and they are built every time."""
    versions = f"{lark.__version__} {sys.version}"
    key = hashlib.sha256(f"{versions}\n{grammar}".encode()).hexdigest()[:16]
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archdsl"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return str(folder / f"grammar-{key}.lark") if os.access(folder, os.W_OK) else None


class _Separators:
    """Drop the separators inside parentheses. It never looks ahead, or the lexer would read in the wrong context."""

    always_accept = ("_SEPARATOR",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        for token in stream:
            kind = token.type
            if kind == "_SEPARATOR":
                if depth:
                    continue
            elif kind == "LPAR":
                depth += 1
            elif kind == "RPAR":
                depth -= 1
            yield token


class _Width(NamedTuple):
    value: syntax.Expr
    stop: int


class _Stride(NamedTuple):
    value: syntax.Expr
    stop: int


class _Arguments(NamedTuple):
    values: tuple[syntax.Argument, ...]
    stop: int


class _Operation(NamedTuple):
    """The parts of a step up to its body."""

    start: int
    stop: int
    parts: dict[str, Any]


_Child = Any  # a Token or what a method of the builder returned


class _Builder:
    """Makes the nodes, bottom up, while Lark reduces: a method for each rule of the grammar.

    Positions inside are those of the (possibly mended) text that Lark reads; `_span` takes them to the source's.
    A node that the methods return to each other has its span in the source, so the extents of parts that a parent
    must cover travel beside it, or are read back with `cover`.
    """

    def begin(self, source: Source, patch: Patch, brackets: Brackets) -> None:
        self._source = source
        self._patch = patch
        self._comments = brackets.comments
        self._soft: list[Diagnostic] = []
        self._hoisted: list[syntax.Statement] = []

    def end(self) -> list[Diagnostic]:
        found, self._soft = self._soft, []
        del self._source, self._patch, self._comments, self._hoisted
        return found

    # ---- places ----

    def _start(self, token: Token) -> int:
        return self._patch.to_source(token.start_pos)

    def _stop(self, token: Token) -> int:
        return self._patch.to_source_end(token.end_pos)

    def _span(self, token: Token) -> Span:
        patch = self._patch
        return Span(self._source, patch.to_source(token.start_pos), patch.to_source_end(token.end_pos))

    def _between(self, start: int, stop: int) -> Span:
        return Span(self._source, start, stop)

    def _error(self, code: str, message: str, span: Span, **rest: Any) -> None:
        self._soft.append(Diagnostic(code=code, message=message, span=span, **rest))

    # ---- words ----

    def _name(self, token: Token) -> syntax.Name:
        return syntax.Name(name=str(token), span=self._span(token))

    def _reference(self, token: Token) -> syntax.Reference:
        return syntax.Reference(label=str(token)[1:], span=self._span(token))

    def _number(self, text: str, span: Span) -> syntax.Number:
        try:
            value = number_value(text)
        except OverflowError as error:
            shown = text if len(text) <= LONGEST_NUMBER else f"{text[:12]}...{text[-4:]}"
            self._error(
                "A307",
                f"the number {shown} is too large",
                span,
                label=str(error),
                hint="whole numbers go up to 9_223_372_036_854_775_807",
            )
            return syntax.Number(value=1, text=shown, span=span)
        return syntax.Number(value=value, text=text, span=span)

    def _value_of(self, child: _Child) -> syntax.Expr:
        if not isinstance(child, Token):
            return child
        if child.type == "INT":
            return self._number(str(child), self._span(child))
        return self._name(child)

    # ---- the file and its sequences ----

    def file(self, children: list[_Child]) -> syntax.File:
        statements = (*children[0], *self._hoisted)
        span = Span(self._source, 0, len(self._source.text))
        return syntax.File(statements=statements, comments=self._comments, span=span)

    def sequence(self, children: list[_Child]) -> tuple[syntax.Statement, ...]:
        return tuple(children)

    def _inner(self, statements: tuple[syntax.Statement, ...]) -> tuple[syntax.Statement, ...]:
        """What stands in a body, less what can't: that is moved to the top, so that its uses don't fail too."""
        kept = []
        for statement in statements:
            if not isinstance(statement, (syntax.Use, syntax.Definition)):
                kept.append(statement)
                continue
            word = type(statement).__name__.lower()
            start = statement.span.start
            self._error(
                "A013",
                f"`{word}` stands only at the top of a file, outside every {{ }} and [ ]",
                self._between(start, min(start + len(word), statement.span.stop)),
                label="inside a body",
                hint=f"move this `{word}` out of the brackets around it",
            )
            self._hoisted.append(statement)
        return tuple(kept)

    def body(self, children: list[_Child]) -> syntax.Sequence:
        span = self._between(self._start(children[0]), self._stop(children[2]))
        return syntax.Sequence(statements=self._inner(children[1]), span=span)

    def branches(self, children: list[_Child]) -> syntax.Branches:
        made = []
        for index in range(1, len(children), 2):
            written = children[index]
            gap = self._between(self._stop(children[index - 1]), self._start(children[index + 1]))
            if not written:
                self._empty(
                    "a branch", self._between(gap.start, max(gap.start, gap.stop)), "`[ a | identity ]`"
                )
            statements = self._inner(written)
            span = statements[0].span.cover(statements[-1].span) if statements else self._middle(gap)
            made.append(syntax.Sequence(statements=statements, span=span))
        span = self._between(self._start(children[0]), self._stop(children[-1]))
        return syntax.Branches(branches=tuple(made), span=span)

    def _middle(self, gap: Span) -> Span:
        return Span(self._source, gap.start, gap.start)

    def _empty(self, what: str, gap: Span, example: str) -> None:
        fix = None
        if not gap.text.strip():
            fix = Fix(gap, " identity ", "write `identity`")
        self._error(
            "A008",
            f"{what} is empty: a way that changes nothing is written `identity`",
            gap,
            label="nothing stands here",
            hint=f"write {example}",
            fix=fix,
        )

    # ---- statements ----

    def use(self, children: list[_Child]) -> syntax.Use:
        word, path = children
        path_span = self._span(path)
        return syntax.Use(path=str(path)[1:-1], path_span=path_span, span=self._span(word).cover(path_span))

    def block(self, children: list[_Child]) -> syntax.Block:
        return self._definition(syntax.Block, children)

    def arch(self, children: list[_Child]) -> syntax.Arch:
        return self._definition(syntax.Arch, children)

    def _definition(self, kind: type, children: list[_Child]) -> Any:
        word, name, body = children[0], children[1], children[-1]
        parameters = children[2] if len(children) == 4 else ()
        span = self._span(word).cover(body.span)
        return kind(name=self._name(name), parameters=parameters, body=body, span=span)

    def parameters(self, children: list[_Child]) -> tuple[syntax.Parameter, ...]:
        return tuple(child for child in children if not isinstance(child, Token))

    def parameter(self, children: list[_Child]) -> syntax.Parameter:
        word = children[0]
        span = self._span(word)
        if word.type == "REFERENCE":
            inner = Span(self._source, min(span.start + 1, span.stop), span.stop)
            return syntax.Parameter(name=syntax.Name(name=str(word)[1:], span=inner), tensor=True, span=span)
        default = children[1] if len(children) == 2 else None
        if default is not None:
            span = span.cover(default.span)
        return syntax.Parameter(name=self._name(word), default=default, span=span)

    def default(self, children: list[_Child]) -> syntax.Default:
        word, op, arguments = children
        span = self._between(self._start(word), arguments.stop)
        return syntax.Default(op=self._name(op), arguments=arguments.values, span=span)

    def let(self, children: list[_Child]) -> syntax.Let:
        word, name, value = children
        return syntax.Let(name=self._name(name), value=value, span=self._span(word).cover(value.span))

    def if_else(self, children: list[_Child]) -> syntax.If:
        arms = []
        words = [child for child in children if isinstance(child, Token) and child.type == "IF"]
        values = [child for child in children if not isinstance(child, Token)]
        for word, condition, body in zip(words, values[::2], values[1::2], strict=False):
            span = self._span(word).cover(body.span)
            arms.append(syntax.Arm(condition=condition, body=body, span=span))
        otherwise = values[-1] if len(values) % 2 else None
        span = self._span(words[0]).cover(values[-1].span)
        return syntax.If(arms=tuple(arms), otherwise=otherwise, span=span)

    def input(self, children: list[_Child]) -> syntax.Input:
        word, shape = children
        if len(shape.dims) not in (1, 3):  # a contract's are told once it is known what the step gives
            self._wrong_rank(shape.dims, shape.span)
        return syntax.Input(shape=shape, span=self._span(word).cover(shape.span))

    def output(self, children: list[_Child]) -> syntax.Output:
        references = tuple(self._reference(child) for child in children[1:])
        return syntax.Output(references=references, span=self._span(children[0]).cover(references[-1].span))

    def expect(self, children: list[_Child]) -> syntax.Expect:
        word, arguments = children
        span = self._between(self._start(word), arguments.stop)
        return syntax.Expect(arguments=arguments.values, span=span)

    # ---- steps ----

    def step(self, children: list[_Child]) -> syntax.Step:
        first = children[0]
        if isinstance(first, _Operation):
            start, stop, parts = first
        else:
            start, stop, parts = first.span.start, first.span.stop, {"head": None, "body": first}
        for part in children[1:]:
            kind = type(part)
            stop = part.span.stop
            if kind is syntax.Repeat:
                parts["repeat"] = part
            elif kind is syntax.Label:
                parts["label"] = part
            else:
                parts["contract"] = part
        body = parts.get("body")
        if type(body) is syntax.Sequence and not body.statements:
            inside = Span(
                self._source,
                min(body.span.start + 1, body.span.stop),
                max(body.span.stop - 1, body.span.start),
            )
            # What stood in it may have been moved to the top, as the last of all that was.
            moved = self._hoisted and body.span.start <= self._hoisted[-1].span.start < body.span.stop
            if inside.start <= inside.stop and not moved:
                self._empty("this { }", inside, "`{ identity }`")
        return syntax.Step(span=Span(self._source, start, stop), **parts)

    def operation(self, children: list[_Child]) -> _Operation:
        word = children[0]
        head = self._name(word) if word.type == "NAME" else self._reference(word)
        stop = head.span.stop
        parts: dict[str, Any] = {"head": head}
        for part in children[1:]:
            kind = type(part)
            if kind is _Width:
                parts["width"], stop = part
            elif kind is _Stride:
                parts["stride"], stop = part
            elif kind is _Arguments:
                parts["arguments"], stop = part
            else:
                parts["body"] = part
                stop = part.span.stop
        return _Operation(head.span.start, stop, parts)

    def width(self, children: list[_Child]) -> _Width:
        value = self._value_of(children[0])
        return _Width(value, value.span.stop)

    def stride(self, children: list[_Child]) -> _Stride:
        value = self._value_of(children[0])
        return _Stride(value, value.span.stop)

    def repeat(self, children: list[_Child]) -> syntax.Repeat:
        word = children[0]
        span = self._span(word)
        rest = children[1:]
        if word.type == "COPIES":
            count: syntax.Expr = self._number(
                str(word)[1:], Span(self._source, min(span.start + 1, span.stop), span.stop)
            )
        else:
            count = rest.pop(0)
            span = span.cover(count.span)
        stride = None
        if rest:
            stride = rest[0].value
            span = span.cover(stride.span)
        return syntax.Repeat(count=count, stride=stride, span=span)

    def label(self, children: list[_Child]) -> syntax.Label:
        return syntax.Label(name=str(children[1]), span=self._span(children[1]))

    def contract(self, children: list[_Child]) -> syntax.ShapeLiteral:
        return children[0]

    def arguments(self, children: list[_Child]) -> _Arguments:
        values = tuple(child for child in children if not isinstance(child, Token))
        return _Arguments(self._without_grouping_commas(values), self._stop(children[-1]))

    def _without_grouping_commas(self, values: tuple[syntax.Argument, ...]) -> tuple[syntax.Argument, ...]:
        """`expect(params=2,506)`: an unnamed number straight behind a named one is the rest of it."""
        kept: list[syntax.Argument] = []
        ends: list[int] = []  # of each, with the groups that follow it
        number: re.Match[str] | None = None
        for argument in values:
            stop = argument.span.stop
            if argument.name is not None:
                number = _GROUPED.match(self._source.text, argument.value.span.start)
            elif number is not None and ends[-1] < stop <= number.end() and (number.end() - stop) % 4 == 0:
                ends[-1] = stop
                continue
            else:
                number = None
            kept.append(argument)
            ends.append(stop)
        return tuple(self._with_groups(argument, stop) for argument, stop in zip(kept, ends, strict=True))

    def _with_groups(self, argument: syntax.Argument, stop: int) -> syntax.Argument:
        """An argument whose number goes on to `stop`."""
        if stop == argument.span.stop:
            return argument
        span = self._between(argument.value.span.start, stop)
        text = span.text.replace(",", "_")
        value = self._number(text, span)
        if not re.match(r",[0-9]{3}(?![0-9])", self._source.text[stop : stop + 5]):
            self._error("A009", "the digits of a number are grouped by _, not by a comma", span,
                        label="not a number of the language", hint=f"write `{text}`",
                        fix=Fix(span, text, f"write `{text}`"))  # fmt: skip
        return replace(argument, value=value, span=argument.span.cover(span))

    def argument(self, children: list[_Child]) -> syntax.Argument:
        value = children[-1]
        if len(children) == 1:
            return syntax.Argument(value=value, span=value.span)
        name = self._name(children[0])
        return syntax.Argument(name=name, value=value, span=name.span.cover(value.span))

    def shape(self, children: list[_Child]) -> syntax.ShapeLiteral:
        dims = tuple(self._dim_of(child) for child in children)
        return syntax.ShapeLiteral(dims=dims, span=dims[0].span.cover(dims[-1].span))

    def _dim_of(self, child: _Child) -> syntax.Expr:
        if not isinstance(child, Token):
            return child
        if child == "_":
            return syntax.Wildcard(span=self._span(child))
        if child[0].isdigit():
            return self._number(str(child), self._span(child))
        return self._name(child)

    def _wrong_rank(self, dims: tuple[syntax.Expr, ...], span: Span) -> None:
        hint = "write channels x height x width, such as 3x224x224, or the channels alone, such as 1000"
        if any(isinstance(dim, syntax.Name) and len(dim.name) > 1 for dim in dims):
            hint += f"; a name that has an x in it goes in parentheses: ({span.text})"
        fix = None
        if len(dims) == 2 and all(isinstance(dim, syntax.Number) and dim.value >= 8 for dim in dims):
            fix = Fix(span, f"3x{span.text}", f"write 3x{span.text}")
        self._error(
            "A001",
            f"a shape has three dims or one, and this one has {len(dims)}",
            span,
            label=f"{len(dims)} dims",
            hint=hint,
            fix=fix,
        )

    # ---- expressions ----

    def _chain(self, children: list[_Child]) -> syntax.Chain:
        operands = tuple(children[::2])
        operators = tuple(str(token) for token in children[1::2])
        return syntax.Chain(
            operands=operands,
            operators=operators,  # type: ignore[arg-type]  # the grammar's own tokens
            span=operands[0].span.cover(operands[-1].span),
        )

    expression = conjunction = comparison = sum = product = _chain

    def inversion(self, children: list[_Child]) -> syntax.Expr:
        return self._signed("not", children)

    def negation(self, children: list[_Child]) -> syntax.Expr:
        return self._signed("-", children)

    def _signed(self, operator: Any, children: list[_Child]) -> syntax.Expr:
        operand = children[-1]
        signs = len(children) - 1
        span = self._span(children[0]).cover(operand.span)
        if isinstance(operand, syntax.Unary) and operand.operator == operator:
            operand = operand.operand
            signs += 1
        if signs % 2 == 0:
            return replace(operand, span=span)
        return syntax.Unary(operator=operator, operand=operand, span=span)

    def number(self, children: list[_Child]) -> syntax.Number:
        return self._number(str(children[0]), self._span(children[0]))

    def name(self, children: list[_Child]) -> syntax.Name:
        return self._name(children[0])

    def reference(self, children: list[_Child]) -> syntax.Reference:
        return self._reference(children[0])

    def member(self, children: list[_Child]) -> syntax.Member:
        base, member = self._name(children[0]), self._name(children[1])
        return syntax.Member(base=base, member=member, span=base.span.cover(member.span))

    def call(self, children: list[_Child]) -> syntax.CallExpr:
        function, arguments = self._name(children[0]), children[1]
        span = Span(self._source, function.span.start, arguments.stop)
        return syntax.CallExpr(function=function, arguments=arguments.values, span=span)

    def parenthesised(self, children: list[_Child]) -> syntax.Expr:
        # The span takes in the parentheses, so that what covers the value covers them too.
        return replace(children[1], span=self._span(children[0]).cover(self._span(children[2])))

    def tuple(self, children: list[_Child]) -> syntax.TupleExpr:
        items = _nodes(children)
        return syntax.TupleExpr(items=items, span=self._span(children[0]).cover(self._span(children[-1])))


def _nodes(children: Iterable[_Child]) -> tuple[Any, ...]:
    return tuple(child for child in children if not isinstance(child, Token))


_SUFFIXES = {"K": 3, "M": 6, "G": 9}


def number_value(text: str) -> int | float:
    """What a number is worth: whole where it is written whole or its suffix makes it so, else a float.

    >>> number_value("4.09G"), number_value("1.5K"), number_value("1e-3")
    (4090000000, 1500, 0.001)
    """
    if len(text) > LONGEST_NUMBER:
        raise OverflowError(f"{len(text):,} characters, and {LONGEST_NUMBER} are the most")
    digits = text.replace("_", "")
    if digits.isdigit():
        return _checked(int(digits))
    power = _SUFFIXES.get(digits[-1])
    if power is None:
        value = float(digits)
    else:
        exact = Decimal(digits[:-1]).scaleb(power) if _moderate(digits[:-1]) else Decimal("Infinity")
        if exact.is_finite() and exact == exact.to_integral_value():
            return _checked(int(exact))
        value = float(exact)
    if value == float("inf"):
        raise OverflowError("more than a float can hold")
    return value


def _moderate(digits: str) -> bool:
    """Whether an exponent is small enough to be written out."""
    exponent = digits.lower().partition("e")[2]
    return abs(int(exponent or 0)) < 400


def _checked(value: int) -> int:
    if value > LARGEST_INT:
        raise OverflowError("more than 2^63 - 1")
    return value
