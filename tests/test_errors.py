"""Every message, exactly: one spec and one rendering per code, and the slips of people who see the language first.

tests/errors/CODE.arch must be reported under CODE and nothing else; CODE.txt is what a terminal shows. The specs in
tests/errors/first_time/ are what someone writes who knows PyTorch and reads papers.

    ARCHDSL_UPDATE_GOLDEN=1 pytest tests/test_errors.py

writes the .txt files anew; read the difference before it is committed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import archdsl
from archdsl import api, live
from archdsl.calls_elsewhere import as_step, python_call
from archdsl.codes import CODES
from archdsl.diagnostics import ArchError, Diagnostic, Fix, did_you_mean
from archdsl.lints import LINTS
from archdsl.modules import library_names
from archdsl.ops import LAYERS
from archdsl.parse import LONGEST_SOURCE
from archdsl.render import to_text
from archdsl.resources import specs_root
from archdsl.source import Source, Span
from archdsl.words import ABSENT, LAYER_WORDS

ERRORS = Path(__file__).resolve().parent / "errors"
FIRST_TIME = sorted((ERRORS / "first_time").glob("*.arch"))
UPDATE = os.environ.get("ARCHDSL_UPDATE_GOLDEN") == "1"
LONGEST_MESSAGE = 160


def found_in(path: Path, text: str | None = None) -> tuple[Diagnostic, ...]:
    source = Source(path.name, path.read_text(encoding="utf-8") if text is None else text)
    wanted = [path.stem] if path.stem in LINTS and LINTS[path.stem].group else []
    return api.check(source, path=path, lints=wanted).diagnostics


def compare(golden: Path, shown: str) -> None:
    """Compare with a golden file, or write it."""
    if UPDATE:
        golden.write_text(shown, encoding="utf-8")
    if not golden.exists():
        pytest.fail(
            f"{golden} is missing: ARCHDSL_UPDATE_GOLDEN=1 pytest tests/test_errors.py writes it",
            pytrace=False,
        )
    assert shown == golden.read_text(encoding="utf-8")


# ---- one of each code ----


def too_long(folder: Path) -> tuple[Diagnostic, ...]:
    return found_in(folder / "long.arch", "relu\n" * (LONGEST_SOURCE // 5 + 1))


def files_using_files(folder: Path) -> tuple[Diagnostic, ...]:
    for number in range(40):
        (folder / f"file{number}.arch").write_text(f'use "file{number + 1}.arch"\n')
    return found_in(folder / "file0.arch")


def too_many_boxes(folder: Path) -> tuple[Diagnostic, ...]:
    from archdsl.draw.scene import scene

    steps = "relu; tanh\n" * 2001
    return refused(lambda: scene(api.loads(f"arch net {{\ninput 3x8x8\n{steps}}}", name="net.arch"), 1))


def several_networks(folder: Path) -> tuple[Diagnostic, ...]:
    with pytest.raises(ArchError) as caught:
        api.loads((ERRORS / "A113.arch").read_text(encoding="utf-8"), name="A113.arch")
    return caught.value.diagnostics


def torch_is_missing(folder: Path) -> tuple[Diagnostic, ...]:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ArchError) as caught:
        patch.setitem(sys.modules, "torch", None)
        live.need_torch()
    return caught.value.diagnostics


def torch_disagrees(folder: Path) -> tuple[Diagnostic, ...]:
    network = api.loads("arch net { input 3x8x8; conv3-4; relu }", name="net.arch")
    wrong = live.build(api.loads("arch net { input 3x8x8; conv3-5; relu }"))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ArchError) as caught:
        patch.setattr(live, "build", lambda network: wrong.to("meta"))
        live.verify(network)
    return caught.value.diagnostics


def file_in_the_way(folder: Path) -> tuple[Diagnostic, ...]:
    from archdsl.commands._output import refuse_others

    (folder / "net.py").write_text("print('mine')\n")
    with pytest.raises(ArchError) as caught:
        refuse_others(str(folder / "net.py"), str(folder / "net.arch"), False, "# Written by archdsl")
    return caught.value.diagnostics


def engine_of(dtype: str = "float32", device: str = "cpu", size: int = 8, training: bool = False) -> object:
    """What is said where an engine is asked for with an example of this kind."""
    import torch

    model = live.build(api.loads("arch net { input 3x8x8; conv3-4; relu }", name="net.arch")).train(training)
    return archdsl.optimize(model, torch.zeros(1, 3, 8, size, dtype=getattr(torch, dtype), device=device))


def no_such_backend(folder: Path) -> tuple[Diagnostic, ...]:
    import torch

    model = live.build(api.loads("arch net { input 3x8x8; conv3-4; relu }", name="net.arch")).eval()
    return refused(lambda: archdsl.optimize(model, torch.zeros(1, 3, 8, 8), backend="tensorrt"))


def engine_of_others(folder: Path) -> tuple[Diagnostic, ...]:
    import torch

    return refused(lambda: archdsl.optimize(torch.nn.Identity(), torch.zeros(1)))


def exported(broken: str, by: object) -> tuple[Diagnostic, ...]:
    """What is said where a part of the export is replaced by another."""
    from archdsl import export

    network = api.loads("arch net { input 3x8x8; conv3-4; relu }", name="net.arch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broken, by)
        return refused(lambda: export.export(network, "pt2"))


def refused_by_torch(folder: Path) -> tuple[Diagnostic, ...]:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("a size depends on the data")

    return exported("torch.export.export", refuse)


def export_not_confirmed(folder: Path) -> tuple[Diagnostic, ...]:
    from archdsl.export import Agreement

    return exported("archdsl.export._compared", lambda *_: Agreement(0.25, 1e-6))


STAGES = "arch net {\n  input 3x8x8\n  conv3-4 as c1\n  conv3-8/2 as c2\n  bn\n}\n"


def refused(what: Callable[[], object]) -> tuple[Diagnostic, ...]:
    with pytest.raises(ArchError) as caught:
        what()
    return caught.value.diagnostics


def no_such_tensor(folder: Path) -> tuple[Diagnostic, ...]:
    return refused(lambda: archdsl.features(api.loads(STAGES, name="net.arch"), ["c1", "c_2"]))


def nothing_labelled(folder: Path) -> tuple[Diagnostic, ...]:
    network = api.loads("arch net { input 3x8x8; conv3-4; maxpool; fc-2 as logits }", name="net.arch")
    return refused(lambda: archdsl.features(network))


def no_classifier(folder: Path) -> tuple[Diagnostic, ...]:
    model = live.build(api.loads(STAGES, name="net.arch"))
    return refused(lambda: archdsl.replace_head(model, classes=10))


def a_model_of_others(folder: Path) -> tuple[Diagnostic, ...]:
    import torch

    return refused(lambda: archdsl.freeze(torch.nn.Identity(), until="c4"))


PLAIN = "arch net {\n  input 3x8x8\n  conv3-4\n  relu\n  concat [ conv3-4 | conv3-4 ]\n  gap\n  fc-2\n}\n"


def weights_named(*names: str) -> tuple[Diagnostic, ...]:
    """What is said to a state_dict of four layers with these names, in this order, without the last if it is ''."""
    import torch

    shapes = ((4, 3, 3, 3), (4, 4, 3, 3), (4, 4, 3, 3), (2, 8))
    state = {}
    for name, shape in zip(names, shapes, strict=True):
        if name:
            state |= {f"{name}.weight": torch.ones(shape), f"{name}.bias": torch.ones(shape[0])}
    return refused(lambda: archdsl.load_weights(archdsl.build(api.loads(PLAIN, name="net.arch")), state))


def no_weights(folder: Path) -> tuple[Diagnostic, ...]:
    (folder / "net.pt").write_bytes(b"weights?")
    model = archdsl.build(api.loads(PLAIN, name="net.arch"))
    return refused(lambda: archdsl.load_weights(model, folder / "net.pt"))


def weights_of_another(folder: Path) -> tuple[Diagnostic, ...]:
    return weights_named("stem", "one", "two", "")


def weights_in_two_ways(folder: Path) -> tuple[Diagnostic, ...]:
    from safetensors.torch import save_file

    shapes = {"stem": (4, 3, 3, 3), "left": (4, 4, 3, 3), "right": (4, 4, 3, 3), "head": (2, 8)}
    import torch

    state = {f"{name}.weight": torch.ones(shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.ones(shape[0]) for name, shape in shapes.items()}
    save_file(state, folder / "net.safetensors")
    model = archdsl.build(api.loads(PLAIN, name="net.arch"))
    return refused(lambda: archdsl.load_weights(model, folder / "net.safetensors"))


def weights_against_themselves(folder: Path) -> tuple[Diagnostic, ...]:
    return weights_named("stem", "branch2", "branch1", "head")


MADE: dict[str, Callable[[Path], tuple[Diagnostic, ...]]] = {
    "A113": several_networks,
    "A301": too_long,
    "A306": files_using_files,
    "A308": too_many_boxes,
    "A401": torch_is_missing,
    "A402": torch_disagrees,
    "A403": file_in_the_way,
    "A404": engine_of_others,
    "A405": lambda _: refused(lambda: engine_of(training=True)),
    "A406": lambda _: refused(lambda: engine_of(size=9)),
    "A407": lambda _: refused(lambda: engine_of(dtype="float64")),
    "A408": lambda _: refused(lambda: engine_of(device="meta")),
    "A409": refused_by_torch,
    "A410": export_not_confirmed,
    "A411": no_such_backend,
    "A501": no_such_tensor,
    "A502": nothing_labelled,
    "A503": no_classifier,
    "A504": a_model_of_others,
    "A601": no_weights,
    "A602": weights_of_another,
    "A603": weights_in_two_ways,
    "A604": weights_against_themselves,
}
"""Codes that no spec of a few lines, checked by itself, can have."""


@pytest.mark.parametrize("code", sorted(CODES))
def test_code(code: str, tmp_path: Path) -> None:
    found = MADE[code](tmp_path) if code in MADE else found_in(ERRORS / f"{code}.arch")
    assert {d.code for d in found} == {code}
    shown = re.sub(r"line \d+ characters", "", to_text(found)).replace(f"{tmp_path}/", "")
    compare(ERRORS / f"{code}.txt", shown + "\n")


def test_each_code_has_its_files_and_each_file_a_code() -> None:
    specs = {path.stem for path in ERRORS.glob("*.arch")}
    goldens = {path.stem for path in ERRORS.glob("*.txt")}
    assert goldens == set(CODES)
    assert specs == set(CODES) - set(MADE) | {"A113"}
    assert {p.stem for p in FIRST_TIME} == {p.stem for p in (ERRORS / "first_time").glob("*.txt")}
    assert len(FIRST_TIME) >= 60


def test_every_code_in_the_compiler_is_in_the_table() -> None:
    root = Path(api.__file__).parent
    used: set[str] = set()
    for path in root.rglob("*.py"):
        if path.name != "codes.py":
            used.update(re.findall(r'"([AL][0-9]{3})"', path.read_text(encoding="utf-8")))
    assert used == set(CODES)


# ---- what a first-time user writes ----


@pytest.mark.parametrize("path", FIRST_TIME, ids=lambda path: path.stem)
def test_first_time(path: Path) -> None:
    compare(path.with_suffix(".txt"), to_text(found_in(path)) + "\n")


# ---- what all of them have in common ----

EVERY = [(path, d) for path in [*sorted(ERRORS.glob("*.arch")), *FIRST_TIME] for d in found_in(path)]
PYTHON = re.compile(
    r"Traceback|ValidationError|ShapeError|NoneType|<archdsl|\bobject at\b|input_value|pydantic|\bself\b(?!\.)"
    r"|_SEPARATOR|LBRACE|RBRACE|LPAR|\bNAME\b|dict_keys|extra inputs|Expected one of"
)
OURS = re.compile(
    r"\b(stream|frame|head|elaborat\w*|combinator|syntax tree|resolve[ds]?|node)\b", re.IGNORECASE
)
SOURCE_WORDS = re.compile(r"`[^`]*`")


def texts(d: Diagnostic) -> list[str]:
    return [
        d.message,
        d.label,
        d.hint,
        *d.notes,
        *(r.message for r in d.related),
        d.fix.title if d.fix else "",
    ]


def flaws(d: Diagnostic) -> list[str]:
    """What is wrong with how a finding speaks."""
    found = []
    for text in texts(d):
        bare = SOURCE_WORDS.sub("", text)
        found += [f"speaks Python: {text}"] if PYTHON.search(text) or re.search(r"\bNone\b", bare) else []
        found += [f"speaks of our insides: {text}"] if OURS.search(bare) and "a side head" not in text else []
        found += [f"ends with a period: {text}"] if re.search(r"(?<!\.\.)\.$", text) else []
        found += [f"is {len(text)} characters long: {text}"] if len(text) > LONGEST_MESSAGE else []
        found += [f"starts with a capital: {text}"] if re.match(r"[A-Z][a-z]", text) else []
    if d.severity == "error" and not d.hint and d.fix is None:
        found.append(f"says no way out: {d.message}")
    if len(d.related) > 3:
        found.append(f"points at {len(d.related)} more places: {d.message}")
    return found


def test_messages_speak_to_their_reader() -> None:
    assert len(EVERY) > 150
    assert [flaw for _, d in EVERY for flaw in flaws(d)] == []


@pytest.mark.parametrize(
    ("message", "flaw"),
    [
        ("`x` must be int, not None", "speaks Python"),
        ("this is a ValidationError", "speaks Python"),
        ("the stream was lost", "speaks of our insides"),
        ("a window does not fit.", "ends with a period"),
        ("a" * 161, "is 161 characters"),
        ("Window does not fit", "starts with a capital"),
    ],
)
def test_a_flaw_would_be_seen(message: str, flaw: str) -> None:
    (said,) = flaws(Diagnostic(code="A201", message=message, span=None, hint="take a smaller one"))
    assert said.startswith(flaw)
    assert flaws(Diagnostic(code="A201", message="too large", span=None)) == ["says no way out: too large"]


def test_nothing_is_told_twice() -> None:
    """One mistake, one error: no two findings of a text at the same place. `conv3-64 LRN` has two mistakes at one."""
    for path in [*sorted(ERRORS.glob("*.arch")), *FIRST_TIME]:
        found = [d for d in found_in(path) if d.code != "A002"]
        places = [(d.span.start, d.span.stop) for d in found if d.span is not None]
        assert len(places) == len(set(places)), path.name


# ---- fixes are edits that help ----


def applied(text: str, fix: Fix) -> str:
    return text[: fix.span.start] + fix.text + text[fix.span.stop :]


def is_told(again: tuple[Diagnostic, ...], d: Diagnostic, fix: Fix) -> bool:
    """Whether a finding is still there after its fix: the same words at its place, moved by the edit."""
    assert d.span is not None
    moved = len(fix.text) - (fix.span.stop - fix.span.start)
    starts = {d.span.start, d.span.start + moved}
    return any(
        a.code == d.code and a.message == d.message and a.span is not None and a.span.start in starts
        for a in again
    )


FIXED = [(path, d) for path, d in EVERY if d.fix is not None]


def test_fixes_are_many() -> None:
    assert len(FIXED) >= 90


@pytest.mark.parametrize(("path", "d"), FIXED, ids=lambda v: v.stem if isinstance(v, Path) else v.code)
def test_fix(path: Path, d: Diagnostic) -> None:
    assert d.fix is not None and d.fix.title
    text = path.read_text(encoding="utf-8")
    assert d.fix.span.source.text == text, "an edit of a file that the user did not ask about"
    fixed = applied(text, d.fix)
    assert fixed != text
    again = found_in(path, fixed)
    assert not is_told(again, d, d.fix), to_text(again)
    if len(found_in(path)) == 1 and d.code != "A203":
        assert [a.code for a in again if a.severity == "error"] == [], to_text(again)


def test_a_fix_that_changes_nothing_would_be_seen() -> None:
    path = ERRORS / "A101.arch"
    (d,) = found_in(path)
    idle = Fix(Span(d.fix.span.source, 0, 0), "# still wrong\n", "add a comment")  # type: ignore[union-attr]
    assert is_told(found_in(path, applied(path.read_text(encoding="utf-8"), idle)), d, idle)


# ---- pages of `archdsl explain` ----

EXAMPLES = [
    (code, kind, re.sub(r"(?m)^    ", "", found[2]))
    for code, (_, page) in sorted(CODES.items())
    for found in re.finditer(r"(?m)^(Wrong|Right):\n\n((?:    .*\n?|\n)+)", page + "\n")
    for kind in [found[1]]
]


@pytest.mark.parametrize(("code", "kind", "text"), EXAMPLES, ids=lambda v: v if len(v) < 6 else "")
def test_examples_of_the_pages(code: str, kind: str, text: str) -> None:
    found = found_in(ERRORS / f"{code}.arch", text)
    assert {d.code for d in found} == ({code} if kind == "Wrong" else set()), to_text(found)


def test_pages_have_examples() -> None:
    assert len(EXAMPLES) >= 80
    assert {code for code, kind, _ in EXAMPLES if kind == "Wrong"} >= set(CODES) - set(MADE) - {"A302"}


# ---- lints ----


def lints(text: str) -> list[tuple[str, int]]:
    return [(d.code, d.span.line) for d in found_in(ERRORS / "lint.arch", text) if d.span is not None]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("conv3-64 x2", ["L101"]),
        ("conv3-64 x5", ["L101"]),
        ("conv3-64; bn; dropout(0.1); conv3-64", ["L111", "L101"]),
        ("conv3-64; relu; conv3-64", []),
        ("conv3-64; maxpool; conv3-64", []),
        ("conv3-64(act=none); conv3-64", []),
        ("default conv(act=none)\nconv3-64 x2", []),
        ("default conv(act=relu)\nconv3-64 x2", []),
        ("conv3-64 as a; conv3-64; add [ identity | @a ]; relu", []),
        ("concat [ conv3-8 | conv5-8 ]; conv1-8", []),
        ("conv3-64 x2 # archdsl: ignore[L101]", []),
        ("conv3-64 x2 # archdsl: ignore[L102]", ["L101", "L100"]),
        ("conv3-64 x2 # archdsl: ignore[L102, L101]", ["L100"]),
        ("{ conv3-64/2; relu } x3", []),
        ("{ conv3-64; relu } x3", []),
        ("maxpool3/2(p=1) x2", []),
        ("default conv(act=relu)\nconv3-64/2 x3", ["L102"]),
        ("default conv(act=relu)\nconv3-64/1 x3", []),
        ("default conv(act=relu)\nconv3-64 x3/2", []),
        ("default conv(act=relu)\nconv3-64/2 x3 # archdsl: ignore[L102]", []),
    ],
)
def test_lints(body: str, told: list[str]) -> None:
    assert [code for code, _ in lints(f"arch net {{\ninput 3x32x32\n{body}\n}}")] == told


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ("224x224x3", ["L103"]),
        ("28x28x1", ["L103"]),
        ("3x224x224", []),
        ("1x28x28", []),
        ("64x2x2", []),
        ("3xHxW", []),
    ],
)
def test_channels_last(shape: str, told: list[str]) -> None:
    assert [code for code, _ in lints(f"input {shape}\nconv3-64; relu\n")] == told


def test_shipped_specs_draw_no_lint() -> None:
    paths = sorted(specs_root().rglob("*.arch"))
    assert len(paths) >= 25
    assert [(path.name, d.code) for path in paths for d in found_in(path)] == []


# ---- words from elsewhere ----


@pytest.mark.parametrize(
    ("wrong", "known", "right"),
    [
        ("RELU", ["relu", "relu6"], "relu"),
        ("steam", ["Stem"], "Stem"),
        ("F", ["f", "F"], "F"),
        ("clases", ["classes", "k"], "classes"),
        ("vgg61", ["vgg11", "vgg13", "vgg16", "vgg16_bn", "vgg19"], "vgg16"),
        ("zzz", ["classes"], None),
        ("x", [], None),
    ],
)
def test_did_you_mean(wrong: str, known: list[str], right: str | None) -> None:
    assert did_you_mean(wrong, known) == right


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("nn.Conv2d(3, 64, 3)", "conv3-64(p=0)"),
        (
            "self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)",
            "conv7-64/2(bias=false)",
        ),
        ("nn.Conv2d(64, 64, (1, 7), padding='same'),", "conv1x7-64(p=same)"),
        ("nn.Conv2d(in_channels=3, out_channels=8, kernel_size=1)", "conv1-8"),
        ("nn.Conv2d(64, 64, 3, padding=1, groups=64)", "conv3-64(groups=64)"),
        ("layers.Conv2D(32, 3, activation='relu')", "conv3-32(p=0, act=relu)"),
        ("layers.Dense(10, activation='softmax')", "fc-10(act=softmax)"),
        ("nn.ConvTranspose2d(64, 32, 2, stride=2)", "upconv2-32/2"),
        ("nn.MaxPool2d(3, 2, 1)", "maxpool3/2(p=1)"),
        ("nn.MaxPool2d(2)  # halve", "maxpool2"),
        ("nn.AvgPool2d(7)", "avgpool7"),
        ("nn.AdaptiveAvgPool2d((1, 1))", "gap"),
        ("nn.AdaptiveAvgPool2d((7, 7))", "adaptiveavgpool(7)"),
        ("nn.AdaptiveAvgPool2d((7, 5))", "adaptiveavgpool((7, 5))"),
        ("nn.Conv2d(3, 128, 3, 1, 1, 1, 1, False)", "conv3-128(bias=false)"),
        ("nn.Conv2d(3, 64, 3, padding=1, padding_mode='reflect')", None),
        ("nn.Conv2d(3, 64, 3);", "conv3-64(p=0)"),
        ("layers.Conv2D(64, 3, 2, 'same')", "conv3-64/2(p=same)"),
        ("nn.Upsample(scale_factor=2, mode='bilinear')", "upsample(2, mode=bilinear)"),
        ("nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)", None),
        ("nn.Upsample(size=(7, 7))", None),
        ("layers.UpSampling2D((1, 2), interpolation='nearest')", "upsample((1, 2), mode=nearest)"),
        ("nn.PReLU()", "prelu"),
        ("nn.LeakyReLU(0.2, inplace=True)", "leakyrelu(0.2)"),
        ("nn.LeakyReLU(negative_slope=0.1)", "leakyrelu(0.1)"),
        ("nn.LeakyReLU()", None),  # Keras's slope is another
        ("nn.ELU()", "elu"),
        ("nn.ELU(0.5, inplace=True)", "elu(0.5)"),
        ("nn.Mish(inplace=True)", "mish"),
        ("self.gn = nn.GroupNorm(32, 64)", "gn(32)"),
        ("nn.GroupNorm(num_groups=8, num_channels=64, eps=1e-6)", "gn(8, eps=1e-6)"),
        ("nn.GroupNorm(8, 64, affine=False)", None),
        ("layers.GroupNormalization(groups=8, axis=-1, epsilon=1e-5)", "gn(8, eps=1e-5)"),
        ("layers.GroupNormalization(groups=-1)", None),
        ("nn.InstanceNorm2d(64)", "instancenorm"),
        ("nn.InstanceNorm2d(64, affine=True, track_running_stats=False)", "instancenorm(affine=true)"),
        ("nn.InstanceNorm2d(64, track_running_stats=True)", None),
        ("nn.PixelShuffle(2)", "pixelshuffle(2)"),
        ("nn.PixelShuffle()", None),
        ("nn.PixelUnshuffle(downscale_factor=4)", "pixelunshuffle(4)"),
        ("nn.BatchNorm2d(64, 1e-3, momentum=0.01)", "bn(eps=1e-3, momentum=0.01)"),
        ("nn.BatchNorm2d(64, affine=False)", None),
        ("layers.BatchNormalization(momentum=0.99, epsilon=0.001)", "bn(momentum=0.01, eps=0.001)"),
        ("tf.nn.dropout(keep_prob=0.8)", "dropout(0.2)"),
        ("layers.Activation('relu')", "relu"),
        ("nn.Linear(512 * 7 * 7, 4096)", "fc-4096"),
        ("nn.BatchNorm2d(64)", "bn"),
        ("nn.ReLU(inplace=True)", "relu"),
        ("nn.Dropout(p=0.5)", "dropout(0.5)"),
        ("nn.LSTM(64, 64)", None),
        ("x = torch.cat(x, 1)", None),
        ("nn.Conv2d(3, 64, 3); nn.ReLU()", None),
        ("nn.Conv2d(3, width * 2, 3)", None),
    ],
)
def test_lines_of_python(line: str, step: str | None) -> None:
    found = python_call(line)
    assert (found.text if found is not None else None) == step
    if step is not None:
        assert api.loads(f"input 64x32x32\n{step}").layers


TYPED = "arch net(classes=10) {\n  default conv(act=relu)\n  input 3x32x32\n  {}\n  flatten; fc-classes\n}\n"


def typed(line: str) -> tuple[str, Diagnostic]:
    """A text with one line of someone who has slipped, and the one thing that is said of it."""
    text = TYPED.replace("{}", line)
    (found,) = found_in(ERRORS / "typed.arch", text)
    return text, found


@pytest.mark.parametrize("text", ["{}", "# note\n{}\n# note"])
def test_carriage_returns_alone_end_lines(text: str) -> None:
    feeds = TYPED.replace("{}", text.replace("{}", "relo; conv3"))
    plain, old = (found_in(ERRORS / "typed.arch", each) for each in (feeds, feeds.replace("\n", "\r")))
    assert len(plain) == 2 and [to_text([d]) for d in old] == [to_text([d]) for d in plain]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("conv(64, 3, 1, 1)", "conv3-64"),
        ("conv(64, 3, 2)", "conv3-64/2"),
        ("conv(3, 64, 3)", "conv3-64"),
        ('Conv2D(64, 3, padding="same", activation="relu")', "conv3-64(p=same, act=relu)"),
        ("Conv2D(64, 3, padding='same', use_bias=False)", "conv3-64(p=same, bias=false)"),
        ("Dense(10, activation='relu')", "fc-10(act=relu)"),
        ("BatchNorm2d(3, eps=1e-3, momentum=0.01)", "bn(eps=1e-3, momentum=0.01)"),
        ("Activation('relu')", "relu"),
        ("dropout(keep_prob=0.5)", "dropout(0.5)"),
        ("nn.Conv2d(3, 64, 3); relu", "conv3-64(p=0); relu"),
        ("nn.PReLU()", "prelu"),
        ("maxpool-3/2", "maxpool3/2"),
        ("maxpool3s2", "maxpool3/2"),
        ("conv3_64", "conv3-64"),
        ("conv3x3_64s2", "conv3x3-64/2"),
        ("bottleneck64", "bottleneck(64)"),
        ("upsample2", "upsample(2)"),
        ("upsample-2", "upsample(2)"),
        ("fc1000", "fc-1000"),
        ("fc2-10", "fc-10"),
        ("Linear(512, 10, bias=False)", "fc-10(bias=false)"),
        ("x = nn.ReLU()", "relu"),
        ("GlobalAvgPool2d()", "gap()"),
        ("relu2", "relu"),
        ("const w = 64", "let w = 64"),
        ("conv3-(int(6.5))", "conv3-(floor(6.5))"),
        ("conv3-(make_divisible(33 * 0.75))", "conv3-(round8(33 * 0.75))"),
        ("conv3-(_make_divisible(33 * 0.75, 4))", "conv3-(round4(33 * 0.75))"),
        ("conv3-64(act=linear)", "conv3-64(act=none)"),
        ("conv3-64(in_channels=3)", "conv3-64"),
        ("conv3-64(in_channels=3, p=1)", "conv3-64(p=1)"),
        ("conv3-64(p=1, filters=64)", "conv3-64(p=1)"),
        ("conv3-64(bias=false, p=1, bias=false)", "conv3-64(bias=false, p=1)"),
        ("conv3(filters=64)", "conv3(channels=64)"),
        ("conv3-64(batch_norm=true)", "conv3-64(norm=bn)"),
        ("conv3-64(bn=True)", "conv3-64(norm=bn)"),
        ("conv3-64(bn=False)", "conv3-64(norm=none)"),
        ("conv3-64(relu=True)", "conv3-64(act=relu)"),
        ("LeakyReLU(0.1)", "leakyrelu(0.1)"),
        *(
            (f"conv3-16 as a; relu as b; {wrong}", f"conv3-16 as a; relu as b; {right}")
            for wrong, right in (
                ("concat(@a, @b)", "concat [ @a | @b ]"),
                ("concat(a, b)", "concat [ @a | @b ]"),
                ("add((a, @b), ) -> 16x32x32", "add [ @a | @b ] -> 16x32x32"),
                ("gate(b, a)", "gate [ @b | @a ]"),
                ("concat [ @a | b ]", "concat [ @a | @b ]"),
                ("concat [ a | conv1-8 ]", "concat [ @a | conv1-8 ]"),
                ("conv1-8; a", "conv1-8; @a"),
            )
        ),
        ("pad(1, 2, 1, 2)", "pad((1, 2, 1, 2))"),
        ("adaptiveavgpool(7, 5)", "adaptiveavgpool((7, 5))"),
        ("conv3-64; split(0, 16, _)", "conv3-64; split(0, (16, _))"),
        ("basic-64", "basic(64)"),
        ("basic-(2 * 16)/2 x2", "basic/2(2 * 16) x2"),
        ("conv3-16/2 -> 16x16", "conv3-16/2 -> 16x16x16"),
        ("conv3-16/2; conv3-8 x2 -> _x16", "conv3-16/2; conv3-8 x2 -> 8x16x16"),
        ("conv3-16 -> 16x32x32x1", "conv3-16 -> 16x32x32"),
        ("conv3-16 -> 30x32", "conv3-16 -> 16x32x32"),
        ("ELU()", "elu"),
        ("conv3-64(act=Mish)", "conv3-64(act=mish)"),
        ("nn.Mish()", "mish"),
        ("nn.GroupNorm(3, 3)", "gn(3)"),
        ("groupnorm(3)", "gn(3)"),
        ("gn(num_groups=3)", "gn(groups=3)"),
        ("conv3-64(norm=groupnorm)", "conv3-64(norm=gn)"),
        ("conv3-64(norm=InstanceNorm2d)", "conv3-64(norm=instancenorm)"),
        ("pixel_unshuffle(2)", "pixelunshuffle(2)"),
        ("pixelunshuffle(downscale_factor=2)", "pixelunshuffle(factor=2)"),
        ("pixelunshuffle2", "pixelunshuffle(2)"),
        ("gn3", "gn(3)"),
        # what does not fit
        ("gn(5)", "gn(1)"),
        ("conv3-48(norm=gn)", "conv3-48(norm=gn(24))"),
        ("conv3-48(act=none, norm=gn(32))", "conv3-48(act=none, norm=gn(24))"),
        ("conv3-48(norm=gn(groups=32, eps=1e-3), act=none)", "conv3-48(norm=gn(groups=24, eps=1e-3), act=none)"),
        ("conv3-3; pixelshuffle", "conv3-12; pixelshuffle"),
        ("maxpool5/3; pixelunshuffle(4)", "maxpool5/3; pad((0, 2, 0, 2)); pixelunshuffle(4)"),
    ],
)
def test_what_was_meant(line: str, meant: str) -> None:
    text, found = typed(line)
    assert found.fix is not None
    mended = applied(text, found.fix)
    assert mended == TYPED.replace("{}", meant)
    assert [d for d in found_in(ERRORS / "typed.arch", mended) if d.severity == "error"] == []


@pytest.mark.parametrize(
    ("line", "help_"),
    [
        ("selu", "the nearest is `elu`"),
        ("celu", "the nearest is `elu`, which is the same where alpha is 1"),
        ("rrelu", "the nearest are `leakyrelu`, and `prelu`, which learns its slope"),
        ("conv3-8 as a; concat(a, d)", "write `concat [ @a | @d ]`, and label that step: `as d`"),
        ("conv3-8 as a; gate(a, a, a)", "write `gate [ a | b ]`"),
        ("if classes == 3 { relu -> 8x8 }", "write channels x height x width, such as 64x112x112, or the channels alone, such as 1000"),
        ("slice(0, 8)", "the nearest is `split`: `split(0, (8, _))` is the first 8 channels"),
        ("conv3-64(norm=rms(32))", "choose one of bn, gn, instancenorm, ln, lrn, or none"),
        ("space_to_depth(2)", "did you mean `pixelunshuffle`?"),  # TensorFlow's, whose channels lie otherwise
        ("unpool", "the nearest are `upsample` and `upconv`"),
        ("attention", "the nearest is `se`, which weighs channels"),
        ("max", "write `maxpool`, or `maximum [ a | b ]`"),
        ("conv1_1", "did you mean `conv`?"),
        ("conv3_1-64", "did you mean `conv`?"),
        ("conv_64", "did you mean `conv`?"),
        ("Concatenate()", "write `concat [ a | b ]`"),
        ("bn(0.1)", "name it: eps"),
        ("conv3-(round(33, 4))", "to the nearest multiple of 4: `round4(33)`"),
        ("conv3-(round8(33, 4))", "to the nearest multiple of 4: `round4(33)`"),
        ("x = F.relu(x)", "the layer is called `relu` here"),
        ("x = self.conv1(x)", "write a layer alone, as in `conv3-64`"),
        ("inception-64", "its numbers stand in parentheses: inception(a, b1, b2, c1, c2, d)"),
        ("nn.MaxPool2d(3, 2, dilation=2)", "the layer is called `maxpool` here"),
        ("inception64", "did you mean `inception`?"),
        ("Conv2D(64, 3, padding='same', foo=1)", "did you mean `conv`? its arguments are others"),
        ("conv3-64(act=softplus)", "choose one of elu, gelu, "),
        ("conv(16, 6, 5)", "name it: channels, "),
        ("nn.SELU()", "there is no layer called `SELU`; the nearest is `elu`"),
        ("nn.LSTM(3, 64)", "there is no layer called `LSTM`; `archdsl layers` lists what there is"),
        ("nn.Conv2d(3, 2 * w, 3)", "the layer is called `conv` here"),
        ("torch.cat([a, b], dim=1)", "write `concat [ @a | @b ]`, and label those steps: `as a`"),
    ],
)
def test_what_is_not_clear(line: str, help_: str) -> None:
    """Nothing is put in its place."""
    text = TYPED.replace("{}", line)
    said = [d for d in found_in(ERRORS / "typed.arch", text) if d.hint.startswith(help_)]
    assert [d.fix for d in said] == [None]


@pytest.mark.parametrize("default", ["conv(act=r", "conv(act=r)", "maxpool(ceil=t", "maxpool(ceil=t)"])
def test_a_default_is_told_of_once(default: str) -> None:
    """Library blocks work under it too; what they make of it is no error of theirs."""
    text = "arch net {\n  default " + default + "\n  input 3x32x32\n  inception(8, 8, 8, 8, 8, 8) x3\n  bottleneck(8)\n}\n"
    (found,) = found_in(ERRORS / "typed.arch", text)
    assert found.span is not None and found.span.line == 2


def test_a_figure_that_leaves_the_norms_out() -> None:
    text = "arch net {\n input 3x8x8\n conv3-8(norm=gn(2)); conv3-8(norm=bn); conv3-8(norm=ln)\n expect(params=PARAMS)\n}"
    without = archdsl.loads("input 3x8x8; conv3-8(bias=false) x3").params
    (found,) = found_in(ERRORS / "typed.arch", text.replace("PARAMS", f"{without}"))
    assert "its norms have just that many, 48" in found.notes


def test_words_that_are_absent_are() -> None:
    assert not set(ABSENT) & {*LAYERS, *LAYER_WORDS}
    named = {word for advice in ABSENT.values() for word in re.findall(r"`(\w+)`", advice)}
    assert len(named) >= 6 and named <= {*LAYERS, *library_names()}


def test_calls_that_are_no_step() -> None:
    assert as_step("GRU", ["3"], {}) is None
    assert as_step("Conv2d", [], {}) is None
    assert as_step("Conv2d", ["3", "64"], {}) is None
    assert as_step("MaxPool2d", ["k + 1"], {}) is None
    assert as_step("Dense", ["10"], {"activation": "'max'"}) is None
    assert as_step("Dense", ["10"], {"activation": "relu + 1"}) is None


def test_translations_that_are_known() -> None:
    """What is looked up are a step's layer and activation, whole: `relu7` is no relu."""
    wanted = {"relu6": True, "relu7": False, "'swish'": True, "softplus": False}
    for word, known in wanted.items():
        alone, filled = as_step("Activation", [word], {}), as_step("Dense", ["10"], {"activation": word})
        assert alone is not None and alone.is_known(LAYERS) == known
        assert filled is not None and filled.is_known(LAYERS) == known


def test_goldens_are_checked_and_can_be_missing(tmp_path: Path) -> None:
    """A golden that is gone fails with the way to write it."""
    program = "import sys; sys.path.insert(0, 'tests'); from pathlib import Path; import test_errors as t;"
    program += f"t.compare(Path({str(tmp_path)!r}) / 'A001.txt', 'x')"
    environment = {k: v for k, v in os.environ.items() if k != "ARCHDSL_UPDATE_GOLDEN"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ERRORS.parent.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and "ARCHDSL_UPDATE_GOLDEN=1 pytest" in done.stderr


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: archdsl.emit("lenet5"), TypeError, "emit takes a Network, not str: archdsl.load"),  # type: ignore[arg-type]
        (lambda: archdsl.features("lenet5"), TypeError, "features takes a Network, not str"),  # type: ignore[arg-type]
        (lambda: archdsl.feature_info(None), TypeError, "feature_info takes a Network, not NoneType"),  # type: ignore[arg-type]
        (lambda: archdsl.loads(None), TypeError, "loads takes the text of a spec, not NoneType"),  # type: ignore[arg-type]
        (lambda: archdsl.loads("conv3-4", input=3), ValueError, "an input is written as 3x224x224, not 3"),  # type: ignore[arg-type]
    ],
)
def test_values_of_another_type(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()
