"""The HTML page of a report in a browser: narrow and wide, light and dark."""

import pytest

from chainrule.bench import report
from chainrule.bench.judge.results import Results
from support.bench import records, results, without
from support.browser import VIEWS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    nasty = "</script><script>throw 'it ran'</script>"
    made = without(records(), "torch-eager", status="failed", reason=nasty, cell="64-16-10,1")
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report.html(Results(made)), encoding="utf-8")
    return file


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_page_has_no_fault_nor_that_of_an_empty_run(browser, page, tmp_path, view):
    empty = tmp_path / "empty.html"
    empty.write_text(report.html(results([])), encoding="utf-8")
    assert browser.faults(page, view) == browser.faults(empty, view) == []


def test_a_heading_sorts_by_number_and_again_the_other_way(browser, page):
    tab = browser.open(page, VIEWS[2])
    heads = tab.locator("#all-rows thead th")
    place = heads.all_text_contents().index("time, µs")

    def times():
        cells = f"[...document.querySelectorAll('#all-rows tbody tr')].map(row => row.cells[{place}].textContent)"
        return tab.evaluate(cells)

    button = tab.locator("#all-rows thead th button").nth(place)
    for press, is_falling in ((button.click, False), (lambda: button.press("Enter"), True)):
        press()
        known = [float(text) for text in times() if text != "-"]
        assert known == sorted(known, reverse=is_falling)
        assert times()[-1] == "-"  # rows without a number stay at the end
    assert heads.nth(place).get_attribute("aria-sort") == "descending"


def test_sections_are_in_order_figures_have_descriptions_and_reasons_are_text(browser, page):
    tab = browser.open(page, VIEWS[0])
    order = tab.evaluate("[...document.querySelectorAll('section')].map(section => section.id)")
    assert order[0] == "verdict"
    assert order[-5:] == ["figures", "contestants", "method", "measured-on", "all-rows"]
    assert tab.evaluate(
        "[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))"
    )

    labels = tab.evaluate(
        "[...document.querySelectorAll('svg')].map(svg => svg.getAttribute('aria-label'))"
    )
    assert len(labels) == 4
    assert all(len(text) > 40 for text in labels)

    assert "throw 'it ran'" in tab.evaluate("document.querySelector('#all-rows').textContent")
    assert tab.evaluate("document.scripts.length") == 1
