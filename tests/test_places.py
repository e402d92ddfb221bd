"""What an editor asks of a check beside its findings: where names were given, what each step became, other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl import syntax
from archdsl.api import Checked, check, shipped_names
from archdsl.checks import bindings
from archdsl.modules import Files, load_module
from archdsl.ops.base import written
from archdsl.references import Binding
from archdsl.resources import specs_root
from archdsl.source import Source

SPECS = [name for name in shipped_names() if len(name) % 3 == 0]
"""A third of the shipped networks, chosen by nothing that matters."""

TEXT = """
block up(f, @skip) {
  let wide = 2*f
  upconv2-wide/2; concat [ @skip | identity ]
}
arch net(classes=10) {
  input 3xHx32
  conv3-8 as c1
  maxpool; conv3-8 x2 as c2 -> 8x_x16
  if classes > 5 { let k = 1 } else { let k = 2 }
  up(f=8, skip=@c1)
  carry(p=@c1) { conv3-k; add [ @p | identity ] }
  gap; fc-classes
}
"""


def found_in(text: str) -> list[Binding]:
    return bindings(load_module(Source("net.arch", text)))


def checked(name: str) -> Checked:
    path = specs_root() / f"{name}.arch"
    return check(Source(f"{name}.arch", path.read_text(encoding="utf-8"), path), path=path)


def test_every_name_leads_to_where_it_was_given() -> None:
    found = found_in(TEXT)
    seen = {(b.span.text, b.span.line, b.place.line, b.kind) for b in found}
    for wanted in (
        ("f", 3, 2, "variable"),
        ("wide", 4, 3, "variable"),
        ("skip", 4, 2, "label"),
        ("classes", 13, 6, "variable"),
        ("c1", 11, 8, "label"),
        ("up", 11, 2, "definition"),
        ("f", 11, 2, "variable"),
        ("skip", 11, 2, "label"),
        ("k", 12, 10, "variable"),
        ("p", 12, 12, "label"),
        ("H", 7, 7, "variable"),
    ):
        assert wanted in seen, wanted
    inside = "arch net(n=2) { input 3x(8*(H))x8; conv3-8 as c1; add [ @c1 | identity ] x( # n\n n ); fc-n }"
    assert [b.span.text for b in found_in(inside)] == ["net", "n", "H", "c1", "n", "c1", "n"]


def test_two_arms_give_one_name() -> None:
    found = [b for b in found_in(TEXT) if b.span.text == "k"]
    (first,) = {b.place for b in found if b.span.line == 12}
    second = next(b.place for b in found if b.place != first)
    assert first.line == second.line == 10 and first.start < second.start
    assert any(b.span == second and b.place == first for b in found), (
        "the second arm's `let` is the first's name"
    )


@pytest.mark.parametrize("name", SPECS)
def test_of_shipped_specs(name: str) -> None:
    """A name and its place are spelled alike; a step with a contract gives the contract's shape, and its own node."""
    result = checked(name)
    for module in result.module.everywhere():
        for binding in bindings(module):
            assert binding.span.text in (binding.place.text, "copy"), binding
    contracts = 0
    for draft in result.drafts:
        for placed in draft.placed:
            assert draft.nodes[placed.result].shape == placed.shapes[0]
            assert placed.start <= placed.stop <= len(draft.nodes)
            contract = placed.step.contract
            if contract is not None and all(isinstance(dim, syntax.Number) for dim in contract.dims):
                assert contract.span.text == written(placed.shapes[0])
                contracts += 1
    assert result.network is not None and len(result.drafts[0].placed) > 2
    if name == "vgg16":
        assert contracts == 5


def test_what_there_was_up_to_a_mistake() -> None:
    text = "arch net { input 3x32x32; conv3-8; maxpool -> 8x16x16; conv3-8(p=0, k=40); conv3-8 }"
    result = check(Source("net.arch", text))
    assert result.networks == ()
    assert [p.step.span.text.split("(")[0] for p in result.drafts[0].placed] == [
        "conv3-8",
        "maxpool -> 8x16x16",
    ]


def test_other_files_come_from_where_the_caller_says(tmp_path: Path) -> None:
    class Held(Files):
        def source(self, path: Path, name: str) -> Source:
            if path.name != "held.arch":
                raise FileNotFoundError(path)
            return Source(name, "block mine(f) { conv3-f }", path)

    text = 'use "held.arch"\narch net { input 3x32x32; mine(8) -> 8x32x32 }'
    path = tmp_path / "net.arch"
    assert check(Source("net.arch", text, path), path=path, files=Held()).network is not None
    found = check(Source("net.arch", text, path), path=path).diagnostics
    assert [d.code for d in found] == ["A114"]
