"""`chainrule bench report`, as a person types it."""

import gzip
import json

import pytest
from benchmarks import documents
from typer.testing import CliRunner

from chainrule.bench import store
from chainrule.bench.report import forms
from chainrule.cli.app import app
from support.bench import records

CELLS = ["64-16-10,1", "64-16-10,64", "64-64-10,1", "64-64-10,64"]


@pytest.fixture
def chainrule(tmp_path, monkeypatch):
    """Run a command line in a folder that holds a run, with the output narrow and plain."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(forms, "find_spec", lambda _: None)  # the page has no figures
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
    assert "The fastest backend, the machine's limit" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("form", "start"), [("md", "### Read this first"), ("html", "<!doctype html>"), ("json", "{")]
)
def test_a_form_goes_to_the_screen_or_to_a_file(chainrule, tmp_path, form, start):
    shown = chainrule("run", "--format", form)
    assert shown.stdout.startswith(start)
    done = chainrule("run", "--format", form, "-o", f"report.{form}")
    assert (tmp_path / f"report.{form}").read_text(encoding="utf-8") == shown.stdout
    assert f"wrote report.{form}" in done.stderr


def test_figures_stand_beside_the_run_and_a_document_shows_its_map(chainrule, tmp_path, monkeypatch):
    canvas = pytest.importorskip("chainrule.plots.canvas", exc_type=ImportError)
    monkeypatch.setattr(canvas, "save", lambda _, path, **__: path.touch() or path)
    document = tmp_path / "docs" / "speed.md"
    document.parent.mkdir()
    document.write_text(
        "# Speed\n<!-- speed -->\n<!-- /speed -->\n<!-- results -->\nold\n<!-- /results -->\n"
    )
    assert chainrule("run", "--format", "svg").exit_code == 0
    documents.main(tmp_path / "run", document)
    text = document.read_text(encoding="utf-8")
    assert "](../run/figures/crossover-digits.svg)" in text
    assert "### Verdict" in text
    assert "old" not in text


def test_samples_that_are_gzipped_say_the_same(chainrule, tmp_path):
    held = (tmp_path / "run" / store.FILE).read_bytes()
    (tmp_path / "kept.jsonl.gz").write_bytes(gzip.compress(held))
    whole = json.loads(chainrule("run", "--format", "json").stdout)
    assert json.loads(chainrule("kept.jsonl.gz", "--format", "json").stdout) == whole


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere"], "nowhere"),
        (["run", "--format", "pdf"], "pdf"),
        (["damaged"], f"{store.FILE}, line 5: "),
        (["run", "-o", "report.txt"], "report.txt is not written by --format term; give md"),
        (["run", "--format", "md", "-o", "no/report.md"], "there is no folder"),
        (
            ["run", "--format", "md", "-o", f"run/{store.FILE}"],
            "is read for this result and would be overwritten",
        ),
        (["bytes"], f"{store.FILE} is damaged, or is no file of a benchmark"),
        (["cut.jsonl.gz"], "cut.jsonl.gz is damaged, or is no file of a benchmark"),
        (["empty"], "empty holds no measurements; measure with: "),
    ],
)
def test_an_impossible_request_is_one_line(chainrule, tmp_path, arguments, word):
    lines = (tmp_path / "run" / store.FILE).read_text().splitlines(keepends=True)
    (tmp_path / "damaged").mkdir()
    damaged = "".join([*lines[:4], '{"record": "measurement"}\n', *lines[4:]])
    (tmp_path / "damaged" / store.FILE).write_text(damaged)
    for folder, held in (("bytes", b"\xb0\n"), ("empty", b"")):
        store.append(tmp_path / folder, [])
        (tmp_path / folder / store.FILE).write_bytes(held)
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode())[:-20])
    done = chainrule(*arguments)
    assert done.exit_code == 2
    assert word in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
