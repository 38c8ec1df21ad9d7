"""Products straight into the weights: the same step as the plain one, and only where it is plain descent."""

import numpy as np

from chainrule.backends.plans import step_plan
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.optimizers import sgd
from chainrule.program.cuda.batch import is_product
from chainrule.program.cuda.engine import GraphEngine
from chainrule.program.cuda.planning import LARGE, cuda_plan
from chainrule.program.descending import descent
from support.cuda.work import on_device
from support.engines import worst
from support.steps import CASES, Case, epochs, made_plan, made_work, plain, ran

RULE = "chainrule.program.cuda.planning.LARGE"
PLAIN = {
    "three-layers": Case((7, 6), "gelu", "cross_entropy"),
    "one-layer": Case(()),
    "everything-else": Case(
        (7, 1, 6), "relu", "squared_error", weighted=True, additions={"dropout": 0.2}
    ),
}


def test_products_into_the_weights_are_the_plain_step(stand_in, monkeypatch):
    monkeypatch.setattr(RULE, 0)
    for case, batch_size in zip(PLAIN.values(), (None, 4, 4), strict=True):
        work = made_work(case, 11, batch_size=batch_size)
        engine = GraphEngine(on_device(stand_in, work), stand_in)
        plans = epochs(work, 4)
        assert worst(ran(engine, plans), ran(plain(work), plans)) < 16 * np.finfo(np.float64).eps


def test_no_gradient_of_a_weight_is_stored_and_the_step_is_no_launch_more(monkeypatch):
    step = made_plan(PLAIN["three-layers"])
    wide = step_plan(architecture((300, (300,), 300)), sgd(), 2, "float64")
    through, stored = cuda_plan(step, thin=False), cuda_plan(wide).scratch_bytes
    monkeypatch.setattr(RULE, 0)
    straight = cuda_plan(step, thin=False)
    assert len(straight.groups) == len(through.groups) == 14
    assert stored - cuda_plan(wide).scratch_bytes >= 0.9 * 8 * 2 * 300 * 300
    products = [group.only for group in straight.groups if is_product(group)]
    onto = [product for product in products if "rate" in product.settings]
    assert [op.result.name for op in onto] == ["dL_dW1", "dL_dW2", "dL_dW3"]
    theta = straight.homes[id(straight.program.inputs[0])].storage
    assert all(straight.homes[id(op.result)].storage is theta for op in onto)
    assert [straight.homes[id(op.result)].start for op in onto] == [0, 5 * 7, 5 * 7 + 7 * 6]


def test_only_plain_descent_goes_straight_into_the_weights():
    for name, case in CASES.items():
        is_plain = case.optimizer == "sgd" and not {"weight_decay", "clip_norm"} & set(case.additions)
        assert (descent(made_plan(case).program) is not None) == is_plain, name


def test_the_rule_is_for_many_weights():
    side = int(LARGE**0.5)
    for width, large in ((side - 4, False), (side + 4, True)):
        net = architecture((width, (), width), "relu", None, "mean_squared_error")
        step = step_plan(net, sgd(), 2, "float32")
        products = [group.only for group in cuda_plan(step).groups if is_product(group)]
        assert any("rate" in product.settings for product in products) == large
