"""The pages of the documentation: their examples run and print what the page shows."""

import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from chainrule import __version__
from support.pages import examples, run_page

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md"]
FIGURE = re.compile(r"\]\((figures/[^)]+)\)")
WITH_EXAMPLES = [page for page in PAGES if examples(page)]


def named(page):
    return str(page.relative_to(ROOT))


def needing(page):
    """Return a page as a parameter, marked with the libraries that its examples import."""
    text = page.read_text(encoding="utf-8")
    libraries = re.findall(r"^import (torch|jax|onnxruntime)$", text, re.MULTILINE)
    return pytest.param(page, id=named(page), marks=pytest.mark.needs(*libraries))


# Modules that need an extra; polars is not listed, because other libraries look for it.
EXTRAS = {
    "onnx": ["onnx"],
    "plots": ["matplotlib", "chainrule.plots"],
    "sklearn": ["sklearn", "chainrule.estimators"],
}


def without_extras_that_are_not_named(page, monkeypatch):
    """Make the modules of extras that a page does not mention impossible to import."""
    text = page.read_text(encoding="utf-8")
    for extra, modules in EXTRAS.items():
        if not re.search(rf"extras? `{extra}`|\.\[[\w,]*\b{extra}\b[\w,]*\]", text):
            for module in modules:
                monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("page", [*map(needing, WITH_EXAMPLES)])
def test_the_examples_of_a_page_run_and_print_and_draw_what_it_shows(page, tmp_path, monkeypatch):
    pytest.importorskip("polars", reason="Polars reads CSV: install the extra data")
    without_extras_that_are_not_named(page, monkeypatch)
    run_page(page, tmp_path, monkeypatch)
    drawn = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("figures/*")}
    assert drawn == set(FIGURE.findall(page.read_text(encoding="utf-8")))


def test_the_sessions_and_extras_that_pages_name_exist():
    sessions = set(
        re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)
    )
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    text = "".join(
        page.read_text("utf-8") for page in (*PAGES, ROOT / "README.md", ROOT / ".ci" / "run")
    )
    assert set(re.findall(r"nox -(?:s|-session) (\w+)", text)) <= sessions
    named = re.findall(r"""pip install .*['"]\.\[([\w,]+)\]""", text)
    assert len(named) > 5
    assert {extra for names in named for extra in names.split(",")} <= set(extras)


def test_the_figures_of_a_page_are_kept_and_small():
    sizes = [path.stat().st_size for path in (ROOT / "docs" / "figures").iterdir()]
    assert len(sizes) == len(FIGURE.findall((ROOT / "docs" / "pictures.md").read_text("utf-8"))) == 6
    assert max(sizes) <= 60_000


def test_a_citation_has_the_version_of_the_package():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_links_of_all_pages_lead_somewhere():
    links = [
        (page, link)
        for page in (*PAGES, ROOT / "README.md")
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8"))
    ]
    assert [(named(page), link) for page, link in links if not (page.parent / link).exists()] == []


# -- the runner of examples ----------------------------------------------------------------------


HOLDS = (
    "```python\nx = 1\n```\n```python\nprint(x, 'and', x / 3)\n```\n\n```text\n1 and 0.3...\n```\n"
    "```console\n$ chainrule --version\nchainrule ...\n```\n"
)
FAILS = {
    "```python\nx = 1\n```\n\n```python\nprint(x)\n```\n\n```text\n2\n```\n": "page.md:6 shows",
    "\n\n```python\nx = 1\n1 / 0\n```\n": 'page.md", line 5',
    "```console\n$ chainrule --version\nchainrule 0.0\n```\n": "page.md:2 shows",
    "```sh\nchainrule predict none none.csv\n```\n": "there is no file none",
    "```sh\nrm -r /\n```\n": "is 'rm -r /' to be run?",
    "```js\n1\n```\n": "unknown kind of block 'js'",
}


def test_the_tests_that_hold_what_went_wrong_exist():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    files = [re.findall(r"`(\w+/test_\w+\.py)`|`(test_\w+)`", row) for row in rows]
    assert [
        row for row, tests in zip(rows, files, strict=True) if not tests and "right behaviour" not in row
    ] == []
    source = ""  # of the file that a row named last
    for file, test in chain.from_iterable(files):
        source = (ROOT / "tests" / file).read_text(encoding="utf-8") if file else source
        assert f"def {test or 'test'}" in source


def test_examples_that_hold_pass_and_those_that_do_not_are_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(HOLDS, encoding="utf-8")
    assert len(run_page(page, tmp_path, monkeypatch)) == 3
    for text, message in FAILS.items():
        page.write_text(text, encoding="utf-8")
        with pytest.raises((AssertionError, ValueError), match=re.escape(message)):
            run_page(page, tmp_path, monkeypatch)
