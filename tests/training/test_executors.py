"""Many networks: each has the bits of its run alone, however and wherever they train together."""

import math
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import chainrule.backends.numpy as room
from chainrule import NeuralNetwork, schedules, train_many
from chainrule.program import steps
from support.compare import parameters
from support.data import samples

ROWS = 50
DROPS = {"dropout": 0.5, "clip_norm": 0.1, "weight_decay": 0.1}
SETTINGS = [{}, DROPS, {}, DROPS, DROPS]
RATES = [0.01, 0.02, 0.005, schedules.warm_up(schedules.cosine(0.02)), 0.01]


def networks(backend=None, settings=SETTINGS, **given):
    given = {"activation": "tanh", "loss": "cross_entropy", "backend": backend, **given}
    return [NeuralNetwork(3, 5, 2, seed=k, **each, **given) for k, each in enumerate(settings)]


def data(rng):
    X = samples(rng, ROWS, 3)
    return X, (X[:, 0] > 0.3).astype(int)


def check_alike(nets, histories, others, alone):
    for net, history, other, own in zip(nets, histories, others, alone, strict=True):
        assert (parameters(net) == parameters(other)).all()
        columns = "loss", "validation_loss", "learning_rate"
        assert [history[name] for name in columns] == [own[name] for name in columns]
        assert history.best_epoch == own.best_epoch


def train_alone(nets, X, y, epochs, rates=RATES, **given):
    each = [
        {name: part(k) if callable(part) else part for name, part in given.items()}
        for k in range(len(nets))
    ]
    return [
        net.train(X, y, epochs, rate, threads=1, progress=False, **own)
        for net, rate, own in zip(nets, rates, each, strict=True)
    ]


@pytest.fixture(params=["any", pytest.param("native", marks=pytest.mark.needs("jit"))])
def engine(request, monkeypatch, backend):
    """NumPy runs native code, which so short a run would not, or the engine that it would choose."""
    if request.param == "native":
        if type(backend) is not room.NumpyBackend:
            pytest.skip("native code is for NumPy")
        monkeypatch.setattr(room, "is_native", lambda *_: True)
    return request.param


@pytest.mark.parametrize("given", [{"batch_size": 16}, {"shuffle": False, "optimizer": "adam"}])
def test_each_network_has_the_bits_of_its_run_alone(rng, backend, engine, given):
    X, y = data(rng)
    held_out, weights = data(rng), rng.uniform(size=(len(SETTINGS), ROWS))
    weights[:, :10] = np.eye(len(SETTINGS), 10) > 0  # rows that one of them has, as in folds
    given |= {"early_stopping": 4}
    nets, others = networks(backend), networks(backend)
    whole = {"sample_weight": weights, "validation_data": (*held_out, 1 - weights)}
    histories = train_many(nets, X, y, 12, RATES, threads=2, **given, **whole)
    given_k = {
        "sample_weight": lambda k: weights[k],
        "validation_data": lambda k: (*held_out, 1 - weights[k]),
    }
    check_alike(nets, histories, others, train_alone(others, X, y, 12, **given, **given_k))
    together = {"cupy": True, "jax": "batch_size" in given}.get(backend.name, engine == "native")
    notes = [note for history in histories for note in history.notes]
    assert together != any("one after the other" in note for note in notes)
    again = train_many(nets, X, y, 3, **given)  # the draws go on
    check_alike(nets, again, others, train_alone(others, X, y, 3, [0.1] * 5, **given))


@pytest.mark.needs("jit")
def test_many_networks_take_as_many_calls_of_native_code_as_one(rng, monkeypatch):
    from chainrule.program.native.runner import StepRunner

    monkeypatch.setattr(room, "is_native", lambda *_: True)
    monkeypatch.setattr(steps, "LAUNCH_SECONDS", math.inf)  # however slow the machine
    calls = []
    for name in ("__call__", "together"):
        run = getattr(StepRunner, name)
        counted = lambda *given, run=run: [calls.append(run), run(*given)][1]
        monkeypatch.setattr(StepRunner, name, staticmethod(counted) if name == "together" else counted)
    found = []
    for count in (1, 9):
        train_many(networks(settings=[{}] * count), *data(rng), 20, batch_size=10, threads=1)
        found.append(len(calls))
        calls.clear()
    assert found[0] == found[1] < 20 + 8


@pytest.mark.needs("jax")
def test_many_networks_take_as_many_compiled_loops_as_one(rng, monkeypatch):
    from chainrule.program.scan import Scan

    calls, run_all = [], Scan.run_all
    monkeypatch.setattr(Scan, "run_all", lambda *given: [calls.append(1), run_all(*given)][1])
    train_many(networks("jax", settings=[{}] * 9), *data(rng), 20, batch_size=10, threads=1)
    assert len(calls) == 20


def test_ctrl_c_leaves_every_network_whole(rng, engine, backend):
    signals = [signal.SIGINT]

    def rate(epoch, _epochs):
        if epoch == 3 and signals:
            signal.raise_signal(signals.pop())
        return 0.01

    (X, y), given = data(rng), {"batch_size": ROWS // 2, "validation_data": data(rng), "threads": 1}
    nets, others = networks(backend), networks(backend)
    histories = train_many(nets, X, y, 40, rate, **given)
    assert [(len(history), history.interrupted) for history in histories] == [(3, True)] * len(nets)
    for net, other in zip(nets, others, strict=True):
        other.train(X, y, 3, 0.01, progress=False, **given)
        assert (parameters(net) == parameters(other)).all()


def test_a_network_that_diverges_is_left_at_its_last_finite_weights_and_the_others_train_on(rng):
    X, y = data(rng)
    nets, others = (
        networks(loss="squared_error", settings=[{}] * 3, output_activation="identity") for _ in "ab"
    )
    Y = np.eye(2)[y]
    with pytest.warns(RuntimeWarning, match=r"networks\[1\]: training diverged in epoch \d+"):
        histories = train_many(nets, X, Y, 200, [0.001, 10.0, 0.002])
    assert isinstance(histories[1].error, FloatingPointError)
    assert np.isfinite(parameters(nets[1])).all()
    with pytest.raises(FloatingPointError):
        others[1].train(X, Y, 200, 10.0, threads=1, progress=False)
    for net, other, rate in ((nets[0], others[0], 0.001), (nets[2], others[2], 0.002)):
        other.train(X, Y, 200, rate, threads=1, progress=False)
        assert (parameters(net) == parameters(other)).all()


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        (
            lambda nets: [*nets, NeuralNetwork(3, 6, 2, loss="cross_entropy")],
            {},
            r"networks\[5\] is .*3-6-2.*; they may",
        ),
        (lambda nets: [*nets, nets[0]], {}, "one of them twice"),
        (lambda _: [], {}, "networks holds none"),
        (list, {"executor": "processes"}, "executor is 'processes'; give one of concurrent.futures"),
        (list, {"learning_rate": [0.1, 0.2]}, "learning_rate has length 2 but there are 5 networks"),
        (
            list,
            {"sample_weight": np.ones((4, ROWS))},
            "sample_weight has length 4 but there are 5 networks",
        ),
        (list, {"sample_weight": np.ones((5, 7))}, r"sample_weight has shape \(7,\)"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(rng, change, given, message):
    with pytest.raises(ValueError, match=message) as error:
        train_many(change(networks()), *data(rng), 1, **given)
    assert "\n" not in str(error.value)


def test_of_a_single_sample_each_network_may_have_its_own_weight(rng):
    X, y = (part[:1] for part in data(rng))
    weights, nets, others = np.arange(1.0, 6.0)[:, None], networks(), networks()
    histories = train_many(nets, X, y, 3, RATES, sample_weight=weights)
    alone = train_alone(others, X, y, 3, RATES, sample_weight=lambda k: weights[k])
    check_alike(nets, histories, others, alone)


# -- executors -----------------------------------------------------------------------------------------


class Fatal:
    """A learning rate that kills the process that first asks for it."""

    def __init__(self, file):
        self.file = Path(file)

    def __call__(self, _epoch, _epochs):
        if not self.file.exists():
            self.file.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.01


@pytest.mark.filterwarnings("ignore:.*a pack runs in this process")
@pytest.mark.parametrize("is_killed", [False, True])
def test_processes_train_to_the_same_bits_also_where_one_is_killed(rng, tmp_path, is_killed):
    X, y = data(rng)
    nets, others = networks(), networks()
    rates = [*RATES[:4], Fatal(tmp_path / "killed") if is_killed else RATES[4]]
    given = {"batch_size": 16, "optimizer": "adam"}
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        histories = train_many(nets, X, y, 5, rates, executor=executor, pack_size=2, **given)
    check_alike(nets, histories, others, train_many(others, X, y, 5, RATES, **given))
    check_alike(nets, train_many(nets, X, y, 2), others, train_many(others, X, y, 2))
