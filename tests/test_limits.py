"""No text hangs the compiler or fills the machine: every limit of the reference has its own code, met within a second
of processor time and a gibibyte of memory. Each text is checked in a process of its own that is held to that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archdsl.api import check
from archdsl.codes import CODES
from archdsl.source import Source

SECOND = 1.0
GIBIBYTE = 2**30

ROOM = 2**20
"""Characters of the longest source."""


def net(body: str, blocks: str = "") -> str:
    return f"{blocks}\narch n {{ input 3x32x32; {body} }}"


def block(body: str, name: str = "f") -> str:
    return f"block {name}(n) {{ {body} }}\n"


def joined(pattern: str, count: int, by: str = "; ") -> str:
    return by.join(pattern.format(i) for i in range(count))


# name: (text, the codes that it must be answered with; none: it is a spec)
REFUSED: dict[str, tuple[str, set[str]]] = {
    "a source of a mebibyte and one": ("#" * (ROOM + 1), {"A301"}),
    "two mebibytes of (": ("(" * 2**21, {"A301"}),
    "two mebibytes of all brackets": ("({[" * 2**19 + "]})" * 2**17, {"A301"}),
    "a mebibyte of {": ("{" * ROOM, {"A302"}),
    "a mebibyte of (": ("conv3-" + "(" * (ROOM - 6), {"A302"}),
    "a mebibyte of all brackets": ("({[" * (ROOM // 3), {"A302"}),
    "a mebibyte of }": ("}" * ROOM, {"A004"}),
    "201 groups": (net("{" * 200 + "relu" + "}" * 200), {"A302"}),
    "201 parentheses": (net("conv3-" + "(" * 201 + "8" + ")" * 201), {"A302"}),
    "201 ifs": (net("if 1 == 1 {" * 200 + "relu" + "}" * 200), {"A302"}),
    "201 merges": (net("add [ identity | " * 200 + "relu" + "]" * 200), {"A302"}),
    "recursion without end": (net("f(1)", block("conv3-8; f(n + 1)")), {"A303"}),
    "recursion without end or layers": (net("f(1)", block("f(n)")), {"A303"}),
    "recursion within a merge": (net("f(1)", block("add [ identity | f(n) ]")), {"A303"}),
    "recursion within a repeat": (net("f(1)", block("relu; f(n) x1")), {"A303"}),
    "blocks that call each other": (net("f(1)", block("relu; g(n)") + block("f(n + 1)", "g")), {"A303"}),
    "doubling recursion without end": (net("f(1)", block("relu; f(n + 1); f(n + 1)")), {"A303"}),
    "doubling recursion": (net("f(30)", block("if n == 0 { relu } else { f(n - 1); f(n - 1) }")), {"A304"}),
    "doubling recursion without layers": (net("relu; f(30)", block("if n > 0 { f(n - 1); f(n - 1) }")), {"A304"}),
    "doubling recursion on a shape": (
        net("f(30)", block("if n*in.c == 0 { relu } else { f(n - 1); f(n - 1) }")),
        {"A304"},
    ),
    "doubling recursion in a merge": (
        net("f(30)", block("if n*in.c == 0 { relu } else { add [ f(n - 1) | f(n - 1) ] }")),
        {"A304"},
    ),
    "tripling recursion": (
        net("f(12)", block("if n*in.c == 0 { relu } else { f(n - 1); f(n - 1); f(n - 1) }")),
        {"A304"},
    ),
    "a million layers": (net("relu x1000000"), {"A304"}),
    "a repeat of 10^18": (net("relu x1000000000000000000"), {"A304"}),
    "a repeat past 2^63": (net("relu x10000000000000000000"), {"A307"}),
    "nested repeats": (net("{ { { relu x1000 } x1000 } x1000 } x1000"), {"A304"}),
    "nested repeats of a block": (net("{ { g(1) x1000 } x1000 } x1000", block("relu x1000", "g")), {"A304"}),
    "nested repeats of a count that a shape decides": (
        net("{ { relu x(in.c*1000) } x(in.c*1000) } x(in.c*1000)"),
        {"A304"},
    ),
    "nested repeats of nothing": (net("relu; { { { if 1 == 2 { relu } } x1000 } x1000 } x1000"), {"A304"}),
    "nested repeats of a reference": (net("relu as a; { { { @a } x1000 } x1000 } x1000"), {"A304"}),
    "a mebibyte of layers": ("input 3x8x8\n" + "relu;" * (ROOM // 5 - 10), {"A304"}),
    "an image of 2^31": ("arch n { input 3x2147483648x32; relu }", {"A305"}),
    "a width of 2^31": (net("conv3-2147483648"), {"A305"}),
    "an fc of 2^31": (net("fc-2147483648"), {"A305"}),
    "a kernel of 2^31": (net("conv2147483648-8"), {"A305"}),
    "an image that upsample makes": (net("upsample(1000000) x2"), {"A305"}),
    "an image that upconv makes": (net("upconv2-8/2 x40"), {"A305"}),
    "a vector that flatten makes": (net("upsample(10000); flatten"), {"A305"}),
    "channels that concat makes": (net("{ concat [ identity | identity ] } x40"), {"A305"}),
    "a width of 10,000 digits": (net("conv3-" + "9" * 10_000), {"A307"}),
    "a kernel of 10,000 digits": (net("conv" + "9" * 10_000 + "-8"), {"A307"}),
    "a stride of 10,000 digits": (net("conv3-8/" + "9" * 10_000), {"A307"}),
    "a repeat of 10,000 digits": (net("relu x" + "9" * 10_000), {"A307"}),
    "an image of 10,000 digits": ("arch n { input 3x" + "9" * 10_000 + "x3; relu }", {"A307"}),
    "a contract of 10,000 digits": (net("relu -> 3x3x" + "9" * 10_000), {"A307"}),
    "a figure of 10,000 digits": (net(f"relu; expect(params={'9' * 10_000})"), {"A307"}),
    "a figure of 10,000 digits and a G": (net(f"relu; expect(params={'9' * 10_000}G)"), {"A307"}),
    "a share of 10,000 digits": (net("dropout(1" + "0" * 10_000 + ".5)"), {"A307"}),
    "an exponent of 10,000 digits": (net("dropout(1e" + "9" * 10_000 + ")"), {"A307"}),
    "squares of squares": (
        net("let a0 = 10; " + "; ".join(f"let a{i + 1} = a{i}*a{i}" for i in range(60)) + "; conv3-a60"),
        {"A307"},
    ),
    "squares of squares of a fraction": (
        net("let a0 = 1.5; " + "; ".join(f"let a{i + 1} = a{i}*a{i}" for i in range(60)) + "; conv3-a60"),
        {"A307"},
    ),
}

ACCEPTED: dict[str, str] = {
    "200 groups": net("{" * 199 + "relu" + "}" * 199),
    "150 nested merges": net("concat [ identity | " * 150 + "relu" + "]" * 150),
    "200 recursions": net("f(199)", block("relu; if n > 0 { f(n - 1) }")),
    "a mebibyte of blanks": net("relu" + " " * (ROOM - 100)),
    "100,000 layers": net("relu x100000"),
    "a merge of 10,000 branches": net("concat [" + "|".join(["conv1-1"] * 10_000) + "]"),
    "5,000 labels": net(joined("relu as l{0}", 5_000)),
    "10,000 minus signs": net("conv3-(" + "-" * 10_000 + "8)"),
    "a sum of 10,000 numbers": net("conv3-(" + " + ".join(["1"] * 10_000) + ")"),
    "5,000 arms": net("if 1 == 2 { relu }" + " else if 1 == 2 { relu }" * 5_000 + " else { tanh }"),
    "a hundred symbolic halvings": "arch n { input 3xHxW; "
    + "; ".join(["conv3-8/2(p=1); upsample(2); tanh"] * 40)
    + " }",
}
"""What is large, and within the limits."""

OTHERWISE: dict[str, str] = {
    "a mebibyte of quotes": '"' * ROOM,
    "a mebibyte of newlines": "\n" * ROOM,
    "a mebibyte of other letters": "é" * ROOM,
    "a mebibyte of nulls": "\0" * ROOM,
    "5,000 unknown layers": net(joined("rolu{0}q", 5_000)),
    "5,000 missing labels": net(joined("@l{0}", 5_000)),
    "5,000 misfits": net("maxpool99; relu -> 3x32x32; " * 5_000),
    "5,000 equal arguments": net("conv3-8(" + ", ".join(["p=1"] * 5_000) + ")"),
    "5,000 parameters": net(
        "b(" + joined("p{0}=1", 5_000, ", ") + ")", "block b(" + joined("p{0}", 5_000, ", ") + ") { relu }"
    ),
    "5,000 outputs": net(joined("relu as l{0}", 5_000) + "; output " + joined("@l{0}", 5_000, ", ")),
    "sizes that grow beyond what can be read": "arch n { input 3xHxW; { maxpool3/2(p=1); upsample(3); pad(1) } x200 }",
    "symbols to the tenth power": "arch n { input 3x(H*H*H*H*H*H*H*H*H*H)x(W*H); maxpool3/2(ceil=true, p=1) x50 }",
    "channels to the 2^64th": "arch n { input CxHxW; { mul [ concat [ identity | identity ] | concat [ identity | "
    "identity ] ] } x64 }",
}
"""What is only asked to answer, quickly and without an exception."""

CHILD = """
import json, os, resource, sys, time
from archdsl.api import check
from archdsl.source import Source
check(Source("warm.arch", "arch n { input 3x8x8; conv3-8(norm=bn, act=relu); residual { conv3-8 }; lrn; fc-3 }"))

def answer(text):
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    start = time.process_time()
    try:
        result = check(Source("x.arch", text))
    except BaseException as error:
        said = {"error": f"{type(error).__name__}: {error}"[:300]}
    else:
        said = {"codes": [d.code for d in result.diagnostics if d.severity == "error"], "networks": len(result.networks)}
        spans = [d.span for d in result.diagnostics if d.span is not None]
        said["outside"] = sum(not 0 <= s.start <= s.stop <= len(text) for s in spans)
    said["seconds"] = time.process_time() - start
    said["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return said

for name, text in json.load(sys.stdin).items():
    child = os.fork()  # so that one text's memory is not the next one's
    if child == 0:
        print(json.dumps([name, answer(text)]), flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        print(json.dumps([name, {"error": f"killed: status {status}"}]), flush=True)
"""


def answers(texts: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What a process says of each text, within the memory allowed, and what that took."""
    import archdsl

    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(GIBIBYTE + 2**28)],
        input=json.dumps(texts),
        env=os.environ | {"PYTHONPATH": str(Path(archdsl.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def refused() -> dict[str, dict[str, Any]]:
    return answers({name: text for name, (text, _) in REFUSED.items()})


@pytest.fixture(scope="module")
def others() -> dict[str, dict[str, Any]]:
    return answers(ACCEPTED | OTHERWISE)


def held(said: dict[str, Any], seconds: float = SECOND) -> None:
    assert "error" not in said, said["error"]
    assert said["outside"] == 0
    assert said["seconds"] < seconds
    assert said["peak"] < GIBIBYTE


READING = 30 * SECOND
LONG_TO_READ = {"a mebibyte of layers"}
"""Texts within the limit on length that take seconds to parse before any layer can be counted."""


@pytest.mark.parametrize("name", REFUSED)
def test_a_limit_answers_with_its_code(refused, name):
    said = refused[name]
    held(said, READING if name in LONG_TO_READ else SECOND)
    assert REFUSED[name][1] <= set(said["codes"])
    limits = {code for code in said["codes"] if code.startswith("A3")}
    assert limits <= REFUSED[name][1], "one limit, one code"
    assert said["networks"] == 0


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_within_the_limits_is_accepted(others, name):
    said = others[name]
    assert said.get("codes") == [], said
    assert said["networks"] == 1
    held(said, 3 * SECOND)


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_large_is_answered(others, name):
    held(others[name], 3 * SECOND)


def test_every_limit_has_a_case():
    tested = {code for _, codes in REFUSED.values() for code in codes} | {"A306"}
    tested |= {"A308"}  # of pictures: tests/test_draw.py
    assert {code for code in CODES if code.startswith("A3")} <= tested


@pytest.mark.slow
def test_channels_that_grow_make_every_cache_useless_and_still_end():
    """150,000 different layers: nothing can be remembered from one to the next."""
    said = answers({"growing": net("conv3-(in.c + 1) x150000")})["growing"]
    assert said["codes"] == []
    assert said["networks"] == 1
    assert said["seconds"] < 15
    print(f"{said['seconds']:.1f} s, {said['peak'] / 2**20:.0f} MiB")


# ---- work that grows with the square of a text ----


class Counted(str):
    """A text that counts the characters that are cut out of it."""

    cut = 0

    def __getitem__(self, key):
        piece = super().__getitem__(key)
        self.cut += len(piece)
        return piece


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("input 3x8x8\n" + "relu -> 3x8\n" * 2000, id="contracts of two dims"),
        pytest.param("expect(params=1" + ",000" * 2000 + ")", id="groups of digits"),
        pytest.param("relu {" + "\n" * 2000, id="lines in an open brace"),
        pytest.param("relu(" + "a=1,\n" * 2000, id="lines in an open parenthesis"),
        pytest.param("input 3x8; " * 2000, id="findings in one line"),
        pytest.param("input 3x8x8\n" + "relu # archdsl: ignore[L102]\n" * 2000, id="ignores"),
        pytest.param("input 3x8x8\n" + "relu\n" * 2000 + "Conv2d(3, 3, 3)\n" * 100, id="a framework's convolutions"),
        pytest.param("input 3x8x8\nrelu # archdsl: ignore[" + "L102, " * 2000 + "]\n", id="codes of an ignore"),
    ],
)
def test_a_finding_does_not_copy_the_text_around_it(text):
    counted = Counted(text)
    assert check(Source("<text>", counted)).diagnostics
    assert counted.cut < 10 * len(text), "a text of its own length for each finding would be 1000 times"


# ---- files ----


def codes_of(path: Path) -> list[str]:
    """Error codes of a spec file, in a process of its own that has a minute."""
    program = (
        "import sys, pathlib\n"
        "from archdsl.api import check, open_spec\n"
        "source, path = open_spec(sys.argv[1])\n"
        "print(*[d.code for d in check(source, path=path).diagnostics if d.severity == 'error'])"
    )
    import archdsl

    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env=os.environ | {"PYTHONPATH": str(Path(archdsl.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def spec(folder: Path, use: str, name: str = "main.arch") -> Path:
    path = folder / name
    path.write_text(f'use "{use}"\narch n {{ input 3x8x8; conv3-4 }}\n')
    return path


def chain(folder: Path, length: int) -> Path:
    """Files that use one another: `length` below the first."""
    for i in range(length):
        use = f'use "f{i + 1}.arch"\n' if i + 1 < length else ""
        (folder / f"f{i}.arch").write_text(f"{use}block b{i}() {{ relu }}\n")
    return spec(folder, "f0.arch")


def test_imports_may_be_32_deep(tmp_path):
    assert codes_of(chain(tmp_path, 32)) == []


def test_imports_33_deep_are_refused(tmp_path):
    assert codes_of(chain(tmp_path, 33)) == ["A306"]


def test_imports_a_thousand_deep_are_refused(tmp_path):
    assert codes_of(chain(tmp_path, 1000)) == ["A306"]


def test_a_file_that_uses_itself(tmp_path):
    assert set(codes_of(spec(tmp_path, "main.arch"))) <= {"A114"}


def test_files_that_use_each_other(tmp_path):
    (tmp_path / "other.arch").write_text('use "main.arch"\nblock b() { relu }\n')
    assert set(codes_of(spec(tmp_path, "other.arch"))) <= {"A114"}


def test_many_paths_to_one_file(tmp_path):
    """Each file uses the next one twice: 2^30 paths, 30 files."""
    for i in range(30):
        again = f'use "./f{i + 1}.arch"\nuse "f{i + 1}.arch"\n' if i < 29 else ""
        (tmp_path / f"f{i}.arch").write_text(f"{again}block b{i}() {{ relu }}\n")
    assert codes_of(spec(tmp_path, "f0.arch")) == []


@pytest.mark.parametrize("use", ["../secret.arch", "/etc/passwd", "sub/../../secret.arch", "//etc/passwd", "~/x.arch"])
def test_outside_the_root(tmp_path, use):
    (tmp_path / "secret.arch").write_text("block secret() { relu }\n")
    inner = tmp_path / "spec"
    (inner / "sub").mkdir(parents=True)
    wanted = "A114" if use.startswith("~") else "A115"
    assert codes_of(spec(inner, use)) == [wanted]


def test_an_absolute_path_within_the_root(tmp_path):
    (tmp_path / "other.arch").write_text("block b() { relu }\n")
    assert codes_of(spec(tmp_path, str(tmp_path / "other.arch"))) == ["A115"]


def test_a_link_out_of_the_root(tmp_path):
    (tmp_path / "secret.arch").write_text("block secret() { relu }\n")
    inner = tmp_path / "spec"
    inner.mkdir()
    (inner / "link.arch").symlink_to(tmp_path / "secret.arch")
    (inner / "folder").symlink_to(tmp_path)
    assert codes_of(spec(inner, "link.arch")) == ["A115"]
    assert codes_of(spec(inner, "folder/secret.arch")) == ["A115"]


def test_a_link_within_the_root(tmp_path):
    (tmp_path / "other.arch").write_text("block b() { relu }\n")
    (tmp_path / "link.arch").symlink_to(tmp_path / "other.arch")
    assert codes_of(spec(tmp_path, "link.arch")) == []


def test_a_link_to_itself(tmp_path):
    (tmp_path / "loop.arch").symlink_to(tmp_path / "loop.arch")
    assert codes_of(spec(tmp_path, "loop.arch")) == ["A114"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_that_nobody_writes_to(tmp_path):
    os.mkfifo(tmp_path / "pipe.arch")
    assert codes_of(spec(tmp_path, "pipe.arch")) == ["A114"]


def test_a_folder(tmp_path):
    (tmp_path / "folder.arch").mkdir()
    assert codes_of(spec(tmp_path, "folder.arch")) == ["A114"]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_a_device(tmp_path):
    (tmp_path / "zero.arch").symlink_to("/dev/zero")
    assert codes_of(spec(tmp_path, "zero.arch")) == ["A115"]


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "binary.arch").write_bytes(bytes(range(256)) * 10)
    assert codes_of(spec(tmp_path, "binary.arch")) == ["A114"]


def test_a_used_file_that_is_too_long(tmp_path):
    (tmp_path / "long.arch").write_text("#" * (ROOM + 1))
    assert codes_of(spec(tmp_path, "long.arch")) == ["A301"]


@pytest.mark.parametrize("use", ["", ".", "..", "a\\\\b", "nul\0", "x" * 5000, "no/such.arch", "main.arch/x"])
def test_a_path_that_can_t_be_one(tmp_path, use):
    codes = codes_of(spec(tmp_path, use))
    assert codes
    assert set(codes) <= {"A114", "A115", "A011"}


def test_a_text_that_is_no_file_uses_none():
    result = check(Source("<text>", 'use "x.arch"\ninput 3x4x4; relu'))
    assert [d.code for d in result.diagnostics] == ["A114"]
