"""Convolutions of three columns with half of the multiplications: Winograd's F(4, 3) along rows, as matrix products.

Four outputs of a row need twelve products of a weight and a pixel, or six of a combination of weights and one of
pixels (S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for Convolutional
Neural Networks, 2016). Here a row of W pixels times a W x 6T matrix gives the six combinations of each of its T tiles, a
convolution of one column in six groups of channels multiplies them, and a second product adds up. All three run at a
matrix product's speed, and only rows are combined: columns would save more, but move three times as much memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from operator import mul
from typing import Any

import torch

from archdsl.engine.long_sums import LANES

TILE, TAPS = 4, 3
TERMS = TILE + TAPS - 1
POINTS = tuple(map(Fraction, ("0", "2/3", "-2/3", "3/2", "-3/2")))
"""Where polynomials are evaluated, besides infinity. Of all that were tried these leave the smallest error: 1.5 times
that of the convolution as it is, where 0, 1, -1, 2, -2 leave 2.1 times."""

HALVED = "half of the multiplications: Winograd's, along rows"
"""Why it is done, in a report."""

ROWS = 48
"""Tiles of an image below which a convolution waits for its weights, of which there are twice as many."""

BEGIN, SHARE = 16_000_000, 0.6
"""What three operations in place of one cost, in FLOPs, and what share of a convolution's speed the products reach."""

LONG = 1024
"""Products that are added up one after another, above which the sum is cut in two: vgg19's error would be 2.02 times that
of eager otherwise, and is 1.91 times."""

SMALL = 200_000
"""Weights of one term and row that stay in a core's own cache."""

SOME = 32
"""Filters whose terms are computed at once, from what the cache still holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Winograd:
    """One convolution. Rows are N*H, W, C.

    into   6T x W: a row's pixels to the six terms of its tiles.
    back   W' x 6TP: the products of all terms to the outputs. parts, P: into how many sums each is cut.
    flat   whether all rows are one, and the next row is T tiles further: that gives oneDNN longer blocks.
    """

    tiles: int
    parts: int
    flat: bool
    into: torch.Tensor
    back: torch.Tensor

    @property
    def groups(self) -> int:
        return TERMS * self.parts

    def kernel(self, rows: int) -> tuple[int, int]:
        """Height and width of the kernel of the convolution between the products."""
        return (1, rows) if self.flat else (rows, 1)

    def sides(self, rows: int) -> tuple[int, int]:
        """Height and width of what that convolution reads or writes."""
        return (1, rows * self.tiles) if self.flat else (rows, self.tiles)

    def window(self, op: Any, top: int, bottom: int) -> tuple[list[int], list[int], list[int], list[int]]:
        """(padding before, padding after, stride, dilation) of that convolution, along height and width."""
        if self.flat:
            return [0, top * self.tiles], [0, bottom * self.tiles], [1, 1], [1, self.tiles]
        return [top, 0], [bottom, 0], [op.stride[0], 1], [op.dilation[0], 1]


def saving(op: Any, size: Sequence[int], wanted: Sequence[int], gain: float) -> float | None:
    """FLOPs for an image that a convolution saves when it runs this way; None where it is to run as it is.

    size, wanted: C, H, W of an image that comes in and goes out. gain: the most of the time as it is that this way may be
    expected to take, in a backend.
    """
    if not possible(op, size[0]):
        return None
    channels, height, width = size
    filters, out_height, out_width = wanted
    terms = TERMS * tiles(out_width)
    place = 2 * op.kernel[0] * channels * filters * out_height
    products = 2 * terms * (height * width * channels + out_height * out_width * filters)
    if out_height * terms < ROWS * TERMS:
        return None
    plain, so = place * TAPS * out_width, place * terms + products / SHARE + BEGIN
    return plain - so if so <= gain * plain else None


def possible(op: Any, channels: int) -> bool:
    """Whether a layer can run this way at all."""
    if op.syntax != "conv" or op.groups != 1 or (op.kernel[1], op.stride[1], op.dilation[1]) != (TAPS, 1, 1):
        return False
    return channels % LANES == 0 == op.channels % LANES


def sums(op: Any, channels: int) -> int:
    """Into how many the products of an output are cut."""
    return 2 if op.kernel[0] * channels > LONG and channels % (2 * LANES) == 0 else 1


def form(op: Any, parts: int, size: Sequence[int], out_width: int, left: int) -> Winograd:
    """The products around a convolution, and how the one between them runs. left: columns of zeros before a row."""
    into, back = _products(size[2], out_width, left)
    flat = op.stride[0] == op.dilation[0] == 1 and size[0] * op.channels < SMALL
    return Winograd(tiles(out_width), parts, flat, into, back.repeat_interleave(parts, dim=1))


def combined(weight: torch.Tensor, parts: int) -> torch.Tensor:
    """The weights of a convolution, K x C x R x 3, as 6PK x C/P x R: those of a convolution in 6P groups."""
    _, of_weights, _ = _matrices()
    filters, channels, rows, _ = weight.shape
    found = torch.empty(TERMS, parts, filters, channels // parts, rows)
    for first in range(0, filters, SOME):
        some = slice(first, first + SOME)
        taps = weight[some].permute(3, 0, 1, 2).double().unflatten(2, (parts, -1)).transpose(1, 2)
        for term, factors in zip(found, of_weights.tolist(), strict=True):
            term[:, some] = sum(tap * factor for tap, factor in zip(taps, factors, strict=True))
    return found.flatten(0, 2)


def original(terms: torch.Tensor, filters: int) -> torch.Tensor:
    """K x C x R x 3 of `combined`'s 6PK x C/P x R, to the last digit or two: for sizes at which a convolution runs as it is."""
    of_terms, _ = _backwards()
    cut = terms.reshape(TERMS, -1, filters, *terms.shape[1:3]).transpose(1, 2).flatten(2, 3)
    return torch.einsum("wj,jkcr->kcrw", of_terms, cut.double()).float()


def shared(bias: torch.Tensor, parts: int) -> torch.Tensor:
    """What the terms' sums begin with, 6PK: in `back` it adds up to the bias in each output."""
    _, shares = _backwards()
    found = torch.zeros(TERMS, parts, bias.shape[0], dtype=torch.float64)
    found[:, 0] = shares[:, None] * bias.double()
    return found.flatten().float()


def tiles(out_width: int) -> int:
    """Of a row, the last of which may reach past it."""
    return -(-out_width // TILE)


@lru_cache(maxsize=64)
def _products(width: int, out_width: int, left: int) -> tuple[torch.Tensor, torch.Tensor]:
    of_pixels, _, of_sums = _matrices()
    count = tiles(out_width)
    into = torch.zeros(count, TERMS, left + count * TILE + TAPS + width, dtype=torch.float64)
    back = torch.zeros(count * TILE, count, TERMS, dtype=torch.float64)
    for tile in range(count):
        first = tile * TILE
        into[tile, :, first : first + TERMS] = of_pixels
        back[first : first + TILE, tile] = of_sums
    return into[:, :, left : left + width].flatten(0, 1).float(), back[:out_width].flatten(1).float()


@lru_cache(maxsize=1)
def _matrices() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(terms of pixels 6 x 6, of weights 6 x 3, outputs of terms 4 x 6): a product of polynomials by their values at six
    points, read backwards."""
    return _tensor(_turned(_inverse(_values(TERMS)))), _tensor(_values(TAPS)), _tensor(_turned(_values(TILE)))


@lru_cache(maxsize=1)
def _backwards() -> tuple[torch.Tensor, torch.Tensor]:
    """(weights of their terms 3 x 6, terms of a one in each output 6), of which `_matrices` makes them again."""
    return _tensor(_least_squares(_values(TAPS))), _tensor(_least_squares(_values(TILE))).sum(0)


# Small and exact: torch's own inverse would bring 6 MiB of its library to memory.

_Matrix = list[list[Fraction]]


def _values(count: int) -> _Matrix:
    """Of a polynomial with so many coefficients, at each point; the last is infinity's."""
    return [[point**power for power in range(count)] for point in POINTS] + [[Fraction(n == count - 1) for n in range(count)]]


def _tensor(rows: _Matrix) -> torch.Tensor:
    return torch.tensor([[float(value) for value in row] for row in rows], dtype=torch.float64)


def _turned(rows: _Matrix) -> _Matrix:
    return [list(column) for column in zip(*rows, strict=True)]


def _times(one: _Matrix, two: _Matrix) -> _Matrix:
    return [[sum(map(mul, row, column), Fraction()) for column in zip(*two, strict=True)] for row in one]


def _least_squares(rows: _Matrix) -> _Matrix:
    """The pseudoinverse of a matrix with more rows than columns."""
    turned = _turned(rows)
    return _times(_inverse(_times(turned, rows)), turned)


def _inverse(rows: _Matrix) -> _Matrix:
    """By elimination."""
    size = len(rows)
    whole = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(rows)]
    for at in range(size):
        pivot = next(row for row in whole[at:] if row[at])
        whole.remove(pivot)
        pivot = [value / pivot[at] for value in pivot]
        whole = [[value - row[at] * factor for value, factor in zip(row, pivot, strict=True)] for row in whole]
        whole.insert(at, pivot)
    return [row[size:] for row in whole]
