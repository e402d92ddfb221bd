"""What arguments of several commands are: their types, and the options that a network is chosen with."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable

LARGEST = 2**31 - 1


def of_network(parser: ArgumentParser) -> None:
    """The options that say which network of a SPEC is meant, and with which input and parameters."""
    parser.add_argument(
        "--input", type=shape, metavar="CxHxW", help="in place of the text's own input shape"
    )
    parser.add_argument(
        "-p",
        dest="params",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="a parameter of the network, such as classes=10",
    )
    parser.add_argument("--arch", metavar="NAME", help="the network that is meant, in a file of several")
    parser.add_argument(
        "--root", metavar="DIR", help="folder that `use` may read (default: the spec's own)"
    )


def of_features(parser: ArgumentParser) -> None:
    """The option that cuts a network down to a backbone."""
    parser.add_argument(
        "--features",
        metavar="LABELS",
        help="keep only what these labelled tensors need, and return them: c3,c4; "
        "all: every stage that is labelled",
    )


def of_force(parser: ArgumentParser) -> None:
    """The option that `refuse_others` asks about."""
    parser.add_argument("--force", action="store_true", help="replace a file that archdsl did not write")


def shape(text: str) -> tuple[int, ...]:
    """`3x224x224` as (3, 224, 224)."""
    if not re.fullmatch(r"[0-9]+(x[0-9]+x[0-9]+)?", text):
        raise ArgumentTypeError(f"{text!r} is not a shape; write channels x height x width: 3x224x224")
    if len(text) > 40 or not all(0 < int(side) <= LARGEST for side in text.split("x")):
        raise ArgumentTypeError(f"{text!r}: every side is from 1 to {LARGEST}")
    return tuple(int(side) for side in text.split("x"))


def setting(text: str) -> tuple[str, int | float | bool | str]:
    """`classes=10` as ("classes", 10)."""
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ArgumentTypeError(f"{text!r} is not a parameter; write name=value: classes=10")
    if value in ("true", "false"):
        return name, value == "true"
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        return name, value
    if len(value) <= 40 and re.fullmatch(r"-?[0-9]+(_[0-9]+)*", value):
        return name, int(value)
    if len(value) <= 40 and re.fullmatch(r"-?[0-9]+(_[0-9]+)*(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", value):
        number = float(value)
        if abs(number) != float("inf"):
            return name, number
    raise ArgumentTypeError(f"{value!r} is not a value; write a number, true, false or a word")


def whole(noun: str, digits: int = 4) -> Callable[[str], int]:
    """The type of a whole number from 1, of so many digits at most; `noun` says what it counts."""

    def number(text: str) -> int:
        if not re.fullmatch(f"[0-9]{{1,{digits}}}", text) or int(text) < 1:
            raise ArgumentTypeError(f"{text!r} is not a {noun}; write a number from 1 to {10**digits - 1:,}")
        return int(text)

    return number


batch = whole("batch", digits=6)
