"""`copy.all` and `copy.total`: a copy's number along the whole network, and how many there are."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.api import check
from archdsl.network import Network
from archdsl.source import Source

RATE = "0.2*copy.all/copy.total"


def rates(network: Network) -> list[float]:
    """Of every residual that is dropped, in order."""
    return [node.op.ratio for node in network.nodes if node.kind == "droppath"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("steps", "count"),
    [
        (f"drop({RATE}) x3; relu; drop({RATE}) x2/2; drop({RATE})", 6),
        (f"drop({RATE}); {{ relu; drop({RATE}) }} x3", 4),
        ("stage(3); stage(2)", 5),
        ("inner(3, 0.2) x2", 6),
        (f"if 1 > 2 {{ drop({RATE}) }} else {{ drop({RATE}) x2 }}", 2),
        (f"concat [ drop({RATE}) x2 | drop({RATE}) ]", 3),
        (f"residual(drop_path={RATE}) {{ conv3-8; drop({RATE}) x2 }}", 3),
        (f"drop(0.15) x3; drop({RATE}) x2", 2),
    ],
)
def test_copies_are_counted_along_the_network(steps: str, count: int) -> None:
    text = (
        "block drop(rate, s=1) { residual(drop_path=rate) { conv3-8/s } }\n"
        f"block stage(n) {{ drop({RATE}) x(n) }}\n"
        "block inner(n, rate) { residual(drop_path=rate*copy.all/copy.total) { conv3-8 } x(n) }\n"
        f"arch net {{ input 8x16x16; {steps} }}"
    )
    found = [rate for rate in rates(archdsl.loads(text)) if rate != 0.15]
    assert sorted(found) == [0.2 * index / count for index in range(1, count)]  # the first is never dropped


def test_a_rate_counted_by_hand_is_the_same_network() -> None:
    text = """
    block drop(rate) {{ residual(drop_path=rate) {{ conv3-8 }} }}
    arch net(rate=0.3) {{ input 8x8x8; drop({0}) x2; relu; drop({1}) x3 }}
    """
    counted = archdsl.loads(text.format(*["rate*copy.all/(copy.total - 1)"] * 2))
    by_hand = archdsl.loads(text.format("rate*copy/4", "rate*(2 + copy)/4"))
    assert counted.hash == by_hand.hash
    assert archdsl.loads("input 8x8x8; dropout(0.1*copy.all + 0.1) x3").layers[2].op.ratio == pytest.approx(0.3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("let r = copy.all", "`copy.all` is known only in the arguments of a step"),
        ("if copy.total > 2 { relu }", "`copy.total` is known only in the arguments of a step"),
        ("conv3-(8 + copy.all)", "`copy.all` is known only in the arguments of a step"),
        ("relu x(copy.total)", "`copy.total` is known only in the arguments of a step"),
        ("dropout(copy.al)", "there is no `copy.al`"),
        ("dropout(0.1*copy.count)", "there is no `copy.count`"),
        ("less(copy.total)", "`copy.total` decides how many copies there are: with 1, there are 12"),
    ],
)
def test_where_there_is_no_such_number(steps: str, said: str) -> None:
    text = f"block less(k) {{ dropout(0.01*copy.all) x(12 - k) }}\narch net {{ input 8x8x8; {steps}; tanh }}"
    (found,) = check(Source("net.arch", text)).diagnostics
    assert found.message == said and found.hint


def test_a_number_of_copies_that_agrees_with_itself() -> None:
    """What depends on the total is looked at until it no longer changes."""
    text = "block some(k) { dropout(0.01*copy.all) x(min(k, 3)) }\narch net { input 8x8x8; some(copy.total) }"
    assert len(archdsl.loads(text).layers) == 3
