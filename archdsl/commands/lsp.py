"""`archdsl lsp`"""

from __future__ import annotations

import gc
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial

from archdsl.commands import CLEAN, Unusable


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--stdio", action="store_true", help="speak over standard input and output, as always"
    )


@contextmanager
def _unprinted() -> Iterator[None]:
    """Classes that attrs defines meanwhile get no `__repr__`: to write and compile it is half of what the 700 classes of
    the protocol's messages cost to import, and nothing prints them."""
    import attrs

    define = attrs.define
    setattr(attrs, "define", partial(define, repr=False))  # noqa: B010
    try:
        yield
    finally:
        setattr(attrs, "define", define)  # noqa: B010


def run(args: Namespace) -> int:
    from archdsl.headroom import collector_paused

    try:
        import pygls  # noqa: F401
    except ImportError:
        raise Unusable('the language server needs pygls: pip install "archdsl[lsp]"') from None
    if sys.stdin is None or sys.stdin.isatty():
        raise Unusable("a language server speaks with an editor: docs/editors.md shows how one starts it")
    with collector_paused():  # a tenth of the time to the first findings
        with _unprinted():
            import lsprotocol.types  # noqa: F401
        from archdsl.lsp.server import make_server

        server = make_server(sys.modules["archdsl"].__version__)
    gc.freeze()  # what was imported is never garbage
    # The connection is the server's alone: it closes it at the end, and what else is printed goes elsewhere.
    connection = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    with redirect_stdout(sys.stderr):
        server.start_io(sys.stdin.buffer, connection)
    return CLEAN
