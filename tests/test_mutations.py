"""Damaged specs: whatever is done to a text, checking it ends within a second and says what is wrong as a diagnostic.

10,000 texts, each a shipped spec with a few characters, words or lines deleted, doubled, swapped, inserted or changed.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from archdsl.api import check
from archdsl.codes import CODES
from archdsl.render import to_text
from archdsl.resources import specs_root
from archdsl.source import Source

COUNT = 10_000
PATIENCE = 10.0
"""Seconds of one text; the slowest ask for networks of 65,000 layers. Speed itself is a benchmark's business."""
WORD = re.compile(r"\d[\d_.]*|\w+|->|//|[^\w\s]|\n|[ \t]+")
DICTIONARY = [
    *"conv3-64 maxpool relu concat add mul residual aux carry @a @b @c2 as -> x2 x3/2 x1000 { } [ ] ( ) | ; / - = , .".split(),
    *"arch block use default let if else input output expect in.c none true 0 1 -1 2 3.5 1e9 4.09G 10_000 x(in.c)".split(),
    *"3xHxW _x_ f(1) norm=bn act=relu p=same groups=3 shortcut=pad fc-10 gap x(1-1) 99999999999999999999 1e400".split(),
    *(" ", "\n", "\t", "\\", "\0", "\r", "é", "🙂", "'", '"', "#", "as a", "as b", "-> 64x8x8", "block f() { f() }", "f()"),
    *("(in.c // 0)", "(1 / 0)", "(1 % 0)", "(2 - 5)", "(not 3)", "(0.5 * in.c)", "round8(in.c)", "min(1)", "(in.q)", "in.h"),
    *("(copy.all)", "(0.1 * copy.all / copy.total)", "f(copy.total)", "(copy.none)"),
    *("let q = 1.5", "if in.c > 2 { relu } else { tanh }", "concat [ identity | @a ]", "expect(params=relu)", "output @a, @a"),
]


def shipped() -> list[Path]:
    return sorted(specs_root().rglob("*.arch"))


def mutated(text: str, source: random.Random) -> str:
    """The text after one to four accidents."""
    for _ in range(source.choice((1, 1, 1, 2, 3, 4))):
        text = source.choice(ACCIDENTS)(text, source)
    return text


def _characters(text: str, source: random.Random) -> str:
    start = source.randrange(len(text) + 1)
    stop = min(len(text), start + source.choice((0, 1, 1, 2, 5, 40)))
    piece = text[start:stop]
    by = source.choice(("", piece * 2, piece[::-1], chr(source.randrange(32, 127)), source.choice(DICTIONARY)))
    return text[:start] + by + text[stop:]


def _words(text: str, source: random.Random) -> str:
    words = WORD.findall(text)
    if len(words) < 3:
        return text
    i, j = source.randrange(len(words)), source.randrange(len(words))
    how = source.randrange(5)
    if how == 0:
        del words[i]
    elif how == 1:
        words.insert(j, words[i])
    elif how == 2:
        words[i], words[j] = words[j], words[i]
    elif how == 3:
        words.insert(i, source.choice(DICTIONARY))
    else:
        words[i] = source.choice(DICTIONARY)
    return "".join(words)


def _lines(text: str, source: random.Random) -> str:
    lines = text.split("\n")
    i, j = source.randrange(len(lines)), source.randrange(len(lines))
    how = source.randrange(5)
    if how == 0:
        del lines[i]
    elif how == 1:
        lines.insert(j, lines[i])
    elif how == 2:
        lines[i], lines[j] = lines[j], lines[i]
    elif how == 3:
        lines[i : i + 1] = [lines[i]] * source.choice((2, 10, 40))
    else:
        lines[i] = lines[i].rstrip() + "; " + lines[j].strip()
    return "\n".join(lines)


def _numbers(text: str, source: random.Random) -> str:
    """A number becomes another: a digit changed, digits added, or something of another size."""
    found = list(re.finditer(r"\d+", text))
    if not found:
        return text
    number = source.choice(found)
    digits = number[0]
    at = source.randrange(len(digits))
    options = (
        digits[:at] + source.choice("0123456789") + digits[at + 1 :],
        digits + source.choice("0123456789") * source.choice((1, 1, 2, 6, 18, 400)),
        digits[1:],
        "0",
        "1",
        "-1",
        "999999",
        "2147483648",
    )
    return text[: number.start()] + source.choice(options) + text[number.end() :]


def _brackets(text: str, source: random.Random) -> str:
    found = list(re.finditer(r"[][(){}|]", text))
    if not found:
        return text
    one = source.choice(found)
    return text[: one.start()] + source.choice(("", one[0] * 2, *"[](){}|")) + text[one.end() :]


ACCIDENTS = (_characters, _words, _lines, _numbers, _numbers, _brackets)


class Answer(NamedTuple):
    """What came of one text. problem: what must not be."""

    seed: int
    seconds: float
    codes: tuple[str, ...]
    accepted: bool
    problem: str


def answer(seed: int) -> Answer:
    """Check the mutant of a seed."""
    source = random.Random(seed)
    paths = shipped()
    path = paths[seed % len(paths)]
    text = mutated(path.read_text(encoding="utf-8"), source)
    start = time.process_time()
    problem = ""
    try:
        result = check(Source(path.name, text), path=path, input="3x64x64" if seed % 5 == 0 else None)
    except BaseException as error:
        return Answer(seed, time.process_time() - start, (), False, f"{type(error).__name__}: {error}"[:500])
    seconds = time.process_time() - start
    for d in result.diagnostics:
        spans = [d.span, *(r.span for r in d.related), d.fix.span if d.fix is not None else None]
        if any(s is not None and not 0 <= s.start <= s.stop <= len(s.source.text) for s in spans):
            problem = f"{d.code} points outside its text"
        if d.code not in CODES or not d.message or d.severity not in ("error", "warning"):
            problem = f"{d.code} {d.severity}: {d.message}"
    errors = [d for d in result.diagnostics if d.severity == "error"]
    if bool(errors) and result.networks:
        problem = "errors, and a network too"
    if not errors and not result.networks and re.search(r"^\s*arch\b", text, re.MULTILINE):
        problem = "neither an error nor a network"
    if seed % 20 == 0:
        try:
            to_text(result.diagnostics)
        except Exception as error:
            problem = f"rendering: {type(error).__name__}: {error}"[:500]
    return Answer(seed, seconds, tuple(d.code for d in errors), bool(result.networks), problem)


@pytest.mark.slow
def test_ten_thousand_damaged_specs():
    workers = min(4, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        answers = list(pool.map(answer, range(COUNT), chunksize=100))
    problems = [a for a in answers if a.problem]
    slowest = max(answers, key=lambda a: a.seconds)
    print(f"{len(answers)} texts, the slowest (seed {slowest.seed}) {slowest.seconds:.2f} s")
    assert not problems, "\n".join(f"seed {a.seed}: {a.problem}" for a in problems[:20])
    assert slowest.seconds < PATIENCE, f"seed {slowest.seed}: {slowest.seconds:.2f} s"
    # both outcomes, and every family of errors, or this was no test
    codes = Counter(code for a in answers for code in set(a.codes))
    assert 500 < sum(a.accepted for a in answers) < 0.6 * len(answers)
    assert {code[:2] for code in codes} >= {"A0", "A1", "A2", "A3"}
    assert sum(count >= 5 for count in codes.values()) >= 25


def test_mutations_change_the_text():
    texts = [path.read_text(encoding="utf-8") for path in shipped()]
    changed = sum(mutated(text, random.Random(i)) != text for i, text in enumerate(texts * 4))
    assert changed > 0.9 * 4 * len(texts)


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_a_spec_cut_short(path):
    """Every beginning of a text is what an editor sees while it is typed."""
    text = path.read_text(encoding="utf-8")
    source = random.Random(path.stem)
    for stop in source.sample(range(len(text)), min(len(text), 12)):
        result = check(Source(path.name, text[:stop]), path=path)
        assert all(0 <= d.span.start <= d.span.stop <= len(d.span.source.text) for d in result.diagnostics if d.span)


WERE_EXCEPTIONS = [
    "arch n { input 3x8x8; conv3-8; expect(params=conv) }",
    "arch n { input 3x8x8; conv3-8; expect(macs=G, params=true, total=(1, 2), buffers=relu6(1)) }",
    "block dense(k) { concat [ identity ( conv1-(4*k); conv3-k ] }",
    "arch n { input 3xHxW; upsample(2); gap }",
    "arch n { input 3xHxW; upconv2-4/2; { avgpool } x2; flatten }",
    "arch n { input 3xHxW; { maxpool3/2(p=1); upsample(3); pad(1) } x200 }",
    f"arch n {{ input 3x8x8; relu; expect(params={'9' * 5000}G) }}",
    f"arch n {{ input 3x8x8; upsample{'9' * 5000}; upsample-{'9' * 5000}; bottleneck{'9' * 5000} }}",
]
"""Texts at which a version of the compiler raised something else than ArchError."""


@pytest.mark.parametrize("text", WERE_EXCEPTIONS)
def test_what_raised_once(text):
    result = check(Source("x.arch", text))
    assert result.diagnostics or result.networks
    to_text(result.diagnostics)
