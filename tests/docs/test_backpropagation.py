"""The notebook on backpropagation runs from top to bottom."""

import os
import re
from pathlib import Path

import pytest

from support.needs import need

pytestmark = [need("notebook", module=True), need("plots", module=True)]

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "backpropagation.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_without_outputs_so_that_none_can_be_stale(notebook):
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def computed_by_children():
    """Return the processor time of the processes started by this one, without other programs."""
    times = os.times()
    return times.children_user + times.children_system


def with_answers(notebook):
    """Return the notebook with the code of each folded answer as a cell below it."""
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            answers = re.findall(r"^```python\n(.*?)^```", cell.source, re.DOTALL | re.MULTILINE)
            cells += map(nbformat.v4.new_code_cell, answers)
    assert len(cells) == len(notebook.cells) + 3
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_it_and_its_answers_run_from_top_to_bottom_in_half_a_minute_and_draw(notebook, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[2] / "src"))
    start = computed_by_children()
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    done = NotebookClient(
        with_answers(notebook), timeout=600, kernel_name="python3", resources=where
    ).execute()
    assert computed_by_children() - start < 30
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 6
    assert not any(output["output_type"] == "error" for output in outputs)
