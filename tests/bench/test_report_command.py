"""`chainrule bench report`, as a person types it."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from chainrule.bench import store
from chainrule.cli.app import app
from support.bench import records

CELLS = ["64-16-10,1", "64-16-10,64", "64-64-10,1", "64-64-10,64"]


@pytest.fixture
def chainrule(tmp_path, monkeypatch):
    """Run a command line in a folder that holds a run, with the output narrow and plain."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    made = records(CELLS, shape=(2, 5))
    environments = [
        {"record": "environment", "id": "one", **facts} for facts in made.environments.values()
    ]
    lines = [*environments, *(one.line() for one in [*made.rates, *made.measurements])]
    store.append(tmp_path / "run", lines)

    def run(*arguments):
        return CliRunner().invoke(app, ["bench", "report", *map(str, arguments)])

    return run


def test_it_prints_the_verdict_and_the_tables_in_80_columns(chainrule):
    done = chainrule("run")
    assert done.exit_code == 0, done.stderr
    assert "64-H-10: the fastest backend, and its time a step" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("form", "start"), [("md", "### What it says"), ("html", "<!doctype html>"), ("json", "{")]
)
def test_a_form_goes_to_the_screen_or_to_a_file(chainrule, tmp_path, form, start):
    shown = chainrule("run", "--format", form)
    assert shown.stdout.startswith(start)
    done = chainrule("run", "--format", form, "-o", f"report.{form}")
    assert done.exit_code == 0
    assert (tmp_path / f"report.{form}").read_text(encoding="utf-8") == shown.stdout
    assert f"wrote report.{form}" in done.stderr


def test_figures_go_beside_the_run_or_where_they_are_wanted(chainrule, tmp_path):
    assert chainrule("run", "--format", "svg").exit_code == 0
    names = {file.name for file in (tmp_path / "run" / "figures").iterdir()}
    assert "crossover-digits.svg" in names
    chainrule("run", "--format", "svg", "-o", "elsewhere")
    assert {file.name for file in (tmp_path / "elsewhere").iterdir()} == names


def test_a_document_is_updated_with_the_map_that_stands_beside_the_run(chainrule, tmp_path):
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "speed.md"
    page.write_text(
        "# Speed\n<!-- speed -->\n<!-- /speed -->\n<!-- results -->\nold\n<!-- /results -->\n"
    )
    chainrule("run", "--format", "svg")
    done = chainrule("run", "--update", page)
    assert done.exit_code == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "](../run/figures/crossover-digits.svg)" in text
    assert "### What it says" in text
    assert "old" not in text
    assert done.stdout == ""


def test_samples_that_are_gzipped_say_the_same(chainrule, tmp_path):
    held = (tmp_path / "run" / store.FILE).read_bytes()
    (tmp_path / "kept.jsonl.gz").write_bytes(gzip.compress(held))
    whole = json.loads(chainrule("run", "--format", "json").stdout)
    assert json.loads(chainrule("kept.jsonl.gz", "--format", "json").stdout) == whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        (["run", "--format", "pdf"], "pdf"),
        (["run", "--update", "run/measurements.jsonl"], "<!-- speed -->"),
    ],
)
def test_what_cannot_be_done_is_one_line(chainrule, arguments, said):
    done = chainrule(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
