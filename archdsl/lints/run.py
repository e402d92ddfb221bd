"""Every lint, which of them are on, and running them over a file and its networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, did_you_mean
from archdsl.lints import (
    bias,
    channels,
    coverage,
    dead_steps,
    ignores,
    linear_stacks,
    reach,
    softmax,
    strided_copies,
    unused,
    windows,
)
from archdsl.lints.facts import Facts
from archdsl.modules import Module
from archdsl.network import Network

MOST_WARNINGS = 100
"""Of one file: nobody reads more."""


class Lint(NamedTuple):
    """One kind of remark. group: "" for what is always on, or the name by which it is asked for.

    of_network is called for each network of a file, of_file for each file whose text is checked.
    """

    group: str = ""
    of_network: Callable[[Facts], Iterator[Diagnostic]] | None = None
    of_file: Callable[[Module], Iterator[Diagnostic]] | None = None


LINTS: dict[str, Lint] = {
    "L100": Lint(),  # ignores.py reports it, after all others
    "L101": Lint(of_network=linear_stacks.check),
    "L102": Lint(of_network=strided_copies.check),
    "L103": Lint(of_network=channels.last),
    "L104": Lint(of_network=coverage.gaps),
    "L105": Lint(of_network=coverage.left_over),
    "L106": Lint(of_network=dead_steps.check),
    "L107": Lint(of_file=unused.values),
    "L108": Lint(of_file=unused.definitions),
    "L109": Lint(of_file=unused.labels),
    "L110": Lint(of_network=softmax.check),
    "L111": Lint(of_network=bias.check),
    "L112": Lint(of_network=windows.check),
    "L113": Lint("reach", of_network=reach.check),
    "L114": Lint("speed", of_network=channels.uneven),
}
GROUPS = tuple(dict.fromkeys(entry.group for entry in LINTS.values() if entry.group))


class Remarks(NamedTuple):
    """The warnings of a file, and of each of its networks those that concern it."""

    all: tuple[Diagnostic, ...]
    of_networks: tuple[tuple[Diagnostic, ...], ...]


def chosen_codes(wanted: Iterable[str]) -> frozenset[str]:
    """The codes that are on, with the groups and codes of `wanted`; `all` is every one. Raises ValueError."""
    codes = {code for code, entry in LINTS.items() if not entry.group}
    for word in wanted:
        if word == "all":
            codes.update(LINTS)
        elif word in GROUPS:
            codes.update(code for code, entry in LINTS.items() if entry.group == word)
        elif word in LINTS:
            codes.add(word)
        else:
            near = did_you_mean(word, ["all", *GROUPS, *LINTS])
            more = (
                f"did you mean {near}?" if near else f"write all, {', '.join(GROUPS)} or a code such as L105"
            )
            raise ValueError(f"no lint and no group of lints is called {word!r}; {more}")
    return frozenset(codes)


def lint(
    module: Module, networks: Sequence[Network], *, codes: frozenset[str] | None = None, whole: bool = True
) -> Remarks:
    """Warnings about a file without errors and its networks, at places that the user wrote.

    codes: the lints to run, those that are on unless stated. whole: all of the file was looked at, with the values
    that it states, so that an `ignore` without effect is a finding too.
    """
    codes = chosen_codes(()) if codes is None else codes
    files = [one for one in module.everywhere() if not one.is_library]
    texts = frozenset(id(one.source) for one in files)
    of_file: list[Diagnostic] = []
    for one in files:
        said = (d for entry in _on(codes) if entry.of_file is not None for d in entry.of_file(one))
        of_file += _first(of_file, said)
    found: list[list[Diagnostic]] = []
    for network in networks:
        facts = Facts(network, texts)
        said = (d for entry in _on(codes) if entry.of_network is not None for d in entry.of_network(facts))
        found.append(_first([], (d for d in said if d.span is not None and id(d.span.source) in texts)))
    everything = [*of_file, *(d for some in found for d in some)]
    ignored, idle = ignores.sort(files, everything, networks, codes, LINTS)
    if whole and "L100" in codes and all(len(some) < MOST_WARNINGS for some in (of_file, *found)):
        of_file += idle
    kept_of_file = [d for d in of_file if id(d) not in ignored]
    kept = [[d for d in some if id(d) not in ignored] for some in found]
    return Remarks(
        tuple(_first([], [*kept_of_file, *(d for some in kept for d in some)])),
        tuple(tuple(sorted([*some, *kept_of_file], key=_start)) for some in kept),
    )


def _on(codes: frozenset[str]) -> list[Lint]:
    return [entry for code, entry in LINTS.items() if code in codes]


def _first(before: Sequence[Diagnostic], found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """One of each code and place, and no more than anybody reads."""
    unique: dict[tuple[str, int, int], Diagnostic] = {}
    for d in found:
        assert d.span is not None
        unique.setdefault((d.code, id(d.span.source), d.span.start), d)
        if len(unique) + len(before) >= MOST_WARNINGS:
            break
    return list(unique.values())


def _start(d: Diagnostic) -> int:
    return d.span.start if d.span is not None else 0
