"""Headless Chromium, which opens pages and reports their faults.

``CHROMIUM`` names the program; otherwise Chromium or Chrome is used. Tests are skipped without a browser or Playwright;
``REQUIRE_EXTRA=browser`` turns these skips into failures.
"""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.needs import absent

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND")  # never looks up the name of a host
EXAMINE = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
PATIENCE = 120_000  # milliseconds; only a busy machine needs them


@dataclass(frozen=True)
class View:
    """The width of a window, and light or dark colours."""

    width: int  # CSS pixels
    scheme: str  # "light", "dark"

    def __str__(self):
        return f"{self.width}-{self.scheme}"


VIEWS = tuple(View(width, scheme) for width in (400, 1400) for scheme in ("light", "dark"))


def program():
    """Return the path of the browser, or ``None``."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """Chromium, with a tab for each view, which records errors while it loads."""

    def __init__(self, chromium):
        self._chromium = chromium
        self._tabs = {}

    def tab(self, view):
        """Return Playwright's page for a view, and the list of its errors."""
        if view not in self._tabs:
            size = {"width": view.width, "height": 900}
            context = self._chromium.new_context(viewport=size, color_scheme=view.scheme)
            tab, complaints = context.new_page(), []
            tab.set_default_timeout(PATIENCE)
            tab.on("console", lambda m: m.type == "error" and complaints.append(f"console: {m.text}"))
            tab.on("pageerror", lambda error: complaints.append(f"script: {error}"))
            tab.on("requestfailed", lambda r: complaints.append(f"not loaded: {r.url}"))
            tab.on("request", lambda r: is_elsewhere(r.url) and complaints.append(f"asked: {r.url}"))
            self._tabs[view] = tab, complaints
        return self._tabs[view]

    def open(self, page, view):
        """Open a file or an address of this machine, and return Playwright's page."""
        tab, complaints = self.tab(view)
        complaints.clear()
        tab.goto(page.resolve().as_uri() if isinstance(page, Path) else page, wait_until="load")
        return tab

    def faults(self, page, view, picture=None):
        """Open a page and return its faults as lines; with a path, save a picture.

        Faults are scripts or requests that failed, requests to another machine, content wider than the window, images
        that show nothing, and text with too little contrast (WCAG 2.2, 1.4.3).
        """
        tab = self.open(page, view)
        _, complaints = self.tab(view)
        found = tab.evaluate(EXAMINE)
        if picture is not None:
            tab.screenshot(path=picture, full_page=True)
        return [*complaints, *found]


def is_elsewhere(url):
    """Return whether an address is on another machine."""
    parts = urlsplit(url)
    return parts.scheme not in ("file", "data", "blob", "about") and parts.hostname not in (
        "127.0.0.1",
        "localhost",
        "::1",
    )


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium for the whole run."""
    if find_spec("playwright") is None:
        absent("browser", "Playwright is not installed (dependency group 'pages')")
    found = program()
    if found is None:
        absent("browser", "there is no Chromium here; install it, or name it in CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield Browser(chromium)
        chromium.close()
