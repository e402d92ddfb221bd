"""A subject's process, seen from outside: it runs only while it is asked something."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STOP = getattr(signal, "SIGSTOP", None)
GO_ON = getattr(signal, "SIGCONT", None)


class Failed(Exception):
    """A subject's process said no, ended, or took too long."""


class Process:
    """`archdsl.bench.worker` with these arguments. A context manager: the process ends with it."""

    def __init__(self, folder: Path, subject: str, dtype: str, threads: int, device: str = "cpu") -> None:
        self.subject = subject
        self._log = (folder / f"{subject}.log").open("w+b")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(_import_path()),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            # What an earlier run compiled is not there, so that the time to prepare is the whole one.
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        }
        # -P: the folder that one happens to be in is not searched.
        about = [str(folder), subject, dtype, str(threads), device]
        command = [sys.executable, "-P", "-m", "archdsl.bench.worker", *about]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environment, text=True
        )
        self._replies: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put("")

    def ask(self, do: str, limit: float, **more: object) -> dict[str, Any]:
        """Let the process run until it has done something. Raises Failed."""
        assert self._process.stdin is not None
        if GO_ON is not None and self._process.poll() is None:
            self._process.send_signal(GO_ON)
        try:
            self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self._process.stdin.flush()
            line = self._replies.get(timeout=limit)
        except queue.Empty:
            self.end()
            raise Failed(f"took more than {limit:.0f} s to {do}") from None
        except OSError:
            line = ""
        if not line:
            raise Failed(self._ended())
        if STOP is not None:
            self._process.send_signal(STOP)
        reply: dict[str, Any] = json.loads(line)
        if not reply.pop("ok"):
            raise Failed(reply["error"])
        return reply

    def _ended(self) -> str:
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return f"its process was ended by {name}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"its process ended with code {code}{': ' if last else ''}{last[:200]}"

    def end(self) -> None:
        """No orders any more, and no wait for the last one."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._log):
            try:
                if stream is not None:
                    stream.close()
            except OSError:
                pass

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


@contextmanager
def ending(processes: Sequence[Process] | dict[str, Process]) -> Iterator[None]:
    """End them all, whatever happens. The collection may still grow."""
    try:
        yield
    finally:
        for process in list(processes.values() if isinstance(processes, dict) else processes):
            process.end()


def _import_path() -> list[str]:
    """Where this archdsl is, whatever folder the process starts in."""
    here = str(Path(__file__).resolve().parent.parent.parent)
    return [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
