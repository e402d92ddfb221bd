"""`archdsl zoo`: every shipped network, and every published figure with its verdict.

`UPDATE_DOCS=1 python -m pytest tests/test_zoo.py` writes docs/zoo.md anew.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

import archdsl
from archdsl import api, cli, figures, resources, zoo
from archdsl.elaborate.whole import matches_figure
from archdsl.figures import QUANTITIES, Printed

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "zoo.md"

WRONG = {
    ("alexnet_two_towers", "activations", "253,440"),
    ("alexnet_two_towers", "activations", "43,246"),
    ("alexnet_two_towers", "fcs", "2"),
    ("alexnet_two_towers", "input", "3x224x224"),
    ("alexnet_two_towers", "macs", "630,000,000"),
    ("fractalnet_cifar", "params", "38.6M"),
    ("googlenet", "fcs", "0"),
    ("googlenet", "macs", "34M"),
    ("googlenet", "macs", "54M"),
    ("googlenet", "ratio", "12x"),
    ("googlenet", "ratio", "27x"),
    ("googlenet", "trunk", "5 million"),
    ("googlenet", "weights", "1072K"),
    ("googlenet", "weights", "2.7K"),
    ("googlenet", "weights", "463K"),
    ("keras/efficientnet_b0", "size", "29 MB"),
    ("keras/mobilenet", "depth", "88"),
    ("keras/mobilenet_v2", "depth", "88"),
    ("keras/nasnet_mobile", "size", "23 MB"),
    ("stochastic_depth_resnet1202_cifar", "params", "10.2M"),
    ("vgg11_lrn", "convs", "5"),
    ("vgg13", "convs", "5"),
    ("vgg16", "activations", "24M"),
    ("vgg16", "convs", "5"),
    ("vgg16c", "convs", "5"),
    ("vgg19", "convs", "13"),
    ("vgg19", "convs", "5"),
    *((name, "fcs", "0") for name in ("vgg11", "vgg11_lrn", "vgg13", "vgg16", "vgg16c", "vgg19")),
}
"""Figures of the lectures that are known to be wrong, written down a second time."""


@pytest.fixture(scope="module")
def entries() -> tuple[zoo.Entry, ...]:
    return zoo.survey(zoo.chosen([]))


@pytest.fixture(scope="module")
def published() -> dict[str, tuple[Printed, ...]]:
    return figures.published()


# ---- what is shipped ----


def test_every_network_is_there(entries: tuple[zoo.Entry, ...]) -> None:
    assert [entry.name for entry in entries] == api.shipped_names()
    assert len(entries) >= 110


def test_every_network_is_as_published(entries: tuple[zoo.Entry, ...]) -> None:
    """Each checks, and has each figure that nothing is known against."""
    assert {e.name: [(f.quantity, f.printed) for f in e.unmet] for e in entries if not e.sound} == {}
    assert [e.name for e in entries if not any(f.where == zoo.OWN for f in e.figures)] == []


def test_a_figure_that_is_met_needs_no_excuse(entries: tuple[zoo.Entry, ...]) -> None:
    met = [(e.name, f) for e in entries for f in e.figures if f.met and (f.wrong or f.differs)]
    assert met == []
    assert not any(f.wrong and f.differs for e in entries for f in e.figures)


def test_sources_are_found(entries: tuple[zoo.Entry, ...]) -> None:
    """Every network but those of lectures has authors and a year."""
    bare = {entry.name for entry in entries if not (entry.paper.authors and entry.paper.year)}
    assert all(re.match("cifar_quiz|keras_cifar", name) for name in bare)
    assert all(entry.paper.authors for entry in entries)
    assert all(1989 <= entry.paper.year <= 2030 for entry in entries if entry.paper.year)


def test_the_command_is_quick() -> None:
    """Under ten seconds, of a processor's time, so that other work beside it does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "archdsl", "zoo"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in (0, 1) and done.stderr == b""
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


# ---- published.toml ----


def test_published_figures_are_of_shipped_networks(published: dict[str, tuple[Printed, ...]]) -> None:
    assert set(published) - set(api.shipped_names()) == set()
    assert sum(map(len, published.values())) >= 400
    assert {p.to for of_one in published.values() for p in of_one if p.to} <= set(api.shipped_names())


def test_what_is_wrong_in_the_lectures_is_said(published: dict[str, tuple[Printed, ...]]) -> None:
    said = {(p.network, p.quantity, p.text) for of_one in published.values() for p in of_one if p.wrong}
    assert said == WRONG


def test_no_figure_is_read_more_kindly_than_it_needs(published: dict[str, tuple[Printed, ...]]) -> None:
    """What is said to be cut off, round or in another K is not met without that."""
    checked = 0
    for name, of_one in published.items():
        network = None
        for printed in of_one:
            if not (printed.cut or printed.digits or printed.k != 1000) or printed.wrong or printed.differs:
                continue
            network = network or archdsl.load(name)
            computed = figures.compare(printed, network).computed
            for plain in (
                printed._replace(cut=False),
                printed._replace(digits=0),
                printed._replace(k=1000),
            ):
                if plain != printed:
                    assert not figures.agrees(plain, computed), printed
                    checked += 1
    assert checked >= 20


def test_no_figure_is_there_twice(published: dict[str, tuple[Printed, ...]]) -> None:
    keys = Counter(
        (p.network, p.layer, p.quantity, p.text, p.where) for of_one in published.values() for p in of_one
    )
    assert [key for key, count in keys.items() if count > 1] == []


SOURCE = '[lectures]\n1 = "One"\n2 = "Two"\n[[source]]\nwhere = "A, 2000"\n'


def test_reading() -> None:
    text = SOURCE + (
        'lectures = [1, 2]\nparams."net conv1" = "25.6M"\nmacs.net = { printed = "3.8×10^9", cut = true }\n'
        '[[source]]\nlectures = [2]\nratio.net = { printed = "12x", to = "other", wrong = "no" }\n'
    )
    assert figures.read(text) == {
        "net": (
            Printed("net", "conv1", "params", "25.6M", "A, 2000; lectures 1, 2"),
            Printed("net", "", "macs", "3.8×10^9", "A, 2000; lectures 1, 2", cut=True),
            Printed("net", "", "ratio", "12x", "lecture 2", to="other", wrong="no"),
        )
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('parameters.net = "1"', "'parameters' is not a quantity"),
        ('params.net = "many"', "'many' is not a figure"),
        ('params.net = "1.2.3"', "'1.2.3' is not a figure"),
        ('params.net = "5 millions"', "is not a figure"),
        ('params.net = { printed = "1", why = "x" }', "why"),
        ('params.net = { wrong = "x" }', "printed"),
        ("lectures = [3]", "no lecture 3"),
        ("[more]\na = 1", "not part of the form: more"),
    ],
)
def test_a_figure_that_can_not_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        figures.read(f"{SOURCE}{text}\n")


# ---- comparing ----


@pytest.mark.parametrize(
    ("text", "computed", "met", "more"),
    [
        ("25.6M", 25_557_032, True, {}),
        ("25.5M", 25_557_032, False, {}),
        ("25.5M", 25_557_032, True, {"cut": True}),
        ("25.6M", 25_557_032, False, {"cut": True}),
        ("25,557,032", 25_557_032, True, {}),
        ("25,557,033", 25_557_032, False, {}),
        ("138 million", 138_357_544, True, {}),
        ("5 million", 6_998_552, False, {}),
        ("3.8×10^9", 3_857_973_248, False, {}),
        ("3.9×10^9", 3_857_973_248, True, {}),
        ("3.8 GFLOPs", 3_857_973_248, True, {"cut": True}),
        ("0.39B", 385_814_752, True, {}),
        ("19.6 billion", 19_632_062_464, True, {}),
        ("800K", 802_816, False, {}),
        ("800K", 802_816, True, {"digits": 1}),
        ("800K", 850_001, False, {"digits": 1}),
        ("150K", 150_528, True, {"digits": 2}),
        ("150K", 155_001, False, {"digits": 2}),
        ("112K", 114_688, False, {}),
        ("112K", 114_688, True, {"k": 1024}),
        ("12x", Fraction(123, 10), True, {}),
        ("12x", Fraction(87, 10), False, {}),
        ("0", 0, True, {}),
        ("0", 3, False, {}),
    ],
)
def test_precision(text: str, computed: int | Fraction, met: bool, more: dict[str, int]) -> None:
    assert figures.agrees(Printed("net", "", "params", text, "", **more), computed) is met


def test_precision_is_that_of_expect() -> None:
    """With nothing said of a figure, `expect` and a printed figure agree on what is near enough."""
    compared = Counter()
    for actual in (25_557_032, 4_089_184_256, 999_500, 1_249, 61_706, 25_550_000):
        for unit, suffix in ((10**3, "K"), (10**6, "M"), (10**9, "G")):
            for decimals in range(4):
                for nudge in (-1, 0, 1):
                    text = f"{actual / unit + nudge / 10**decimals:.{decimals}f}{suffix}"
                    if text.startswith("-"):
                        continue
                    wanted = matches_figure(actual, 0, text)
                    assert figures.agrees(Printed("net", "", "params", text, ""), actual) is wanted
                    compared[wanted] += 1
    assert min(compared.values()) > 30


@pytest.mark.parametrize(
    ("text", "size", "met"),
    [
        ("98 MB", 25_636_712 * 4, True),  # 97.8 MiB
        ("97 MB", 25_636_712 * 4, False),
        ("33 MB", 8_062_504 * 4, True),  # 30.8 MiB: names too
        ("29 MB", 5_330_571 * 4, False),  # 20.3 MiB
        ("16 MB", 4_253_864 * 4, True),  # 16.2 MiB
    ],
)
def test_a_file_may_hold_more_than_its_numbers(text: str, size: int, met: bool) -> None:
    assert figures.agrees(Printed("net", "", "size", text, ""), size) is met


@pytest.mark.parametrize(
    ("name", "quantity", "layer", "value"),
    [
        ("googlenet", "params", "", 13_378_280),
        ("googlenet", "trunk", "", 6_998_552),
        ("googlenet", "params", "i3a", 163_328 + 368),
        ("googlenet", "weights", "i3a", 163_328),
        ("googlenet", "macs", "conv2+conv3", 359_661_568),
        ("googlenet", "convs", "", 57),
        ("googlenet", "depth", "", 22),
        ("vgg16", "weights", "", 138_344_128),
        ("vgg16", "activations", "", 28_793_320),
        ("vgg16", "activations", "maxpool5", 25_088),
        ("vgg16", "neurons", "", 13_555_712 + 1000),  # the outputs of its ReLUs, and the classes
        ("vgg16", "fcs", "", 3),
        ("vgg16", "size", "", 553_430_176),
        ("vgg16", "flops", "", 30_940_528_640),
        ("alexnet_two_towers", "neurons", "", 659_272),
        ("resnet50", "depth", "", 50),
        ("resnet50", "buffers", "", 53_120),
        ("resnet50", "total", "", 25_557_032 + 53_120),
        ("resnet50", "weights", "", 25_557_032 - 26_560 - 1000),
        ("resnet50", "convs", "", 53),
        ("resnet50", "input", "", "3x224x224"),
    ],
)
def test_quantities(name: str, quantity: str, layer: str, value: int | str) -> None:
    network = archdsl.load(name)
    assert QUANTITIES[quantity](network, figures.layers_of(network, layer)) == value


def test_ratio() -> None:
    printed = Printed("googlenet", "", "ratio", "9x", "", to="alexnet_two_towers")
    figure = figures.compare(printed, archdsl.load("googlenet"), archdsl.load("alexnet_two_towers"))
    assert figure.met and figure.computed == Fraction(60_965_224, 6_998_552)


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(LookupError, match="lenet5 has no layer 'conv9'"):
        figures.compare(Printed("lenet5", "conv9", "params", "1", ""), archdsl.load("lenet5"))


@pytest.mark.parametrize(
    ("comment", "paper"),
    [
        ("A (He et al., 2015, table 1; arXiv 1512.03385), as", ("He et al.", 2015, "1512.03385")),
        ("A (Simonyan & Zisserman, 2014)", ("Simonyan & Zisserman", 2014, "")),
        ('A as taught (LeCun et al., 1998, "On (some) things", figure 2): x', ("LeCun et al.", 1998, "")),
        ("A (in 3 parts) of B (Chollet, 2016;\narXiv 1610.02357)", ("Chollet", 2016, "1610.02357")),
        ("Quiz (J. Jo, POSTECH): VGG (arXiv 1409.1556)", ("J. Jo, POSTECH", None, "")),
        ("A net (arXiv 1409.1556)", ("", None, "1409.1556")),
        ("A net of 2015", ("", None, "")),
        ("", ("", None, "")),
    ],
)
def test_papers(comment: str, paper: tuple[str, int | None, str]) -> None:
    assert zoo.paper(comment) == paper


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (9_999, "9999"), (10_000, "10.00K"), (61_706, "61.71K"), (999_960, "1.000M")]
    + [(25_557_032, "25.56M"), (138_357_544, "138.4M"), (15_470_264_320, "15.47G"), (10**12, "1000G")],
)
def test_short_numbers(value: int, text: str) -> None:
    assert zoo.short(value) == text


# ---- the command ----


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["zoo", *arguments])
    return code, *capsys.readouterr()


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "vgg1[16]", "googlenet", "keras/vgg*")
    assert (code, err) == (0, "")
    names = [line.split()[0] for line in out.split("\n\n")[0].splitlines()[2:]]
    assert names == ["googlenet", "keras/vgg16", "keras/vgg19", "vgg11", "vgg16"]
    (row,) = (line for line in out.splitlines() if line.startswith("vgg16 "))
    assert re.split(r" {2,}", row)[:6] == ["vgg16", "3x224x224", "138.4M", "15.47G", "24.5 MiB", "212"]
    assert re.search(r"\d+ met, 3 wrong +Simonyan & Zisserman, 2014, arXiv 1409.1556$", row)
    assert re.search(r"^5 networks, \d+ published figures: \d+ met, 6 differ, \d+ wrong in print$", out, re.M)


def test_one_network(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "googlenet")
    assert (code, err) == (0, "")
    assert out.startswith("googlenet, input 3x224x224\n\nGoogLeNet (Szegedy et al., 2014")
    assert re.search(r"^parameters +13_378_280 +13,378,280 +yes +its spec$", out, re.M)
    assert re.search(
        r"^MACs of i4a +73M +73,608,192 +yes, cut off +Szegedy et al., 2014, table 1; lecture 1$", out, re.M
    )
    assert re.search(r"^weights of i3b +380K +388,096 +differs", out, re.M)
    assert re.search(r"^times fewer parameters +12x +8.7x +wrong in print", out, re.M)
    assert "\nparameters without side heads, 5 million: 6,990,272 weights" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--format", "json", "resnet50", "fractalnet_cifar")
    assert (code, err) == (0, "")
    fractal, resnet = json.loads(out)
    assert (resnet["name"], resnet["params"], resnet["macs"]) == ("resnet50", 25_557_032, 4_089_184_256)
    assert resnet["source"] == {"authors": "He et al.", "year": 2015, "arxiv": "1512.03385"}
    assert resnet["peak_bytes"] == archdsl.load("resnet50").peak_bytes and resnet["errors"] == []
    (wrong,) = (figure for figure in fractal["figures"] if figure["wrong"])
    assert (wrong["printed"], wrong["computed"], wrong["met"]) == ("38.6M", 33_724_618, False)
    assert wrong["where"] == "Huang et al., 2017, table 2; lecture 2"


def test_a_name_that_matches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "resnet5O") == (
        2,
        "",
        "archdsl: error: no shipped network 'resnet5O'; did you mean 'resnet50'?\n",
    )
    assert run(capsys, "vgg16", "zzz*")[::2] == (2, "archdsl: error: no shipped network 'zzz*'\n")
    code, out, err = run(capsys, "--format", "jsno")
    assert (code, out) == (2, "") and "did you mean 'json'" in err


def test_what_lies_beside_the_command_is_not_meant(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vgg11").write_text("not a spec")
    (tmp_path / "vgg13").mkdir()
    code, out, err = run(capsys, "vgg11", "vgg13")
    assert (code, err) == (0, "") and "2 networks" in out


def test_a_terminal_gets_lines_that_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "90")
    assert cli.main(["zoo", "vgg*"]) == 0
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) == 90 and any(line.endswith("…") for line in lines)


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    """What is printed is more than a pipe holds."""
    command = (
        f"{sys.executable} -m archdsl zoo --format json '*vgg*' '*net*' | head -c 10; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (141, b"")


def test_no_torch() -> None:
    code = (
        "import sys; from archdsl import cli; cli.main(['zoo', 'lenet5']); assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


# ---- a zoo that is not sound ----


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of specs of its own."""
    shutil.copytree(ROOT / "specs" / "lib", tmp_path / "specs" / "lib")
    shutil.copytree(ROOT / "grammar", tmp_path / "grammar")
    monkeypatch.setattr(resources, "_root", lambda: tmp_path)
    specs = tmp_path / "specs"
    (specs / "good.arch").write_text(
        "# Good (A & B, 2001; arXiv 0101.00001)\n"
        "arch good { input 3x8x8; conv3-4; expect(params=112, macs=6.9K) }\n"
    )
    (specs / "published.toml").write_text('[lectures]\n1 = "One"\n')
    return specs


UNMET = "# Unmet (C, 2002)\narch unmet {\n  input 3x8x8\n  conv3-4\n  expect(params=113, macs=6_912)\n}\n"


def test_what_is_not_met_stops_nothing(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys)[0] == 0
    (elsewhere / "unmet.arch").write_text(UNMET)
    (elsewhere / "broken.arch").write_text("arch broken { input 3x8x8; conv99-4(p=0) }\n")
    (elsewhere / "last.arch").write_text(
        "# Last (D, 2003)\narch last { input 3x8x8; conv3-8; expect(params=224) }\n"
    )
    code, out, err = run(capsys)
    assert code == 1
    assert re.search(r"^broken +DOES NOT CHECK$", out, re.M)
    assert re.search(r"^unmet +3x8x8 +112 +6912 .* 1 met, 1 NOT MET +C, 2002$", out, re.M)
    assert re.search(r"^last +3x8x8 +224 .* 1 met +D, 2003$", out, re.M)
    assert "5 published figures: 4 met, 1 NOT MET; 1 of the specs do not check" in out
    assert err.startswith("error[A201]") and "broken.arch:1:32" in err and "A208" not in err
    code, page, _ = run(capsys, "unmet")
    assert code == 1 and re.search(r"^parameters +113 +112 +NO +its spec$", page, re.M)
    code, page, err = run(capsys, "broken")
    assert (code, page) == (1, "broken does not check\n") and "error[A201]" in err
    data = json.loads(run(capsys, "--format", "json")[1])
    assert [bool(one["errors"]) for one in data] == [True, False, False, False]
    assert (
        "| [broken](../specs/broken.arch) | | | | | | | does not check |"
        in run(capsys, "--format", "markdown")[1]
    )


def test_a_published_figure_without_an_explanation(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = '[lectures]\n1 = "One"\n[[source]]\nwhere = "A"\n'
    for line, code, said in (
        ('params.good = "112"', 0, "3 met "),
        ('params.good = "113"', 1, "2 met, 1 NOT MET"),
        ('params.good = { printed = "113", wrong = "it is 112" }', 0, "2 met, 1 wrong"),
        ('params.good = { printed = "113", differs = "it is 112" }', 0, "2 met, 1 differs"),
    ):
        (elsewhere / "published.toml").write_text(f"{start}{line}\n")
        (elsewhere / "other.arch").write_text("arch other { input 3x8x8; conv3-4 }\n")
        found = run(capsys)
        assert found[0] == code and re.search(rf"^good .* {said}", found[1], re.M), found


# ---- the document ----


def test_the_document_is_what_is_printed(entries: tuple[zoo.Entry, ...]) -> None:
    text = zoo.to_markdown(entries) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        DOCUMENT.write_text(text, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == text


def test_the_document_is_whole(entries: tuple[zoo.Entry, ...]) -> None:
    text = zoo.to_markdown(entries)
    for target in re.findall(r"\]\((\.\.[^)]+)\)", text):
        assert (DOCUMENT.parent / target).exists(), target
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.M)
    assert len(tables) >= 15
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    for entry in entries:
        assert f"[{entry.name}](../specs/{entry.name}.arch)" in text
