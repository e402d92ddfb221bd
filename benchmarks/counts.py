"""What a GPU would run of seven networks, counted without one: kernels and bytes of 128 images in bf16.

    python -m benchmarks.counts [NETWORK...] [--entries]

b2 and b3 are what is possible, counted independently of this compiler, from torchvision's networks, without
biases. b2: concats, pools, norms, gates, projections, depthwise convolutions and the 1x1 after a narrow 3x3,
each in the kernel of a convolution. b3: the 1x1 that the next block begins with is in the kernel before it as
well. No kernel does that yet; `joined` says what would be left if one did, --entries lists them."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from archdsl.network import Network
    from archdsl.plan import Launch, Plan

BATCH, DTYPE = 128, "bf16"
WIDEST = 512
"""Channels of a tensor that b3 holds, and of the 1x1 convolution's that reads it there."""


class Bars(NamedTuple):
    """Kernels and megabytes that b2 and b3 move."""

    b2: tuple[int, float]
    b3: tuple[int, float]


NETWORKS = {
    "vgg16": Bars((16, 4905.36), (16, 4905.36)),
    "resnet50": Bars((43, 5575.68), (36, 4550.0)),
    "resnet152": Bars((141, 13249.03), (130, 11810.0)),
    "googlenet_bn": Bars((40, 1170.46), (40, 1170.46)),
    "densenet121": Bars((123, 5363.32), (123, 5363.32)),
    "mobilenet_v2": Bars((36, 2310.33), (26, 2110.0)),
    "efficientnet_b0": Bars((82, 3530.66), (65, 3330.0)),
}


class Count(NamedTuple):
    """kernels, megabytes: of the plan, a convolution's weights with it, biases not. joined, joined_megabytes:
    if every entry were in the kernel before it. entries: how those begin, and how many do."""

    kernels: int
    megabytes: float
    joined: int
    joined_megabytes: float
    entries: dict[str, int]


def count(plan: Plan, batch: int = BATCH) -> Count:
    """Of a plan."""
    from archdsl.plan import DTYPES

    counts = plan.count(batch)
    moved = counts.moved - 4 * sum(launch.constants for launch in plan.launches)
    found = entries(plan)
    saved = batch * DTYPES[plan.dtype] * sum(numbers for _, _, numbers in found)
    patterns = Counter(f"{first.kernel.pattern}  ->  {then.kernel.pattern}" for first, then, _ in found)
    return Count(
        counts.kernels, moved / 1e6, counts.kernels - len(found), (moved - saved) / 1e6, dict(patterns)
    )


def entries(plan: Plan) -> list[tuple[Launch, Launch, int]]:
    """Launches that begin with a 1x1 convolution of what the launch before them has just finished, both
    narrow enough, and the numbers of an image that need not be read, and written where nobody else reads
    them, if it did that too."""
    network = plan.network
    readers = Counter(i for launch in plan.launches for i in network.nodes[launch.node].inputs)
    readers.update(output.node for output in network.outputs)
    by_node = {launch.node: launch for launch in plan.launches}
    taken: set[int] = set()
    found = []
    for then in plan.launches:
        source = network.nodes[then.node].inputs[0]
        first = by_node.get(source)
        if first is None or source in taken or not (_ends_open(first) and _begins_with_1x1(then)):
            continue
        taken.add(source)
        numbers = first.outputs[0].elements
        found.append((first, then, numbers if readers[source] > 1 else 2 * numbers))
    return found


def _ends_open(launch: Launch) -> bool:
    """Whether a launch makes one tensor, of a convolution that nothing pools."""
    from archdsl.passes._kernel import CONVOLUTIONS, POINTWISE

    kernel = launch.kernel
    last = next((stage.kind for stage in reversed(kernel.trunk) if stage.kind not in POINTWISE), "")
    return kernel.simple and last in CONVOLUTIONS - {"fc"} and launch.outputs[0].channels <= WIDEST


def _begins_with_1x1(launch: Launch) -> bool:
    from archdsl.passes._kernel import is_pixelwise

    first = launch.steps[0]
    op = first.stage.op
    plain = launch.kernel.simple and is_pixelwise(first.stage) and op.stride == (1, 1)  # type: ignore[attr-defined]
    return plain and int(first.output[0]) <= WIDEST  # type: ignore[arg-type]


def planned(network: Network) -> Plan:
    """After all passes."""
    from archdsl.passes import fused
    from archdsl.plan import plan

    return plan(fused(network), DTYPE)


def table(counts: dict[str, Count]) -> str:
    """A row a network."""
    head = f"{'':16}  {'kernels':>7}  {'b2':>4}  {'MB':>9}  {'of b2':>6}    "
    head += f"{'joined':>6}  {'b3':>4}  {'MB':>9}  {'of b3':>6}"
    lines = [f"{BATCH} images, {DTYPE}", "", head]
    for name, found in counts.items():
        (b2, mb2), (b3, mb3) = NETWORKS[name]
        lines.append(
            f"{name:16}  {found.kernels:7}  {b2:4}  {found.megabytes:9,.1f}  {found.megabytes / mb2:6.1%}    "
            f"{found.joined:6}  {b3:4}  {found.joined_megabytes:9,.1f}  {found.joined_megabytes / mb3:6.1%}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    import archdsl

    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts", description=__doc__.split("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=[])
    parser.add_argument("--entries", action="store_true", help="also what stands between b2 and b3")
    args = parser.parse_args(arguments)
    for name in args.networks:
        if name not in NETWORKS:
            parser.error(f"no bar is known for {name!r}; there are {', '.join(NETWORKS)}")
    counts = {name: count(planned(archdsl.load(name))) for name in args.networks or NETWORKS}
    print(table(counts))
    for name, found in counts.items():
        for pattern, times in found.entries.items() if args.entries else ():
            print(f"{name}: {times} x {pattern}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
