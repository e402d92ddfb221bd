"""Sizes: exact integers, or exact expressions in the symbols of `input 3xHxW`.

A symbol stands for a positive integer. An expression is a polynomial with integer coefficients over atoms: symbols,
floor divisions by a positive integer, and the smaller or larger of several sizes. Each is kept in one canonical form,
so that sizes reached by two routes compare equal:

>>> H = symbol("H")
>>> half = (H + 1) // 2
>>> (half + 1) // 2 == (H + 3) // 4
True
>>> str(2 * half - 1), substitute(half, {"H": 224})
('2*((H + 1)//2) - 1', 112)

What turns out constant is an int, so a network without symbols never meets this class. The canonical form is not
complete: two sizes that are equal for every H can still differ here, but two that compare equal always are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, floor, gcd, inf
from typing import Any, Literal, NoReturn, TypeGuard, TypeVar

MAX_TERMS = 1000
MAX_SIZE = 20_000
MAX_DEPTH = 50
MAX_BITS = 4096


class TooLarge(ValueError):
    """A size whose expression has grown beyond what anyone could read."""


class UnknownSize(TypeError):
    """An expression was used where its number is needed."""


@dataclass(frozen=True)
class _Symbol:
    name: str
    size = 1
    depth = 0
    bounds = (1, inf)

    @property
    def text(self) -> str:
        return self.name

    def symbols(self) -> Iterator[str]:
        yield self.name

    def at(self, values: Mapping[str, Dim]) -> Dim:
        return values.get(self.name, Expression({frozenset(((self, 1),)): 1}))


@dataclass(frozen=True)
class _Floor:
    """`numerator // divisor`, the divisor 2 or more."""

    numerator: Expression
    divisor: int

    @cached_property
    def size(self) -> int:
        return self.numerator.size + 1

    @cached_property
    def depth(self) -> int:
        return self.numerator.depth + 1

    @cached_property
    def bounds(self) -> _Bounds:
        lower, upper = _bounds(self.numerator)
        return (
            lower if lower == -inf else lower // self.divisor,
            upper if upper == inf else upper // self.divisor,
        )

    @cached_property
    def text(self) -> str:
        return f"{_in_product(self.numerator)}//{self.divisor}"

    def symbols(self) -> Iterator[str]:
        return self.numerator._symbols()

    def at(self, values: Mapping[str, Dim]) -> Dim:
        return substitute(self.numerator, values) // self.divisor


@dataclass(frozen=True)
class _Extreme:
    """The `smaller` or `larger` of two sizes or more, none of which is known to decide it."""

    which: Literal["smaller", "larger"]
    sizes: frozenset[Dim]

    @cached_property
    def size(self) -> int:
        return 1 + sum(1 if isinstance(size, int) else size.size for size in self.sizes)

    @cached_property
    def depth(self) -> int:
        return 1 + max(size.depth for size in self.sizes if not isinstance(size, int))

    @cached_property
    def bounds(self) -> _Bounds:
        lowers, uppers = zip(*map(_bounds, self.sizes), strict=True)
        pick = min if self.which == "smaller" else max
        return pick(lowers), pick(uppers)

    @cached_property
    def text(self) -> str:
        # Two at a time, as the language's function takes them; numbers last.
        *first, text = [
            str(size) for size in sorted(self.sizes, key=lambda size: (isinstance(size, int), str(size)))
        ]
        for size in reversed(first):
            text = f"{self.which}({size}, {text})"
        return text

    def symbols(self) -> Iterator[str]:
        for size in self.sizes:
            if not isinstance(size, int):
                yield from size._symbols()

    def at(self, values: Mapping[str, Dim]) -> Dim:
        return _extreme(self.which, [substitute(size, values) for size in self.sizes])


_Atom = _Symbol | _Floor | _Extreme
_Monomial = frozenset[tuple[_Atom, int]]  # each atom with its power; hashed once, which a tuple is not
_Bounds = tuple[Any, Any]  # int or infinity, at least and at most
_ONE: _Monomial = frozenset()
_T = TypeVar("_T")


class Expression:
    """A size that depends on a symbol. Immutable; made by `symbol` and arithmetic."""

    __slots__ = ("_depth", "_hash", "_size", "_terms", "_text")
    _terms: dict[_Monomial, int]
    _hash: int  # this and the rest: when first asked for
    _text: str
    _size: int
    _depth: int

    def __init__(self, terms: dict[_Monomial, int]) -> None:
        object.__setattr__(self, "_terms", terms)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an Expression can't be changed (.{name})")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an Expression can't be changed (.{name})")

    def _once(self, name: str, value: _T) -> _T:
        object.__setattr__(self, name, value)
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return Expression, (self._terms,)

    def __copy__(self) -> Expression:
        return self

    def __deepcopy__(self, memo: object) -> Expression:
        return self

    # ---- arithmetic ----

    def __add__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return _plus_constant(self, other) if other else self
        if not isinstance(other, Expression):
            return NotImplemented
        return _sum(self, other, 1)

    __radd__ = __add__

    def __sub__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return _plus_constant(self, -other) if other else self
        if not isinstance(other, Expression):
            return NotImplemented
        return _sum(self, other, -1)

    def __rsub__(self, other: int) -> Dim:
        return -self + other

    def __neg__(self) -> Expression:
        return Expression({monomial: -factor for monomial, factor in self._terms.items()})

    def __pos__(self) -> Expression:
        return self

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            if other == 0 or other == 1:
                return self if other else 0
            return _made({monomial: factor * other for monomial, factor in self._terms.items()})
        if not isinstance(other, Expression):
            return NotImplemented
        terms: dict[_Monomial, int] = {}
        for one, factor in self._terms.items():
            for two, factor_two in other._terms.items():
                both = _times(one, two)
                terms[both] = terms.get(both, 0) + factor * factor_two
            if len(terms) > 4 * MAX_TERMS:
                raise TooLarge(f"a size has grown to more than {MAX_TERMS} terms")
        return _made({monomial: factor for monomial, factor in terms.items() if factor})

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> Dim:
        if not isinstance(divisor, int):
            if isinstance(divisor, Expression):
                raise UnknownSize(f"dividing by a size that is not known: {divisor}")
            return NotImplemented
        return _floor_divide(self, divisor)

    def __rfloordiv__(self, other: int) -> NoReturn:
        raise UnknownSize(f"dividing by a size that is not known: {self}")

    def __mod__(self, divisor: int) -> Dim:
        if not isinstance(divisor, (int, Expression)):
            return NotImplemented
        return self - self // divisor * divisor

    def __rmod__(self, other: int) -> NoReturn:
        raise UnknownSize(f"dividing by a size that is not known: {self}")

    # ---- comparison ----

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expression):
            return False if isinstance(other, int) else NotImplemented
        return self is other or self._terms == other._terms

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            return self._once("_hash", hash(frozenset(self._terms.items())))

    def _compared(self, other: object) -> NoReturn:
        raise UnknownSize(f"comparing a size that is not known: {self}")

    __lt__ = __le__ = __gt__ = __ge__ = _compared

    def __bool__(self) -> NoReturn:
        raise UnknownSize(f"a size that is not known is neither true nor false: {self}")

    def __int__(self) -> NoReturn:
        raise UnknownSize(f"a size that is not known is not a number: {self}")

    __index__: None = None  # not an int, to operator.index and range as well
    __float__: None = None

    # ---- as text ----

    def __str__(self) -> str:
        try:
            return self._text
        except AttributeError:
            return self._once("_text", _written(self))

    def __repr__(self) -> str:
        return f"Expression({str(self)!r})"

    def __format__(self, spec: str) -> str:
        """Width and alignment are a text's; a number's `,` and `d` have nothing to act on."""
        return format(str(self), spec.rstrip(",d_"))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        text = core_schema.to_string_ser_schema(when_used="json")
        return core_schema.is_instance_schema(cls, serialization=text)

    # ---- how big it is ----

    @property
    def size(self) -> int:
        """How long it is when written out: one for every atom and term."""
        try:
            return self._size
        except AttributeError:
            return self._once("_size", sum(map(_monomial_size, self._terms)))

    @property
    def depth(self) -> int:
        """How deep divisions and extremes are nested."""
        try:
            return self._depth
        except AttributeError:
            depths = (atom.depth for monomial in self._terms for atom, _ in monomial)
            return self._once("_depth", max(depths))

    def _symbols(self) -> Iterator[str]:
        for monomial in self._terms:
            for atom, _ in monomial:
                yield from atom.symbols()


Dim = int | Expression


# ---- what the rest of the compiler calls ----


def symbol(name: str) -> Expression:
    """The size that the text calls `name`: some positive integer."""
    if not name.isidentifier():
        raise ValueError(f"{name!r} is not a name")
    return Expression({frozenset(((_Symbol(name), 1),)): 1})


def nameless(number: int) -> Expression:
    """Some positive integer that the text has no name for; `substitute` knows it as `#1`, `#2`."""
    return Expression({frozenset(((_Symbol(f"#{number}"), 1),)): 1})


def known(size: Dim) -> TypeGuard[int]:
    """Whether it is a number."""
    return isinstance(size, int)


def ceildiv(size: Dim, divisor: int) -> Dim:
    """Divided by a positive integer and rounded up."""
    if isinstance(size, int):
        return -(-size // divisor)
    return (size + (divisor - 1)) // divisor


def smaller(one: Dim, two: Dim) -> Dim:
    """The smaller of two sizes."""
    if isinstance(one, int) and isinstance(two, int):
        return min(one, two)
    return _extreme("smaller", [one, two])


def larger(one: Dim, two: Dim) -> Dim:
    """The larger of two sizes."""
    if isinstance(one, int) and isinstance(two, int):
        return max(one, two)
    return _extreme("larger", [one, two])


def positive(size: Dim) -> bool | None:
    """True if it is 1 or more whatever the symbols are, False if it never is, None if that depends or is not seen."""
    if isinstance(size, int):
        return size > 0
    lower, upper = _bounds(size)
    if lower > 0:
        return True
    return False if upper <= 0 else None


def substitute(size: Dim, values: Mapping[str, Dim]) -> Dim:
    """With the named symbols replaced: an exact int where all of them are."""
    if isinstance(size, int):
        return size
    for name, value in values.items():
        if isinstance(value, int) and value < 1:
            raise ValueError(f"{name} stands for a positive size, not {value}")
    total: Dim = 0
    for monomial, factor in size._terms.items():
        product: Dim = factor
        for atom, power in monomial:
            value = atom.at(values)
            for _ in range(power):
                product = product * value
        total = total + product
    return total


def solved(shape: Sequence[Dim], sizes: Sequence[int]) -> dict[str, int] | None:
    """What the symbols of a shape stand for where it has these sizes; None where it can't have them, or where that takes
    more than one unknown at a time.

    >>> H = symbol("H")
    >>> solved((3, 16 * H, H + 1), (3, 64, 5)), solved((3, 16 * H), (3, 65))
    ({'H': 4}, None)
    """
    values: dict[str, int] = {}
    for _ in shape:  # what one side tells may be what another one lacks
        for side, size in zip(shape, sizes, strict=True):
            values |= _solved(substitute(side, values), size)
    if any(substitute(side, values) != size for side, size in zip(shape, sizes, strict=True)):
        return None
    return values


def _solved(side: Dim, size: int) -> dict[str, int]:
    """Of `4*H + 1`: H, if there is one."""
    if isinstance(side, int):
        return {}
    terms = dict(side._terms)
    rest = size - terms.pop(_ONE, 0)
    ((monomial, factor), *others) = terms.items()
    ((atom, power), *more) = monomial
    if others or more or power != 1 or not isinstance(atom, _Symbol) or rest % factor or rest // factor < 1:
        return {}
    return {atom.name: rest // factor}


def symbols_of(size: Dim) -> tuple[str, ...]:
    """The names of its symbols, sorted."""
    return () if isinstance(size, int) else tuple(sorted(set(size._symbols())))


# ---- the canonical form ----


def _monomial_size(monomial: _Monomial) -> int:
    return 1 + sum(atom.size * power for atom, power in monomial)


def _made(terms: dict[_Monomial, int]) -> Dim:
    """The size with these terms, none of them zero: an int if it is constant."""
    if not terms:
        return 0
    if len(terms) == 1 and _ONE in terms:
        return terms[_ONE]
    return _within_limits(Expression(terms))


def _within_limits(size: Expression) -> Expression:
    if len(size._terms) > MAX_TERMS:
        raise TooLarge(f"a size has grown to more than {MAX_TERMS} terms")
    if size.size > MAX_SIZE or size.depth > MAX_DEPTH:
        raise TooLarge("a size has grown too long to be written out")
    if any(factor.bit_length() > MAX_BITS for factor in size._terms.values()):
        raise TooLarge(f"a size has a factor of more than {MAX_BITS} bits")
    return size


def _plus_constant(size: Expression, constant: int) -> Expression:
    terms = dict(size._terms)
    terms[_ONE] = constant + terms.get(_ONE, 0)
    if not terms[_ONE]:
        del terms[_ONE]
    return Expression(terms)


def _sum(one: Expression, two: Expression, sign: int) -> Dim:
    """one + sign * two. Costs a copy of the longer and a visit to each term of the shorter: totals over a whole
    network are made of it."""
    if sign == 1 and len(two._terms) > len(one._terms):
        one, two = two, one
    terms = dict(one._terms)
    size = one.size
    for monomial, factor in two._terms.items():
        before = terms.get(monomial)
        if before is None:
            terms[monomial] = sign * factor
            size += _monomial_size(monomial)
            continue
        after = before + sign * factor
        if after:
            terms[monomial] = after
        else:
            del terms[monomial]
            size -= _monomial_size(monomial)
    if not terms:
        return 0
    if len(terms) == 1 and _ONE in terms:
        return terms[_ONE]
    if len(terms) > MAX_TERMS:
        raise TooLarge(f"a size has grown to more than {MAX_TERMS} terms")
    if size > MAX_SIZE:
        raise TooLarge("a size has grown too long to be written out")
    total = Expression(terms)
    total._once("_size", size)
    return total


def _times(one: _Monomial, two: _Monomial) -> _Monomial:
    if not one or not two:
        return one or two
    powers = dict(one)
    for atom, power in two:
        powers[atom] = powers.get(atom, 0) + power
    return frozenset(powers.items())


def _floor_divide(size: Expression, divisor: int) -> Dim:
    """Four rules, applied in turn until there is nothing to divide:

    (n*a + r)//n = a + r//n          the factors of r, constant included, are in 0..n-1
    (g*a + c)//(g*n) = (a + c//g)//n
    (x//a + y)//b = (x + a*y)//(a*b)
    a division whose result can only be one number is that number
    """
    if divisor == 0:
        raise ZeroDivisionError("a size divided by zero")
    if divisor < 0:
        raise ValueError(f"a size is divided by a positive number, not {divisor}")
    whole: Dim = 0
    while True:
        quotients = {monomial: factor // divisor for monomial, factor in size._terms.items()}
        whole = whole + _made({monomial: factor for monomial, factor in quotients.items() if factor})
        rest = {monomial: factor % divisor for monomial, factor in size._terms.items()}
        constant = rest.pop(_ONE, 0)
        rest = {monomial: factor for monomial, factor in rest.items() if factor}
        if not rest:
            return whole  # what is left is a constant in 0..divisor-1
        common = gcd(divisor, *rest.values())
        divisor //= common
        if common > 1:
            rest = {monomial: factor // common for monomial, factor in rest.items()}
            constant //= common
        if constant:
            rest[_ONE] = constant
        size = Expression(rest)
        if divisor == 1:
            return whole + size
        inner = [
            (monomial, atom)
            for monomial, factor in rest.items()
            if factor == 1 and len(monomial) == 1
            for atom, power in monomial
            if power == 1 and isinstance(atom, _Floor)
        ]
        if len(inner) != 1:  # of two, neither is the one to take
            break
        monomial, atom = inner[0]
        del rest[monomial]
        merged = atom.numerator + atom.divisor * _made(rest)
        divisor *= atom.divisor
        if divisor.bit_length() > MAX_BITS:
            raise TooLarge(f"a size is divided by a number of more than {MAX_BITS} bits")
        if isinstance(merged, int):
            return whole + merged // divisor
        size = merged
    quotient = _Floor(size, divisor)
    lower, upper = quotient.bounds
    if lower == upper:
        return whole + int(lower)
    return whole + _within_limits(Expression({frozenset(((quotient, 1),)): 1}))


def _extreme(which: Literal["smaller", "larger"], sizes: Iterable[Dim]) -> Dim:
    """Nested ones are one; a size that another is known to beat is dropped."""
    kept: list[Dim] = []
    pending = list(sizes)
    while pending:
        size = pending.pop()
        inside = _extreme_inside(which, size)
        if inside:
            pending.extend(inside)
            continue
        if any(_wins(which, other, size) for other in kept):
            continue
        kept = [other for other in kept if not _wins(which, size, other)]
        kept.append(size)
    if len(kept) == 1:
        return kept[0]
    atom = _Extreme(which, frozenset(kept))
    return _within_limits(Expression({frozenset(((atom, 1),)): 1}))


def _extreme_inside(which: str, size: Dim) -> frozenset[Dim] | None:
    """What `size` is the smaller (larger) of, if it is nothing else."""
    if isinstance(size, int) or len(size._terms) != 1:
        return None
    (monomial, factor), *_ = size._terms.items()
    if factor != 1 or len(monomial) != 1:
        return None
    (atom, power), *_ = monomial
    return atom.sizes if power == 1 and isinstance(atom, _Extreme) and atom.which == which else None


def _wins(which: str, one: Dim, two: Dim) -> bool:
    lower, upper = _bounds(one - two)
    return bool(upper <= 0 if which == "smaller" else lower >= 0)


# ---- bounds ----


def _bounds(size: Dim) -> _Bounds:
    """Integers that it is never below and never above, or infinities. Safe, not tight."""
    if isinstance(size, int):
        return size, size
    lower, upper = _interval(size._terms)
    if all(isinstance(atom, _Symbol) for monomial in size._terms for atom, _ in monomial):
        return lower, upper
    # With each x//n between (x-n+1)/n and x/n, what divisions have in common cancels: (H+1)//2 <= (H+2)//2.
    if lower == -inf:
        lower = _interval(_relaxed(size._terms, -1))[0]
        lower = lower if lower == -inf else ceil(lower)
    if upper == inf:
        upper = _interval(_relaxed(size._terms, 1))[1]
        upper = upper if upper == inf else floor(upper)
    return lower, upper


def _interval(terms: Mapping[_Monomial, Any]) -> _Bounds:
    lower: Any = 0
    upper: Any = 0
    for monomial, factor in terms.items():
        low, high = factor, factor
        for atom, power in monomial:
            for _ in range(power):
                corners = [_product(a, b) for a in (low, high) for b in atom.bounds]
                low, high = min(corners), max(corners)
        lower = -inf if -inf in (lower, low) else lower + low
        upper = inf if inf in (upper, high) else upper + high
    return lower, upper


def _product(one: Any, two: Any) -> Any:
    """With 0 * infinity = 0, and without turning integers into floats that can't hold them."""
    if not one or not two:
        return 0
    if one in (inf, -inf) or two in (inf, -inf):
        return inf if (one > 0) == (two > 0) else -inf
    return one * two


def _relaxed(terms: Mapping[_Monomial, int], side: Literal[-1, 1]) -> dict[_Monomial, Fraction]:
    """Rational terms, without divisions outside products, that are never above (side -1) or below (1) the given."""
    relaxed: dict[_Monomial, Fraction] = {}
    pending = [(monomial, Fraction(factor)) for monomial, factor in terms.items()]
    while pending:
        monomial, factor = pending.pop()
        atom, power = next(iter(monomial)) if len(monomial) == 1 else (None, 0)
        if power == 1 and isinstance(atom, _Floor):
            share = factor / atom.divisor
            pending.extend(
                (inner, share * inner_factor) for inner, inner_factor in atom.numerator._terms.items()
            )
            if (factor > 0) == (side < 0):
                pending.append((_ONE, -share * (atom.divisor - 1)))
            continue
        relaxed[monomial] = relaxed.get(monomial, Fraction(0)) + factor
    return relaxed


# ---- as text ----


def _in_product(size: Expression) -> str:
    """In parentheses, unless it is one name or call."""
    text = str(size)
    if len(size._terms) == 1:
        (monomial, factor), *_ = size._terms.items()
        (atom, power), *_ = monomial
        if factor == 1 and len(monomial) == 1 and power == 1 and not isinstance(atom, _Floor):
            return text
    return f"({text})"


def _written(size: Expression) -> str:
    """In the language's own notation: what is added first, then what is taken away; powers as products."""
    added: list[tuple[int, str, bool]] = []
    taken: list[tuple[int, str, bool]] = []
    for monomial, factor in size._terms.items():
        atoms = sorted((atom.text, isinstance(atom, _Floor), power) for atom, power in monomial)
        degree = sum(power for _, _, power in atoms)
        alone = degree == 1 and factor in (1, -1)
        # `2*(H + 1)//2` would divide last, so a division in a product keeps parentheses of its own.
        factors = [] if abs(factor) == 1 and monomial else [str(abs(factor))]
        factors += [
            f"({text})" if divides and not alone else text
            for text, divides, power in atoms
            for _ in range(power)
        ]
        text = "*".join(factors)
        (added if factor > 0 else taken).append((-degree, text, alone and atoms[0][1]))
    added.sort()
    taken.sort()
    words = " + ".join(text for _, text, _ in added)
    for _, text, divides in taken:
        # After a leading minus too: `-(H + 1)//2` rounds the other way.
        words = f"{words} - {text}" if words else f"-({text})" if divides else f"-{text}"
    return words
