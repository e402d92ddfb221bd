"""The emitted module: short, alone, safe whatever the text says, and one with its labels."""

from __future__ import annotations

import ast
import builtins
import copy
import functools
import inspect
import io
import keyword
import os
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from drawing import one_thread
from torch import nn

import archdsl
from archdsl.api import load, shipped_names
from archdsl.network import Network
from archdsl.ops import LAYERS


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


# ---- length ----

BARS = {"vgg16": 70, "resnet50": 130, "googlenet_bn": 170, "densenet121": 130, "inception_v3": 250}


@pytest.mark.parametrize("name", BARS)
def test_short(name):
    text = archdsl.emit(archdsl.load(name))
    assert len(text.splitlines()) < BARS[name]
    assert max(map(len, text.splitlines())) <= 140


# ---- alone ----

ALONE = """
import importlib.abc, sys

class Forbid(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("archdsl", "lark", "pydantic", "kernels", "specs", "grammar"):
            raise ImportError(f"{name} is not to be had here")
        return None

sys.meta_path.insert(0, Forbid())
try:
    import archdsl
except ImportError:
    pass
else:
    raise SystemExit("archdsl can be imported: this proves nothing")
import torch
for line in sys.stdin.read().splitlines():
    path, name, size = line.split()
    space = {"__name__": name}
    exec(compile(open(path).read(), path, "exec"), space)
    shape = [int(s) for s in size.split("x")]
    with torch.device("meta"):
        model = space[name]()
        result = model(torch.empty(2, *shape))
    print(name, sum(p.numel() for p in model.parameters()))
"""


@functools.cache
def shipped(name: str) -> tuple[Network, str]:
    network = archdsl.load(name)
    return network, archdsl.emit(network)


@pytest.mark.slow
def test_every_network_runs_where_archdsl_is_not(tmp_path):
    lines, wanted = [], []
    for name in shipped_names():
        network, text = shipped(name)
        path = tmp_path / f"{name.replace('/', '_')}.py"
        path.write_text(text)
        own = [n.name for n in ast.parse(text).body if isinstance(n, ast.ClassDef)][-1]
        lines.append(f"{path} {own} {'x'.join(map(str, network.input))}")
        wanted.append(f"{own} {network.params}")
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE], input="\n".join(lines), capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == wanted


@pytest.mark.parametrize("name", shipped_names())
def test_imports_nothing_but_torch(name):
    tree = ast.parse(shipped(name)[1])
    imports = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
    assert set(imports) <= {"import torch", "from torch import nn"}
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    assert not names & {"eval", "exec", "open", "__import__", "compile", "globals", "getattr"}


def forms(text: str) -> dict[str, str]:
    """Each class of a module as text without its numbers, what it uses put in place of its name."""
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            form = re.sub(r"\b\d[\w.]*(e-\d+)?\b", "N", ast.unparse(ast.Module(body, [])))
            form = re.sub(r"\b[A-Z]\w*\b", lambda m: str(hash(found.get(m[0], m[0]))), form)
            stem = node.name.rstrip("0123456789")
            found[node.name] = f"{stem if stem in found else node.name} {form}"
    return found


@pytest.mark.parametrize("name", shipped_names())
def test_no_class_differs_from_another_in_numbers_only(name):
    found = forms(shipped(name)[1])
    assert len(set(found.values())) == len(found)


def test_a_repeated_class_would_be_seen():
    twice = "class A(nn.Module):\n    def __init__(self):\n        self.a = nn.Conv2d(3, 4, 1)\n"
    found = forms(twice + twice.replace("A(", "A2(").replace("4", "8"))
    assert len(found) == 2 and len(set(found.values())) == 1


# ---- outputs, taps, heads ----

BACKBONE = """
arch backbone {
  default conv(norm=bn, act=relu)
  input 3x32x32
  conv3-4/2 as c2
  basic(8) x2/2 as c3
  basic(8) as c4
  conv3-6/2
  output @c4, @c2
}
"""


def test_several_outputs_are_a_dict_by_name():
    network = archdsl.loads(BACKBONE)
    assert [o.name for o in network.outputs] == ["c4", "c2"]
    model = archdsl.build(network)
    x = torch.randn(2, 3, 32, 32)
    for training in (True, False):
        result = model.train(training)(x)
        assert list(result) == ["c4", "c2"]
        assert result["c2"].shape == (2, 4, 16, 16)
        assert result["c4"].shape == (2, 8, 8, 8)


def test_one_chosen_output_keeps_its_name():
    model = archdsl.build(archdsl.loads("arch n { input 3x8x8; conv3-4 as a; relu as b; output @a }")).eval()
    result = model(torch.randn(1, 3, 8, 8))
    assert list(result) == ["a"]


def test_taps():
    network = archdsl.loads("arch n { input 3x8x8; conv3-4 as a; { relu; conv3-5 as inner } as g; gap; fc-2 as f }")
    model = archdsl.build(network).eval()
    x = torch.randn(2, 3, 8, 8)
    plain = model(x)
    assert isinstance(plain, torch.Tensor)
    result = model(x, taps=("a", "g"))
    assert list(result) == ["out", "a", "g"]
    assert torch.equal(result["out"], plain)
    assert torch.equal(result["a"], model.a(x))
    assert torch.equal(result["g"], model.g(model.a(x)))
    one = model(x, taps="a")  # as ("a") is, too
    assert list(one) == ["out", "a"] and torch.equal(one["a"], result["a"])
    with pytest.raises(KeyError):
        model(x, taps=("inner",))  # a group's labels are its own


def test_one_tap_of_a_label_that_python_uses():
    model = archdsl.build(archdsl.loads("arch n { input 3x8x8; conv3-4 as str; relu as isinstance; gap }"))
    assert list(model(torch.randn(1, 3, 8, 8), taps="isinstance")) == ["out", "isinstance"]


def test_every_label_of_a_tensor_can_be_tapped():
    network = archdsl.loads("arch n { input 3x8x8; conv3-4 as a; @a as b; { relu as c } as d; gap }")
    model = archdsl.build(network).eval()
    taps = [label for label, _ in network.taps]
    result = model(torch.randn(2, 3, 8, 8), taps=taps)
    assert {"a", "b", "d"} <= set(taps)
    assert set(result) == {"out", *taps}
    assert torch.equal(result["a"], result["b"])


HEADS = """
arch n {
  input 3x8x8
  conv3-4
  aux(0.3) { gap; fc-2 } as early
  conv3-4
  aux(0.5) { gap; fc-3 }
  gap; fc-10
}
"""


def test_heads_in_training_and_evaluation():
    network = archdsl.loads(HEADS)
    names = [o.name for o in network.outputs if o.aux]
    assert names[0] == "early"
    assert [o.weight for o in network.outputs if o.aux] == [0.3, 0.5]
    model = archdsl.build(network)
    x = torch.randn(2, 3, 8, 8)
    trained = model.train()(x)
    assert list(trained) == ["out", *names]
    assert [tuple(v.shape) for v in trained.values()] == [(2, 10), (2, 2), (2, 3)]
    asked = model.eval()(x, aux=True)
    assert list(asked) == list(trained)
    assert isinstance(model(x), torch.Tensor)
    assert isinstance(model.train()(x, aux=False), torch.Tensor)
    assert torch.equal(model.eval()(x), asked["out"])


def test_a_head_that_is_not_asked_for_is_not_run():
    model = archdsl.build(archdsl.loads(HEADS)).eval()
    model.early.register_forward_hook(lambda *_: pytest.fail("the head ran"))
    model(torch.randn(2, 3, 8, 8))


def test_a_head_that_the_network_itself_reads():
    """It is either refused, or computed whenever it is read."""
    text = "arch n { input 3x8x8; conv3-4; aux(0.3) { conv3-4 } as h; add [ identity | @h ]; relu }"
    try:
        network = archdsl.loads(text)
    except archdsl.ArchError as error:
        assert error.diagnostics
        return
    model = archdsl.build(network).eval()
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(model(x), model(x, aux=True)["out"])


@pytest.mark.parametrize(
    "text",
    [
        "arch n { input 3x8x8; conv3-4 as out; relu }",
        "arch n { input 3x8x8; conv3-4; aux(0.3) { gap; fc-2 } as out; gap; fc-5 }",
        "arch n { input 3x8x8; conv3-4 as a; relu as out; output @a }",
    ],
)
def test_no_output_takes_the_place_of_another(text):
    """A label `out` is refused where the main output is called that; or nothing is lost."""
    try:
        network = archdsl.loads(text)
    except archdsl.ArchError as error:
        assert {d.code for d in error.diagnostics} <= {"A108", "A109"}
        return
    names = [o.name for o in network.outputs]
    assert len(names) == len(set(names))
    model = archdsl.build(network).eval()
    x = torch.randn(2, 3, 8, 8)
    main = model(x)
    main = main if isinstance(main, dict) else {network.main.name: main}
    tapped = model(x, taps=[label for label, _ in network.taps])
    assert all(torch.equal(tapped[name], tensor) for name, tensor in main.items())


# ---- nothing of the text is run ----

EVIL = [
    "\nimport os; os.abort()",
    '"""\nraise SystemExit(3)\n"""',
    "'''\nraise SystemExit(3)",
    '" + __import__("os").abort() + "',
    "\\",
    "\\N{BELL} \\x",
    "{x} {0} {{",
    "\r import os; os.abort()",
    "\x0c import os; os.abort()",
    "\u2028import os; os.abort()",
    "\u202e evil \u2066",
    "\x85raise SystemExit(3)",
    "%s %(x)s $x `x`",
    "é 🙂 \t tab",
]


@pytest.mark.parametrize("evil", EVIL)
def test_a_comment_or_a_file_name_stays_one(evil):
    bare = archdsl.emit(archdsl.loads("arch n { input 3x8x8; b(4); b(5); relu }\nblock b(f) { conv3-f(norm=bn) }"))
    first, *rest = re.split(r"[\n\r]", evil)
    comment = "".join(f"# {line}\n" for line in (first, *rest))
    text = f"{comment}arch n {{ input 3x8x8; b(4) # {first}\n b(5); relu }}\n{comment}block b(f) {{ conv3-f(norm=bn) }}"
    network = archdsl.loads(text, name=f"{evil}.arch")
    emitted = archdsl.emit(network)

    def code(text: str) -> str:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                body[0].value.value = "doc"
        return ast.unparse(tree)

    assert code(emitted) == code(bare)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", emitted)
    archdsl.build(network)


@pytest.mark.parametrize("evil", [e for e in EVIL if "\0" not in e and "/" not in e])
def test_a_path_stays_one(evil, tmp_path):
    path = tmp_path / f"{evil}.arch"
    path.write_text("arch n { input 3x8x8; conv3-4; fc-2 }")
    archdsl.build(load(path))
    loose = tmp_path / f"{evil} loose.arch"
    loose.write_text("input 3x8x8; conv3-4; fc-2")
    archdsl.build(load(loose))


WORDS = sorted(
    {
        *(*keyword.kwlist, *keyword.softkwlist, *dir(builtins)),
        *("self", "super", "torch", "nn", "x", "y", "z", "u", "v", "w", "y1", "i", "_", "__", "aux", "taps", "outputs"),
        *("tensors", "layer", "name", "range", "none", "true", "false", "out", "input1", "Linear", "ConvBn", "N", "Net"),
        *("__class__", "__init__", "__dict__", "__name", "_private", "taps_", "self_", "x_", "nn_", "B", "Sequential"),
        *("Module", "in_channels", "out_channels", "kernel_size", "stride", "padding", "skip", "project", "conv1"),
        *("conv", "bn", "relu", "forward", "training", "in_features", "C", "H", "count", "flag", "s", "c"),
    }
)
WORDS = [w for w in WORDS if re.fullmatch(r"[A-Za-z_]\w*", w) and not re.fullmatch(r"x\d+|\w+(Error|Warning)", w)]


def accepted(text: str) -> archdsl.Network | None:
    try:
        return archdsl.loads(text)
    except archdsl.ArchError as error:
        assert error.diagnostics
        return None


def flows(network: archdsl.Network, reference: archdsl.Network) -> None:
    """The module runs, and with the weights of the plainly named one in order it computes the same."""
    torch.manual_seed(0)
    plain = archdsl.build(reference).eval()
    model = archdsl.build(network).eval()
    with torch.no_grad():
        for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
            mine.copy_(other)
        x = torch.randn(2, *network.input)
        taps = [label for label, _ in network.taps]
        one, two = model(x), plain(x)
        assert torch.equal(one, two)
        if taps:
            both = zip(model(x, taps=taps).values(), plain(x, taps=[t for t, _ in reference.taps]).values(), strict=True)
            assert all(torch.equal(a, b) for a, b in both)


BLOCKS = """
block {0}(f, s=1) {{ conv3-f/s(norm=bn); relu; conv3-(2*f) x3 }}
arch n {{ input 3x8x8; {0}(3); {0}(5, 2) x3; {0}(2) as last; fc-2 }}
"""
PARAMETERS = """
block b({0}, g=1) {{ conv3-{0}(norm=bn); fire({0}, 2*{0}, {0}) x2; relu; conv3-(2*{0})/g x3 }}
arch n {{ input 3x8x8; b(3); b(5, 2); b({0}=2, g=2); fc-2; fc-3 }}
"""
STRIDES = """
block b(f, {0}=1) {{ conv3-f/{0}(norm=bn) x3; conv3-(f + {0}) x(1 + {0}) }}
arch n {{ input 3x8x8; b(3); b(5, 2); b(2, {0}=2); fc-2; fc-3 }}
"""
TENSORS = """
block b(f, @{0}) {{ concat [ @{0} | conv3-f x2 | @{0}; conv1-f ]; conv3-4; add [ identity | @{0} ] }}
arch n {{ input 3x8x8; conv3-4 as a; conv3-5; b(3, @a); b(5, @a) x3; fc-2 }}
"""
LABELS = """
arch n {{ input 3x8x8; conv3-4(norm=bn) as {0}; relu; conv3-4 x2 as other; add [ identity | @{0} | @{0}; conv1-4 ]; gap; fc-2 }}
"""
TWO_LABELS = """
arch n {{ input 3x8x8; conv3-4 as {0}; conv3-4 as {0}_; relu; concat [ @{0}; conv1-2 | @{0}_; conv1-2 | identity ]; gap; fc-2 }}
"""
ARCHS = "arch {0} {{ input 3x8x8; b(4); b(5); fc-2 }}\nblock b(f) {{ conv3-f(norm=bn) }}"
REPEATED = """
block b(f, @{0}) {{ add [ conv3-f | @{0}; conv1-f ] }}
arch n {{ input 3x8x8; conv3-4 as first; relu; b(4, @first) x3; carry({0}=@first) {{ b(4, @{0}) x4; relu }}; gap; fc-2 }}
"""


@pytest.mark.parametrize("pattern", [BLOCKS, PARAMETERS, STRIDES, TENSORS, LABELS, TWO_LABELS, ARCHS, REPEATED])
def test_any_name_is_refused_or_works(pattern):
    """Python's words, builtins, and every word that the emitted file uses itself, in every place of a name."""
    reference = accepted(pattern.format("plain"))
    assert reference is not None
    worked = 0
    for word in WORDS:
        network = accepted(pattern.format(word))
        if network is not None:
            try:
                flows(network, reference)
            except Exception as error:
                raise AssertionError(f"{word}: {error!r}\n{pattern.format(word)}\n{archdsl.emit(network)}") from error
            worked += 1
    assert worked > 30


@pytest.mark.parametrize("word", [*keyword.kwlist, *(n for n in dir(nn.Module()) if n[0] != "_"), "_private", "__init__"])
def test_labels_that_no_module_can_have(word):
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(f"arch n {{ input 3x8x8; conv3-4 as {word}; relu }}")
    codes = {d.code for d in caught.value.diagnostics}
    assert codes & {"A109", "A010", "A001"}
    assert any(d.span is not None and word in d.span.text for d in caught.value.diagnostics)


@pytest.mark.parametrize("block", ["_r", "__r", "__", "___r", "__init__"])
def test_no_attribute_is_mangled(block):
    text = f"block {block}(f) {{ conv3-f }}\nblock _r2(f) {{ conv1-f }}\narch n {{ input 3x8x8; {block}(4) x2; {block}(4); _r2(4) }}"
    network = archdsl.loads(text)
    tensors = list(archdsl.build(network).state_dict())
    assert len(set(tensors)) == 8
    assert {name.rpartition(".")[0] for name in tensors} == {node.name for node in network.layers}


@pytest.mark.parametrize("container", [nn.Sequential(), nn.ModuleList(), nn.Linear(1, 1), nn.Conv2d(1, 1, 1), nn.Module()])
def test_labels_never_hide_what_a_container_uses(container):
    """A labelled step inside a chain is an attribute of an nn.Sequential."""
    for word in dir(container):
        if word.startswith("_") or keyword.iskeyword(word):
            continue
        network = accepted(f"arch n {{ input 3x8x8; {{ conv3-4 as {word}; relu }} as g; {{ conv3-4 as {word} }} x2; gap }}")
        if network is not None:
            model = archdsl.build(network).eval()
            model(torch.randn(1, 3, 8, 8))
            copy.deepcopy(model).to(torch.float64).train().requires_grad_(False)
            repr(model)


def test_layers_and_blocks_named_alike():
    """Blocks named as the helper classes, as each other's classes and as the arch."""
    blocks = "linear mean_drop_path drop_path conv_bn conv_bn_relu aux_ group sequential module_list relu_block".split()
    text = "".join(f"block {b}(f) {{ conv3-f(norm=bn, act=relu); conv3-f(norm=bn) }}\n" for b in blocks if b not in LAYERS)
    steps = "; ".join(f"{b}(2); {b}(3)" for b in blocks if b not in LAYERS)
    network = archdsl.loads(f"{text}arch n {{ input 3x8x8; {steps}; droppath(0.1); aux(1) {{ gap; fc-3 }}; fc-2 }}")
    model = archdsl.build(network)
    assert model(torch.randn(2, 3, 8, 8))["out"].shape == (2, 2)
    assert type(model).__name__ == "N"


# ---- a module like any other ----


def test_state_dict_names_follow_the_labels():
    model = archdsl.build(archdsl.load("resnet50"))
    keys = set(model.state_dict())
    assert {"conv1.conv.weight", "c3.0.conv1.conv.weight", "c3.0.shortcut.bn.running_mean", "c5.2.conv3.bn.bias"} <= keys
    assert {"fc1.weight", "fc1.bias"} <= keys
    assert not any("shortcut" in key for key in keys if key.startswith("c3.1."))


def test_names_stay_where_a_step_is_added():
    """Labels hold their names whatever stands around them."""
    before = archdsl.build(archdsl.loads("arch n { input 3x8x8; conv3-4 as stem; conv3-4 x2 as body; fc-2 as head }"))
    after = archdsl.build(
        archdsl.loads("arch n { input 3x8x8; relu; conv3-3; conv3-4 as stem; dropout; conv3-4 x2 as body; fc-2 as head }")
    )
    assert set(before.state_dict()) < set(after.state_dict())


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "googlenet_bn", "densenet121", "fractalnet_cifar"])
def test_weights_go_from_one_build_to_another(name):
    network = archdsl.load(name, classes=3)
    one, two = archdsl.build(network).eval(), archdsl.build(archdsl.load(name, classes=3)).eval()
    assert two.load_state_dict(one.state_dict(), strict=True)
    x = torch.randn(1, *network.input)
    with torch.no_grad():
        assert torch.equal(one(x), two(x))


def test_the_emitted_file_and_the_live_module_are_one():
    network = archdsl.load("resnet18")
    model = archdsl.build(network)
    space: dict[str, object] = {}
    exec(archdsl.emit(network), space)
    assert list(space["Resnet18"]().state_dict()) == list(model.state_dict())  # type: ignore[operator]


def test_source_and_tracebacks_show_the_emitted_lines():
    network = archdsl.load("resnet18")
    model = archdsl.build(network)
    assert inspect.getsource(type(model)) in archdsl.emit(network)
    assert "def forward" in inspect.getsource(type(model).forward)
    try:
        model(torch.randn(1, 4, 8, 8))
    except RuntimeError as error:
        shown = "".join(traceback.format_exception(error))
    assert "x = self.conv1(x)" in shown


def test_pickle_and_copy():
    network = archdsl.load("lenet5")
    model = archdsl.build(network).eval()
    x = torch.randn(1, *network.input)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(x), model(x))
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    model.load_state_dict(torch.load(file, weights_only=True))


def test_a_pickle_goes_to_another_process(tmp_path):
    """Where the same spec was built, as torch.save of a whole module needs its class."""
    program = (
        "import archdsl, pickle, sys\n"
        "model = archdsl.build(archdsl.load('lenet5'))\n"
        "if sys.argv[1] == 'save': pickle.dump(model, open(sys.argv[2], 'wb'))\n"
        "else: print(sum(p.numel() for p in pickle.load(open(sys.argv[2], 'rb')).parameters()))"
    )
    root = str(Path(archdsl.__file__).parent.parent)
    for how, seed in (("save", "1"), ("load", "2")):
        done = subprocess.run(
            [sys.executable, "-c", program, how, str(tmp_path / "model.pickle")],
            env=os.environ | {"PYTHONPATH": root, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-1500:]
    assert int(done.stdout) == archdsl.load("lenet5").params


def test_two_networks_of_one_name_live_side_by_side():
    one = archdsl.build(archdsl.loads("arch n { input 3x8x8; conv3-4 }"))
    two = archdsl.build(archdsl.loads("arch n { input 3x8x8; conv3-5 }"))
    x = torch.randn(1, 3, 8, 8)
    assert (one(x).shape[1], two(x).shape[1]) == (4, 5)
    assert "4, 3" in inspect.getsource(type(one))
    assert "5, 3" in inspect.getsource(type(two))


def test_instances_share_one_class():
    text = archdsl.emit(archdsl.load("resnet50"))
    assert text.count("class Bottleneck") == 1
    assert text.count("class ConvBnRelu") == 1
    model = archdsl.build(archdsl.load("resnet50"))
    kinds = {type(block) for stage in (model.c2, model.c3, model.c4, model.c5) for block in stage}
    assert len(kinds) == 1


def test_a_block_is_one_class_though_it_gets_one_tensor_twice():
    """NASNet's first cell has the stem as both of its inputs."""
    text = """block cell(f, @p) { add [ conv3-f | @p; conv3-f ] }
        input 3x8x8; conv3-4 as s; cell(4, @s) as a; cell(4, @s) as b; carry(p=@b) { cell(4, @p) x4 }"""
    network = archdsl.loads(text)
    assert re.findall(r"^class (Cell\w*)", archdsl.emit(network), re.M) == ["Cell"]
    model = archdsl.build(network)
    x = torch.randn(1, 3, 8, 8)
    s = model.s(x)
    a = model.a.conv1(s) + model.a.conv2(s)
    b = model.b.conv1(a) + model.b.conv2(s)
    stream, before = b, b
    for cell in model.cell1:
        stream, before = cell.conv1(stream) + cell.conv2(before), stream
    assert torch.equal(model(x), stream)


def test_a_block_may_give_back_its_parameter():
    text = "block s(@n) { @n }; input 1x8x8; conv3-2 as h; maxpool; s(@h) x2 as w; @h"
    model = archdsl.build(archdsl.loads(text.replace("; input", "\ninput")))
    outputs = model(torch.randn(1, 1, 8, 8), taps=("h", "w"))
    assert torch.equal(outputs["w"], outputs["h"]) and torch.equal(outputs["out"], outputs["h"])


def test_a_drop_path_is_a_number_of_its_class():
    """Linear decay: rates from 0 up, and copies without a skip, are instances of one class."""
    text = """default conv(norm=bn, act=silu); input 16x32x32
        mbconv(6, 24, drop=0.2*copy/8) x4/2; mbconv(6, 24, drop=0.2*(copy + 4)/8) x4; gap; fc-10"""
    network = archdsl.loads(text)
    emitted = archdsl.emit(network)
    assert re.findall(r"^class (Mbconv\w*)", emitted, re.M) == ["Mbconv"]
    paths = [m for m in archdsl.build(network).modules() if type(m).__name__ == "DropPath"]
    rates = [0.2 * i / 8 for i in range(8)]
    assert [p.ratio for p in paths][1:] == pytest.approx(rates[1:], abs=1e-12)
    inferred = [node.op.ratio for node in network.layers if node.kind == "droppath"]
    assert inferred == pytest.approx(rates[1:], abs=0)  # the first has a stride, so nothing is skipped
    # one whose rate is 0 is printed only beside others
    assert "DropPath" not in archdsl.emit(archdsl.loads("input 8x8x8; residual(drop_path=0) { conv3-8 } x2"))


def test_a_width_inside_is_not_called_that_of_the_output():
    """SKNet's and squeeze-and-excitation's: few channels in the middle, and the first ones again at the end."""
    block = "block sk(f) { conv1-(max(f // 16, 32)) as z; relu; conv1-f }\nblock ends(g) { conv1-8; relu; conv1-(g * g) }\n"
    source = archdsl.emit(archdsl.loads(block + "arch n { input 8x8x8; sk(64); relu; sk(1024); relu; ends(3); relu; ends(5) }"))
    assert "def __init__(self, in_channels, f, z_channels):" in source and "self.conv1 = nn.Conv2d(z_channels, f, 1)" in source
    assert "def __init__(self, in_channels, out_channels):" in source, "of `ends` they are"


def test_widths_of_parts_are_numbers_of_their_class():
    """FasterNet's partial convolution: the instances of a class split differently many channels."""
    block = "block partial() { concat [ split(0, (in.c//4, _)); conv3-(in.c//4) | split(1, (in.c//4, _)) ] }\n"
    text = block + "arch n { input 8x8x8; partial; relu; conv1-16; partial; split(0, (3, 13)) }"
    source = archdsl.emit(archdsl.loads(text))
    assert source.count("class Partial") == 1 and "self.partial2 = Partial(16)" in source
    assert "self.widths = [in_channels // 4, in_channels - in_channels // 4]" in source
    assert "x.split(self.widths, dim=1)[1]" in source and "x.split([3, 13], dim=1)[0]" in source
    model = archdsl.build(archdsl.loads(text))
    x = torch.randn(2, 16, 4, 4)
    y = model.partial2(x)
    assert torch.equal(y[:, 4:], x[:, 4:]) and torch.equal(y[:, :4], model.partial2.conv1(x[:, :4]))


def test_widths_that_nothing_tells_are_arguments():
    block = "block b(widths) { concat [ split(0, (widths, _)) as w; conv1-3 | split(1, (2 + widths, _)); conv1-3 as widths ] }\n"
    source = archdsl.emit(archdsl.loads(block + "arch n { input 8x8x8; b(3); relu; conv1-17; b(7) }"))
    assert source.count("class B(") == 1
    assert "self.widths2 = [widths, in_channels - widths]" in source
    assert "self.widths3 = [in_channels - in_channels2, in_channels2]" in source and "B(8, 3, 3)" in source


def test_a_skip_that_is_off_drops_nothing():
    text = "default conv(norm=bn, act=silu); input 16x8x8; mbconv(1, 16, drop=0.9); mbconv(1, 24, drop=0.9)"
    model = archdsl.build(archdsl.loads(text))
    assert type(model[0]) is type(model[1])
    x = torch.randn(64, 16, 8, 8)
    with torch.no_grad():
        first = model[0](x)
        second = model[1](x)
    dropped = [(first[i] - x[i]).abs().max() == 0 for i in range(64)]
    assert any(dropped) and not all(dropped)
    assert all(second[i].abs().max() > 0 for i in range(64))


def test_rates_of_many_copies_are_a_loop():
    text = "input 8x8x8; { residual(drop_path=0.5*(copy + 1)/40) { conv3-8; relu } } x40"
    emitted = archdsl.emit(archdsl.loads(text))
    assert "for i in range(40)" in emitted and len(emitted.splitlines()) < 70


def test_a_shortcut_that_pads_is_one_class():
    text = """block u(f, s=1) { residual(shortcut=pad) { conv3-f/s } }
        input 8x9x9; u(8) x2; u/2(8); u/2(16); u(24)"""
    network = archdsl.loads(text)
    assert re.findall(r"^class (U\w*)", archdsl.emit(network), re.M) == ["U"]
    model = archdsl.build(network).double()
    x = torch.randn(2, 8, 9, 9, dtype=torch.float64)
    for unit in model.modules():
        if type(unit).__name__ == "U":
            nn.init.zeros_(unit.conv1.weight), nn.init.zeros_(unit.conv1.bias)
    expected = torch.nn.functional.pad(x[:, :, ::2, ::2][:, :, ::2, ::2], (0, 0, 0, 0, 0, 16))
    assert torch.equal(model(x), expected)


def test_a_comment_points_back_to_the_spec():
    text = archdsl.emit(archdsl.loads("arch n {\n  input 3x8x8\n\n  conv3-4 as stem\n  gap\n}"))
    assert re.search(r"self\.stem = .*# 4: conv3-4 -> 4x8x8", text)
    assert re.search(r"self\.gap1 = .*# 5: gap -> 4x1x1", text)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "resnet18", "googlenet_bn"])
def test_torch_can_export_it(name):
    network = archdsl.load(name)
    model = archdsl.build(network).eval()
    x = torch.randn(1, *network.input)
    exported = torch.export.export(model, (x,)).module()
    with torch.no_grad():
        assert torch.allclose(exported(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_a_network_without_labels_and_heads_can_be_scripted():
    text = "input 3x8x8; conv3-8(norm=ln, act=relu); split(0, (3, _)); residual { conv3-3 }; maxpool; fc-10; relu; fc-2"
    model = archdsl.build(archdsl.loads(text)).eval()
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(torch.jit.script(model)(x), model(x))
