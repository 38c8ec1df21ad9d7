"""The report says what the measurements say, in every form, whatever is missing."""

import importlib.util
import json
import re
from dataclasses import replace

import pytest
from benchmarks import documents
from rich.console import Console

from chainrule.bench import report
from chainrule.bench.cells import parse
from chainrule.bench.judge.results import Results
from chainrule.bench.report import forms, tables
from chainrule.bench.report.word_table import SIGNS, Table, percent
from chainrule.bench.store import Records
from support.bench import FORMULAS, records, results, without
from support.runs import rates

NASTY = "</script><script>alert('x')</script> | <b>& \"quoted\""
SMALL = ["64-16-10,1", "64-16-10,8", "64-32-10,1", "64-32-10,8"]


@pytest.fixture(scope="module")
def whole():
    """A run of the preset digits on a grid, from formulas; its tests read it only."""
    return results()


@pytest.fixture
def no_matplotlib(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(forms, "find_spec", lambda name: None if name == "matplotlib" else find(name))


def printed(run, width=80, **options):
    """The report as a terminal of that width shows it."""
    console = Console(width=width, highlight=False, **options)
    with console.capture() as caught:
        console.print(report.terminal(run))
    return caught.get()


def changed(made, change):
    """The records with each measurement replaced by ``change`` of it."""
    made.measurements = list(map(change, made.measurements))
    return made


# -- What it says ---------------------------------------------------------------------------------------


def test_the_verdict_counts_the_cells_of_each_backend_and_names_the_range_of_ratios_and_shares(whole):
    (row,) = tables.verdict(whole).records
    leads = [first for first, *_ in whole.slices[0].leads.values()]
    assert row["network"] == "digits, 64-H-10"
    fastest, others, times, limit = list(row.values())[1:]
    assert fastest == f"numpy-jit {leads.count('numpy-jit')}, torch {leads.count('torch')}"
    assert others == "▲ 9"
    middle, low, high = map(float, re.findall(r"[\d.]+", times))
    assert 1 < low < middle < high
    assert re.fullmatch(r"\d+ % \(\d+ % to \d+ %\)", limit)
    assert [row[1] for row in tables.fastest(whole).rows] == leads


def test_two_equal_backends_are_not_ranked():
    cells = ["64-64-10,8", "64-64-10,64"]
    first, twin = (records(cells, ["numpy"], noise=0.02, run=f"2026-11-22T08:00:0{n}") for n in range(2))
    run = first.measurements[0].run
    first.measurements += [replace(one, contestant="jax", run=run) for one in twin.measurements]
    assert "(? " in tables.verdict(Results(first)).rows[0][1]


def test_a_busy_machine_is_named_first_in_every_form(no_matplotlib, whole):
    made = records()
    cell = made.measurements[0].cell
    run = Results(changed(made, lambda one: replace(one, flags=("stolen",) * (one.cell == cell))))
    words = "In 3 of 27 measured cells, other guests of the machine"
    for text in (printed(run, 120), report.markdown(run), report.derived(run)):
        start = " ".join(text[: text.index("numpy-jit")].split())
        assert words in start
    html = report.html(run)
    assert html.index(words) < html.index('id="verdict"')
    assert "busy" not in report.markdown(whole)


def test_a_step_that_seems_to_beat_its_limit_is_marked_and_explained(whole):
    made = records()
    made.rates = [rates("torch", products=1.0e11)]  # torch computes at 1.4e11
    text = report.markdown(Results(made))
    assert "| 100 % ! |" in text
    assert "- !: the step is faster than the machine's limit" in text
    assert "rows, the step is faster than" in text[: text.index("### Verdict")]
    assert "% !" not in report.markdown(whole)


def test_an_invalid_figure_is_marked_and_leads_nowhere():
    def unsynchronised(one):  # a hundredth of the time
        return replace(one, seconds=tuple(s / 100 for s in one.seconds))

    made = records(["64-1024-10,4096", "64-1024-10,64", "64-64-10,64", "64-64-10,4096"])
    run = Results(changed(made, lambda m: unsynchronised(m) if m.contestant == "torch" else m))
    assert "torch" not in {first for one in run.slices for first, *_ in one.leads.values()}
    assert "less than half of the machine's limit" in report.markdown(run)


# -- On a terminal --------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_cut(width):
    text = printed(results(["64-1024-1024-8,1024,adam", *SMALL]), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_signs_have_colours_and_stand_alone_without(monkeypatch):
    table = Table("signs", ["ratio"], [[f"1.00 {sign}"] for sign in SIGNS.values()])
    console = Console(width=80, force_terminal=True, color_system="truecolor")
    with console.capture() as caught:
        console.print(table.rich())
    lines = [line for line in caught.get().splitlines() if "1.00" in line]
    assert len({re.search(r"\x1b\[[0-9;]*m", line)[0] for line in lines}) == len(SIGNS)
    monkeypatch.setenv("NO_COLOR", "1")
    text = printed(results(SMALL), force_terminal=True)
    assert "▲" in text
    assert not re.search(r"\x1b\[[0-9;]*3\dm", text)


# -- Whatever is missing --------------------------------------------------------------------------------

CASES = {
    "nothing": Records,
    "one backend": lambda: records(SMALL, ["numpy"]),
    "no bare products": lambda: records(SMALL, ["numpy", "torch", "notebook"]),
    "only peers": lambda: records(SMALL, ["notebook", "torch-eager"]),
    "no rates, no environment": lambda: replace(records(SMALL), rates=[], environments={}),
    "one round, a hole in the grid": lambda: records(SMALL[:3], shape=(1, 1)),
    "all skipped": lambda: without(records(SMALL), *FORMULAS),
    "layers of different sizes": lambda: records(["64-128-32-10,8,adam", "64-32-32-10,8,adam"]),
}


@pytest.mark.parametrize("case", CASES)
def test_it_renders_whatever_is_missing(case, monkeypatch):
    canvas = pytest.importorskip("chainrule.plots.canvas", exc_type=ImportError)
    monkeypatch.setattr(canvas, "inline_svg", lambda picture: f"<svg>{len(picture.axes)}")  # drawn
    run = Results(CASES[case]())
    texts = [report.html(run), report.markdown(run), report.derived(run), documents.readme(run)]
    assert all([*texts, printed(run)])
    if case == "all skipped":
        assert all("it is not installed" in text for text in texts[:3])


def test_a_missing_cell_has_a_letter_and_the_reason_and_measured_text_stays_text(no_matplotlib):
    made = without(records(), "torch", status="failed", reason=NASTY)
    run = Results(
        without(made, "numpy", "numpy-jit", status="failed", reason="no memory", cell="64-256-10,64")
    )
    text = report.html(run)
    assert "f failed" in text
    assert "failed: no memory" in text
    assert "<script>alert" not in text
    assert "<b>&" not in text
    rows = json.loads(report.derived(run))["All rows"]["rows"]
    assert f"failed: {NASTY}" in {row["status"] for row in rows}
    row = next(line for line in report.markdown(run).splitlines() if line.startswith("| torch |"))
    assert row.replace("\\|", "").count("|") == 5
    assert "<script>" not in row


def test_a_contestant_of_ones_own_takes_part_and_an_unknown_one_is_left_out():
    made = records(SMALL)
    made.measurements += [
        replace(one, contestant=name)
        for name in ("mine.step:fast", "from-a-later-roster")
        for one in made.measurements
        if one.contestant == "numpy"
    ]
    text = report.derived(Results(made))
    assert "mine.step:fast" in text
    assert "from-a-later-roster" not in text


# -- For machines, and in documents ---------------------------------------------------------------------


def test_the_json_holds_every_row_and_the_table_of_limits_says_the_same(whole):
    tables_of = {title: table["rows"] for title, table in json.loads(report.derived(whole)).items()}
    by_name = {(row["cell"], row["contestant"]): row for row in tables_of["All rows"]}
    assert len(tables_of["All rows"]) == len(by_name) == 9 * len(FORMULAS)
    seconds = 2e-5 + parse("64-256-10,64").flops / 0.8e11
    assert float(by_name["64-256-10,64", "numpy"]["time, µs"]) == pytest.approx(1e6 * seconds, rel=0.02)
    for name, backend, time, limit, bare, share, _ in tables.fastest(whole).rows:
        row = by_name[name, backend]
        assert (time, bare, share) == (row["time, µs"], row["bare products, µs"], row["of the limit"])
        assert share == percent(float(limit) / float(time))


def test_the_readme_has_a_picture_eight_rows_the_machine_the_day_and_the_command(whole):
    text = documents.readme(whole, "docs/map.svg")
    assert 5 <= text.count("\n| 64-") <= 8
    assert text.startswith("![")
    for part in ("](docs/map.svg)", "A Processor, 2 cores", "2026-11-22", "`chainrule bench run"):
        assert part in text


def test_a_document_is_rewritten_between_its_marks_alone(whole):
    text = "# Speed\n\n<!-- speed -->\nold\n<!-- /speed -->\n\nkept \\1\n"
    new = documents.update(text, whole)
    assert "old" not in new
    assert new.endswith("\n<!-- /speed -->\n\nkept \\1\n")
    assert documents.update(new, whole) == new
    with pytest.raises(ValueError, match=r"<!-- speed --> ... <!-- /speed -->"):
        documents.update("# Speed\n", whole)


# -- The page -------------------------------------------------------------------------------------------


def test_the_page_holds_its_figures_and_asks_no_other_address():
    pytest.importorskip("matplotlib")
    text = report.html(results(SMALL, ["numpy", "numpy-jit", "notebook"], shape=(1, 6)))
    assert text.count("<svg") == 4
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # not addresses
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= names


def test_without_matplotlib_the_page_has_the_tables_and_says_how_to_get_the_figures(
    no_matplotlib, whole
):
    text = report.html(whole)
    assert "<svg" not in text
    assert ".[plots]" in text
    assert text.count("<table") >= 4
