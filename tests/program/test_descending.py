"""Products that subtract from the weights in native code: the same step as the plain one, for plain descent only."""

import numpy as np
import pytest

from chainrule.program import descending
from chainrule.program.descending import native_descent
from chainrule.program.kernels import Kernels
from chainrule.program.row_blocks import Cut
from chainrule.program.steps import blocked
from support.compare import relative_error
from support.engines import native_kernels, worst
from support.steps import CASES, Case, epochs, made_work, plain, ran

pytestmark = pytest.mark.needs("jit")

ROWS = 23
PLAIN = {
    "three-layers": Case((7, 6), "gelu", "cross_entropy"),
    "one-layer": Case(()),
    "wide": Case((70, 66)),
    "everything-else": Case(
        (7, 1, 6), "relu", "squared_error", weighted=True, additions={"dropout": 0.2}
    ),
}


@pytest.fixture
def _everywhere(monkeypatch):
    descending.native_descent.cache_clear()
    for name in ("MANY", "WIDE"):
        monkeypatch.setattr(descending, name, 0)
    yield
    descending.native_descent.cache_clear()


def engine(work):
    return blocked(work, native_kernels(), dict.fromkeys(work.batch_sizes, Cut(1, 1)))


@pytest.mark.usefixtures("_everywhere")
@pytest.mark.parametrize("batch_size", [None, 4, 1])
@pytest.mark.parametrize("name", PLAIN)
def test_products_into_the_weights_are_the_plain_step(name, batch_size):
    for dtype in ("float32", "float64"):
        plans = epochs(made_work(PLAIN[name], ROWS, dtype, batch_size), 4)
        wanted = ran(plain(made_work(PLAIN[name], ROWS, dtype, batch_size)), plans)
        got = ran(engine(made_work(PLAIN[name], ROWS, dtype, batch_size)), plans)
        assert worst(got, wanted) < 200 * np.finfo(dtype).eps


@pytest.mark.usefixtures("_everywhere")
def test_only_plain_descent_goes_straight_into_the_weights():
    for name, case in CASES.items():
        program = made_work(case, ROWS).plan(ROWS).program
        is_plain = case.optimizer == "sgd" and not {"weight_decay", "clip_norm"} & set(case.additions)
        assert (native_descent(program, native_kernels()) is not None) == is_plain, name
        assert native_descent(program, Kernels(None)) is None  # NumPy has no product that adds


def test_the_rule_takes_the_matrices_that_are_large_and_wide():
    case = Case((200, 100, 10, 2000, 10, 10))
    made = native_descent(made_work(case, 4, "float32").plan(4).program, native_kernels())
    onto = [group.only for group in made.groups if group.is_product and "rate" in group.only.settings]
    assert {operation.result.shape for operation in onto} == {(200, 100), (10, 2000)}
    plans = epochs(made_work(case, 4, "float32"), 4)
    losses, changed = ran(engine(made_work(case, 4, "float32")), plans)
    wanted = ran(plain(made_work(case, 4, "float32")), plans)
    assert relative_error(losses, wanted[0]) < 1e-5
    assert worst((losses, changed), wanted) < 1e-4
