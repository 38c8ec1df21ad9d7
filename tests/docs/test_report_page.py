"""The report's page, as readers see it: on a telephone and a screen, in light and in dark."""

import json

import pytest

from chainrule.bench import report
from chainrule.bench.judge.results import Results
from support.bench import records, results, without
from support.browser import VIEWS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    made = without(
        records(), "torch-eager", "failed", "</script><script>throw 'it ran'</script>", "64-16-10,1"
    )
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report.html(Results(made)), encoding="utf-8")
    return file


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_page_has_no_fault(browser, page, view):
    assert browser.faults(page, view) == []


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_an_empty_run_makes_a_sound_page_too(browser, tmp_path, view):
    file = tmp_path / "empty.html"
    file.write_text(report.html(results([])), encoding="utf-8")
    assert browser.faults(file, view) == []


def column(tab, place):
    cells = f"[...document.querySelectorAll('tbody tr')].map(row => row.cells[{place}].textContent)"
    return tab.evaluate(cells)


def worth(text):
    number, _, unit = text.partition(" ")
    return float(number) * {"n": 1e-9, "µ": 1e-6, "m": 1e-3, "s": 1.0}[unit[0]]


def test_a_heading_sorts_by_what_times_are_worth_and_again_the_other_way(browser, page):
    tab = browser.open(page, VIEWS[2])
    heads = tab.evaluate("[...document.querySelectorAll('thead th')].map(head => head.textContent)")
    place = heads.index("time")
    button = tab.locator("thead th button").nth(place)
    button.click()
    times = column(tab, place)
    known = [worth(text) for text in times if text != "-"]
    assert known == sorted(known)
    assert times[-1] == "-"
    assert tab.locator("thead th").nth(place).get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    times = column(tab, place)
    known = [worth(text) for text in times if text != "-"]
    assert known == sorted(known, reverse=True)
    assert times[-1] == "-"  # what has no figure stays last


def test_the_json_can_be_taken_away(browser, page, tmp_path):
    tab = browser.open(page, VIEWS[2])
    with tab.expect_download() as waiting:
        tab.locator("#download").click()
    file = tmp_path / "taken.json"
    waiting.value.save_as(file)
    assert json.loads(file.read_text(encoding="utf-8"))["rows"]


def test_the_sections_come_in_the_order_of_what_matters(browser, page):
    tab = browser.open(page, VIEWS[0])
    order = tab.evaluate("[...document.querySelectorAll('section')].map(section => section.id)")
    assert order == ["verdict", "map", "limit", "throughput", "peers", "method", "environment", "rows"]
    assert tab.evaluate(
        "[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))"
    )


def test_every_figure_is_told_to_those_who_do_not_see_it(browser, page):
    tab = browser.open(page, VIEWS[0])
    told = tab.evaluate(
        "[...document.querySelectorAll('svg')].map(svg => svg.getAttribute('aria-labelledby').split(' ')"
        ".map(id => document.getElementById(id).textContent).join(': '))"
    )
    assert len(told) >= 10
    assert all(len(text) > 40 for text in told)


def test_a_reason_is_text_wherever_it_stands(browser, page):
    tab = browser.open(page, VIEWS[0])
    assert "throw 'it ran'" in tab.evaluate("document.querySelector('table').textContent")
    assert tab.evaluate("document.scripts.length") == 2
