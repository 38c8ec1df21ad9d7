"""The checks of pages in the browser find every kind of fault."""

import pytest

from support.browser import VIEWS, View, is_elsewhere

pytestmark = pytest.mark.browser

SOUND = "<p style='color: CanvasText; background: Canvas'>Read me</p>"
HEAD = "<!doctype html><meta name=viewport content='width=device-width'><meta name=color-scheme content='light dark'>"


@pytest.fixture
def faults(browser, tmp_path):
    def look(body, view=VIEWS[0]):
        page = tmp_path / "page.html"
        page.write_text(HEAD + "<title>A page</title>" + body, encoding="utf-8")
        return browser.faults(page, view)

    return look


def test_a_sound_page_has_no_fault(faults):
    assert [faults(SOUND, view) for view in VIEWS] == [[]] * len(VIEWS)
    # Scrolling elements and hidden text are no faults.
    wide = "<div style='overflow-x: auto'><div style='width: 600px'>wide</div></div>"
    hidden = "<p style='visibility: hidden; color: white'>unseen</p><p hidden>unseen</p>"
    assert faults(wide + hidden) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<script>console.error('so it goes')</script>", "console: so it goes"),
        ("<script>nothing_of_this_name()</script>", "nothing_of_this_name is not defined"),
        ("<img src=none.png>", "not loaded"),
        ("<img src='data:image/png;base64,AAAA'>", "no image"),
        ("<img src='https://elsewhere.example/a.png'>", "asked: https://elsewhere.example/a.png"),
        ("<div style='width: 600px'>wide</div>", "pixels wide in a window of 400: <div>"),
        ("<p style='color: #999; background: #fff'>faint</p>", "contrast 2.85"),
        ("<p style='opacity: 0.3'>faint</p>", "contrast"),
        ("<svg><text y=20 style='fill: #eee'>faint</text></svg>", "contrast"),
    ],
)
def test_a_fault_is_named(faults, body, message):
    assert message in "\n".join(faults(body))


def test_the_scheme_and_the_width_reach_the_page(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(HEAD + SOUND, encoding="utf-8")
    tab = browser.open(page, View(400, "dark"))
    assert tab.evaluate("innerWidth") == 400
    assert tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


def test_an_address_of_another_machine_is_known():
    here = ("file:///tmp/a.html", "data:text/plain,a", "http://127.0.0.1:8000/a", "http://localhost/a")
    there = ("https://elsewhere.example/a.js", "http://10.0.0.1/a")
    assert [url for url in (*here, *there) if is_elsewhere(url)] == list(there)
