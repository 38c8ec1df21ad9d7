"""What goes wrong in mid-run is heard at once, and leaves threads, BLAS and weights as they should be."""

import signal
import threading
from itertools import cycle, repeat

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import chainrule.backends.numpy as room
from chainrule import NeuralNetwork
from chainrule.backends.numpy import NumpyLibrary
from chainrule.mathematics.activations import ACTIVATIONS
from chainrule.mathematics.losses import LOSSES
from chainrule.program import blocks
from chainrule.program.kernels import Kernels
from chainrule.program.steps import blocked
from support import engines
from support.compare import relative_error
from support.engines import BLOCKED, NAMES, blas_threads
from support.steps import CASES, Case, epochs, forced, made_work, plain, ran

ROWS = 23


class Injected(Kernels):
    """Interpreted kernels with one more call, in a phase of the step and a thread."""

    def __init__(self, fault, phase=0, thread=1):
        super().__init__(NumpyLibrary())
        self._call, self._phase, self._thread = [(fault, ())], phase, thread

    def ready(self, phases, steps):
        calls = phases[self._phase][self._thread]
        middle = len(calls) // 2
        calls[middle:middle] = self._call
        self._call = []  # in batches of the first size alone
        return super().ready(phases, steps)


def inject(monkeypatch, at_call, fault, **where):
    """Make every training on NumPy do ``fault()`` in the middle of step number ``at_call``."""
    calls = []

    def call():
        calls.append(threading.current_thread())
        if len(calls) == at_call:
            fault()

    def engine(_self, work):
        return blocked(work, Injected(call, **where), forced(work))

    monkeypatch.setattr(room.NumpyBackend, "engine", engine)
    return calls


@pytest.fixture(autouse=True)
def _two_blas_threads():
    with threadpool_limits(2, user_api="blas"):
        assert set(blas_threads()) == {2}  # also on one core
        yield


def network(**given):
    given = {"activation": "tanh", "output_activation": "identity", "seed": 1} | given
    return NeuralNetwork(5, 7, 3, **given)


def train(net, epochs=6, **given):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((ROWS, 5)), rng.uniform(size=(ROWS, 3))
    return net.train(X, y, epochs, 0.01, **{"progress": False, **given})


def weights(net):
    return np.concatenate([np.ravel(part) for layer in net.layers for part in layer])


def after(steps, **given):
    """Return the weights after so many whole steps."""
    net = network()
    train(net, steps, **given)
    return weights(net)


# -- BLAS -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_blas_has_one_thread_while_blocks_run_and_its_own_in_a_replay_and_after(name, monkeypatch):
    engines.use(monkeypatch, name)
    seen = []
    train(network(), callbacks=[lambda _: seen.append(blas_threads())])
    assert {threads for counts in seen for threads in counts} == {2 if name == "replay" else 1}
    assert set(blas_threads()) == {2}


# -- an error in a thread -------------------------------------------------------------------------------


def fail():
    msg = "in a thread"
    raise MemoryError(msg)


@pytest.mark.parametrize("thread", [0, 1])
def test_an_error_in_a_thread_leaves_the_last_whole_step_and_training_can_go_on(thread, monkeypatch):
    engines.use(monkeypatch, "interpreted")
    wanted = [after(steps) for steps in (2, 4)]
    with monkeypatch.context() as patch:
        calls, net = inject(patch, 3, fail, thread=thread), network()
        with pytest.raises(MemoryError, match="in a thread"):
            train(net)
    assert len(calls) == 3  # at once: no further step
    assert (calls[0] is threading.main_thread()) == (thread == 0)
    assert set(blas_threads()) == {2}
    np.testing.assert_array_equal(weights(net), wanted[0])
    train(net, 2)
    np.testing.assert_array_equal(weights(net), wanted[1])


@pytest.mark.parametrize("phase", [1, 2, 3])  # g1 + g2, times the rate, and the parameters less that
@pytest.mark.parametrize("thread", [0, 1])
def test_an_error_in_the_update_leaves_no_half_of_it(thread, phase, monkeypatch):
    monkeypatch.setattr(blocks, "SHARED_UPDATE", 10)
    wanted, net = after(2), network()
    inject(monkeypatch, 3, fail, phase=phase, thread=thread)
    with pytest.raises(MemoryError):
        train(net)
    assert relative_error(weights(net), wanted) < 1e-12


# -- Ctrl-C ---------------------------------------------------------------------------------------------


def press():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("phase", [0, 1])
def test_ctrl_c_in_mid_step_ends_training_when_the_step_has_ended(phase, monkeypatch):
    calls = inject(monkeypatch, 3, press, phase=phase, thread=0)
    net = network()
    history = train(net)
    assert history.interrupted
    assert len(history.records) == len(calls) == 3
    assert set(blas_threads()) == {2}
    assert relative_error(weights(net), after(3)) < 1e-12
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("name", NAMES)
def test_a_check_that_raises_stops_before_the_step(name):
    case = CASES["everything-adam"]
    work = made_work(case, ROWS, "float64", 10)
    (epoch,) = epochs(work, 1)
    engine, calls = engines.made(name, work), []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), engine.at_work():
        engine.run(epoch, check)
    _, wanted = ran(plain(made_work(case, ROWS, "float64", 10)), [epoch.part(0, 2)])
    theta, state = engine.progress
    for have, want in zip([theta, *state], wanted, strict=True):
        assert relative_error(have, want) < 1e-12
    assert set(blas_threads()) == {2}


@pytest.mark.parametrize("name", NAMES)
def test_ctrl_c_at_any_moment_leaves_a_whole_step(name, monkeypatch):
    engines.use(monkeypatch, name)
    net = network()
    train(net, 1)  # whatever is made at a first run is there
    net = network()
    timer = threading.Timer(0.05, signal.raise_signal, [signal.SIGINT])
    history = train(net, 10**6, callbacks=[lambda record: timer.start() if record.epoch == 0 else None])
    timer.join()
    assert history.interrupted
    assert len(history.records) < 10**6
    assert set(blas_threads()) == {2}
    np.testing.assert_array_equal(weights(net), after(len(history.records)))


# -- numbers that are none ------------------------------------------------------------------------------


NOT_NUMBERS = [
    *zip(ACTIVATIONS, cycle(LOSSES), repeat(np.nan), strict=False),
    *zip(repeat("relu"), LOSSES, cycle((np.inf, -np.inf)), strict=False),
]


@pytest.mark.parametrize("name", BLOCKED)
def test_the_loss_of_a_batch_with_a_number_that_is_none_is_none_in_that_step(name):
    def work(activation, loss, number):
        made = made_work(Case(activation=activation, loss=loss), ROWS, "float32", 10)
        made.data.X[13, 2] = number
        return made

    for how in NOT_NUMBERS:
        epoch = epochs(work(*how), 1)[0]._replace(order=np.arange(ROWS))
        losses, _ = ran(engines.made(name, work(*how)), [epoch])
        wanted, _ = ran(plain(work(*how)), [epoch])
        np.testing.assert_array_equal(np.isfinite(losses), np.isfinite(wanted), str(how))
        assert np.isfinite(losses[0])


@pytest.mark.parametrize("batch_size", [None, 10])
@pytest.mark.parametrize("name", NAMES)
def test_numbers_that_overflow_are_an_error_in_their_epoch_and_the_weights_stay_finite(
    name, batch_size, monkeypatch
):
    engines.use(monkeypatch, name)
    net = network(activation="identity")
    start = weights(net)
    X, y = np.full((ROWS, 5), 1e200), np.ones((ROWS, 3))
    records = []
    with pytest.raises(FloatingPointError, match="diverged in epoch 0"):
        net.train(X, y, 5, 0.1, batch_size=batch_size, progress=False, callbacks=[records.append])
    assert records == []
    np.testing.assert_array_equal(weights(net), start)
    assert set(blas_threads()) == {2}
