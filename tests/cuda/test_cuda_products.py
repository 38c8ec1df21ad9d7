"""The graph of the bare products of a step, on the numbers of the step."""

import numpy as np
import pytest

from chainrule.program.chains import HALVES
from chainrule.program.cuda.batch import BoundBatch
from chainrule.program.cuda.feed import FeedShape
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.products_only import products
from support.cuda.work import on_device
from support.steps import CASES, Case, made_work


@pytest.mark.parametrize("name", ["plain", "everything-adam"])
def test_the_graph_holds_the_products_of_so_many_steps(stand_in, name):
    work = on_device(stand_in, made_work(CASES[name], 9))
    run = products(work, stand_in, 3)
    theta = work.progress.theta.copy()
    run()
    run()
    assert len(stand_in.graphs[-1]) == 3 * 8
    np.testing.assert_allclose(work.progress.theta, theta, rtol=1e-12)


def test_the_bare_products_multiply_what_the_step_multiplies(stand_in, monkeypatch):
    known, product, kept = {}, stand_in.product, []

    def noted(asked):
        call = product(asked)
        kept.append(call)  # what is let go may give its id to another
        known[id(call[0])] = [(array.ctypes.data, array.shape) for array in asked[:3]]
        return call

    monkeypatch.setattr(stand_in, "product", noted)
    halves = {half: Case(additions={"compute": half}) for half in HALVES}
    for name, case in (CASES | halves).items():
        work = on_device(stand_in, made_work(case, 9, "float32" if name in HALVES else "float64"))
        feed = FeedShape(1, 0, work.progress.theta.dtype, work.drops).on(stand_in, stand_in.empty)
        batch = BoundBatch(work, 9, stand_in, plan=cuda_plan(work.plan(9), thin=False))
        step = batch.calls(feed)
        before = len(stand_in.allocated)
        alone = [known[id(call[0])] for call in batch.calls(feed, products_only=True)]
        assert alone == [known[id(call[0])] for call in step if id(call[0]) in known], name
        assert len(stand_in.allocated) == before, (
            name
        )  # what no step has filled may be zeros: they draw less power


def test_the_products_are_of_one_batch(stand_in):
    work = on_device(stand_in, made_work(Case(), 9, batch_size=3))
    with pytest.raises(ValueError, match="got 3 batches; give one with all rows"):
        products(work, stand_in)
