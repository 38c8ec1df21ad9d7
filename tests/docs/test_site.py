"""Every page of the documentation in a browser: narrow and wide, light and dark."""

import re
from html import unescape
from urllib.parse import unquote, urlsplit

import pytest

from support.browser import VIEWS, View
from support.site import REPOSITORY

pytestmark = pytest.mark.browser


def pages(site):
    return sorted(path.resolve() for path in site.rglob("*.html") if "_static" not in path.parts)


def seen(site, view):
    """Return the pages to open in a view; pages of source code look alike, so two views are enough for them."""
    both = view in (VIEWS[0], VIEWS[-1])
    return [page for page in pages(site) if both or "_modules" not in page.parts]


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_no_page_has_a_fault(site, browser, view):
    opened = seen(site, view)
    assert len(opened) > 20
    faults = {str(page.relative_to(site)): browser.faults(page, view) for page in opened}
    assert {page: lines for page, lines in faults.items() if lines} == {}


def test_every_link_from_page_to_page_leads_to_a_place_that_is_there(site):
    read = {page: page.read_text(encoding="utf-8") for page in pages(site)}
    places = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in read.items()}
    assert any(places.values())
    for page, text in read.items():
        for link in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', text):
            parts = urlsplit(unescape(link))
            if parts.scheme:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target in places, f"{page} links to {link}"
            assert parts.fragment in ("", *places[target]), f"{page} links to {link}"


def test_the_scheme_can_be_changed_on_the_page_and_the_drawing_follows(site, browser):
    tab = browser.open(site / "how-it-runs.html", View(1400, "light"))
    ink = "() => getComputedStyle(document.querySelector('.drawing svg')).color"
    background = "() => getComputedStyle(document.body).backgroundColor"
    before = tab.evaluate(ink), tab.evaluate(background)
    button = tab.locator(".content-icon-container .theme-toggle, .theme-toggle-content button").first
    while tab.evaluate("document.body.dataset.theme") != "dark":
        button.click()
    after = tab.evaluate(ink), tab.evaluate(background)
    assert brightness(after[0]) > brightness(after[1])
    assert brightness(before[0]) < brightness(before[1])


def brightness(colour):
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3])


def test_formulae_are_drawn_by_the_browser(site, browser):
    tab = browser.open(site / "the-step.html", View(400, "light"))
    box = tab.locator("math").first.bounding_box()
    assert box["height"] > 20  # a fraction is higher than a line
    assert box["width"] > 60


def test_the_search_finds_a_page(site, browser):
    tab = browser.open((site / "search.html").resolve().as_uri() + "?q=safetensors", VIEWS[-1])
    tab.locator("#search-results li a", has_text="Saving").first.wait_for()


def test_the_notebook_has_pictures_and_opens_in_colab_from_a_badge(site, browser):
    tab = browser.open(site / "backpropagation.html", View(400, "dark"))
    place = f"github/{REPOSITORY}/blob/main/docs/backpropagation.ipynb"
    assert tab.locator("a.badge").get_attribute("href") == f"https://colab.research.google.com/{place}"
    widths = tab.evaluate("() => [...document.images].map(image => image.getBoundingClientRect().width)")
    assert len(widths) >= 2
    assert all(200 < width <= 400 for width in widths)
