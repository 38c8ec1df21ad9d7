"""How many launches a step is, counted from its plan: no device is needed to know."""

from itertools import product

from chainrule.backends.plans import step_plan
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.losses import LOSSES
from chainrule.mathematics.optimizers import sgd
from chainrule.program.cuda.planning import cuda_plan
from support.pairs import all_pairs
from support.steps import Case, made_plan

# What a step adds to a product for each weight matrix and a chain for each layer in each direction.
PER_STEP = {"sgd": 0, "momentum": 0, "nesterov": 0, "adam": 1, "adamw": 1}


def launches(case, rows=9):
    return len(cuda_plan(made_plan(case, rows)).groups)


def test_a_step_of_three_layers_is_14_launches_and_15_with_adam():
    for activation, loss in all_pairs(["relu", "sigmoid", "tanh", "gelu"], list(LOSSES)):
        assert launches(Case((16, 16), activation, loss, "sgd")) == 14
    assert launches(Case((16, 16), "relu", "cross_entropy", "adam")) == 15


def test_a_layer_more_is_three_products_and_two_chains_more():
    for depth, (optimizer, more) in product((1, 2, 5), PER_STEP.items()):
        case = Case((6,) * (depth - 1), "relu", "cross_entropy", optimizer)
        assert launches(case) == (3 * depth - 1) + (2 * depth - 1) + 1 + more


def test_a_wide_softmax_leaves_the_sum_over_its_rows_to_a_kernel_of_its_own():
    for classes, count in ((128, 9), (129, 10)):
        net = architecture((4, (4,), classes), "relu", None, "cross_entropy")
        assert len(cuda_plan(step_plan(net, sgd(), 2, "float32")).groups) == count
