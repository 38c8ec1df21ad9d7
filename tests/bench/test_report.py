"""The report says what the measurements say, in every form, whatever is missing."""

import importlib.util
import json
import re

import pytest
from rich.console import Console

from chainrule.bench import report
from chainrule.bench.cells import parse, preset
from chainrule.bench.judge.results import Results
from chainrule.bench.report import page, tables
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.formats import percent
from chainrule.bench.report.word_table import STYLES, Table, Toned
from chainrule.bench.report.words import verdict
from chainrule.bench.store import Records
from support.bench import FORMULAS, records, results, without
from support.runs import rates

NASTY = "</script><script>alert('x')</script> | <b>& \"quoted\""


@pytest.fixture
def no_matplotlib(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(page, "find_spec", lambda name: None if name == "matplotlib" else find(name))


def printed(run, width=80, **options):
    """The report as a terminal of that width shows it."""
    console = Console(width=width, highlight=False, **options)
    with console.capture() as caught:
        console.print(report.terminal(run))
    return caught.get()


# -- What it says ---------------------------------------------------------------------------------------


def test_the_verdict_says_who_is_fastest_where_and_how_near_the_limit():
    (statement,) = verdict(Findings(results()))
    fastest, peers, limit = statement.sentences[:3]
    assert statement.subject == "digits, 64-H-10"
    assert fastest.startswith("numpy-jit is the fastest backend in ")
    assert re.search(r"torch in \d+ \(\d+ to 4096 hidden units, batch .*4096\)", fastest)
    assert "the fastest backend is faster in 9 of 9 cells" in peers
    assert "(range over cells: " in peers
    assert re.search(r"reaches \d+ % of the machine's limit", limit)


def test_no_backend_is_said_to_lead_in_a_cell_where_the_map_shows_another():
    found = Findings(results())
    leads = [lead.name for lead in found.leads(found.slices[0]).values()]
    (statement,) = verdict(found)
    assert f"numpy-jit is the fastest backend in {leads.count('numpy-jit')} of 9 cells" in str(statement)
    table = tables.fastest(found, found.slices[0])
    assert sorted(text.split("\n")[0] for row in table.rows for text in row[1:]) == sorted(leads)


def test_two_equal_backends_are_not_ranked():
    made = records(["64-64-10,8", "64-64-10,64"], ["numpy"], noise=0.02)
    twin = records(["64-64-10,8", "64-64-10,64"], ["numpy"], noise=0.02, run="2026-11-22T08:00:01")
    made.measurements += [
        one.__class__(**{**one.__dict__, "contestant": "jax", "run": made.measurements[0].run})
        for one in twin.measurements
    ]
    (statement,) = verdict(Findings(Results(made)))
    assert "another backend may be as fast" in statement.sentences[0]


def test_a_busy_machine_is_named_first_in_every_form(no_matplotlib):
    made = records(load=3.4)
    cell = made.measurements[0].cell
    made.measurements = [
        one.__class__(**{**one.__dict__, "flags": ("stolen",) if one.cell == cell else ()})
        for one in made.measurements
    ]
    run = Results(made)
    words = (
        "load average up to 3.4 on 2 cores",
        "other guests of the machine took its time during 3 of 27 measured cells",
    )
    for text in (printed(run, 120), report.markdown(run), report.readme(run), report.derived(run)):
        start = " ".join(text[: text.index("numpy-jit")].split())
        assert all(word in start for word in words)
    html = report.html(run)
    assert all(html.index(word) < html.index('id="verdict"') for word in words)
    assert "busy" not in report.markdown(results())


def test_a_step_that_seems_to_beat_its_limit_is_marked_and_explained():
    made = records()
    made.rates = [rates("torch", products=1.0e11)]  # torch computes at 1.4e11
    text = report.markdown(Results(made))
    assert "| 100 % ! |" in text
    assert "* !: faster than the machine's limit" in text
    assert "have the flag 'above limit'" in text[: text.index("### Verdict")]
    assert "%  !" not in report.markdown(results())


def test_the_table_of_limits_says_what_the_json_says():
    content = json.loads(report.derived(results()))
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]
    found = Findings(results())
    table = tables.limits(found)
    for line in table.rows:
        cell = dict(zip([head.replace("\n", " ") for head in table.head], line, strict=True))
        row = next(r for r in rows if (r["cell"], r["contestant"]) == (cell["cell"], cell["backend"]))
        assert float(cell["limit, µs"]) == pytest.approx(1e6 * row["limit"], rel=0.01)
        assert float(cell["bare products, µs"]) == pytest.approx(1e6 * row["bare"], rel=0.01)
        assert cell["of the limit"] == percent(row["share"])


# -- On a terminal --------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_cut(width):
    cells = [
        "64-1024-1024-8,1024,adam",
        *(f"64-{H}-10,{2**power}" for H in (16, 64) for power in range(9)),
    ]
    text = printed(results(cells), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.count("the fastest backend, and its time in µs") == 2  # nine batches: two tables


def test_without_colour_the_signs_remain(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = printed(results(), force_terminal=True)
    assert "▲" in text
    assert not re.search(r"\x1b\[[0-9;]*3\dm", text)


def test_every_tone_has_a_style_that_rich_knows():
    table = Table("tones", ["word"], [[Toned(tone, tone)] for tone in STYLES])
    console = Console(width=80, force_terminal=True, color_system="truecolor")
    with console.capture() as caught:
        console.print(table.rich())
    assert all(tone in caught.get() for tone in STYLES)


# -- Whatever is missing --------------------------------------------------------------------------------

SMALL = ["64-16-10,1", "64-16-10,8", "64-32-10,1", "64-32-10,8"]
CASES = {
    "nothing": Records,
    "one backend": lambda: records(SMALL, ["numpy"]),
    "no bare products": lambda: records(SMALL, ["numpy", "torch", "notebook"]),
    "only peers": lambda: records(SMALL, ["notebook", "torch-eager"]),
    "no rates, no environment": lambda: _cut(records(SMALL), rates=[], environments={}),
    "one round, a hole in the grid": lambda: records(SMALL[:3], shape=(1, 1)),
    "all skipped": lambda: _all_skipped(records(SMALL)),
    "layers of different sizes": lambda: records(["64-128-32-10,8,adam", "64-32-32-10,8,adam"]),
}


def _cut(made, **parts):
    for name, value in parts.items():
        setattr(made, name, value)
    return made


def _all_skipped(made):
    for name in FORMULAS:
        without(made, name)
    return made


@pytest.mark.parametrize("case", CASES)
def test_it_renders_whatever_is_missing(case):
    pytest.importorskip("matplotlib")
    run = Results(CASES[case]())
    texts = [
        report.html(run),
        report.markdown(run),
        report.derived(run),
        report.readme(run),
        printed(run),
    ]
    assert all(texts)
    if case == "all skipped":
        assert all("it is not installed" in text for text in texts[:3])


def test_a_missing_cell_has_a_letter_and_the_reason(no_matplotlib):
    made = records(names=["numpy", "numpy-jit"])
    for name in ("numpy", "numpy-jit"):
        without(made, name, "failed", "out of memory", cell="64-256-10,64")
    text = report.html(Results(made))
    assert "f failed" in text
    assert "failed: out of memory" in text


def test_an_invalid_figure_is_marked_and_leads_nowhere():
    made = records(["64-1024-10,4096", "64-1024-10,64", "64-64-10,64", "64-64-10,4096"])
    for place, one in enumerate(made.measurements):
        if one.contestant == "torch":  # unsynchronised: a hundredth of the time
            seconds = tuple(s / 100 for s in one.seconds)
            made.measurements[place] = one.__class__(**{**one.__dict__, "seconds": seconds})
    run = Results(made)
    found = Findings(run)
    assert "torch" not in {found.lead(cell).name for cell in run.cells}
    assert "less than half of the machine's limit" in report.markdown(run)


def test_measured_text_cannot_become_part_of_the_page(no_matplotlib):
    made = Results(without(records(), "torch", "failed", NASTY))
    text = report.html(made)
    assert "<script>alert" not in text
    assert "<b>&" not in text
    data = re.search(r'id="data">(.*?)</script>', text)[1]
    assert NASTY in {row[5] for row in json.loads(data)["rows"]}
    row = next(line for line in report.markdown(made).splitlines() if line.startswith("| torch |"))
    assert row.replace("\\|", "").count("|") == 5
    assert "<script>" not in row


def test_a_contestant_of_ones_own_takes_part_and_an_unknown_one_is_passed_over():
    made = records()
    made.measurements += [
        one.__class__(**{**one.__dict__, "contestant": name})
        for name in ("mine.step:fast", "from-a-later-roster")
        for one in made.measurements
        if one.contestant == "numpy"
    ]
    text = report.derived(Results(made))
    assert "mine.step:fast" in text
    assert "from-a-later-roster" not in text


# -- For machines ---------------------------------------------------------------------------------------


def test_the_json_holds_every_derived_figure():
    content = json.loads(report.derived(results()))
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]
    assert len(rows) == 9 * len(FORMULAS)
    one = next(row for row in rows if (row["cell"], row["contestant"]) == ("64-256-10,64", "numpy"))
    assert one["step"] == pytest.approx(2e-5 + parse("64-256-10,64").flops / 0.8e11, rel=0.02)
    assert one["share"] == pytest.approx(one["limit"] / one["step"], rel=1e-3)
    cell = next(cell for cell in content["cells"] if cell["cell"] == "64-16-10,1")
    assert cell["fastest"] == "numpy-jit"
    assert cell["against_others"]["standing"] == "faster"
    assert cell["against_others"]["low"] <= cell["against_others"]["times_as_fast"]


def test_an_open_end_of_an_interval_is_null_in_json():
    text = report.derived(results(["64-16-10,1"], shape=(1, 2)))
    assert json.loads(text)["cells"][0]["against_others"]["high"] is None
    assert "Infinity" not in text


# -- In documents ---------------------------------------------------------------------------------------


def test_the_readme_has_a_picture_eight_rows_the_machine_the_day_and_the_command():
    text = report.readme(results(), "docs/map.svg")
    rows = [line for line in text.splitlines() if line.startswith("| 64-")]
    assert text.startswith("![")
    assert "](docs/map.svg)" in text
    assert 5 <= len(rows) <= 8
    assert "A Processor, 2 cores" in text
    assert "2026-11-22" in text
    assert "`chainrule bench run" in text


def test_a_document_is_rewritten_between_its_marks_alone():
    text = "# Speed\n\n<!-- speed -->\nold\n<!-- /speed -->\n\nkept \\1\n"
    new = report.update(text, results())
    assert "old" not in new
    assert new.endswith("\n<!-- /speed -->\n\nkept \\1\n")
    assert report.update(new, results()) == new
    with pytest.raises(ValueError, match=r"<!-- speed --> ... <!-- /speed -->"):
        report.update("# Speed\n", results())


# -- The page -------------------------------------------------------------------------------------------


def test_the_page_asks_no_other_address_for_anything():
    pytest.importorskip("matplotlib")
    text = report.html(results(SMALL, ["numpy", "numpy-jit", "notebook"]))
    assert text.count("<svg") > 5
    named = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert named <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }  # names, not addresses


def test_without_matplotlib_the_page_has_the_tables_and_says_how_to_get_the_figures(no_matplotlib):
    text = report.html(results())
    assert "<svg" not in text
    assert ".[plots]" in text
    assert text.count("<table") >= 4


def test_a_page_of_a_large_run_stays_small_and_says_what_it_leaves_out(monkeypatch):
    pytest.importorskip("matplotlib")
    cells = [cell.name for name in ("digits", "mnist") for cell in preset(name, "H=16,256 B=1,64")]
    run = results(cells, ["numpy", "numpy-jit", "notebook"], shape=(1, 3))
    whole = report.html(run)
    assert "Left out" not in whole
    monkeypatch.setattr(page, "DRAWN", 20_000)
    monkeypatch.setattr(page, "LISTED", 10)
    monkeypatch.setattr(page, "DATA", 1000)
    text = report.html(run)
    assert len(text) < len(whole) - 20_000
    assert "Left out to keep the page small: " in text
    assert (
        "These are 10 of 24 rows. chainrule bench report FOLDER --format json writes all rows." in text
    )
    rows = text[text.index('id="rows"') :]
    assert rows.count("<td>numpy") == 10  # of too many rows, those of our backends stay
