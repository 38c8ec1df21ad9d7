"""Products straight into the weights on the CPU: the same step as the plain one, and only where it is plain descent."""

import numpy as np
import pytest

from chainrule.program import descending
from chainrule.program.descending import DescendingBatch, places
from chainrule.program.kernels import InterpretedKernels
from chainrule.program.row_blocks import Cut
from chainrule.program.steps import blocked
from support.engines import native_kernels, worst
from support.pairs import all_pairs
from support.steps import CASES, Case, epochs, made_work, plain, ran

pytestmark = pytest.mark.needs("jit")

ROWS = 23
CUTS = [Cut(1, 1), Cut(2, 1), Cut(3, 1)]
PLAIN = {
    "three-layers": Case((7, 6), "gelu", "cross_entropy"),
    "one-layer": Case(()),
    "wide": Case((70, 66)),
    "everything-else": Case(
        (7, 1, 6), "relu", "squared_error", weighted=True, additions={"dropout": 0.2}
    ),
}


@pytest.fixture(autouse=True)
def _everywhere(monkeypatch):
    for name in ("MANY", "WIDE", "MANY_FOR_THREADS"):
        monkeypatch.setattr(descending, name, 0)


def engine(work, cut):
    cuts = {rows: cut if rows >= cut.threads else Cut(1, 1) for rows in work.batch_sizes}
    return blocked(work, native_kernels(), cuts)


@pytest.mark.parametrize(
    ("name", "cut", "batch_size", "dtype"),
    all_pairs(list(PLAIN), CUTS, (None, 4, 1), ("float32", "float64")),
)
def test_products_into_the_weights_are_the_plain_step(name, cut, batch_size, dtype):
    def work():
        return made_work(PLAIN[name], ROWS, dtype, batch_size)

    plans = epochs(work(), 4)
    wanted = ran(plain(work()), plans)
    descends = engine(work(), cut)
    assert {type(batch) for batch in descends._batches.values()} == {DescendingBatch}
    assert worst(ran(descends, plans), wanted) < 200 * np.finfo(dtype).eps


@pytest.mark.parametrize("cut", CUTS)
def test_no_gradient_of_a_weight_is_stored(cut):
    work = made_work(PLAIN["three-layers"], ROWS)
    descends = engine(work, cut)
    gradients = next(iter(descends._batches.values()))._gradients
    for gradient in gradients:
        gradient[:] = np.nan
    ran(descends, epochs(work))
    biases = 7 + 6 + 3
    for gradient in gradients:
        assert len(gradient) > biases
        assert (~np.isnan(gradient)).sum() == biases


def test_only_plain_descent_goes_straight_into_the_weights():
    for name, case in CASES.items():
        work = made_work(case, ROWS)
        is_plain = case.optimizer == "sgd" and not {"weight_decay", "clip_norm"} & set(case.additions)
        assert bool(places(work, ROWS, Cut(1, 1), native_kernels())) == is_plain, name
        assert not places(work, ROWS, Cut(1, 2), native_kernels())  # one block after the other
        assert not places(work, ROWS, Cut(1, 1), InterpretedKernels(None))  # no product that adds


def test_the_rule_takes_the_matrices_that_are_large_and_wide(monkeypatch):
    monkeypatch.undo()
    work = made_work(Case((200, 100, 10, 2000, 10, 10)), 4, "float32")
    sizes = (5 * 200, 200 * 100, 100 * 10, 10 * 2000, 2000 * 10, 10 * 10, 10 * 3)
    starts = np.cumsum([0, *sizes])
    assert places(work, 4, Cut(1, 1), native_kernels()) == (starts[1], starts[3])
    assert not places(work, 4, Cut(2, 1), native_kernels())
    assert places(made_work(Case((800, 700)), 4), 4, Cut(2, 1), native_kernels()) == (5 * 800,)
