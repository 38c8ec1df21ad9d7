"""How many launches a step is, counted from its plan: no device is needed to know."""

from itertools import product

from chainrule.backends.plans import step_plan
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.losses import LOSSES
from chainrule.mathematics.optimizers import optimizer, sgd
from chainrule.program.cuda.planning import cuda_plan
from support.pairs import all_pairs

# What a step adds to a product for each weight matrix and a chain for each layer in each direction.
PER_STEP = {"sgd": 0, "momentum": 0, "nesterov": 0, "adam": 1, "adamw": 1}


def launches(sizes, activation="relu", loss="cross_entropy", name="sgd"):
    net = architecture((sizes[0], sizes[1:-1], sizes[-1]), activation, None, loss)
    return len(cuda_plan(step_plan(net, optimizer(name), 9, "float32")).groups)


def test_a_step_of_three_layers_is_14_launches_and_15_with_adam():
    for activation, loss in all_pairs(["relu", "sigmoid", "tanh", "gelu"], list(LOSSES)):
        assert launches((20, 20, 20, 20), activation, loss) == 14
    assert launches((20, 20, 20, 20), name="adam") == 15


def test_a_layer_more_is_three_products_and_two_chains_more():
    for depth, (name, more) in product((1, 2, 5), PER_STEP.items()):
        sizes = (17,) * (depth + 1)
        assert launches(sizes, name=name) == (3 * depth - 1) + (2 * depth - 1) + 1 + more


def test_products_with_a_matrix_of_a_few_columns_are_parts_of_kernels():
    for sizes, count in (
        ((784, 64, 17), 9), ((784, 64, 16), 6),  # all three products of the last layer
        ((16, 64, 17), 7),  # the first layer's product, and the gradient of its weights
        ((784, 16, 10), 5), ((784, 64, 64, 10), 11), ((4, 8, 8, 3), 6), ((4, 3), 3), ((64, 3), 3),
        ((784, 16, 784), 8),  # a softmax over wide rows would read the weights again and again
    ):  # fmt: skip
        assert launches(sizes) == count, sizes
    assert launches((784, 16, 784), loss="mean_squared_error") == 5


def test_a_wide_softmax_leaves_the_sum_over_its_rows_to_a_kernel_of_its_own():
    for classes, count in ((128, 9), (129, 10)):
        net = architecture((20, (20,), classes), "relu", None, "cross_entropy")
        assert len(cuda_plan(step_plan(net, sgd(), 2, "float32")).groups) == count
