"""The trace: the unchanged step, run once on tracers, becomes a program that does what the step does."""

import sys
from itertools import pairwise

import array_api_compat.numpy as xp
import numpy as np
import pytest

from chainrule.mathematics.arrays import namespace
from chainrule.mathematics.step import Batch
from chainrule.program.plan import plan
from chainrule.program.primitives import VIEWS
from chainrule.program.trace import Spec, naming, trace
from support.pairs import in_turn
from support.steps import ALL, CASES, Case, made_batch, made_plan, made_progress, ran_plan, replayed

X32 = Spec((4, 3), "float32", "x")


def functions(program):
    return [operation.function for operation in program.operations]


def written(program):
    """Return the operations as text: ``result = function(operands)``."""
    return [
        f"{program.name(op.result)} = {op.function}({', '.join(map(program.name, op.operands))})"
        for op in program.operations
    ]


# -- what it does is what the step does -----------------------------------------------------------------


STACKED = in_turn(CASES, ((3,), (2, 3)), ("float32", "float64", "float64"))


@pytest.mark.parametrize(("case", "lead", "dtype"), STACKED)
def test_the_traced_step_of_stacked_networks_is_the_plain_step_bit_for_bit(case, lead, dtype):
    progress, batch = made_progress(case, dtype, lead), made_batch(case, 9, dtype, lead)
    rates, keys = np.array([0.1, 0.05, 0.2], dtype), np.array([5, -7, 2**31 - 1], np.int32)
    wanted = []
    state = progress
    with np.errstate(all="ignore"):
        for rate, key in zip(rates, keys, strict=True):
            key_array = np.asarray(key) if case.net.dropout else None
            state, L = case.step.whole(state, batch, np.asarray(rate), key_array)
            wanted.append(L)
        got_progress, got = ran_plan(made_plan(case, 9, dtype, lead), progress, batch, rates, keys)
    np.testing.assert_array_equal(got, wanted)
    for have, want in zip(got_progress, (state.theta, *state.state), strict=True):
        np.testing.assert_array_equal(have, want)
    assert np.isfinite(wanted).all()
    assert got_progress[0].shape == (*lead, case.net.layout.total)


# -- what it counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "rows"), in_turn(CASES, (1, 9)))
def test_a_step_has_3L_minus_1_products_L_row_products_and_the_flops_of_the_architecture(case, rows):
    program, net = made_plan(case, rows).program, case.net
    assert program.matmuls == 3 * net.depth - 1
    assert program.row_products == net.depth
    assert program.flops == net.flops(rows)
    assert program.elementwise == program.launches - program.matmuls - program.row_products
    assert program.launches == sum(function not in VIEWS | {"concat"} for function in functions(program))


def test_bytes_are_those_of_every_operand_and_result_that_is_no_constant():
    program = trace(lambda x, y: namespace(x).matmul(x, y) + 1.0, X32, Spec((3, 2), "float32", "y"))
    product = 4 * (4 * 3 + 3 * 2 + 4 * 2)
    assert program.bytes == product + 4 * (2 * 4 * 2)
    assert program.input_bytes == 4 * (4 * 3 + 3 * 2)
    assert [op.flops for op in program.operations] == [2 * 4 * 3 * 2, 8]


def test_the_values_are_named_as_the_mathematics_names_them():
    case = Case(loss="squared_error", optimizer="adam", additions=ALL)  # its output is no identity
    names = {op.result.name for op in made_plan(case).program.operations}
    layers = ("Z", "A", "W", "b", "dL_dZ", "dL_dW", "dL_db")
    assert {f"{name}{number}" for name in layers for number in (1, 2, 3)} - names == set()
    assert {"dL_dX2", "dL_dX3", "D"} <= names  # the loss has named the dL_dA of the last layer
    assert {"L", "m", "v", "t", "g", "norm"} <= names
    lines = written(made_plan(Case(hidden=(7,), loss="squared_error")).program)
    chain_rule = ("dL_dZ2 = multiply(D, dA_dZ2)", "dL_dZ1 = multiply(dL_dX2, dA_dZ1)")
    assert [line for line in chain_rule if line not in lines] == []


def test_names_are_those_of_the_right_layer():
    case = Case(hidden=(7, 1, 6), loss="squared_error")
    program, net = made_plan(case).program, case.net
    by_name = {op.result.name: op.result for op in program.operations if op.result.name}
    for number, (n_in, n_out) in enumerate(pairwise(net.sizes), start=1):
        assert by_name[f"W{number}"].shape == by_name[f"dL_dW{number}"].shape == (n_in, n_out)
        assert by_name[f"Z{number}"].shape == by_name[f"dL_dZ{number}"].shape == (9, n_out)
        assert by_name[f"dL_db{number}"].shape == (1, n_out)
    Z1 = next(op for op in program.operations if op.result.name == "Z1")
    assert Z1.source.startswith("layers.py:")


def test_the_printed_table_has_a_line_an_operation_with_name_shape_and_flops():
    program = made_plan(Case(hidden=(4,), loss="squared_error")).program
    head, *lines = str(program).splitlines()
    assert head.split() == ["#", "result", "shape", "operation", "FLOPs"]
    assert len(lines) == len(program.operations)
    (product,) = [line for line in lines if " dL_dW2 " in line]
    assert "(4, 3)" in product
    assert "dL_dZ2)" in product
    assert product.split()[-1] == str(2 * 4 * 3 * 9)
    assert "?" not in str(program)


def test_a_profiler_at_work_is_left_alone_and_comes_back():
    def profiler(*_):
        return None

    sys.setprofile(profiler)
    try:
        with naming():
            assert sys.getprofile() is profiler
        program = trace(lambda x: x + x, X32)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    assert functions(program) == ["add"]
    made_plan(Case())
    assert sys.getprofile() is None


# -- what is recorded once, or not at all ---------------------------------------------------------------


def test_what_is_asked_for_twice_is_recorded_once_and_what_no_output_depends_on_is_dropped():
    def twice(x):
        xp = namespace(x)
        xp.exp(xp.tanh(x))
        return xp.tanh(x) * xp.tanh(x), xp.sum(x, axis=-1) + xp.sum(x, axis=-1)

    assert functions(trace(twice, X32)) == ["tanh", "multiply", "sum", "add"]
    step = functions(made_plan(Case(loss="cross_entropy")).program)
    assert [step.count(name) for name in ("exp", "max", "log")] == [1, 1, 1]  # of loss and gradient


def test_settings_and_numbers_and_their_signs_and_types_tell_operations_apart():
    def different(x):
        xp = namespace(x)
        return xp.sum(x, axis=-1), xp.sum(x, axis=0), x * 0.0, x * -0.0, xp.max(x, axis=-1)

    assert len(trace(different, X32).operations) == 5
    x = np.ones((4, 3), np.float32)
    (plus, minus) = replay(trace(lambda x: (x * 0.0, x * -0.0), X32), x)
    assert not np.signbit(plus).any()
    assert np.signbit(minus).all()


def test_one_times_x_is_x_but_not_where_the_ones_widen_it():
    def ones(x):
        xp = namespace(x)
        one = xp.ones_like(x)
        return (one * x) * one + xp.zeros_like(x)

    assert functions(trace(ones, X32)) == ["add"]
    widened = trace(lambda x: namespace(x).ones_like(x) * x[:1, :], X32)
    (got,) = replay(widened, np.arange(12, dtype="float32").reshape(4, 3))
    np.testing.assert_array_equal(got, [[0, 1, 2]] * 4)


def test_the_identity_activation_costs_nothing():
    identity, tanh = (made_plan(Case(activation=name)).program for name in ("identity", "tanh"))
    layers = 2  # hidden ones: tanh, its square, 1 - it, the product
    assert tanh.launches - identity.launches == 4 * layers


def test_what_depends_on_constants_alone_is_computed_in_the_trace():
    def folded(x):
        xp = namespace(x)
        place = xp.reshape(xp.arange(12, dtype=xp.int32), (4, 3))
        hashed = (place ^ (place >> 1)) * 3
        return x * xp.astype(hashed > 5, x.dtype), xp.matmul(xp.matrix_transpose(x[..., :1]), x)

    program = trace(folded, X32)
    assert functions(program) == ["multiply", "slice", "matrix_transpose", "matmul"]
    x = np.arange(12, dtype="float32").reshape(4, 3)
    place = np.arange(12).reshape(4, 3)
    (got, _) = replay(program, x)
    np.testing.assert_array_equal(got, x * ((place ^ (place >> 1)) * 3 > 5))


MADE = {
    "slice": lambda _xp, one: one[:2, :],
    "transpose": lambda xp, one: xp.matrix_transpose(one),
    "reshape": lambda xp, one: xp.reshape(one, (-1,)),
    "sum": lambda xp, one: xp.sum(one + one, axis=0),
    "max": lambda xp, one: xp.max(one, axis=-1, keepdims=True),
    "total": lambda xp, one: xp.sum(one, axis=(-2, -1)),
    "concat": lambda xp, one: xp.concat([one, one], axis=-1),
    "product": lambda xp, one: xp.matmul(one, xp.matrix_transpose(one)),
    "cast": lambda xp, one: xp.astype(one, xp.float64),
    "arithmetic": lambda xp, one: -xp.exp(one / 2.0),
}


def test_functions_of_constants_are_numpys():
    for made in MADE.values():
        wanted = made(xp, xp.ones((4, 3), dtype=xp.float32))
        program = trace(lambda x, made=made: made(namespace(x), namespace(x).ones_like(x)), X32)
        (output,) = program.outputs
        assert program.operations == ()
        assert (output.shape, output.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_array_equal(np.broadcast_to(output.data, output.shape), wanted)


def test_records_tuples_and_none_go_in_and_come_out():
    seen = []

    def nested(pair, nothing, batch):
        seen.append((type(batch), nothing))
        return (pair[0] + pair[1], (batch.X,)), None, 3.0

    program = trace(nested, (X32, X32), None, Batch(X32, X32))
    assert seen == [(Batch, None)]
    assert [value.shape for value in program.inputs] == [(4, 3)] * 4
    assert [value is program.inputs[2] for value in program.outputs] == [False, True]


def replay(program, *inputs):
    """Return the outputs of a program whose outputs are no inputs."""
    arrays, calls = replayed(plan(program), inputs)
    for function, arguments in calls:
        function(*arguments)
    return [arrays.of(value) for value in program.outputs]
