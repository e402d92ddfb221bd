"""How fast the language server is, seen from the editor's end of the pipe.

    python -m benchmarks.lsp [EDITS]

Starts `archdsl lsp`, opens specs/inception_resnet_v2.arch and types into it: widths change, a word is misspelt and
mended, a bracket is opened and closed, a comment grows. After each edit it waits for the findings and the hints of that
version. Prints the time from start to first findings, from edit to findings and hints (5,000 edits unless told), and
the server's memory along the way. Nothing here is a test; the bars it prints are goals on one idle core.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "specs" / "inception_resnet_v2.arch"
STARTS = 9

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


def show(what: str, value: str, bar: str = "") -> None:
    print(f"{what:<52} {value:>10}   {bar}")


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    starts = []
    for _ in range(STARTS):
        server = Server()
        opened(server)
        starts.append((time.perf_counter() - server.start) * 1e3)
        server.stop()
    show(
        "process start to first findings, median", f"{statistics.median(starts):.0f} ms", "goal: under 700 ms"
    )

    server = Server()
    text = opened(server)
    times: list[float] = []
    memory: dict[int, float] = {}
    for index in range(number):
        text, took = edit(server, text, *EDITS[index % len(EDITS)], index + 2)
        times.append(took)
        time.sleep(took / 1e3)  # a hand needs longer; without a pause the server's own would be measured
        if index + 1 in (number // 10, number // 2, number):
            memory[index + 1] = server.memory()
    server.stop()
    times.sort()
    show("edit to findings and hints, median", f"{statistics.median(times):.1f} ms", "goal: under 30 ms")
    show("edit to findings and hints, 99 of 100", f"{times[int(0.99 * number)]:.1f} ms", "goal: under 100 ms")
    show("edit to findings and hints, slowest", f"{times[-1]:.1f} ms")
    for index, size in memory.items():
        show(f"memory after {index:,} edits", f"{size:.1f} MiB", "goal: no growth" if index == number else "")


if __name__ == "__main__":
    main()
