"""The table of primitives: what can be recorded is what every engine and every writer of formulas knows."""

import array_api_compat.numpy as xp
import array_api_strict
import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.mathematics.arrays import namespace
from chainrule.program.plan import plan
from chainrule.program.primitives import ELEMENTWISE, PRIMITIVES
from chainrule.program.trace import Spec, trace
from support.activations import OWN
from support.engines import native_kernels
from support.steps import replayed

EDGES = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 6.0, 0.5, -2.5, 7.0, 1e-30, -1e-5, 3e6, 88.7]
CALLED = sorted(ELEMENTWISE - {"astype", "copy"})


def numbers(dtype):
    """Return ordinary numbers and special ones, (3, 29)."""
    drawn = np.random.default_rng(5).normal(0, 3, 3 * 29 - len(EDGES))
    return np.concatenate([EDGES, drawn]).astype(dtype).reshape(3, 29)


def call_of(name):
    """Return a function of x, and of its reverse, that calls one primitive; integers and bools are made of x."""

    def function(x, y):
        xp, row = namespace(x), PRIMITIVES[name]
        operands = [x, y]
        if row.takes == "bool":
            operands = [x > 0, y > 1]
        elif row.takes == "integer":
            operands = [xp.astype(xp.clip(part, 0, 9), xp.int32) for part in operands]
        call = getattr(xp, name)
        numbers = {"clip": (-1, 6.0), "pow": (3,)}.get(name)
        if numbers or name == "where":
            return call(x, *numbers) if numbers else call(x > y, x, 0.5)
        return call(*operands[: row.arity])

    return function


def run_natively(program, *inputs):
    """Return the output of a program as machine code computes it."""
    kernels = native_kernels()
    made = plan(program, (), kernels.groups(program))
    from chainrule.program.replay import Arrays

    arrays = Arrays(made, inputs, kernels.library)
    items = [i for g in made.groups for i in kernels.item(g, arrays, slice(None), add=False)]
    kernels.ready([[items]], [np.zeros(1, np.int64)])(1)
    return arrays.of(program.outputs[0])


def run_replayed(program, *inputs):
    arrays, calls = replayed(plan(program), inputs)
    for function, arguments in calls:
        function(*arguments)
    return arrays.of(program.outputs[0])


def assert_same(got, wanted):
    """Check for the same bits; NaN is NaN."""
    np.testing.assert_array_equal(got, wanted)
    assert np.array_equal(np.signbit(got) & ~np.isnan(got), np.signbit(wanted) & ~np.isnan(wanted))
    assert got.dtype == wanted.dtype


def assert_near(got, wanted, ulps):
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted)
        return
    info = np.finfo(wanted.dtype)
    np.testing.assert_allclose(got, wanted, ulps * info.eps, ulps * info.smallest_normal)


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


def specs(dtype):
    return Spec((3, 29), dtype, "x"), Spec((3, 29), dtype, "y")


def calls(dtype):
    """Yield each primitive's name, a program that calls it, its inputs, and what NumPy makes of them."""
    x = numbers(dtype)
    y = x[::-1, ::-1].copy()
    for name in CALLED:
        program = trace(call_of(name), *specs(dtype))
        assert program.operations[-1].function == name
        yield name, program, (x, y), np.asarray(call_of(name)(x, y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_primitive_is_numpys_function_when_replayed(dtype):
    for _, program, inputs, wanted in calls(dtype):
        got = run_replayed(program, *inputs)
        assert_same(got.astype(wanted.dtype) if wanted.dtype.kind == "b" else got, wanted)


@pytest.mark.needs("jit")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_primitive_compiles_to_machine_code(dtype):
    for name, program, inputs, wanted in calls(dtype):
        exact = name not in {"exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "pow"}
        assert_near(run_natively(program, *inputs), wanted, 0 if exact else 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_of_ones_own_give_numpys_bits_and_run_on_the_strict_standard(dtype):
    x = numbers(dtype)
    for own in OWN.values():
        for function in (own.value, lambda Z, own=own: own.derivative(Z, own.value(Z))):
            program = trace(function, specs(dtype)[0])
            assert_same(run_replayed(program, x), function(x))
            strict = np.asarray(function(array_api_strict.asarray(x)))
            np.testing.assert_allclose(strict, function(x), 1e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("name", OWN)
def test_an_activation_of_ones_own_trains_as_it_is_written_and_is_explained(name):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 3)), rng.normal(size=(24, 2))
    nets = [
        NeuralNetwork(3, (5,), 2, activation=OWN[name], loss="mean_squared_error", seed=1) for _ in "ab"
    ]
    for net, compiled in zip(nets, (True, False), strict=True):
        history = net.train(X, y, 3, 0.05, batch_size=8, progress=False, compile=compiled)
        assert history.notes == ()
    for one, other in zip(nets[0].layers, nets[1].layers, strict=True):
        assert_same(one.W, other.W)
    step = nets[0].explain(X, y)
    assert "operatorname{operatorname" not in step.latex()
    assert nets[0].check_gradients(X, y, oracles=["differences"]).passed


def test_every_function_of_the_trace_has_a_row_and_every_row_a_text_for_each_printer():
    for row in map(PRIMITIVES.get, CALLED):
        assert row.cuda.format(*"abc", f="f")
        assert not row.latex or row.latex.format(*"abc")
        assert hasattr(xp, row.name), f"{row.name} is not in the standard"
