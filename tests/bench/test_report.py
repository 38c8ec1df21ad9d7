"""The report says what the measurements say, in every form, whatever is missing."""

import json
import re

import pytest
from rich.console import Console

from chainrule.bench import report
from chainrule.bench.cells import GRID, PRESETS, named, parse, preset
from chainrule.bench.judge.results import Results
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.page import bounds
from chainrule.bench.report.pivots import against_peers
from chainrule.bench.report.regions import regions
from chainrule.bench.report.word_table import STYLES, Table, Toned, number, scaled
from chainrule.bench.report.words import verdict
from chainrule.bench.store import Records
from support.bench import FORMULAS, records, results, without

NASTY = "</script><script>alert('x')</script> | <b>& \"quoted\""


def printed(what, width=80, **options):
    """What a terminal of that width shows."""
    console = Console(width=width, highlight=False, **options)
    with console.capture() as caught:
        console.print(report.terminal(what))
    return caught.get()


def every_form(what, folder):
    """The report in all its forms that are text."""
    figures = [file.read_text(encoding="utf-8") for file in report.figures(what, folder)]
    texts = [report.html(what), report.markdown(what), report.derived(what), report.readme(what)]
    return [printed(what), *texts, *figures]


# -- What it says ---------------------------------------------------------------------------------------


def test_the_verdict_says_who_is_fastest_where():
    (said,) = verdict(Findings(results()))
    assert said.subject == "digits, 64-H-10"
    assert re.match(r"numpy-jit is the fastest below .*, torch from there on\.", said.sentences[0])


def test_the_verdict_counts_the_cells_against_the_others_and_names_the_limit():
    (said,) = verdict(Findings(results()))
    assert "Against the fastest of the others it is faster in 9 of 9 cells" in said.sentences[1]
    assert re.search(r"reaches \d+ % of the machine.s limit", said.sentences[2])


def test_two_equal_backends_are_not_ranked():
    made = records(["64-64-10,8", "64-64-10,64"], ["numpy"], noise=0.02)
    twin = records(["64-64-10,8", "64-64-10,64"], ["numpy"], noise=0.02, run="2026-11-22T08:00:01")
    made.measurements += [
        one.__class__(**{**one.__dict__, "contestant": "jax", "run": made.measurements[0].run})
        for one in twin.measurements
    ]
    (said,) = verdict(Findings(Results(made)))
    assert (
        "Undecided which is the fastest" in said.sentences[0]
        or "another may be as fast" in said.sentences[0]
    )


def test_regions_need_no_more_pieces_than_tell_the_leaders_apart():
    cells = named(["64-16-10,1", "64-16-10,8", "64-16-10,64", "64-16-10,512"])
    cut = regions(dict(zip(cells, [["jax"], ["jax"], ["numpy", "jax"], ["numpy"]], strict=True)))
    assert [piece.name for piece in cut.pieces] == ["jax", "numpy"]
    assert cut.exceptions == ()
    odd = regions(dict(zip(cells, [["jax"], ["numpy"], ["jax"], ["jax"]], strict=True)))
    assert ([piece.name for piece in odd.pieces], odd.exceptions) == (["jax"], (parse("64-16-10,8"),))


def test_a_pivot_has_a_row_for_each_hidden_size_and_a_sign_for_each_verdict():
    found = Findings(results())
    table = against_peers(found, found.slices[0])
    assert table.head == ["H \\ B", "1", "64", "4096"]
    assert [row[0] for row in table.rows] == ["16", "256", "4096"]
    assert table.rows[0][1].endswith("x ▲")
    assert table.rows[0][1].tone == "good"


# -- On a terminal --------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_cut(width):
    lines = printed(results(), width).splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)


def test_no_colour_leaves_the_signs(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    said = printed(results(), force_terminal=True)
    assert "▲" in said
    assert not re.search(r"\x1b\[[0-9;]*3\dm", said)


def test_a_wide_grid_becomes_more_tables():
    cells = [f"64-{H}-10,{2**power}" for H in (16, 64) for power in range(9)]
    said = printed(results(cells, ["numpy", "products-numpy"]))
    assert said.count("the fastest backend, and its time a step") == 2


def test_every_tone_has_a_style_that_rich_knows():
    table = Table("tones", ["word"], [[Toned(tone, tone)] for tone in STYLES])
    console = Console(width=80, force_terminal=True, color_system="truecolor")
    with console.capture() as caught:
        console.print(table.rich())
    assert all(tone in caught.get() for tone in STYLES)


# -- Whatever is missing --------------------------------------------------------------------------------

CASES = {
    "nothing": Records,
    "no cell": lambda: records([]),
    "one backend": lambda: records(names=["numpy"]),
    "no peers": lambda: records(names=["numpy", "numpy-jit", "products-numpy"]),
    "no bare products": lambda: records(names=["numpy", "torch", "notebook"]),
    "only peers": lambda: records(names=["notebook", "torch-eager"]),
    "one cell": lambda: records(["64-16-10,1"]),
    "no rates": lambda: _cut(records(), rates=[]),
    "no environment": lambda: _cut(records(), environments={}),
    "one round": lambda: records(shape=(1, 1)),
    "a hole in the grid": lambda: _cut(
        records(), measurements=[m for m in records().measurements if m.cell != parse("64-256-10,64")]
    ),
    "all skipped": lambda: _all_skipped(records()),
    "an unknown contestant": lambda: without(
        records(names=["numpy"]), "numpy", status="failed", reason=NASTY
    ),
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
def test_it_renders_whatever_is_missing(case, tmp_path):
    made = Results(CASES[case]())
    assert all(every_form(made, tmp_path))


def test_where_everything_was_skipped_it_says_so_and_why():
    made = Results(_all_skipped(records()))
    assert "Nothing was measured" in printed(made)
    assert "it is not installed" in printed(made)
    assert report.html(made).count("it is not installed") >= len(FORMULAS)


def test_a_missing_cell_has_a_letter_and_the_reason():
    made = Results(without(records(), "notebook", "wrong", "losses differ", cell="64-256-10,64"))
    assert "wrong: losses differ" in report.html(made)
    gone = records(names=["numpy", "numpy-jit"])
    for name in ("numpy", "numpy-jit"):
        without(gone, name, "failed", "out of memory", cell="64-256-10,64")
    page = report.html(Results(gone))
    assert "f failed" in page
    assert "64-256-10,64: failed: out of memory" in page


def test_an_invalid_figure_is_marked_and_leads_nowhere():
    made = records(["64-1024-10,4096", "64-1024-10,64", "64-64-10,64", "64-64-10,4096"])
    for place, one in enumerate(made.measurements):
        if one.contestant == "torch":  # unsynchronised: a hundredth of the time
            seconds = tuple(s / 100 for s in one.seconds)
            made.measurements[place] = one.__class__(**{**one.__dict__, "seconds": seconds})
    found = Findings(Results(made))
    leads = {found.lead(cell).first.place.contestant for cell in found.results.cells}
    assert "torch" not in leads
    assert "invalid" in report.markdown(found.results)
    assert '"torch","step",0,"ok","","invalid"' in report.html(found.results)


def test_what_was_noted_cannot_become_part_of_the_page(tmp_path):
    made = Results(without(records(), "torch", "failed", NASTY))
    page = report.html(made)
    assert "<script>alert" not in page
    assert "<b>&" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert" in page
    held = page[
        page.index('id="data">') + len('id="data">') : page.index("</script>", page.index('id="data">'))
    ]
    assert NASTY in {row[5] for row in json.loads(held)["rows"]}
    row = next(line for line in report.markdown(made).splitlines() if line.startswith("| torch |"))
    assert row.replace("\\|", "").count("|") == 5
    assert "<script>" not in row


def test_a_contestant_of_ones_own_takes_part_and_an_unknown_one_is_passed_over(tmp_path):
    made = records()
    for name in ("mine.step:fast", "from-a-later-roster"):
        more = [
            one.__class__(**{**one.__dict__, "contestant": name})
            for one in made.measurements
            if one.contestant == "numpy"
        ]
        made.measurements += more
    found = Findings(Results(made))
    assert "mine.step:fast" in found.peers
    assert "from-a-later-roster" not in report.html(found.results)
    assert all(every_form(found.results, tmp_path))


# -- For machines ---------------------------------------------------------------------------------------


def test_the_json_holds_every_derived_figure():
    held = json.loads(report.derived(results()))
    rows = [dict(zip(held["columns"], row, strict=True)) for row in held["rows"]]
    assert len(rows) == 9 * len(FORMULAS)
    one = next(row for row in rows if (row["cell"], row["contestant"]) == ("64-256-10,64", "numpy"))
    assert one["step"] == pytest.approx(2e-5 + parse("64-256-10,64").flops / 0.8e11, rel=0.02)
    assert 0 < one["share"] <= 1
    cell = next(cell for cell in held["cells"] if cell["cell"] == "64-16-10,1")
    assert cell["fastest"] == "numpy-jit"
    assert cell["against_others"]["standing"] == "faster"
    assert cell["against_others"]["low"] <= cell["against_others"]["times_as_fast"]


def test_an_end_that_is_open_is_null_in_json():
    held = json.loads(report.derived(results(["64-16-10,1"], shape=(1, 2))))
    assert held["cells"][0]["against_others"]["high"] is None
    assert "Infinity" not in json.dumps(held)


# -- In documents ---------------------------------------------------------------------------------------


def test_the_readme_has_a_picture_eight_rows_the_machine_the_day_and_the_command():
    said = report.readme(results(), "docs/map.svg")
    rows = [line for line in said.splitlines() if line.startswith("| 64-")]
    assert said.startswith("![")
    assert "](docs/map.svg)" in said
    assert 5 <= len(rows) <= 8
    assert "A Processor, 2 cores" in said
    assert "2026-11-22" in said
    assert "`chainrule bench run" in said


def test_a_document_is_rewritten_between_its_marks_alone():
    text = "# Speed\n\n<!-- speed -->\nold\n<!-- /speed -->\n\nkept \\1\n"
    new = report.update(text, results())
    assert "old" not in new
    assert new.endswith("\n<!-- /speed -->\n\nkept \\1\n")
    assert report.update(new, results()) == new


def test_a_document_without_marks_is_refused_with_the_marks_to_add():
    with pytest.raises(ValueError, match=r"<!-- speed --> ... <!-- /speed -->"):
        report.update("# Speed\n", results())


# -- Numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.00099951, "1.00 ms"),
        (0.0999e-6, "99.9 ns"),
        (46e-3, "46.0 ms"),
        (999.4, "999 s"),
        (0.0, "0 s"),
    ],
)
def test_a_number_has_three_digits_and_a_prefix(value, said):
    assert scaled(value, "s") == said


def test_a_table_prints_the_same_words_everywhere():
    table = Table("t", ["a", "b"], [["x|y", Toned("1\n2", "good")]], ["note"])
    assert "1 2" in str(table)
    assert "| x\\|y | 1 2 |" in table.markdown()
    assert number(None) == "-"


def test_a_page_of_a_whole_preset_is_small():
    made = results([cell.name for cell in preset("mnist", GRID)], shape=(1, 3))
    assert len(report.html(made).encode()) < 220_000


@pytest.fixture(scope="module")
def whole():
    """All presets, with three hidden sizes and three batches each."""
    cells = [cell.name for name in PRESETS for cell in preset(name, "H=16,256,4096 B=1,64,4096")]
    return results(cells, shape=(1, 3))


def test_a_page_of_a_large_run_stays_small_and_says_what_it_leaves_out(whole, monkeypatch):
    every = report.html(whole)
    assert "Left out" not in every
    for name, share in (("DRAWN", 6), ("LISTED", 10), ("HELD", 10)):
        monkeypatch.setattr(bounds, name, getattr(bounds, name) // share)
    page = report.html(whole)
    assert len(page.encode()) < 200_000 < len(every.encode())
    for section in ("map", "limit", "throughput", "peers"):
        start = page.index(f'<section id="{section}">')
        assert "<svg" in page[start : page.index("</section>", start)]  # each has its first figure
    assert "Left out, so that a telephone opens the page: " in page
    assert "chainrule bench report FOLDER --format svg draws all." in page
    assert f"Here are 100 of {36 * len(FORMULAS)} rows." in page
    assert 'id="data"' not in page
    assert "chainrule bench report FOLDER --format json writes all." in page


def test_of_too_many_rows_those_of_backends_stay_longest(whole, monkeypatch):
    monkeypatch.setattr(bounds, "LISTED", 110)
    rows = Findings(whole).rows
    kept = bounds.listed(rows)
    names = [one.place.contestant for one in kept]
    assert [names.count(name) for name in ("numpy", "numpy-jit", "torch")] == [36, 36, 36]
    assert len(kept) == 110
    assert kept == [one for one in rows if one in kept]
