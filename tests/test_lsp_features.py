"""What the language server answers, feature by feature, asked without a connection (test_lsp.py has one).

`‸` marks the cursor in a text.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("pygls", reason="the language server is not installed: archdsl[lsp]")

from lsprotocol import types
from test_mutations import mutated, shipped

from archdsl.api import check, loads
from archdsl.draw.picture import picture
from archdsl.draw.scene import scene
from archdsl.draw.svg import to_svg
from archdsl.lsp import (
    actions,
    completion,
    folding,
    hints,
    hover,
    lens,
    navigation,
    selection,
    signature,
    symbols,
    tokens,
)
from archdsl.lsp import diagnostics as findings
from archdsl.lsp.analysis import Analysis
from archdsl.lsp.buffers import Buffer, Buffers, path_of, uri_of
from archdsl.lsp.diagram import diagram
from archdsl.lsp.positions import Lines
from archdsl.lsp.server import make_server
from archdsl.lsp.settings import Settings
from archdsl.ops import LAYERS
from archdsl.resources import specs_root
from archdsl.source import Source, Span

HEAD = "arch net(classes=10) {\n  input 3x32x32\n"


def analysed(text: str, path: Path | None = None, buffers: Buffers | None = None) -> Analysis:
    buffers = buffers or Buffers()
    buffer = Buffer(uri_of(path) if path is not None else "untitled:net", text, 1, "utf-16")
    buffers.open[buffer.uri] = buffer
    return Analysis(buffer, buffers)


def marked(text: str) -> tuple[str, int]:
    return text.replace("‸", ""), text.index("‸")


def spec(name: str) -> Path:
    return (specs_root() / f"{name}.arch").resolve()


def all_hints(analysis: Analysis, costs: bool = False) -> dict[str, str]:
    """What each hint says, by the line of text before it."""
    found = hints.hints(analysis, 0, len(analysis.text), True, costs)
    return {
        analysis.text.splitlines()[h.position.line][: h.position.character].strip(): str(h.label)
        for h in found
    }


def edited(text: str, edits: list[types.TextEdit]) -> str:
    lines = Lines(text, "utf-16")
    for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
        text = text[: lines.offset(edit.range.start)] + edit.new_text + text[lines.offset(edit.range.end) :]
    return text


def edits_of(edit: types.WorkspaceEdit | None, uri: str) -> list[types.TextEdit]:
    assert edit is not None and edit.changes is not None
    return list(edit.changes[uri])


# ---- hints and lenses ----


def test_a_hint_after_each_step() -> None:
    found = all_hints(
        analysed(HEAD + "  conv3-8 as c1\n  maxpool -> 8x16x16\n  conv3-16/2 x2\n  fc-classes\n}")
    )
    assert found == {"conv3-8 as c1": "→ 8x32x32", "conv3-16/2 x2": "→ 16x4x4", "fc-classes": "→ 10"}


def test_a_group_that_closes_says_nothing_twice() -> None:
    steps = "  residual { conv3-3 }; relu\n  { conv3-8 } x2\n  residual {\n    conv3-8\n  }\n}"
    found = all_hints(analysed(HEAD + steps))
    assert list(found) == [
        "residual { conv3-3",
        "residual { conv3-3 }; relu",
        "{ conv3-8",
        "{ conv3-8 } x2",
        "conv3-8",
        "}",
    ]


def test_costs_on_demand() -> None:
    text = HEAD + "  conv3-8\n  maxpool -> 8x16x16\n}"
    assert all_hints(analysed(text), costs=True) == {"conv3-8": "→ 8x32x32 224 params 221K MACs"}
    analysis = analysed(text)
    hint = hints.resolve(analysis, hints.hints(analysis, 0, len(text), True, False)[0])
    assert isinstance(hint.tooltip, types.MarkupContent)
    assert "224 parameters (100 % of the network), 221,184 MACs (100 % of the network)" in hint.tooltip.value
    assert "receptive field 3" in hint.tooltip.value


def test_hints_accepted_are_contracts_that_hold() -> None:
    """Every hint's own edit put in at once gives a text that checks, with no hint left."""
    for name in ("resnet50", "googlenet", "inception_resnet_v2"):
        path = spec(name)
        analysis = analysed(path.read_text(encoding="utf-8"), path)
        found = hints.hints(analysis, 0, len(analysis.text), True, False)
        after = edited(analysis.text, [edit for hint in found for edit in hint.text_edits or ()])
        again = analysed(after, path)
        assert again.diagnostics == () and len(found) >= 2
        left = hints.hints(again, 0, len(after), True, False)
        assert all("…" in str(hint.label) for hint in left), "only what has several shapes has no contract"


def test_hints_up_to_the_first_mistake() -> None:
    for broken, last in (
        ("conv3-16(p=0, k=40)", "maxpool"),
        ("conv3-16[", "maxpool"),
        ("botleneck(8)", "maxpool"),
    ):
        found = all_hints(analysed(f"{HEAD}  conv3-8\n  maxpool\n  {broken}\n  relu\n}}"))
        assert list(found) == ["conv3-8", "maxpool"], (broken, found)
        assert found[last] == "→ 8x16x16"


def test_hints_go_on_after_a_contract() -> None:
    """After a mistake the author's own word says what is there."""
    found = all_hints(analysed(HEAD + "  botleneck(8)\n  nothing(1) -> 64x8x8\n  conv3-8\n}"))
    assert found == {"conv3-8": "→ 8x8x8"}


def test_a_block_with_a_mistake_hides_only_what_it_touches() -> None:
    text = (
        "block a(f) {\n  conv3-f\n  conv3-(\n}\nblock b(f) {\n  conv3-f\n}\n"
        + HEAD
        + "  b(8)\n  a(8)\n  relu\n}"
    )
    found = all_hints(analysed(text))
    assert "b(8)" in found and "relu" not in found and "a(8)" not in found


def test_lens() -> None:
    analysis = analysed(HEAD + "  conv3-8; gap; fc-classes\n}")
    (found,) = lens.lenses(analysis, diagram=False)
    assert found.command is not None and found.command.command == ""
    assert found.command.title == "3x32x32 → 10 · 314 parameters · 221K MACs · receptive field 3"
    (found,) = lens.lenses(analysis, diagram=True)
    assert found.command is not None and found.command.command == lens.SHOW_DIAGRAM


# ---- findings and fixes ----


def test_findings_have_second_places_and_the_arithmetic() -> None:
    analysis = analysed(HEAD + "  conv3-8 as c1\n  conv3-8/2\n  add [ @c1 | identity ]\n}")
    (found,) = findings.by_uri(analysis)[analysis.uri]
    assert (found.code, found.source, found.severity) == ("A202", "archdsl", types.DiagnosticSeverity.Error)
    assert found.related_information and "help:" in found.message
    assert {r.location.uri for r in found.related_information} == {analysis.uri}


def test_every_fix_is_offered_and_mends() -> None:
    text = HEAD + "  conv3-8(ackt=relu)\n  botleneck(8)\n  fc-clases\n}"
    analysis = analysed(text)
    start, end = types.Position(2, 12), types.Position(2, 12)
    offered = actions.actions(analysis, types.Range(start, end), None)
    assert [(a.title, a.kind) for a in offered[:1]] == [
        ("did you mean `act`?", types.CodeActionKind.QuickFix)
    ]
    assert "conv3-8(act=relu)" in edited(text, edits_of(offered[0].edit, analysis.uri))
    every = actions.actions(analysis, types.Range(start, end), [actions.FIX_ALL])
    assert [a.kind for a in every] == [actions.FIX_ALL]
    assert analysed(edited(text, edits_of(every[0].edit, analysis.uri))).diagnostics == ()


def test_fixes_that_touch_are_not_made_together() -> None:
    """Of two edits at one place one would be made in what the other has left."""
    analysis = analysed(HEAD + "  maxpol; conv3-8\n}")
    (found,) = analysis.diagnostics
    assert found.fix is not None
    span = found.fix.span
    beside = replace(found.fix, span=Span(span.source, span.stop, span.stop + 1), text=",")
    analysis.checked = analysis.checked._replace(diagnostics=(found, found, replace(found, fix=beside)))
    every = actions.fix_all(analysis)
    assert every is not None and len(edits_of(every.edit, analysis.uri)) == 1


def test_a_remark_can_be_ignored() -> None:
    text = HEAD + "  conv3-8/2 x2\n  relu; gap; fc-classes\n}"
    analysis = analysed(text)
    (remark, *_) = analysis.diagnostics
    assert remark.severity == "warning" and remark.span is not None
    place = analysis.lines.range_of(remark.span)
    (offered,) = [
        a for a in actions.actions(analysis, place, None) if a.title.startswith(f"ignore {remark.code}")
    ]
    after = analysed(edited(text, edits_of(offered.edit, analysis.uri)))
    assert remark.code not in {d.code for d in after.diagnostics}


def test_a_shape_can_be_written_down() -> None:
    text, offset = marked(HEAD + "  conv3-‸8 x2\n}")
    analysis = analysed(text)
    place = analysis.lines.range(offset, offset)
    (offered,) = actions.actions(analysis, place, [types.CodeActionKind.RefactorRewrite])
    assert "conv3-8 x2 -> 8x32x32\n" in edited(text, edits_of(offered.edit, analysis.uri))


# ---- hover, completion, signatures ----


def hovered(text: str, path: Path | None = None) -> str:
    text, offset = marked(text)
    found = hover.hover(analysed(text, path), offset)
    assert found is None or isinstance(found.contents, types.MarkupContent)
    return found.contents.value if found is not None else ""  # type: ignore[union-attr]


def test_hover() -> None:
    step = hovered(HEAD + "  co‸nv3-8/2\n}")
    for part in (
        "3x32x32 → 8x16x16",
        "(32 + 2*1 - 3) // 2 + 1 = 16",
        "224 parameters (100 %",
        "receptive field 3",
    ):
        assert part in step
    assert "LeCun" in step and "also written" in step
    assert "number >= 0" in hovered(HEAD + "  dropout(rat‸io=0.5)\n}") or "ratio" in hovered(
        "dropout(rat‸io=0.5)"
    )
    assert hovered(HEAD + "  residual(shor‸tcut=pad) { relu }\n}").startswith(
        "`shortcut` of `residual`: auto or"
    )
    assert "classes=10" in hovered(HEAD + "  fc-cla‸sses\n}")
    assert "**8x32x32**" in hovered(HEAD + "  conv3-8 as c1; relu; add [ @c‸1 | identity ]\n}")
    assert "what every layer of a kind carries" in hovered(HEAD + "  def‸ault conv(act=relu)\n}")
    assert "`f(k)`" in hovered("# Twice.\nblock f(k) { conv3-k x2 }\n" + HEAD + "  f‸(8)\n}")
    assert "net has 224" in hovered(HEAD + "  conv3-8\n  expect(par‸ams=224)\n}")
    assert hovered(HEAD + "  relu # con‸v\n}") == ""
    path = spec("inception_resnet_v2")
    assert "defines `inception_resnet_a`" in hovered(
        path.read_text(encoding="utf-8").replace('"fam', '"f‸am'), path
    )


def offered(
    text: str, path: Path | None = None, snippets: bool = False, buffers: Buffers | None = None
) -> dict[str, types.CompletionItem]:
    text, offset = marked(text)
    return {i.label: i for i in completion.complete(analysed(text, path, buffers), text, offset, snippets)}


def test_completion_of_steps() -> None:
    found = offered("block mine(f, @skip) { relu }\n" + HEAD + "  ‸\n}", snippets=True)
    assert set(LAYERS) <= set(found)
    assert {"mine", "residual", "aux", "bottleneck", "input", "let"} <= set(found)
    assert (
        found["mine"].insert_text == "mine(${1:f}, @${2:skip})" and found["mine"].detail == "mine(f, @skip)"
    )
    assert (
        found["conv"].insert_text == "conv${1:3}-${2:64}"
        and found["concat"].insert_text == "concat [ $1 | $0 ]"
    )
    page = completion.resolve(found["conv"], Buffers(), [types.MarkupKind.Markdown]).documentation
    assert isinstance(page, types.MarkupContent) and "LeCun" in page.value
    plain = offered(HEAD + "  ‸\n}", snippets=False)
    assert all("$" not in (i.insert_text or "") and i.insert_text_format is None for i in plain.values())


def test_completion_inside_parentheses() -> None:
    found = offered(HEAD + "  conv3-8(act=relu, ‸)\n}")
    assert "act" not in found and found["bias"].insert_text == "bias="
    assert found["groups"].detail == "whole number >= 1; default 1" and "classes" in found
    assert {"same", "valid"} <= set(offered(HEAD + "  conv3-8(p=‸)\n}"))
    acts = offered(HEAD + "  conv3-8(act=‸)\n}")
    assert {"none", "relu", "hswish"} <= set(acts) and not {"bn", "maxpool"} & set(acts)
    assert {"none", "bn", "ln", "lrn"} <= set(offered(HEAD + "  conv3-8(norm=‸)\n}"))
    assert {"match", "pad", "auto"} <= set(offered(HEAD + "  residual(shortcut=‸) { }\n}"))
    assert set(offered("arch net { input 3x3x3\n expect(‸) }")) == {
        "params",
        "macs",
        "buffers",
        "total",
        "flops",
    }
    assert "f" in offered(HEAD + "  bottleneck(‸)\n}") and "relu" not in offered(HEAD + "  bottleneck(‸)\n}")


def test_completion_of_names_and_places() -> None:
    text = "block f(k, @skip) {\n  let wide = 2*k\n  relu as r1\n  %s\n}\n"
    assert {"k", "wide", "round8", "in"} <= set(offered(text % "conv3-‸"))
    assert set(offered(text % "concat [ @‸ | identity ]")) == {"skip", "r1"}
    assert set(offered(text % "let c = in.‸")) == {"c", "h", "w"}
    assert set(offered(text % "dropout(0.1*copy.‸)")) == set(offered(text % "dropout(copy.‸/copy.total)")) == {"all", "total"}
    assert set(offered(HEAD + "  conv3-8 -> ‸\n}")) <= {"8x32x32"}
    assert offered(HEAD + "  conv3-8 # ‸\n}") == {}
    path = spec("resnet50")
    files = offered('use "families/‸"\n', path)
    assert "resnet.arch" in files and files["resnet.arch"].kind == types.CompletionItemKind.File
    assert "families" in offered('use "‸"\n', path)
    assert offered('use "../../‸"\n', path) == {}, "nothing outside the root is listed"


def test_the_contract_is_offered() -> None:
    """The analysis is one keystroke older than the text."""
    before = analysed(HEAD + "  conv3-8\n}")
    text, offset = marked(HEAD + "  conv3-8 -> ‸\n}")
    assert [i.label for i in completion.complete(before, text, offset, False)] == ["8x32x32"]


@pytest.mark.parametrize(
    ("text", "label", "active"),
    [
        ("conv3-8(act=relu, p=‸)", "conv3(channels, kernel, ", "padding"),
        ("lrn(5, al‸)", "lrn(size, alpha, ", None),
        ("lrn(‸)", "lrn(size, alpha, ", "size"),
        ("bottleneck(64, ‸)", "bottleneck(f, s", "s"),
        ("conv3-(round8(‸))", "round8(x)", "x"),
        ("conv3-(round16(‸))", "round16(x)", "x"),
        ("conv3-8(norm=bn(eps=‸))", "bn(eps, ", "eps"),
        ("residual(shortcut=‸) { relu }", "residual(shortcut, ", "shortcut"),
    ],
)
def test_signature(text: str, label: str, active: str | None) -> None:
    text, offset = marked(f"{HEAD}  {text}\n}}")
    found = signature.signature(analysed(text), text, offset, None)
    assert found is not None and found.signatures[0].label.startswith(label)
    parameters = found.signatures[0].parameters or []
    place = found.active_parameter
    assert active == (parameters[place].label if place is not None else None)


# ---- names ----

NAMES = """\
block f(k, s=1, @skip) {
  let wide = 2*k
  conv3-wide/s
  add [ identity | @skip ]
}
arch net(classes=10) {
  input 3x32x32
  conv3-16 as c1
  f(8, skip=@c1)
  f(k=8, skip=@c1) as c2
  output @c1, @c2
}
"""


def names_at(line: int, word: str) -> tuple[Analysis, int]:
    analysis = analysed(NAMES)
    start = analysis.lines.starts[line - 1]
    return analysis, NAMES.index(word, start) + 1


@pytest.mark.parametrize(
    ("line", "word", "places"),
    [
        (2, "k", [(1, 8), (2, 15), (10, 4)]),
        (9, "skip", [(1, 17), (4, 20), (9, 7), (10, 9)]),
        (11, "c1", [(8, 14), (9, 13), (10, 15), (11, 10)]),
        (3, "wide", [(2, 6), (3, 8)]),
        (9, "f", [(1, 6), (9, 2), (10, 2)]),
    ],
)
def test_definition_references_rename(line: int, word: str, places: list[tuple[int, int]]) -> None:
    analysis, offset = names_at(line, word)
    defined = navigation.definition(analysis, offset)
    assert defined is not None
    first = defined.range.start
    assert (first.line + 1, first.character) == places[0]
    found = navigation.references(analysis, offset, [], True)
    assert sorted((f.range.start.line + 1, f.range.start.character) for f in found) == places
    assert len(navigation.references(analysis, offset, [], False)) == len(places) - 1
    assert len(navigation.highlights(analysis, offset)) == len(places)
    after = edited(NAMES, edits_of(navigation.rename(analysis, offset, "renamed", []), analysis.uri))
    assert after.count("renamed") == len(places)
    assert not [d for d in analysed(after).diagnostics if d.severity == "error"]


@pytest.mark.parametrize(
    "name", ["conv", "x2", "2k", "if", "c1", "s", "wide", "skip", "relu", "", "a b", "copy"]
)
def test_a_rename_that_would_change_the_meaning_is_refused(name: str) -> None:
    analysis, offset = names_at(2, "k")
    if name in ("conv", "relu", "c1"):  # a value may be called that: layers and tensors stand elsewhere
        navigation.rename(analysis, offset, name, [])
        return
    with pytest.raises(navigation.Refused):
        navigation.rename(analysis, offset, name, [])


def test_the_library_is_not_renamed() -> None:
    text, offset = marked(HEAD + "  bottle‸neck(16)\n}")
    analysis = analysed(text)
    assert navigation.can_rename(analysis, offset) is None
    defined = navigation.definition(analysis, offset)
    assert defined is not None and defined.uri.endswith("lib/bottleneck.arch")


def test_across_files_and_unsaved_buffers(tmp_path: Path) -> None:
    (tmp_path / "lib.arch").write_text("block old(f) { conv3-f }\n")
    (tmp_path / "one.arch").write_text('use "lib.arch"\narch one { input 3x8x8; old(8) }\n')
    (tmp_path / "two.arch").write_text('use "lib.arch"\narch two { input 3x8x8; old(f=8) }\n')
    buffers = Buffers()
    unsaved = "# not saved\nblock old(width) { conv3-width }\n"
    analysed(unsaved, tmp_path / "lib.arch", buffers)
    analysis = analysed((tmp_path / "one.arch").read_text(), tmp_path / "one.arch", buffers)
    offset = analysis.text.index("old") + 1
    defined = navigation.definition(analysis, offset)
    assert defined is not None and defined.range.start.line == 1, "the buffer counts, not the disk"
    edit = navigation.rename(analysis, offset, "new", [tmp_path])
    assert {Path(path_of(uri) or "").name for uri in edit.changes or {}} == {
        "lib.arch",
        "one.arch",
        "two.arch",
    }
    assert edited(unsaved, edits_of(edit, uri_of(tmp_path / "lib.arch"))) == unsaved.replace("old", "new")
    found = symbols.workspace(buffers, [tmp_path], "old", "utf-16")
    assert [s.container_name for s in found] == ["lib.arch"]
    assert {s.name for s in symbols.workspace(buffers, [tmp_path], "o", "utf-16")} == {"old", "one", "two"}


def test_a_library_block_that_is_not_saved(tmp_path: Path) -> None:
    """What a block of the library says in the editor counts in every spec that calls it, and on its page."""
    path = specs_root().resolve() / "lib" / "bottleneck.arch"
    text = path.read_text(encoding="utf-8")
    user = tmp_path / "net.arch"
    user.write_text("arch net { input 64x8x8\n  bottleneck(16)\n}\n")
    buffers = Buffers()

    def net() -> Analysis:
        return analysed(user.read_text(), user, buffers)

    saved = all_hints(net())
    assert saved == {"bottleneck(16)": "→ 64x8x8"}
    analysed("# Wide.\n" + text.replace("4*f", "8*f").replace("residual {", "dropout; {"), path, buffers)
    assert all_hints(net()) == {"bottleneck(16)": "→ 128x8x8"}
    offset = net().text.index("bottleneck") + 1
    defined = navigation.definition(net(), offset)
    line = text[: text.index("\nblock")].count("\n") + 2
    assert defined is not None and defined.range.start.line == line
    shown = hover.hover(net(), offset)
    assert shown is not None and "# Wide." in shown.contents.value
    item = next(
        item
        for item in completion.complete(net(), net().text, offset - 1, True)
        if item.label == "bottleneck"
    )
    assert "# Wide." in str(completion.resolve(item, buffers, [types.MarkupKind.Markdown]).documentation)

    broken = analysed(text.replace("{", "((", 1), path, buffers)
    assert broken.diagnostics and all_hints(net()) == saved, "a block that can't be read is as it was saved"
    own = analysed(text, path, buffers)
    place = text.index("bottleneck(")
    used = navigation.references(own, place, [tmp_path], declaration=False)
    assert [location.uri for location in used] == [uri_of(user)]
    with pytest.raises(navigation.Refused, match="its file's name"):
        navigation.rename(own, place, "other", [tmp_path])
    edit = navigation.rename(own, text.index("f,"), "width", [tmp_path])
    assert "block bottleneck(width, s=1) {" in edited(text, edits_of(edit, uri_of(path)))


def test_files_that_were_never_saved(tmp_path: Path) -> None:
    buffers = Buffers()
    analysed("block f(k) { conv3-k }\n", tmp_path / "new.arch", buffers)
    user = analysed('use "new.arch"\narch net { input 3x8x8; f(8) }\n', tmp_path / "net.arch", buffers)
    assert user.diagnostics == () and "→ 8x8x8" in all_hints(user).values()
    defined = navigation.definition(user, 6)
    assert defined is not None and defined.uri == uri_of(tmp_path / "new.arch")
    assert set(offered('use "‸"', tmp_path / "third.arch", buffers=buffers)) == {"new.arch", "net.arch"}


@pytest.mark.parametrize(
    "name", ["resnet50", "googlenet", "fractalnet_cifar", "nasnet_a_mobile", "unet", "efficientnet_b0"]
)
def test_every_name_of_a_spec_can_be_renamed_and_back(name: str) -> None:
    path = spec(name)
    text = path.read_text(encoding="utf-8")
    analysis = analysed(text, path)
    network = analysis.checked.network
    assert network is not None
    renamed = 0
    for binding in {b.place: b for b in analysis.bindings if b.place.source is analysis.source}.values():
        edit = navigation.rename(analysis, binding.span.start, "zz_9", [])
        after = edited(text, edits_of(edit, analysis.uri))
        result = check(Source(path.name, after, path), path=path)
        assert result.diagnostics == () and result.network is not None
        assert (result.network.params, result.network.macs) == (network.params, network.macs)
        renamed += 1
    assert renamed >= 2


# ---- the shape of a text ----


def test_outline() -> None:
    found = symbols.document(analysed(NAMES))
    assert [(s.name, s.detail) for s in found] == [("f", "(k, s=1, @skip)"), ("net", "(classes=10)")]
    assert [(s.name, s.detail) for s in found[1].children or ()] == [("c1", "16x32x32"), ("c2", "16x32x32")]


def test_diagram() -> None:
    """The picture is of the text as it is; where there is none, one line says why."""
    text = "block f(k) { conv3-k }\n" + HEAD + "  f(8) as c1\n  gap; fc-classes\n}\n"
    drawn = diagram(analysed(text), None)
    assert drawn["name"] == "net" and drawn["problem"] is None
    assert drawn["svg"] == to_svg(picture(scene(loads(text), None))) and "f(8)" in drawn["svg"]
    assert diagram(analysed(text), "net") == drawn
    gone = diagram(analysed(text), "other")
    assert gone == {"name": "other", "svg": None, "problem": "there is no arch `other` any more"}
    broken = diagram(analysed(text.replace("f(8)", "g(8)")), None)
    assert broken["svg"] is None and broken["problem"] == "line 4: there is no layer or block called `g`"
    assert diagram(analysed("block f(k) { conv3-k }\n"), None)["problem"] == "this text defines no network"


def test_a_client_without_a_section_of_ours_keeps_what_it_said_at_the_start() -> None:
    server = make_server("0")
    server.settings = Settings(costs=True)
    server.configured([None])
    server.configured(None)
    assert server.settings.costs
    server.configured([{"hints": {"shapes": False}}])
    assert server.settings == Settings(shapes=False)


def test_folding_and_selection() -> None:
    text = "# one\n# two\n" + HEAD + "  residual {\n    conv3-3\n    relu\n  }\n}\n"
    analysis = analysed(text)
    found = [(f.start_line, f.end_line) for f in folding.ranges(analysis)]
    assert found == [(0, 1), (2, 7), (4, 6)]
    around: types.SelectionRange | None = selection.ranges(analysis, text.index("conv3") + 2)
    texts = []
    while around is not None:
        texts.append(
            text[analysis.lines.offset(around.range.start) : analysis.lines.offset(around.range.end)]
        )
        around = around.parent
    assert texts[:2] == ["conv3", "conv3-3"] and texts[-1] == text
    assert all(small in large and small != large for small, large in pairwise(texts))


def decoded(analysis: Analysis) -> list[tuple[str, str, int]]:
    data = tokens.tokens(analysis).data
    line = column = 0
    found = []
    for i in range(0, len(data), 5):
        column = data[i + 1] + (column if data[i] == 0 else 0)
        line += data[i]
        start = analysis.lines.offset(types.Position(line, column))
        stop = analysis.lines.offset(types.Position(line, column + data[i + 2]))
        found.append((analysis.text[start:stop], tokens.TYPES[data[i + 3]], data[i + 4]))
    return found


def test_semantic_tokens() -> None:
    found = decoded(analysed("# 😋\n" + NAMES))
    for wanted in (
        ("# 😋", "comment", 0),
        ("block", "keyword", 0),
        ("f", "function", 1),
        ("f", "function", 0),
        ("net", "class", 1),
        ("conv3", "function", 2),
        ("k", "variable", 1),
        ("c1", "property", 1),
        ("3x32x32", "number", 0),
        ("add", "function", 2),
    ):
        assert wanted in found, (wanted, found)


# ---- positions ----


@pytest.mark.parametrize(("unit", "column"), [("utf-8", 7), ("utf-16", 4), ("utf-32", 3)])
def test_positions_of_every_character(unit: str, column: int) -> None:
    assert Lines("a😋é|", unit).position(3).character == column
    text = "a😋é\r\nß\u2028x\x0c\ny\rz\n😋"
    lines = Lines(text, unit)
    inside_break = text.index("\r\n") + 1
    for offset in range(len(text) + 1):
        if offset != inside_break:
            assert lines.offset(lines.position(offset)) == offset
    assert lines.position(text.index("x")).line == 1, "only \\r, \\n and both end a line in the protocol"
    assert lines.offset(types.Position(99, 0)) == len(text)
    assert lines.offset(types.Position(0, 99)) == text.index("\r")


def test_an_emoji_shifts_nothing() -> None:
    analysis = analysed(HEAD + '  relu # 😋😋\n  "😋"; botleneck(8)\n}')
    found = findings.by_uri(analysis)[analysis.uri]
    analysis = analysed("# 😋\n" + HEAD + "  botleneck(8) # 😋\n}")
    assert found and findings.by_uri(analysis)[analysis.uri][0].range.start == types.Position(3, 2)


@pytest.mark.parametrize("path", ["/a b/ü.arch", "/x/100%.arch", "/x/a#b?.arch"])
def test_uris_and_paths(path: str) -> None:
    assert path_of(uri_of(Path(path))) == Path(path)
    assert path_of("untitled:Untitled-1") is None


# ---- no text breaks it ----


def ask_everything(analysis: Analysis, offset: int) -> None:
    text = analysis.text
    place = analysis.lines.range(offset, offset)
    findings.by_uri(analysis)
    hints.hints(analysis, 0, len(text), True, True)
    hover.hover(analysis, offset)
    completion.complete(analysis, text, offset, True)
    signature.signature(analysis, text, offset, None)
    navigation.definition(analysis, offset)
    navigation.references(analysis, offset, [], True)
    if navigation.can_rename(analysis, offset) is not None:
        try:
            navigation.rename(analysis, offset, "zz_9", [])
        except navigation.Refused:
            pass
    actions.actions(analysis, place, None)
    lens.lenses(analysis, True)
    folding.ranges(analysis)
    selection.ranges(analysis, offset)
    symbols.document(analysis)
    tokens.tokens(analysis)


@pytest.mark.parametrize("seed", range(30))
def test_damaged_specs(seed: int) -> None:
    source = random.Random(seed)
    path = source.choice([path for path in shipped() if path.stat().st_size < 3_000])
    text = path.read_text(encoding="utf-8")
    for _ in range(3):
        text = mutated(text, source)
    analysis = analysed(text, path.resolve())
    for _ in range(8):
        ask_everything(analysis, source.randrange(len(text) + 1))
