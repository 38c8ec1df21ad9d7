"""Steps that cannot be recorded: they train as they are written, and whoever needs the program says why not."""

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.arrays import namespace
from chainrule.program.trace import Spec, trace
from chainrule.program.unrecordable import UnrecordableError

X = np.random.default_rng(2).normal(size=(12, 3))
Y = np.sum(X, axis=1, keepdims=True)


def host_read(Z):
    return Z * 2.0 if float(np.max(Z)) > 0.0 else Z


def if_of_the_step(Z):
    return Z if float(Z[0, 0]) < 1e9 else 2.0 * Z


OWN = {
    "xp.sinh": (lambda Z: namespace(Z).sinh(Z), r"it uses xp\.sinh, which is not among the primitives"),
    "np.sin": (lambda Z: np.sin(Z) + Z, r"it calls np\.sin; use xp\.sin"),
    "np.max": (host_read, r"it calls np\.max; use a function of xp"),
    "float": (if_of_the_step, r"it indexes an array|it reads a value on the host"),
    "power": (lambda Z: abs(Z) ** 1.5, "it takes a power that is not a whole number from 0 to 8"),
    "numpy scalar": (lambda Z: np.float32(2.0) * Z, "it combines an array with float32"),
    "bounds": (lambda Z: namespace(Z).clip(Z, -abs(Z), 1.0), "it clips to arrays"),
    "conversion": (lambda Z: Z + (Z > 0), "it calls xp.add of float64 and bool, which would convert"),
}


@pytest.mark.parametrize(("value", "why"), OWN.values(), ids=OWN)
def test_a_step_that_cannot_be_recorded_trains_as_it_is_written_and_says_so(value, why):
    own = Activation("own", value, lambda Z, _: namespace(Z).ones_like(Z))
    nets = [NeuralNetwork(3, 4, 1, activation=own, loss="mean_squared_error", seed=0) for _ in "ab"]
    with np.errstate(all="ignore"):
        noted = nets[0].train(X, Y, 3, 0.01, batch_size=4, progress=False)
        plain = nets[1].train(X, Y, 3, 0.01, batch_size=4, progress=False, compile=False)
    (note,) = noted.notes
    assert "\n" not in note
    assert note.endswith("it runs as it is written")
    assert __file__.rpartition("/")[2] in note
    assert noted["loss"] == plain["loss"]
    for ask in (
        lambda net: net.explain(X, Y),
        lambda net: net.memory_estimate(4),
        lambda net: net.program(4),
    ):
        with pytest.raises(TypeError, match=f"the step cannot be recorded: {why}"):
            ask(nets[0])


def largest_in_the_batch(Z):
    return Z - namespace(Z).max(Z, axis=-2, keepdims=True)


def number_of_positives(Z):
    xp = namespace(Z)
    return Z * xp.astype(xp.sum(xp.astype(Z > 0, xp.int32)), Z.dtype)


@pytest.mark.needs("jit")
@pytest.mark.parametrize("value", [largest_in_the_batch, number_of_positives])
def test_a_reduction_that_no_kernel_holds_trains_as_it_is_written_and_says_so(value):
    own = Activation("own", value, lambda Z, _: namespace(Z).ones_like(Z))
    nets = [NeuralNetwork(3, 4, 1, activation=own, loss="mean_squared_error", seed=0) for _ in "ab"]
    noted = nets[0].train(X, Y, 4000, 1e-4, progress=False)
    plain = nets[1].train(X, Y, 4000, 1e-4, progress=False, compile=False)
    assert noted.notes[0].startswith("the step cannot be compiled: it takes xp.")
    assert noted["loss"] == plain["loss"]


X32 = Spec((4, 3), "float32")
ONE = np.ones((4, 3), np.float32)
REFUSED = {
    "on the host": [float, int, bool, complex, list, range, np.asarray, lambda x: 1 if x > 0 else 2],
    "only slices": [lambda x: x[0], lambda x: x[0, :], lambda x: x[[0, 1]], lambda x: x[None], lambda x: x[ONE > 0]],
    "argument of the step|Tracer": [
        lambda x: x + ONE, lambda x: ONE + x, lambda x: ONE @ x, lambda x: np.float32(2.0) * x,
        lambda x: namespace(x).maximum(x, ONE), lambda x: x + "1",
    ],
    r"np\.exp; use xp\.exp": [np.exp],
    "convert": [
        lambda x: namespace(x).exp(namespace(x).arange(3, dtype=np.int32) + x[0:1, :]),
        lambda x: x + namespace(x).astype(x, np.float64), lambda x: (x > 0) + (x < 1), lambda x: (x > 0) * 2,
        lambda x: namespace(x).astype(x, np.int32) * 0.5,
    ],
    "not a bool array": [lambda x: namespace(x).where(x, x, x), lambda x: namespace(x).where(True, x, x)],
    "Python numbers alone": [lambda x: namespace(x).where(x > 0, 1.0, 2.0)],
    "2 arguments; it takes 1": [lambda x: namespace(x).exp(x, x)],
    "inner sizes 3 and 4 differ": [lambda x: x @ x],
    "broadcast": [lambda x: x + x[:, :2]],
    "only the last axis": [lambda x: namespace(x).concat([x, x], axis=0)],
    "power": [lambda x: 2.0**x, lambda x: x**x, lambda x: x**-1, lambda x: x**9],
    "argmax": [lambda x: namespace(x).argmax(x)],
}  # fmt: skip


def test_what_cannot_be_recorded_is_refused_in_one_line_with_the_reason():
    for why, function in (
        (why, function) for why, functions in REFUSED.items() for function in functions
    ):
        with pytest.raises(UnrecordableError, match=why) as refused:
            trace(function, X32)
        assert "\n" not in str(refused.value)


def test_a_mistake_of_the_users_own_is_raised_as_it_is():
    wrong = Activation("wrong", lambda Z: Z[:, :1] @ Z, lambda Z, _: Z)
    net = NeuralNetwork(3, 4, 1, activation=wrong, loss="mean_squared_error")
    with pytest.raises(ValueError, match="matmul"):
        net.train(X, Y, 1, progress=False)


def test_a_network_that_cannot_be_recorded_finds_a_backend_by_itself():
    own = Activation("own", OWN["xp.sinh"][0], lambda Z, _: namespace(Z).cosh(Z))
    net = NeuralNetwork(3, 4, 1, activation=own, loss="mean_squared_error", backend="auto")
    assert len(net.train(X, Y, 2, 0.01, progress=False)) == 2
    assert net.backend.name == "numpy"


@pytest.mark.parametrize(
    "backend", [pytest.param(b, marks=pytest.mark.needs(b)) for b in ("torch", "jax")]
)
def test_a_read_on_the_host_is_noted_on_every_backend_that_compiles(backend):
    own = Activation("own", OWN["float"][0], lambda Z, _: namespace(Z).ones_like(Z))
    net = NeuralNetwork(3, 4, 1, activation=own, loss="mean_squared_error", backend=backend)
    (note,) = net.train(X, Y, 2, 0.01, batch_size=5, progress=False).notes
    assert note.startswith("the step cannot be recorded: it")
