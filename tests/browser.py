"""A browser for pages: the machine's own Chromium, without network."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def browser() -> Iterator[Any]:
    """A running browser; skips the test where there is none."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("No Chromium on this machine (looked for $CHROMIUM, chromium, google-chrome).")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(running: Any, url: str, width: int = 1366, **options: Any) -> Iterator[Any]:
    """A page once all of it is drawn, whose `said` are errors, and `asked` what it requested besides itself."""
    context = running.new_context(viewport={"width": width, "height": 900}, **options)
    try:
        page = context.new_page()
        page.said, page.asked = [], []
        page.on(
            "console", lambda one: page.said.append(one.text) if one.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.route(
            lambda asked: not asked.startswith("file:"),
            lambda route: (page.asked.append(route.request.url), route.abort()),
        )
        page.goto(url)
        page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=30_000)
        yield page
    finally:
        context.close()
