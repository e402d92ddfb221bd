"""How fast the language server is, seen from the editor's end of the pipe.

    python -m benchmarks.lsp [speed] [memory]

Starts `archdsl lsp`, opens specs/inception_resnet_v2.arch and types into it: widths change, a word is misspelt and
mended, a bracket is opened and closed, a comment grows. After each edit it waits for the findings and the hints of that
version. `speed` (two and a half minutes, wants a machine of its own) takes the time from start to first findings and from
edit to findings and hints; `memory` (five minutes, on any machine) what the server holds along 5,000 edits. Each keeps its
part in benchmarks/results/lsp.json and prints the table. Nothing here is a test.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from archdsl.bench.machine import Clock, machine

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "specs" / "inception_resnet_v2.arch"
KEPT = Path(__file__).resolve().parent / "results" / "lsp.json"
PACKAGES = ("pygls", "lsprotocol", "attrs", "lark", "pydantic")
STARTS = 9
TIMED, WEIGHED = 2_500, 5_000

# What is typed in turn: where a word stands, and what replaces it.
EDITS = (
    ("conv3-32/2", "conv3-48/2"),
    ("conv3-48/2", "conv3-32/2"),
    ("inception_resnet_b };", "inception_resnet_q };"),
    ("inception_resnet_q };", "inception_resnet_b };"),
    ("# Inception", "# An Inception"),
    ("# An Inception", "# Inception"),
    ("gap; dropout", "gap(; dropout"),
    ("gap(; dropout", "gap; dropout"),
    ("x20  as c4", "x21  as c4"),
    ("x21  as c4", "x20  as c4"),
)


class Server:
    """The server's process, and the messages to and from it."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "archdsl", "lsp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.ids = count(1)
        document = {"inlayHint": {}, "publishDiagnostics": {"versionSupport": True}}
        parameters = {"processId": None, "rootUri": None, "capabilities": {"textDocument": document}}
        self.answer(self.request("initialize", parameters))
        self.notify("initialized", {})

    def notify(self, method: str, params: Any) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method: str, params: Any) -> int:
        number = next(self.ids)
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def _send(self, message: Any) -> None:
        body = json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def receive(self) -> Any:
        stream = self.process.stdout
        assert stream is not None
        length = 0
        while (line := stream.readline()).strip() or not length:
            if not line:
                raise EOFError("the server has ended")
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(stream.read(length))

    def answer(self, number: int) -> Any:
        while True:
            message = self.receive()
            if message.get("id") == number and "method" not in message:
                return message["result"]

    def memory(self) -> float:
        """MiB that the server has resident (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> None:
        self.answer(self.request("shutdown", None))
        self.notify("exit", None)
        self.process.wait(10)


def opened(server: Server) -> str:
    """Open the spec and wait for its findings."""
    text = SPEC.read_text(encoding="utf-8")
    document = {"uri": SPEC.as_uri(), "languageId": "archdsl", "version": 1, "text": text}
    server.notify("textDocument/didOpen", {"textDocument": document})
    while server.receive().get("method") != "textDocument/publishDiagnostics":
        pass
    return text


def edit(server: Server, text: str, old: str, new: str, version: int) -> tuple[str, float]:
    """Type one edit; the text after it, and the milliseconds until its findings and hints were there."""
    line = text.count("\n", 0, text.index(old))
    column = text.index(old) - (text.rfind("\n", 0, text.index(old)) + 1)
    place = {
        "start": {"line": line, "character": column},
        "end": {"line": line, "character": column + len(old)},
    }
    start = time.perf_counter()
    document = {"uri": SPEC.as_uri(), "version": version}
    server.notify(
        "textDocument/didChange",
        {"textDocument": document, "contentChanges": [{"range": place, "text": new}]},
    )
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 999, "character": 0}}
    asked = server.request(
        "textDocument/inlayHint", {"textDocument": {"uri": SPEC.as_uri()}, "range": everything}
    )
    told = hints = False
    while not (told and hints):
        message = server.receive()
        told |= message.get("params", {}).get("version") == version
        hints |= message.get("id") == asked
    return text.replace(old, new, 1), (time.perf_counter() - start) * 1e3


def typed(number: int) -> tuple[list[float], dict[int, float], float | None]:
    """Milliseconds of each edit, in order of size; MiB after so many; the share of the machine that others took."""
    server = Server()
    clock = Clock([server.process.pid])
    text = opened(server)
    times: list[float] = []
    memory: dict[int, float] = {}
    for index in range(number):
        text, took = edit(server, text, *EDITS[index % len(EDITS)], index + 2)
        times.append(took)
        time.sleep(took / 1e3)  # a hand needs longer; without a pause the server's own would be measured
        if index + 1 in (number // 10, number // 2, number):
            memory[index + 1] = round(server.memory(), 1)
    others = clock.others()
    server.stop()
    return sorted(times), memory, others


def speed() -> dict[str, Any]:
    starts = []
    for _ in range(STARTS):
        server = Server()
        opened(server)
        starts.append((time.perf_counter() - server.start) * 1e3)
        server.stop()
    times, _, others = typed(TIMED)
    return {
        "starts": STARTS,
        "start_ms": round(statistics.median(starts), 1),
        "edits": TIMED,
        "median_ms": round(statistics.median(times), 2),
        "99_of_100_ms": round(times[int(0.99 * TIMED)], 2),
        "slowest_ms": round(times[-1], 2),
        "busy_with_others": others,
    }


def memory() -> dict[str, Any]:
    return {"mib_after_edits": typed(WEIGHED)[1]}


def table(found: dict[str, Any]) -> Iterator[str]:
    """The kept figures beside their goals."""
    yield "| | measured | goal |"
    yield "|---|---|---|"
    if "speed" in found:
        one = found["speed"]
        yield f"| process start to first findings, median of {one['starts']} | {one['start_ms']:.0f} ms | 700 ms |"
        yield f"| edit to findings and hints, median of {one['edits']:,} | {one['median_ms']:.1f} ms | 30 ms |"
        yield f"| edit to findings and hints, 99 of 100 | {one['99_of_100_ms']:.1f} ms | 100 ms |"
        yield f"| edit to findings and hints, slowest | {one['slowest_ms']:.1f} ms | |"
    if "memory" in found:
        for edits, size in found["memory"]["mib_after_edits"].items():
            yield f"| memory after {int(edits):,} edits | {size:.1f} MiB | no growth |"


def main() -> None:
    parts = {"speed": speed, "memory": memory}
    found = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    for name in sys.argv[1:] or parts:
        how = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {**machine(), "versions": {package: version(package) for package in PACKAGES}},
            "spec": SPEC.stem,
        }
        found[name] = {**how, **parts[name]()}
    text = json.dumps(found, indent=1) + "\n"
    KEPT.write_text(text, encoding="utf-8")
    print("\n".join(table(json.loads(text))))


if __name__ == "__main__":
    main()
