"""Counts: the closed forms of a cell, its traced program and arrays that count say the same."""

from operator import methodcaller

import numpy as np
import pytest

from chainrule.bench.cells import PRESETS, parse, preset
from chainrule.bench.judge.gate import counts as room
from chainrule.bench.judge.gate.counting import Counting
from chainrule.bench.judge.gate.counts import counts, planned, ran

CELLS = [
    *(cell for name in PRESETS for cell in preset(name, "H=1,16,300 B=1,7,64")),
    *map(
        parse, ("2-4-1,4", "1-1-1,1", "9-8-7-6-5-4,3,adam", "5-7-3,11,float64", "5-7-7-3,2,adam,float64")
    ),
]
FEW = [parse(name) for name in ("2-4-1,4", "64-16-10,1", "9-8-7-6-5,3,adam", "5-7-3,11,float64")]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_the_closed_forms_are_those_of_the_traced_program(cell):
    plan = planned(cell)
    assert (plan.matmuls, plan.row_products) == (cell.products, cell.depth)
    assert plan.flops == cell.flops


@pytest.mark.parametrize("cell", FEW, ids=lambda cell: cell.name)
@pytest.mark.parametrize("engine", ["plain", "replay"])
def test_a_step_does_the_products_that_are_planned_and_lets_the_host_read_nothing(cell, engine):
    done = ran(cell, engine)
    assert (done.products, done.rows) == (cell.products, cell.depth)
    assert done.reads == 0


def test_a_replayed_step_makes_the_calls_that_its_plan_has_and_gathers_its_batch():
    cell = parse("9-8-7-6-5,3,adam")
    assert ran(cell, "replay").computed == counts(cell).launches + 2


def test_a_step_that_reads_its_loss_on_the_host_is_found_out(monkeypatch):
    true_step = room.TrainingStep

    class Reading(true_step):
        def whole(self, progress, batch, learning_rate, key):
            progress, L = super().whole(progress, batch, learning_rate, key)
            if type(L).__name__ == "Counted" and float(L) > 1e30:
                raise FloatingPointError
            return progress, L

    monkeypatch.setattr(room, "TrainingStep", Reading)
    assert ran(parse("2-4-1,4"), "plain").reads == 1


def test_an_unplanned_product_is_found_out(monkeypatch):
    true_step = room.TrainingStep

    class Doubled(true_step):
        def whole(self, progress, batch, learning_rate, key):
            batch.X @ batch.X.__array_namespace__().matrix_transpose(batch.X)
            return super().whole(progress, batch, learning_rate, key)

    monkeypatch.setattr(room, "TrainingStep", Doubled)
    with pytest.raises(RuntimeError, match=r"does 6 products and 2 of one row, its plan 5 and 2"):
        counts(parse("2-4-1,4"))


READS = {kind.__name__: kind for kind in (float, int, bool, complex, np.asarray)}
READS |= {name: methodcaller(name) for name in ("item", "tolist")}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_every_way_to_read_a_number_counts(read):
    counting = Counting()
    x = counting.array(np.ones(()))
    read(x + 1.0)
    assert counting.reads == 1
