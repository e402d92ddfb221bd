"""How long reading, checking and printing a spec takes.

    python -m benchmarks.frontend

Prints medians of whole processes (`archdsl check`, cold), of each stage within one process, and how the time grows
from 10,000 to 100,000 layers. Nothing here is a test; the bars it prints are goals on two idle cores.
"""

from __future__ import annotations

import gc
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SPEC = ROOT / "specs" / "resnet152.arch"


def median_ms(run: Callable[[], object], repeats: int) -> float:
    """Median milliseconds of a call, after one that warms caches."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def show(what: str, value: str, bar: str = "") -> None:
    print(f"{what:<44} {value:>12}   {bar}")


def cold() -> None:
    """Whole processes: interpreter, imports, grammar, check."""

    def process(*arguments: str) -> Callable[[], object]:
        command = [sys.executable, *arguments]
        return lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    show("python -c pass", f"{median_ms(process('-c', 'pass'), 9):.0f} ms")
    check = median_ms(process("-m", "archdsl", "check", str(SPEC)), 9)
    show("archdsl check specs/resnet152.arch", f"{check:.0f} ms", "goal: under 350 ms")


def stages() -> None:
    """Each stage within one process."""
    from archdsl import api, printer
    from archdsl.parse import parse

    source, path = api.open_spec(SPEC)
    network = api.check(source, path=path).networks[0]
    show("parse resnet152", f"{median_ms(lambda: parse(source), 15):.1f} ms")
    whole = median_ms(lambda: api.check(source, path=path), 15)
    show("parse to inferred, resnet152", f"{whole:.1f} ms", "goal: under 40 ms")
    show("emit resnet152", f"{median_ms(lambda: printer.emit(network), 9):.1f} ms")


def growth() -> None:
    """Time against the number of layers, written out and repeated."""
    from archdsl import api
    from archdsl.source import Source

    def seconds(text: str) -> float:
        gc.collect()
        start = time.process_time()
        checked = api.check(Source("<text>", text), input=(8, 16, 16))
        if not checked.networks:
            raise SystemExit(f"not accepted: {checked.diagnostics[0].message}")
        return time.process_time() - start

    head = "default conv(norm=bn, act=relu)\n"
    shapes: dict[str, Callable[[int], str]] = {
        "one step repeated": lambda n: f"conv3-8 x{n}",
        "steps written out": lambda n: "conv3-8(act=relu)\n" * (n // 2),
        "residual blocks": lambda n: f"{head}block r(f) {{ residual {{ conv3-f x2 }} }}\nr(8) x{n // 7}",
    }
    for name, text in shapes.items():
        seconds(text(1000))
        small, large = min(seconds(text(10_000)) for _ in range(3)), seconds(text(100_000))
        value = f"{small:.2f} -> {large:.2f} s"
        show(f"10,000 -> 100,000 layers, {name}", value, f"ratio {large / small:.1f}, goal: at most 12")


def main() -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}\n")
    cold()
    stages()
    growth()


if __name__ == "__main__":
    main()
