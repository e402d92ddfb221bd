"""`archdsl view SPEC`"""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from archdsl.commands import CLEAN, Unusable
from archdsl.commands._options import of_network
from archdsl.commands._output import printable, why
from archdsl.commands._specs import params, read, root


def arguments(parser: ArgumentParser) -> None:
    of_network(parser)
    parser.add_argument("spec", metavar="SPEC")
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="the port to listen on (default: any)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def run(args: Namespace) -> int:
    from archdsl.view.answer import Spec
    from archdsl.view.server import ViewServer

    chosen, folder = params(args), root(args)
    source, path = read(args.spec)
    spec = Spec(source, path, folder, args.arch, args.input, chosen)
    try:
        server = ViewServer(spec, args.port)
    except OSError as error:
        raise Unusable(f"can't listen on port {args.port}: {why(error)}") from None
    print(printable(f"{source.name} is shown at {server.url}"), flush=True)
    print("changes are not written to the file; stop with Ctrl-C", flush=True)
    if args.open:
        import webbrowser

        webbrowser.open(server.url)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return CLEAN


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise ArgumentTypeError(f"{text!r} is not a port; write a number up to 65535")
    return int(text)
