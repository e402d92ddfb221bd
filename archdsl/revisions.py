"""Specs of other revisions, from git: what `REV:path` names, and the files that it uses.

git runs without a shell and is asked on its standard input, so that no revision can be an option. Nothing is fetched.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import IO

from archdsl.modules import MOST_BYTES

SECONDS = 20
"""In which git has to answer."""
MOST_FILES = 256
"""That a spec of another revision may use."""

_USE = re.compile(r'\buse\s+"([^"\n]+)"')


class NoRevision(Exception):
    """What `REV:path` names can't be read; says why, in a sentence."""


@contextmanager
def checked_out(revision: str, path: str) -> Iterator[Path]:
    """A spec of a revision with all that it uses, below a folder that is gone afterwards.

    path: from the top of the repository, as git has it; `./net.arch` is from here. Raises NoRevision.
    """
    if any(character in revision + path for character in "\0\n\r") or not revision or not path:
        raise NoRevision(f"{revision}:{path} names no file of a revision")
    with TemporaryDirectory(prefix="archdsl-") as folder:
        with _git() as ask:
            text = ask(f"{revision}:{path}")
            if text is None:
                raise NoRevision(f"git knows no file {path} in {revision}")
            here, name = posixpath.split(path)
            target = Path(folder) / (name if name.endswith(".arch") else f"{name}.arch")
            target.write_bytes(text)
            wanted, seen = [(text, "")], {name}
            while wanted:
                text, inside = wanted.pop()
                for used in _USE.findall(text.decode(errors="replace")):
                    file = posixpath.normpath(posixpath.join(inside, used))
                    # What lies outside of the spec's folder can't be used, and the checker says so.
                    if file in seen or file.startswith(("../", "/")) or "\\" in file:
                        continue
                    seen.add(file)
                    if len(seen) > MOST_FILES:
                        raise NoRevision(f"{path} uses more than {MOST_FILES} files")
                    found = ask(f"{revision}:{posixpath.join(here, file)}")
                    if found is not None:
                        place = Path(folder) / file
                        place.parent.mkdir(parents=True, exist_ok=True)
                        place.write_bytes(found)
                        wanted.append((found, posixpath.dirname(file)))
        yield target


class _Asking:
    """One `git cat-file --batch`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def __call__(self, name: str) -> bytes | None:
        """The file of a name, or None where git has none."""
        to, answers = self.process.stdin, self.process.stdout
        assert to is not None and answers is not None
        try:
            to.write(name.encode(errors="surrogateescape") + b"\n")
            to.flush()
        except OSError:
            raise NoRevision(self.why()) from None
        head = answers.readline(10_000)
        found = re.fullmatch(rb"[0-9a-f]+ (\w+) (\d+)\n", head)
        if found is None:
            if not head.endswith((b" missing\n", b" ambiguous\n")):
                raise NoRevision(self.why())
            return None
        size = int(found[2])
        if found[1] != b"blob":
            raise NoRevision(f"{name} is no file")
        if size > MOST_BYTES:
            raise NoRevision(f"{name} has {size:,} bytes; a spec has at most {MOST_BYTES:,}")
        return _exactly(answers, size + 1)[:-1]

    def why(self) -> str:
        """What git has to say."""
        self.process.kill()
        errors = self.process.stderr
        said = errors.read(2000).decode(errors="replace").strip() if errors is not None else ""
        return f"git: {said.splitlines()[0].removeprefix('fatal: ')}" if said else "git gave no answer"


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise NoRevision("git gave no answer")
    return data


@contextmanager
def _git() -> Iterator[_Asking]:
    # Nothing is asked of a person, locked, or fetched for a clone that is not whole.
    quiet = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        process = subprocess.Popen(["git", "cat-file", "--batch"], env=os.environ | quiet, **pipes)  # type: ignore[call-overload]
    except FileNotFoundError:
        raise NoRevision("git is not installed") from None
    timer = Timer(SECONDS, process.kill)
    timer.start()
    try:
        yield _Asking(process)
    finally:
        timer.cancel()
        process.kill()
        process.communicate()
