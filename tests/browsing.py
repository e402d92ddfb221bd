"""A real browser for the pages that archdsl writes and serves: Chromium, driven by playwright.

Needed are `pip install -c constraints.txt -e ".[browser]"`, and a Chromium on the PATH or in CHROMIUM; without them these
tests are skipped, and the end of the run says so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from missing import NO_BROWSER


def chromium() -> str | None:
    """The browser's path, if there is one."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window."""
    path = chromium()
    if path is None:
        pytest.skip(f"{NO_BROWSER}: there is no Chromium on the PATH, and CHROMIUM names none")
    api = pytest.importorskip(
        "playwright.sync_api",
        reason=f"{NO_BROWSER}: pip install -c constraints.txt -e '.[browser]' (playwright) drives {path}",
    )
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty page, which must run without an error and ask for nothing from elsewhere."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    opened = context.new_page()
    opened.set_default_timeout(10_000)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    opened.on(
        "request",
        lambda r: wrong.append(r.url) if not r.url.startswith(("file:", "http://127.0.0.1:")) else None,
    )
    yield opened
    context.close()
    assert not wrong, wrong
