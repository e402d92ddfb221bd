"""Open sizes: `input 3xHxW` infers for every size at once what `input 3x224x224` infers for one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from drawing import drawn_from, one_thread

import archdsl
from archdsl.api import check, shipped_names
from archdsl.network import Network
from archdsl.resources import specs_root
from archdsl.source import Source
from archdsl.symbolic import known, substitute

SIZES = [(224, 224), (225, 223), (256, 192), (331, 299), (97, 160)]
INPUT = re.compile(r"^(\s*)input (\d+)x(\d+)x(\d+)", re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


def at(value: Any, **sizes: int) -> Any:
    """A size, a fraction or a tuple of them with numbers for the symbols."""
    if isinstance(value, tuple):
        return tuple(at(item, **sizes) for item in value)
    return value if known(value) or isinstance(value, Fraction) else substitute(value, sizes)


def opened(text: str) -> str:
    """The text with an input of open size, and without what only holds for one size."""
    text, count = INPUT.subn(r"\1input \2xHxW", text)
    assert count == 1
    text = re.sub(r"->[^\n;|}\]#]+", "", text)
    return re.sub(r"expect\([^)]*\)", "", text)


def loaded(text: str, path: str, **options: Any) -> Network | None:
    """The network of a text that stands where `path` does; None where it is refused."""
    from archdsl.api import check
    from archdsl.source import Source

    file = specs_root() / f"{path}.arch"
    result = check(Source(file.name, text), path=file, **options)
    return result.networks[0] if result.networks else None


def agree(symbolic: Network, numeric: Network, height: int, width: int) -> None:
    sizes = {"H": height, "W": width}
    assert len(symbolic.nodes) == len(numeric.nodes)
    for one, two in zip(symbolic.nodes, numeric.nodes, strict=True):
        assert (one.name, one.kind, one.inputs) == (two.name, two.kind, two.inputs)
        for what in ("shape", "params", "buffers", "macs", "extent", "jump"):
            assert at(getattr(one, what), **sizes) == getattr(two, what), f"{one.name}: {what} at {height}x{width}"
    whole = ["params", "buffers", "macs", "flops", "shape", "activation_bytes"]
    if all(node.shape[1:] != (1, 1) or node.kind == "gap" for node in numeric.nodes):
        whole.append("receptive_field")  # the last layer that still has a height: an open one might be 1
    for what in whole:
        assert at(getattr(symbolic, what), **sizes) == getattr(numeric, what), what


def test_most_shipped_specs_can_be_opened():
    """The rest ends in an fc on a map, or crops."""
    open_ones = [n for n in shipped_names() if loaded(opened((specs_root() / f"{n}.arch").read_text()), n)]
    assert len(open_ones) >= 8
    assert {"resnet50", "densenet121", "mobilenet_v2"} <= set(open_ones)


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_spec_for_any_size(name):
    """Either it is refused with A206 at an fc, or it agrees at every size that the numbers accept."""
    text = opened((specs_root() / f"{name}.arch").read_text(encoding="utf-8"))
    symbolic = loaded(text, name)
    if symbolic is None:
        from archdsl.api import check
        from archdsl.source import Source

        found = check(Source("open.arch", text), path=specs_root() / f"{name}.arch").diagnostics
        codes = {d.code for d in found if d.severity == "error"}
        assert codes <= {"A206", "A202", "A203", "A207"}, [d.message for d in found]
        return
    compared = 0
    for height, width in SIZES:
        numeric = loaded(text, name, input=(symbolic.input[0], height, width))
        if numeric is not None:
            agree(symbolic, numeric, height, width)
            compared += 1
    assert compared >= 1


def test_drawn_specs_for_any_size():
    """Open first, then a few sizes, odd ones too: a size that the numbers refuse is one where a window is too large."""
    compared = opened_ones = 0
    for seed in range(400):
        drawn = drawn_from(random.Random(seed), wild=0.0)
        text = opened(drawn.text)
        try:
            symbolic = archdsl.loads(text)
        except archdsl.ArchError:
            continue
        opened_ones += 1
        for height, width in ((12, 12), (13, 9), (drawn.input[1], drawn.input[2]), (31, 17)):
            try:
                numeric = archdsl.loads(text, input=(drawn.input[0], height, width))
            except archdsl.ArchError:
                continue
            agree(symbolic, numeric, height, width)
            compared += 1
    assert opened_ones > 100
    assert compared > 300


def test_an_open_spec_accepts_the_sizes_that_the_closed_one_does():
    """Where open sizes are accepted, a size at which every layer fits is accepted too, and the module runs there."""
    import torch

    ran = 0
    for seed in range(60):
        drawn = drawn_from(random.Random(seed), wild=0.0)
        try:
            symbolic = archdsl.loads(opened(drawn.text))
        except archdsl.ArchError:
            continue
        try:
            with torch.device("meta"):
                model = archdsl.build(symbolic).eval()
        except archdsl.ArchError as error:
            assert {d.code for d in error.diagnostics} == {"A206"}  # a weight's size is open
            continue
        for height, width in ((drawn.input[1], drawn.input[2]), (16, 16), (19, 14)):
            try:
                result = model(torch.empty(2, drawn.input[0], height, width, device="meta"))
            except RuntimeError:
                continue
            tensors = result if isinstance(result, dict) else {symbolic.main.name: result}
            for output in symbolic.outputs:
                if not output.aux:
                    shape = at(symbolic.nodes[output.node].shape, H=height, W=width)
                    assert tuple(tensors[output.name].shape) == (2, *shape), f"seed {seed}\n{drawn.text}"
                    ran += 1
    assert ran > 40


@pytest.mark.parametrize("body", ["conv3-8; fc-10", "conv3-8; flatten; fc-10", "maxpool; { fc-4; relu } x2"])
def test_an_fc_on_an_open_size_names_gap(body):
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(f"arch n {{ input 3xHxW; {body} }}")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "A206"
    assert "gap" in diagnostic.hint
    assert diagnostic.span.text.startswith("fc")


def test_gap_is_the_way_out():
    network = archdsl.loads("arch n { input 3xHxW; conv3-8; gap; fc-10 }")
    assert network.shape == (10,)
    assert network.params == 3 * 8 * 9 + 8 + 8 * 10 + 10
    assert at(network.macs, H=5, W=7) == 5 * 7 * 8 * 27 + 80


@pytest.mark.parametrize("body", ["{ relu } x(in.h)", "conv3-(in.h)", "if in.h > 7 { relu }", "let a = in.w; conv3-a"])
def test_what_needs_a_number_says_so(body):
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(f"arch n {{ input 3xHxW; {body} }}")
    assert "A206" in {d.code for d in caught.value.diagnostics}


UNET = (specs_root() / "unet.arch").read_text(encoding="utf-8")


def test_unet_needs_multiples_of_sixteen():
    """3xHxW does not come back to its own size; 3x(16*H)x(16*W) does."""
    assert loaded(opened(UNET), "unet") is None
    text = INPUT.sub(r"\1input \2x(16*H)x(16*W)", re.sub(r"expect\([^)]*\)|->[^\n]+", "", UNET))
    symbolic = loaded(text, "unet")
    assert symbolic is not None
    for height, width in ((1, 1), (2, 3), (16, 16)):
        numeric = loaded(text, "unet", input=(1, 16 * height, 16 * width))
        assert numeric is not None
        agree(symbolic, numeric, height, width)
    assert at(symbolic.shape, H=3, W=5) == (2, 48, 80)


def test_contracts_in_symbols():
    text = "arch n {{ input 3xHxW; conv3-8 -> 8xHxW; maxpool -> 8x(H // 2)x(W // 2); conv3-4/2 -> {} }}"
    assert archdsl.loads(text.format("4x((H // 2 + 1) // 2)x((W // 2 + 1) // 2)"))
    assert archdsl.loads(text.format("4x((H + 2) // 4)x_"))
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(text.format("4x(H // 4)x(W // 4)"))
    assert [d.code for d in caught.value.diagnostics] == ["A203"]


def test_open_channels():
    network = archdsl.loads("arch n { input CxHxW; dwconv3; concat [ identity | maxpool3/1(p=1) ]; gap }")
    assert at(network.shape, C=5) == (10, 1, 1)
    assert at(network.params, C=5) == 5 * 9 + 5


def test_a_symbol_is_a_name_for_the_rest_of_the_spec():
    """Given a number from outside, it is that number everywhere."""
    text = "arch n { input 3xSxS; conv3-8 -> 8xSxS; upsample(2) -> 8x(2*S)x(2*S) }"
    assert archdsl.loads(text, input="3x7x7").shape == (8, 14, 14)
    with pytest.raises(archdsl.ArchError):
        archdsl.loads(text, input="3x7x9")


def test_branches_that_agree_for_multiples_of_the_image():
    """A size halved four times and doubled is its own only where nothing was rounded."""
    body = "conv3-8/2; conv3-8/2 as c; conv3-8/2; conv3-8/2; upsample(4); add [ identity | @c ]"
    (found,) = check(Source("<text>", f"input 3xHxW\n{body}")).diagnostics
    assert found.code == "A202" and found.hint.endswith("multiples: `input 3x(16*H)x(16*W)`")
    assert archdsl.loads(f"input 3x(16*H)x(16*W)\n{body}")
    (found,) = check(Source("<text>", f"input 3x32xW\n{body}")).diagnostics
    assert found.hint.endswith("`input 3x32x(16*W)`")
