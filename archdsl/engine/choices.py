"""What was measured to be the fastest, kept in a file between runs.

The file has a JSON object a line, sorted:

    {"schema": 1, "key": {...}, "choice": "openvino", "ns": 9061000, "error": 1.2e-06, "made": 1767225600}

key: everything that the choice depends on, names to texts, numbers or lists of them. A measurement whose key differs in
anything is another one: a stale choice is simply not found. ns: the chosen candidate's time; error: its distance from
float64; made: seconds since 1970. A line that can't be read is passed over, and said.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.source import open_file

SCHEMA = 1
MOST = 4096
"""Lines that a file keeps; the oldest go first."""
LARGEST = 2**24
"""Bytes of a file that is read at all."""
NAME = "choices.jsonl"

Key = Mapping[str, str | int | list[int] | list[str] | None]


class Choice(NamedTuple):
    """choice: the candidate's name; ns: its time; error: its distance from float64; made: when, seconds since 1970."""

    choice: str
    ns: int
    error: float
    made: int = 0


def at() -> Path | None:
    """The file: in $ARCHDSL_CACHE, or in `archdsl` in the user's folder for caches. None where ARCHDSL_CACHE is `off`, or
    there is no such folder: then nothing is kept or looked up."""
    stated = os.environ.get("ARCHDSL_CACHE", "")
    if stated == "off":
        return None
    if stated:
        return Path(stated) / NAME
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # as the standard has it, others do not count
        return Path(base) / "archdsl" / NAME
    try:
        return Path.home() / ".cache" / "archdsl" / NAME
    except RuntimeError:  # nobody's
        return None


def find(key: Key) -> Choice | None:
    """What is kept for a key. Warns of lines that can't be read; a file that can't be is as none."""
    path = at()
    if path is None:
        return None
    entries, broken = _read(path)
    if broken:
        warnings.warn(f"{path}: {broken}, passed over", stacklevel=2)
    return entries.get(_text(key))


def keep(key: Key, choice: Choice) -> Path | None:
    """Write a choice, in place of what was kept for its key, and give the file's path. The file is replaced as a
    whole; what another process writes meanwhile is kept too. Raises OSError where it can't be written."""
    path = at()
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        entries, _ = _read(path)
        entries[_text(key)] = choice._replace(made=choice.made or int(time.time()))
        newest = sorted(entries.items(), key=lambda item: item[1].made)[-MOST:]
        lines = sorted(_line(*item) for item in newest)
        _replace(path, "".join(f"{line}\n" for line in lines))
    return path


def _text(key: Key) -> str:
    return json.dumps(dict(key), sort_keys=True)


def _line(key: str, choice: Choice) -> str:
    head = json.dumps({"schema": SCHEMA})[:-1]
    rest = {**choice._asdict(), "error": float(f"{choice.error:.3e}")}
    return f'{head}, "key": {key}, {json.dumps(rest)[1:]}'


def _read(path: Path) -> tuple[dict[str, Choice], str]:
    """(choices by the text of their key, what is wrong with the file or "")."""
    try:
        with open_file(path) as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, error.strerror or "can't be read"
    if len(data) > LARGEST:
        return {}, f"larger than {LARGEST >> 20} MiB"
    lines = data.decode("utf-8", "replace").splitlines()
    entries: dict[str, Choice] = {}
    broken = 0
    for line in lines:
        try:
            value = json.loads(line)
            if value["schema"] != SCHEMA:
                continue  # of another version of archdsl; it is measured again
            entries[_text(value["key"])] = _checked(value)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            broken += 1
    return entries, f"{broken} of {len(lines)} lines can't be read" if broken else ""


def _checked(value: dict[str, Any]) -> Choice:
    found = Choice(value["choice"], value["ns"], value["error"], value["made"])
    numbers = all(type(number) in (int, float) and math.isfinite(number) for number in found[1:])
    if not (isinstance(found.choice, str) and numbers and found.ns > 0):
        raise ValueError(value)
    return found


def _replace(path: Path, text: str) -> None:
    handle, new = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While no other process writes the file. Where there are no such locks, the last one that writes wins."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
