"""Counts: the closed forms of a cell, its traced program and arrays that count agree."""

from operator import methodcaller

import numpy as np
import pytest
from benchmarks.gate import counts as module
from benchmarks.gate.counting import Counting
from benchmarks.gate.counts import counts, planned, run_step

from chainrule.bench.cells import PRESETS, parse, preset

CELLS = [
    *(cell for name in PRESETS for cell in preset(name, "H=1,16,300 B=1,7,64")),
    *map(
        parse, ("2-4-1,4", "1-1-1,1", "9-8-7-6-5-4,3,adam", "5-7-3,11,float64", "5-7-7-3,2,adam,float64")
    ),
]
FEW = [parse(name) for name in ("2-4-1,4", "64-16-10,1", "9-8-7-6-5,3,adam", "5-7-3,11,float64")]


def test_the_closed_forms_are_those_of_the_traced_program():
    forms = {cell: (3 * cell.depth - 1, cell.depth, cell.flops) for cell in CELLS}
    plans = {cell: planned(cell) for cell in CELLS}
    assert {c: (p.matmuls, p.row_products, p.flops) for c, p in plans.items()} == forms


@pytest.mark.parametrize("cell", FEW, ids=lambda cell: cell.name)
def test_a_step_does_the_planned_products_and_the_host_reads_nothing(cell):
    plain, replay = run_step(cell, "plain"), run_step(cell, "replay")
    for run in (plain, replay):
        assert (run.products, run.row_products, run.reads) == (3 * cell.depth - 1, cell.depth, 0)
    assert replay.computed == counts(cell).launches + 2  # X and Y of the batch are gathered


@pytest.fixture
def instead(monkeypatch):
    """Puts something before each step that is run on arrays that count."""

    def replace(before):
        class Changed(module.TrainingStep):
            def whole(self, progress, batch, learning_rate, key):
                if type(batch.X).__name__ == "Counted":
                    before(batch)
                return super().whole(progress, batch, learning_rate, key)

        monkeypatch.setattr(module, "TrainingStep", Changed)

    return replace


def test_a_number_that_the_host_reads_is_counted(instead):
    instead(lambda batch: float(batch.X[0, 0]))
    assert run_step(parse("2-4-1,4"), "plain").reads == 1


def test_an_unplanned_product_is_an_error(instead):
    instead(lambda batch: batch.X @ batch.X.__array_namespace__().matrix_transpose(batch.X))
    with pytest.raises(RuntimeError, match=r"does 6 products and 2 of one row, its plan 5 and 2"):
        counts(parse("2-4-1,4"))


def test_every_way_to_read_a_number_counts():
    ways = (float, int, bool, complex, np.asarray, methodcaller("item"), methodcaller("tolist"))
    for read in ways:
        counting = Counting()
        read(counting.array(np.ones(())) + 1.0)
        assert counting.reads == 1, read
