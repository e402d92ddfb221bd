"""The local server of `archdsl view`: this machine only, one page, one question.

A page of another site, open in the same browser, can send requests here; so the address has a secret in it, Host and Origin
must be this server's own, and what is sent must be JSON of a bounded length. No file is written.
"""

from __future__ import annotations

import json
import secrets
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from typing import Any

from archdsl.modules import MOST_BYTES
from archdsl.render import printable
from archdsl.view.answer import Spec, answer

HOST = "127.0.0.1"
MOST_BODY = 6 * MOST_BYTES + 1000
"""Bytes of a request: every character of the longest spec may be escaped in JSON."""
SECONDS = 10
"""In which a request has to arrive."""


class ViewServer(HTTPServer):
    """Answers one request after another: checking raises limits of the whole process while it runs.

    spec: what is edited. port: 0 takes any that is free. Raises OSError where the port is taken.
    """

    allow_reuse_address = False

    def __init__(self, spec: Spec, port: int = 0) -> None:
        self.spec = spec
        self.secret = secrets.token_urlsafe(16)
        super().__init__((HOST, port), _Handler)

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.server_port}"

    @property
    def url(self) -> str:
        """The page's address, which is not to be guessed."""
        return f"{self.origin}/{self.secret}/"


class _Handler(BaseHTTPRequestHandler):
    server: ViewServer
    timeout = SECONDS
    server_version = "archdsl"
    sys_version = ""

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":  # which browsers ask for by themselves
            return self._send(204, "image/x-icon", "")
        if self._is_ours("/"):
            nonce = secrets.token_urlsafe(16)
            policy = f"default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; "
            policy += "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            page = _page(self.server.spec, nonce)
            self._send(200, "text/html; charset=utf-8", page, {"Content-Security-Policy": policy})

    def do_POST(self) -> None:
        if not self._is_ours("/check"):
            return
        if self.headers.get("Origin") != self.server.origin:
            return self._refuse(403, "not from this page")
        if self.headers.get_content_type() != "application/json" or "Transfer-Encoding" in self.headers:
            return self._refuse(415, "JSON is expected")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return self._refuse(411, "a length is expected")
        if len(length) > 9 or int(length) > MOST_BODY:
            return self._refuse(413, "too long")
        try:
            asked = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            return self._refuse(400, "not JSON")
        if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
            return self._refuse(400, "no text")
        told = answer(self.server.spec, asked["text"].encode(errors="replace").decode())
        self._send(200, "application/json", json.dumps(told))

    def _is_ours(self, rest: str) -> bool:
        """Whether the request is meant for this server and this page. Refuses it where it is not."""
        if self.headers.get("Host") != f"{HOST}:{self.server.server_port}":
            self._refuse(403, "not this host")
            return False
        if not secrets.compare_digest(self.path.encode(), f"/{self.server.secret}{rest}".encode()):
            self._refuse(404, "nothing here")
            return False
        return True

    def _refuse(self, status: int, why: str) -> None:
        self.close_connection = True
        self._send(status, "text/plain; charset=utf-8", f"{why}\n")

    def _send(self, status: int, kind: str, text: str, more: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            **(more or {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line a keystroke would hide what matters."""


def _page(spec: Spec, nonce: str) -> str:
    draw, here = files("archdsl.draw"), files("archdsl.view")
    style = (draw / "page.css").read_text(encoding="utf-8") + (here / "view.css").read_text(encoding="utf-8")
    scripts = [
        (folder / name).read_text(encoding="utf-8") for folder, name in ((draw, "page.js"), (here, "view.js"))
    ]
    title = escape(printable(spec.source.name))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n<style>\n{style}</style>\n'
        f'<body>\n<header><h1>{title}</h1><span id="depths"></span><span><button id="smaller" title="smaller">−</button> '
        '<button id="larger" title="larger">+</button> <button id="fit">fit</button></span><span id="state"></span></header>\n'
        '<main><div id="left"><div id="editor"><pre id="marks" aria-hidden="true"></pre><textarea id="text" wrap="off" '
        f'spellcheck="false" autocomplete="off" aria-label="spec">\n{escape(spec.source.text)}</textarea></div>\n'
        '<ol id="findings"></ol></div>\n<div id="right"><div id="drawing"></div><div id="table"></div></div></main>\n'
        + "".join(f'<script nonce="{nonce}">\n{script}</script>\n' for script in scripts)
        + "</body>\n</html>\n"
    )
