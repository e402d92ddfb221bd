"""`archdsl view`: who is answered, what with, and the page itself in a real browser."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import browser, page

from archdsl.cli import main
from archdsl.source import Source
from archdsl.view.answer import Spec, answer
from archdsl.view.server import HOST, MOST_BODY, ViewServer

__all__ = ["browser", "page"]
ROOT = Path(__file__).resolve().parent.parent

TEXT = """arch tiny(classes=10) {
  default conv(norm=bn, act=relu)
  input 3x32x32
  conv3-32 x2; maxpool
  residual { conv3-64/2; conv3-64 } as body
  gap; fc-classes
}
"""


@pytest.fixture
def server() -> Iterator[ViewServer]:
    with ViewServer(Spec(Source("tiny.arch", TEXT))) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def asked(
    server: ViewServer, method: str, path: str, body: bytes | None = None, **headers: str | None
) -> tuple[int, str]:
    """Status and body. headers: those of the page itself unless given; None leaves one out."""
    ours: dict[str, str | None] = {"Host": f"{HOST}:{server.server_port}"}
    if method == "POST":
        ours |= {
            "Origin": server.origin,
            "Content-Type": "application/json",
            "Content-Length": str(len(body or b"")),
        }
    ours |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in ours.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    reply = connection.getresponse()
    return reply.status, reply.read().decode()


def check(server: ViewServer, text: str, **headers: str | None) -> tuple[int, str]:
    return asked(server, "POST", f"/{server.secret}/check", json.dumps({"text": text}).encode(), **headers)


# ---- who is answered ----


def test_the_page_itself_is_answered(server: ViewServer) -> None:
    status, text = asked(server, "GET", f"/{server.secret}/")
    assert status == 200 and "conv3-32 x2; maxpool" in text
    assert not re.search(r"https?://(?!www\.w3\.org)|(src|href)=", text)
    status, text = check(server, TEXT)
    assert status == 200 and "conv3-32" in json.loads(text)["table"]


def test_only_this_machine_is_listened_to(server: ViewServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    names = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in names - {"127.0.0.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, server.server_port), timeout=1).close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:{port}"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": None}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": None}, 415),
        ({"Transfer-Encoding": "chunked"}, 415),
        ({"Content-Length": None}, 411),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "1e3"}, 411),
        ({"Content-Length": "²"}, 411),
        ({"Content-Length": str(MOST_BODY + 1)}, 413),
        ({"Content-Length": "9" * 30}, 413),
    ],
)
def test_others_are_refused(server: ViewServer, headers: dict[str, str | None], status: int) -> None:
    port = str(server.server_port)
    given = {k: v and v.replace("{port}", port).encode().decode("latin-1") for k, v in headers.items()}
    found, _ = check(server, TEXT, **given)
    assert found == status
    assert check(server, TEXT)[0] == 200  # and the next one is served


def test_the_address_has_a_secret(server: ViewServer) -> None:
    other = "A" * len(server.secret)
    for path in (
        "/",
        "/check",
        f"/{other}/",
        f"/{server.secret}",
        f"/{server.secret}/../",
        "/%2e%2e/etc/passwd",
        "/%C3%A9",
    ):
        assert asked(server, "GET", path)[0] == 404
    assert asked(server, "POST", f"/{other}/check", b"{}")[0] == 404
    with ViewServer(server.spec) as second:
        assert second.secret != server.secret and len(server.secret) > 20


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"text": 3}', b"{}", b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_question_is_refused(server: ViewServer, body: bytes) -> None:
    assert asked(server, "POST", f"/{server.secret}/check", body)[0] == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD"])
def test_nothing_else_can_be_done(server: ViewServer, method: str) -> None:
    assert asked(server, method, f"/{server.secret}/check")[0] == 501


def test_scripts_of_others_do_not_run(server: ViewServer) -> None:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    connection.request("GET", f"/{server.secret}/")
    reply = connection.getresponse()
    policy, text = reply.headers["Content-Security-Policy"], reply.read().decode()
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
    assert nonce and text.count(f'<script nonce="{nonce[1]}">') == text.count("<script") == 2
    assert "default-src 'none'" in policy and reply.headers["X-Content-Type-Options"] == "nosniff"


# ---- what is answered ----


def told(text: str, **options: Any) -> dict[str, Any]:
    return answer(Spec(Source("tiny.arch", TEXT), **options), text)


def test_a_text_that_checks_has_a_table_and_drawings() -> None:
    found = told(TEXT)
    assert found["title"] == "tiny" and found["depths"] == [1] and found["findings"] == []
    assert "<svg " in found["drawings"] and "fc-10" in found["table"]


def test_a_text_with_errors_has_findings_alone() -> None:
    found = told(TEXT.replace("maxpool", "maxpol"))
    assert "drawings" not in found
    [finding] = found["findings"]
    assert (finding["code"], finding["line"], finding["here"]) == ("A101", 4, True)
    assert finding["fix"]["text"] == "maxpool"


@pytest.mark.parametrize(
    "text", ["", "\x00", "\ud800", "# nothing", "arch", 'use "../../etc/passwd"', "a" * (2**20 + 1)]
)
def test_any_text_is_answered(text: str) -> None:
    json.dumps(told(text.encode(errors="replace").decode()))


def test_files_beside_the_spec_can_be_used_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "secret.arch").write_text("block hidden() { relu }")
    (tmp_path / "nets/part.arch").write_text("block part() { relu }")
    path = tmp_path / "nets/tiny.arch"
    body = "arch tiny {{ input 3x8x8; {} }}"
    assert told('use "part.arch"\n' + body.format("part"), path=path)["findings"] == []
    assert told('use "../secret.arch"\n' + body.format("hidden"), path=path)["findings"] != []


def test_too_large_a_picture_is_a_finding() -> None:
    found = told("input 3x8x8\n" + "relu; tanh\n" * 2001)
    assert [f["code"] for f in found["findings"]][-1] == "A308" and "drawings" not in found


def test_of_several_archs_the_one_called_as_the_file() -> None:
    assert told("arch other { input 3x8x8; relu }\narch tiny { input 3x8x8; tanh }")["title"] == "tiny"
    assert (
        told("arch one { input 3x8x8; relu }\narch two { input 3x8x8; tanh }", arch="two")["title"] == "two"
    )
    assert told("conv3-8", input=(3, 8, 8))["title"] == "tiny"


# ---- the page ----


@pytest.fixture
def opened(page: Any, server: ViewServer) -> Any:
    page.goto(server.url)
    page.wait_for_selector("#drawing svg")
    return page


def typed(page: Any, text: str) -> None:
    """Put a text in the editor's place, as typing does."""
    page.fill("#text", text)


def test_the_picture_follows_what_is_typed(opened: Any) -> None:
    assert opened.locator("#table tr", has_text="conv3-32 x2").is_visible()
    opened.focus("#text")
    opened.evaluate(
        "editor.setSelectionRange(editor.value.indexOf('-32 x2') + 3, editor.value.indexOf('-32 x2') + 3)"
    )
    opened.keyboard.type("0")
    opened.wait_for_selector("#drawing .item:has-text('conv3-320 ×2')", state="attached")
    assert opened.locator("#table tr", has_text="conv3-320 x2").is_visible()
    opened.keyboard.press("Backspace")
    opened.wait_for_selector("#drawing .item:has-text('conv3-32 ×2')", state="attached")


def test_an_error_is_marked_told_and_mended(opened: Any) -> None:
    typed(opened, TEXT.replace("maxpool", "maxpol").replace("# ", "# 😀"))
    finding = opened.locator("#findings li")
    finding.wait_for()
    assert "A101" in finding.inner_text() and "line 4" in finding.inner_text()
    assert opened.locator("#marks mark").text_content() == "maxpol"
    assert "stale" in opened.locator("#drawing").get_attribute("class")
    finding.click()
    assert opened.evaluate("editor.value.slice(editor.selectionStart, editor.selectionEnd)") == "maxpol"
    finding.locator("button").click()
    opened.wait_for_selector("#findings li", state="detached")
    assert opened.input_value("#text") == TEXT
    assert "stale" not in (opened.locator("#drawing").get_attribute("class") or "")


def test_before_the_first_picture_the_page_says_what_it_waits_for(page: Any) -> None:
    with ViewServer(Spec(Source("tiny.arch", TEXT.replace("maxpool", "maxpol")))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            page.goto(server.url)
            page.locator("#findings li").wait_for()
            said = "getComputedStyle(drawing, '::before').content"
            assert "first text that has no error" in page.evaluate(said)
            page.locator("#findings button").click()
            page.wait_for_selector("#drawing svg")
            assert page.evaluate(said) == "none"
        finally:
            server.shutdown()
            thread.join()


def test_places_hold_behind_an_emoji(opened: Any) -> None:
    typed(opened, "# 😀😀\n" + TEXT.replace("maxpool", "maxpol"))
    opened.locator("#findings li").wait_for()
    assert opened.locator("#marks mark").text_content() == "maxpol"


def test_the_zoom_stays_while_typing(opened: Any) -> None:
    opened.click("#larger")
    width = "document.querySelector('.level:not([hidden]) svg').getBoundingClientRect().width"
    before = opened.evaluate(width)
    typed(opened, TEXT.replace("gap;", "relu; gap;"))
    opened.wait_for_selector("#drawing .item:has-text('relu')", state="attached")
    assert opened.evaluate(width) == pytest.approx(before, rel=0.01)


def test_a_hostile_text_stays_text(opened: Any) -> None:
    typed(opened, TEXT.replace("as body", "as body # <img src=x onerror=alert(1)>").replace("relu)", "<b>)"))
    opened.locator("#findings li").first.wait_for()
    assert opened.locator("img").count() == 0 and opened.locator("#findings li b b").count() == 0


# ---- the command ----


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Also where whoever runs the tests ignores SIGINT, as a shell does for what it starts with `&`: a child inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_the_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "tiny.arch").write_text(TEXT)
    command = [sys.executable, "-m", "archdsl", "view", "tiny.arch"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"tiny\.arch is shown at http://127\.0\.0\.1:(\d+)(/[\w-]+/)\n", line)
            assert found, line
            connection = http.client.HTTPConnection(HOST, int(found[1]), timeout=10)
            connection.request("GET", found[2])
            assert "conv3-32 x2" in connection.getresponse().read().decode()
            loaded = Path(f"/proc/{process.pid}/maps")
            assert not loaded.exists() or "libtorch" not in loaded.read_text()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()
    assert (tmp_path / "tiny.arch").read_text() == TEXT


def test_a_port_that_is_taken_is_told(server: ViewServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", "vgg16", "--port", str(server.server_port)]) == 2
    assert f"can't listen on port {server.server_port}" in capsys.readouterr().err
    assert main(["view", "vgg16", "--port", "70000"]) == 2
    assert main(["view", "nothing"]) == 2
