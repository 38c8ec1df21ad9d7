"""Fusion and lowering: chains hold each operation once, in an order that works, and compute what it did."""

import numpy as np
import pytest

from chainrule.mathematics.arrays import namespace
from chainrule.program.fusion import fuse, is_total, laid_out, lower, over
from chainrule.program.operations import Value
from chainrule.program.trace import Spec, trace
from support.chains import evaluated
from support.pairs import in_turn
from support.steps import CASES, Case, made_batch, made_plan, made_progress

X32 = Spec((4, 3), "float32", "x")


def program(case, lead=()):
    return made_plan(case, lead=lead).program


@pytest.mark.parametrize(("case", "lead"), in_turn(CASES, ((), (2,))))
def test_a_chain_runs_over_one_shape_between_products_and_reads_no_total_of_its_own(case, lead):
    made = program(case, lead)
    segment, here = {}, 0
    for operation in made.operations:
        here += operation.function in ("matmul", "concat")
        segment[id(operation)] = here
    for group in fuse(made):
        assert len({segment[id(operation)] for operation in group.operations}) == 1
        if group.is_product or group.is_concat:
            assert len(group.operations) == 1
            continue
        assert len({over(operation) for operation in group.operations}) == 1
        totals = {id(op.result) for op in group.operations if is_total(op)}
        assert all(id(value) not in totals for op in group.operations for value in op.inputs)


def test_a_total_leaves_its_chain_also_where_it_is_of_one_number():
    def total(x):
        return namespace(x).exp(namespace(x).sum(x * 2.0, axis=(-2, -1)))

    first, second = fuse(trace(total, Spec((1, 1), "float32", "x")))
    assert [op.function for op in first.operations] == ["multiply", "sum"]
    assert [op.function for op in second.operations] == ["exp"]


def test_the_chains_of_a_step_are_few():
    # Forward: bias with activation, a chain a layer. Backward: a chain a layer. Then the update.
    groups = fuse(program(Case(hidden=(7, 6), loss="squared_error")))
    chains = [group for group in groups if not group.is_product and not group.is_concat]
    assert len(chains) == 3 + 2 + 1  # the last layer goes forward and back in one


@pytest.mark.parametrize(("case", "dtype"), in_turn(CASES, ("float32", "float64")))
def test_lowered_chains_evaluated_by_numpy_are_the_plain_step(case, dtype):
    progress, batch = made_progress(case, dtype), made_batch(case, 9, dtype)
    rate, key = np.asarray(0.1, dtype), np.asarray(77, np.int32) if case.net.dropout else None
    made = made_plan(case, 9, dtype).program
    given = [progress.theta, *progress.state, *(p for p in batch if p is not None), rate]
    given += [] if key is None else [key]
    got = run(made, given)
    wanted, L = case.step.whole(progress, batch, rate, key)
    tolerance = 4 * np.finfo(dtype).eps  # only the totals are added in another order
    for have, want in zip(got, [wanted.theta, *wanted.state, L], strict=True):
        np.testing.assert_allclose(have, want, rtol=tolerance, atol=tolerance)


def run(made, given):
    """Return the outputs of a program, run as chains by NumPy."""
    known = {id(value): array for value, array in zip(made.inputs, given, strict=True)}
    maker = {id(op.result): op for op in made.operations if op.is_view}

    def of(value: Value):
        if value.data is not None:
            return np.broadcast_to(value.data, value.shape)
        if id(value) in maker:
            look, settings = maker[id(value)], maker[id(value)].settings
            array = of(look.inputs[0])
            if look.function == "matrix_transpose":
                return np.swapaxes(array, -1, -2)
            return array[settings["places"]] if look.function == "slice" else array.reshape(value.shape)
        return known[id(value)]

    for group in fuse(made):
        if group.is_product:
            known[id(group.only.result)] = np.matmul(*map(of, group.inputs))
        elif group.is_concat:
            known[id(group.only.result)] = np.concatenate([of(value) for value in group.inputs], axis=-1)
        else:
            lowered = lower(group)
            arrays = [laid_out(of(v), lowered.where) for v in lowered.inputs]
            made_here = evaluated(lowered.chain, arrays, lowered.where)
            for value, array in zip(lowered.outputs, made_here, strict=True):
                known[id(value)] = array.reshape(value.shape)
    return [of(value) for value in made.outputs]


def test_equal_chains_of_different_networks_are_one_kernel():
    one, other = (
        [
            lower(g).chain
            for g in fuse(program(CASES["everything-adam"]))
            if not g.is_product | g.is_concat
        ]
        for _ in range(2)
    )
    assert one == other
    assert [hash(chain) for chain in one] == [hash(chain) for chain in other]


def test_what_lies_between_has_no_memory():
    made = trace(lambda x: namespace(x).tanh(namespace(x).exp(x * 2.0) + 1.0), X32)
    (group,) = fuse(made)
    assert [value.shape for value in group.results] == [(4, 3)]
    assert list(group.results) == list(made.outputs)
    assert list(group.inputs) == list(made.inputs)


def test_a_value_that_is_read_later_as_well_leaves_its_chain():
    def twice(x, w):
        xp = namespace(x)
        y = xp.tanh(x)
        return xp.matmul(xp.exp(y), w) * 2.0, y

    first, _, _ = fuse(trace(twice, X32, Spec((3, 3), "float32", "w")))
    assert [op.function for op in first.operations] == ["tanh", "exp"]
    assert len(first.results) == 2
