"""`archdsl lsp`"""

from __future__ import annotations

import gc
import os
import sys
from argparse import ArgumentParser, Namespace
from contextlib import redirect_stdout

from archdsl.commands import CLEAN, Unusable


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--stdio", action="store_true", help="speak over standard input and output, as always"
    )


def run(args: Namespace) -> int:
    from archdsl.headroom import collector_paused

    try:
        import pygls  # noqa: F401
    except ImportError:
        raise Unusable('the language server needs pygls: pip install "archdsl[lsp]"') from None
    if sys.stdin.isatty():
        raise Unusable("a language server speaks with an editor: docs/editors.md shows how one starts it")
    with collector_paused():  # a tenth of the time to the first findings
        from archdsl.lsp.server import make_server

        server = make_server(sys.modules["archdsl"].__version__)
    gc.freeze()  # what was imported is never garbage
    # The connection is the server's alone: it closes it at the end, and what else is printed goes elsewhere.
    connection = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    with redirect_stdout(sys.stderr):
        server.start_io(sys.stdin.buffer, connection)
    return CLEAN
