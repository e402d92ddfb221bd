"""Sizes in symbols: every operation against Python's own integers, and canonical forms that meet."""

from __future__ import annotations

import copy
import json
import pickle
import time
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, InstanceOf

from archdsl import symbolic
from archdsl.symbolic import (
    Dim,
    Expression,
    TooLarge,
    UnknownSize,
    ceildiv,
    known,
    larger,
    positive,
    smaller,
    substitute,
    symbol,
    symbols_of,
)

H, W, C = symbol("H"), symbol("W"), symbol("C")
NAMES = ("H", "W", "C")

constants = st.integers(-12, 12)
divisors = st.integers(1, 7)


def grown(inner: st.SearchStrategy[Dim]) -> st.SearchStrategy[Dim]:
    """Sizes one operation larger."""
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(lambda ab: ab[0] + ab[1]),
        pairs.map(lambda ab: ab[0] - ab[1]),
        pairs.map(lambda ab: ab[0] * ab[1]),
        st.tuples(inner, divisors).map(lambda an: an[0] // an[1]),
        st.tuples(inner, divisors).map(lambda an: ceildiv(*an)),
        pairs.map(lambda ab: smaller(*ab)),
        pairs.map(lambda ab: larger(*ab)),
    )


sizes = st.recursive(st.one_of(st.sampled_from((H, W, C)), constants), grown, max_leaves=8)
values = st.fixed_dictionaries({name: st.integers(1, 40) for name in NAMES})


def evaluated(size: Dim, numbers: dict[str, int]) -> int:
    """What Python makes of the text."""
    scope = {"smaller": min, "larger": max, "__builtins__": {}}
    return eval(str(size), scope, dict(numbers))


BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "smaller": smaller,
    "larger": larger,
}
BY_NUMBER = {"//": lambda a, n: a // n, "ceildiv": ceildiv, "%": lambda a, n: a % n}


@settings(max_examples=600, deadline=None)
@given(sizes, sizes, divisors, values)
def test_every_operation_commutes_with_substitution(a: Dim, b: Dim, n: int, numbers: dict[str, int]) -> None:
    x, y = substitute(a, numbers), substitute(b, numbers)
    assert type(x) is int and type(y) is int
    assert evaluated(a, numbers) == x
    assert substitute(-a, numbers) == -x
    for name, operation in BINARY.items():
        result = operation(a, b)
        assert substitute(result, numbers) == operation(x, y), name
        assert evaluated(result, numbers) == operation(x, y), f"{name} written as {result}"
    for name, operation in BY_NUMBER.items():
        result = operation(a, n)
        assert substitute(result, numbers) == operation(x, n), name
        assert evaluated(result, numbers) == operation(x, n), f"{name} written as {result}"


def test_the_drawn_sizes_are_worth_drawing() -> None:
    """The property above would hold of integers alone, so count what it is given."""
    seen: set[str] = set()
    nested = 0

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(sizes)
    def draw(size: Dim) -> None:
        nonlocal nested
        text = str(size)
        seen.update(word for word in ("//", "smaller", "larger", "*", " - ") if word in text)
        nested += isinstance(size, Expression) and size.depth > 1

    draw()
    assert seen == {"//", "smaller", "larger", "*", " - "}
    assert nested >= 20


@settings(max_examples=400, deadline=None)
@given(sizes, values)
def test_bounds_hold(size: Dim, numbers: dict[str, int]) -> None:
    lower, upper = symbolic._bounds(size)
    assert lower <= substitute(size, numbers) <= upper
    said = positive(size)
    assert said is None or said == (substitute(size, numbers) > 0)


@settings(max_examples=300, deadline=None)
@given(sizes, values, st.sampled_from(NAMES))
def test_symbols_can_be_replaced_one_by_one(size: Dim, numbers: dict[str, int], first: str) -> None:
    assert set(symbols_of(size)) <= set(NAMES)
    partly = substitute(size, {first: numbers[first]})
    assert first not in symbols_of(partly)
    assert substitute(partly, numbers) == substitute(size, numbers)


@settings(max_examples=300, deadline=None)
@given(sizes, sizes, sizes)
def test_laws_of_the_canonical_form(a: Dim, b: Dim, c: Dim) -> None:
    assert a + b == b + a and (a + b) + c == a + (b + c)
    assert a * b == b * a and a * (b + c) == a * b + a * c
    assert a - a == 0 and a + b - b == a
    assert smaller(a, b) == smaller(b, a) and larger(a, a) == a
    assert hash(a + b) == hash(b + a) and str(a * b) == str(b * a)
    for size in (a + b - c, a - b, (a + b) + (c - a)):
        # A sum keeps count of its size; counted anew, it is the same.
        assert known(size) or size.size == Expression(size._terms).size


polynomials = st.recursive(
    st.one_of(st.sampled_from((H, W, smaller(H, W))), constants),
    lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner).map(
        lambda drawn: BINARY[drawn[0]](*drawn[1:])
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(polynomials, st.integers(-30, 30), divisors, divisors)
def test_nested_divisions_are_one(size: Dim, constant: int, a: int, b: int) -> None:
    assert (size // a) // b == size // (a * b)
    assert (size // a + constant) // b == (size + constant * a) // (a * b)
    assert ceildiv(ceildiv(size, a), b) == ceildiv(size, a * b)


@settings(max_examples=300, deadline=None)
@given(sizes, st.integers(-30, 30), divisors, divisors)
def test_what_divides_evenly_comes_out(size: Dim, constant: int, a: int, b: int) -> None:
    assert (a * size + constant) // a == size + constant // a
    assert (a * size) // (a * b) == size // b
    assert (a * size) % a == 0


def conv(side: Dim, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Dim:
    return (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9])
def test_same_convolutions_give_back_the_side(kernel: int) -> None:
    side: Dim = H
    for _ in range(50):
        side = conv(side, kernel, padding=kernel // 2)
    assert side == H


def test_two_routes_to_the_same_side_are_equal() -> None:
    half = conv(H, 3, 2, 1)
    assert half == (H + 1) // 2 == ceildiv(H, 2) == conv(H, 7, 2, 3) == conv(H, 1, 2)
    assert conv(half, 3, 2, 1) == (H + 3) // 4 == ceildiv(H, 4)
    side: Dim = H
    for _ in range(5):
        side = conv(side, 3, 2, 1)
    assert side == ceildiv(H, 32)
    assert str(side) == "(H + 31)//32"
    assert conv(2 * H, 2, 2) == H  # upsampled, then pooled
    assert 2 * conv(2 * H, 2, 2) == 2 * H


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (H, "H"),
        ((H + 1) // 2, "(H + 1)//2"),
        (H // 2, "H//2"),
        (2 * H // 3, "(2*H)//3"),
        (2 * H * W, "2*H*W"),
        (C * H * W + H + 1, "C*H*W + H + 1"),
        (H - 2 * W, "H - 2*W"),
        (-H - 1, "-H - 1"),
        (1 - H, "1 - H"),
        (-(H // 2), "-(H//2)"),
        (3 * ((H + 1) // 2) + 1, "3*((H + 1)//2) + 1"),
        ((H // 2) * (W // 2), "(H//2)*(W//2)"),
        (smaller(H, W), "smaller(H, W)"),
        (smaller(H, W) // 2, "smaller(H, W)//2"),
        (larger(W, larger(H, 7)), "larger(H, larger(W, 7))"),
        (H * H, "H*H"),
    ],
)
def test_written_in_the_language(size: Dim, text: str) -> None:
    assert str(size) == text
    assert f"{size}" == text and f"{size:,}" == text and f"{size:>30}" == text.rjust(30)


def test_constants_are_ints() -> None:
    for size in (H - H, H - (H - 3), 0 * H, (2 * H + 3) // 2 - H, (H - H) // 2, smaller(H + 1, H) - H, H % 1):
        assert type(size) is int, repr(size)
    assert larger(smaller(H, 7), 0) // 8 == 0  # 1..7
    assert (4 * H + 3) % 4 == 3


def test_extremes_are_decided_where_they_can_be() -> None:
    assert smaller(H, H + 1) == H and larger(H, H + 1) == H + 1
    assert larger(H, 1) == H and smaller(H, 0) == 0
    assert smaller((H + 1) // 2, (H + 2) // 2) == (H + 1) // 2
    assert larger(H, (H + 1) // 2) == H
    assert smaller(smaller(H, W), H) == smaller(W, H) == smaller(H, smaller(W, H))
    assert isinstance(smaller(H, 2), Expression)


def test_positive() -> None:
    assert positive(3) is True and positive(0) is False
    assert positive(H) is True and positive(H - 1) is None and positive(-H) is False
    assert positive((H - 1) // 2 + 1) is True
    assert positive(conv(H, 3)) is None
    assert positive(1 - H) is False
    assert positive(H + 1 - H // 2) is True
    assert positive(C * H * W) is True


def test_known_and_symbols() -> None:
    assert known(3) and not known(H)
    assert symbols_of(5) == () and symbols_of(W * (H // 2) + smaller(C, 3)) == ("C", "H", "W")
    assert substitute((H + 1) // 2, {"H": 2 * W}) == W
    assert substitute(7, {"H": 1}) == 7
    with pytest.raises(ValueError, match="H stands for a positive size, not 0"):
        substitute(H, {"H": 0})
    with pytest.raises(ValueError, match="not a name"):
        symbol("2H")


@pytest.mark.parametrize(
    "use",
    [
        lambda: int(H),
        lambda: float(H),
        lambda: bool(H),
        lambda: range(H),
        lambda: [0][H],
        lambda: H < 3,
        lambda: 3 < H,
        lambda: H >= W,
        lambda: max(H, 3),
        lambda: H // W,
        lambda: 7 // H,
        lambda: 7 % H,
        lambda: H / 2,
        lambda: H + 0.5,
    ],
)
def test_what_is_not_known_is_refused_loudly(use: object) -> None:
    with pytest.raises(TypeError):
        use()


def test_the_refusals_say_why() -> None:
    with pytest.raises(UnknownSize, match=r"comparing a size that is not known: H \+ 1"):
        _ = H + 1 < 3
    with pytest.raises(ZeroDivisionError):
        _ = H // 0
    with pytest.raises(ValueError, match="positive number, not -2"):
        _ = H // -2
    with pytest.raises(AttributeError):
        H._terms = {}


def test_equality_is_of_the_form() -> None:
    assert H != 1 and H != "H" and H != W
    assert len({(H + 1) // 2, ceildiv(H, 2), conv(H, 3, 2, 1)}) == 1
    again = pickle.loads(pickle.dumps((H + 1) // 2 + smaller(H, W)))
    assert again == (H + 1) // 2 + smaller(H, W)
    assert copy.deepcopy(H) is H


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)
    shape: tuple[Dim, ...]
    one: InstanceOf[Expression]
    either: Annotated[int | Expression, "noted"]


def test_in_a_pydantic_model() -> None:
    model = Strict(shape=(3, (H + 1) // 2, W), one=H, either=4)
    assert model.shape[1] == (H + 1) // 2
    assert model.model_dump()["one"] is H
    assert json.loads(model.model_dump_json()) == {"shape": [3, "(H + 1)//2", "W"], "one": "H", "either": 4}
    with pytest.raises(ValueError):
        Strict(shape=("H",), one=H, either=4)


def test_a_long_sum_takes_linear_time() -> None:
    """100,000 layers, each with its own product: the time of the second half is that of the first."""
    layers = [
        (channels % 61 + 1) * ((H + channels % 7) // 8) * ((W + channels % 5) // 8) for channels in range(200)
    ]
    start = time.perf_counter()
    total: Dim = 0
    for index in range(100_000):
        total = total + layers[index % 200]
    took = time.perf_counter() - start
    numbers = {"H": 224, "W": 192}
    assert substitute(total, numbers) == 500 * sum(substitute(layer, numbers) for layer in layers)
    assert took < 10  # 0.3 s where it was written


def test_growth_is_refused() -> None:
    with pytest.raises(TooLarge, match="terms"):
        total: Dim = 0
        for index in range(2000):
            total = total + symbol(f"s{index}")
    with pytest.raises(TooLarge):
        product: Dim = 1
        for index in range(60):
            product = product * (symbol(f"s{index}") + 1)
    with pytest.raises(TooLarge):
        power: Dim = H
        for _ in range(40):
            power = power * power
    with pytest.raises(TooLarge):
        side: Dim = H
        for _ in range(100_000):
            side = (side * side + 1) // 2
    with pytest.raises(TooLarge):
        side = H
        for _ in range(100_000):
            side = conv(side, 3, 2, 1)
    with pytest.raises(TooLarge):
        side = H
        for index in range(100_000):
            side = larger(W, smaller(side, symbol(f"s{index}"))) // 2 * 3
    assert issubclass(TooLarge, ValueError)


def test_scaling_by_a_fraction_nests_and_stays_exact() -> None:
    """3/2 again and again has no shorter form: exact while it can be written, and refused when it can't."""
    side: Dim = H
    number = 1000
    for _ in range(8):
        side = 3 * side // 2
        number = 3 * number // 2
        assert substitute(side, {"H": 1000}) == number
    with pytest.raises(TooLarge):
        for _ in range(30):
            side = 3 * side // 2
