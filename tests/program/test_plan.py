"""The plan: nothing that is still needed is overwritten, nothing is copied, every byte is accounted for."""

import tracemalloc

import numpy as np
import pytest

from chainrule import backends
from chainrule.backends.numpy import NumpyLibrary
from chainrule.mathematics.arrays import namespace
from chainrule.program.engine import batch_spec, progress_spec
from chainrule.program.fusion import fuse
from chainrule.program.plan import Home, plan
from chainrule.program.replay import Arrays, Replay
from chainrule.program.trace import Spec, trace
from support.memory import SignedMemory
from support.pairs import all_pairs, in_turn
from support.steps import CASES, Case, epochs, made_plan, made_work, replayed

X32 = Spec((4, 3), "float32", "x")


def fused(made):
    """Return the same program planned as native code runs it, in chains."""
    return plan(made.program, made.carried, fuse(made.program))


def alone(made):
    """Return the plan as NumPy runs it, an operation at a time."""
    return made


def copies(made):
    return [group for group in made.groups if group.operations[0].function == "copy"]


# -- no two values that are needed share memory ---------------------------------------------------------


EVERY = [
    pytest.param(case, replan, (lead,) * lead, id=f"{name}-{replan.__name__}-{lead}")
    for (name, case), replan, lead in all_pairs(list(CASES.items()), (alone, fused), (0, 2))
]


@pytest.mark.parametrize(("case", "replan", "lead"), EVERY)
def test_every_operand_read_is_the_value_last_written_there(case, replan, lead):
    made = replan(made_plan(case, lead=lead))
    assert len(made.carried) == 1 + len(case.step.optimizer.init(np.zeros(3)))
    for value, output in made.carried:  # written where it was read
        assert made.homes[id(output)].storage.value is value
    assert copies(made) == []
    SignedMemory(made).run()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_plans_of_a_block_and_of_the_update_keep_what_they_need(case):
    work = made_work(case, 9)
    key = Spec((), np.int32, "key") if work.drops else None
    theta = Spec(work.progress.theta.shape, "float64", "theta")
    part = trace(work.step.part, theta, batch_spec(work.data, 3), key, 9, 3)
    update = trace(work.step.finish, progress_spec(work.progress), theta, Spec((), "float64", "rate"))
    carried = list(zip(update.inputs, update.outputs, strict=False))[: 1 + len(work.progress.state)]
    for groups in (None, fuse(part)):
        made = plan(part, (), groups)
        SignedMemory(made).run()
        assert copies(made) == []
    for groups in (None, fuse(update)):
        SignedMemory(plan(update, carried, groups)).run()


def test_the_check_by_signs_sees_an_operation_out_of_order_and_two_values_in_one_place():
    made = made_plan(Case())
    made.groups[3], made.groups[4] = made.groups[4], made.groups[3]
    with pytest.raises(AssertionError, match="is lost"):
        SignedMemory(made).run()
    made = made_plan(Case(hidden=(7, 7, 7)))
    scratch = [
        (key, home)
        for key, home in made.homes.items()
        if home.storage.is_scratch and home.whole is None and home.storage.nbytes == 9 * 7 * 8
    ]
    places = {id(home.storage): home for _, home in scratch}
    assert len(places) >= 2
    first, second, *_ = places.values()
    for key, home in scratch:
        if home.storage is second.storage:
            made.homes[key] = Home(first.storage)
    with pytest.raises(AssertionError, match=r"is lost|overwrites|lies partly|share a place"):
        SignedMemory(made).run()


# -- what is carried, and what is laid together ---------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (2,)], ids=str)
def test_nested_concatenations_are_one_place(lead):
    made = made_plan(CASES["weight_decay"], lead=lead)
    joined = [op.result for op in made.program.operations if op.function == "concat"]
    assert len(joined) == 2  # the layers' gradients, and those with the penalty
    assert len({id(made.homes[id(value)].storage) for value in joined}) == 1


def test_each_gradient_is_computed_in_its_place_of_the_whole():
    made, net = made_plan(Case()), Case().net
    (whole,) = [op.result for op in made.program.operations if op.function == "concat"]
    by_name = {op.result.name: op.result for op in made.program.operations}
    starts = []
    for name, shape in net.layout.named_shapes:
        home = made.homes[id(by_name[f"dL_d{name}"])]
        assert home.storage is made.homes[id(whole)].storage
        starts.append((home.start, int(np.prod(shape))))
    assert starts == [(sum(n for _, n in starts[:i]), n) for i, (_, n) in enumerate(starts)]


def test_a_part_that_cannot_be_computed_in_its_place_is_copied():
    def joined(x):
        xp = namespace(x)
        y = xp.tanh(x)
        return xp.concat([x, y, y, y[:, 1:]], axis=-1)  # an input, and one value three times

    made = plan(trace(joined, X32))
    SignedMemory(made).run()
    assert len(copies(made)) == 3
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")
    (got,) = outputs(made, x)
    y = np.tanh(x)
    np.testing.assert_array_equal(got, np.concatenate([x, y, y, y[:, 1:]], axis=-1))


TAKEN_OVER = {  # what is made of `one`, a concatenation of x and x
    "in-place": lambda one, xp, _x: (xp.concat([-one[:, :3], one[:, 3:]], axis=-1),),
    "later": lambda one, xp, _x: (xp.concat([-one[:, :3], one[:, 3:]], axis=-1), xp.tanh(one)),
    "again": lambda one, xp, _x: (xp.concat([-one[:, :3], one[:, 3:]], axis=-1), xp.exp(one[:, :3])),
    "product": lambda one, xp, x: (xp.concat([xp.matmul(one[:, :3], x[:3, :]), one[:, 3:]], axis=-1),),
    "shifted": lambda one, xp, _x: (xp.concat([-one[:, 1:4], one[:, 3:]], axis=-1),),
    "output": lambda one, xp, _x: (one, xp.concat([-one[:, :3], one[:, 3:]], axis=-1)),
    "copied": lambda one, xp, x: (xp.concat([x, one[:, 3:]], axis=-1), one * 2.0),
    "earlier": lambda one, xp, x: (xp.concat([xp.exp(-x), one[:, 3:]], axis=-1), one * 2.0),
    "between": lambda one, xp, _x: (
        xp.concat([-one[:, :2], one[:, 2:4] * xp.exp(one[:, :2]), one[:, 4:]], axis=-1),
    ),
    "thrice": lambda one, xp, _x: thrice(xp, one),
    "turned": lambda one, xp, _x: turned(xp, one),
    "two-wholes": lambda one, xp, _x: (
        xp.concat([one[:, :3], xp.concat([one[:, 3:] * 2.0, one[:, 3:]], axis=-1)[:, 3:]], axis=-1),
    ),
    "longer": lambda one, xp, x: (xp.concat([one, xp.exp(-x)], axis=-1),),
    "shorter": lambda one, xp, x: (xp.concat([one[:, :3], xp.exp(-x[:, :2])], axis=-1),),
}


def turned(xp, one):  # copied, even where its root lies in the place
    two = xp.concat([xp.matrix_transpose(one[:, :3]), one[:, 3:]], axis=-1)
    return (xp.concat([xp.matrix_transpose(two[:, :3]), two[:, 3:]], axis=-1),)


def thrice(xp, one):
    two = xp.concat([-one[:, :3], one[:, 3:]], axis=-1)
    return xp.concat([two[:, :3], -two[:, 3:]], axis=-1), xp.sum(two, axis=-1)


@pytest.mark.parametrize("function", TAKEN_OVER.values(), ids=TAKEN_OVER)
def test_a_place_of_a_concatenation_is_taken_over_only_when_nobody_reads_it_again(function):
    def joined(x):
        xp = namespace(x)
        return function(xp.concat([xp.tanh(x), xp.exp(x)], axis=-1), xp, x)

    program = trace(joined, Spec((3, 3), "float32", "x"))
    x = np.random.default_rng(0).standard_normal((3, 3)).astype("float32")
    for groups in (None, fuse(program)):
        made = plan(program, (), groups)
        SignedMemory(made).run()
    for have, want in zip(outputs(plan(program), x), joined(x), strict=True):
        np.testing.assert_array_equal(have, want)


MOVED = {
    "swap": lambda a, b, c: (b, a, c),
    "round": lambda a, b, c: (b, c, a),
    "shift": lambda a, b, _c: (a + b, a, b),
    "mixed": lambda a, b, c: (b, a + c, a),
    "spread": lambda a, b, _c: (a, a, a + b),
    "twice": lambda _a, b, c: (c * 2.0, c * 2.0, b),
    "heavy-ball": lambda a, b, c: (a - 0.1 * c + 0.9 * (a - b), a, c),
}


@pytest.mark.parametrize("function", MOVED.values(), ids=MOVED)
def test_inputs_may_change_places(function):
    # An optimizer that keeps the last parameters does, as Polyak's heavy-ball method with theta - theta_before.
    program = trace(function, *(Spec((5,), "float64", f"v{number}") for number in range(3)))
    made = plan(program, list(zip(program.inputs, program.outputs, strict=True)))
    SignedMemory(made).run()
    start = [np.arange(5.0) + 10 * number for number in range(3)]
    arrays, wanted = [part.copy() for part in start], start
    _, calls = replayed(made, arrays)
    for _ in range(3):
        wanted = function(*wanted)
        for call, arguments in calls:
            call(*arguments)
        for have, want in zip(arrays, wanted, strict=True):
            np.testing.assert_array_equal(have, want)


# -- bytes ----------------------------------------------------------------------------------------------


class CountingLibrary(NumpyLibrary):
    """NumPy, which notes the bytes of all memory that it gives out, and of every constant."""

    def __init__(self):
        self.scratch, self.constants = 0, {}

    def empty(self, shape, dtype):
        made = super().empty(shape, dtype)
        self.scratch += made.nbytes
        return made

    def constant(self, data):
        made = super().constant(data)
        if made.ndim:
            self.constants[id(made)] = made
        return made


@pytest.mark.parametrize(("case", "replan"), in_turn(CASES, (alone, fused)))
def test_the_bytes_are_those_of_the_arrays(case, replan):
    made, library = replan(made_plan(case)), CountingLibrary()
    inputs = [np.zeros(value.shape, value.dtype) for value in made.program.inputs]
    arrays = Arrays(made, inputs, library)
    for group in made.groups:
        for value in (*group.inputs, *group.results):
            if id(value) in made.homes or not value.is_constant:
                arrays.of(value)
    assert library.scratch == made.scratch_bytes
    assert sum(array.nbytes for array in library.constants.values()) == made.constant_bytes
    given = sum(array.nbytes for array in inputs)
    assert made.peak_bytes == given + made.scratch_bytes + made.constant_bytes


def test_scratch_is_used_again():
    deep = made_plan(Case(hidden=(7,) * 8), rows=100)
    forward = 8 * 100 * 7 * 8  # the activations, which the way back needs
    others = deep.scratch_bytes - forward
    assert others < 0.5 * forward
    made = plan(trace(lambda x: namespace(x).tanh(namespace(x).exp(x + 1.0)) * 2.0 + x, X32))
    assert made.scratch_bytes == 2 * X32.shape[0] * X32.shape[1] * 4  # one, and the output's own


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_peak_bytes_is_what_a_replay_takes_measured(optimizer):
    case = Case(hidden=(300, 200), activation="relu", loss="cross_entropy", optimizer=optimizer)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work = made_work(case, 1500, "float32")
        made = work.plan(1500)
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.reset_peak()
        engine = Replay(work, NumpyLibrary(), backends.named("numpy").asarray)
        engine.run(epochs(work, 1)[0], lambda: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held > 0
    assert abs(peak - before - made.peak_bytes) < 0.05 * made.peak_bytes


def outputs(made, *inputs):
    arrays, calls = replayed(made, inputs)
    for function, arguments in calls:
        function(*arguments)
    return [arrays.of(value) for value in made.program.outputs]
