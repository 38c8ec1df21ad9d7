"""Ctrl-C and SIGTERM: the step is finished, and what was learned by then is kept."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from chainrule import Activation, NeuralNetwork
from chainrule.mathematics.activations import tanh
from chainrule.training.batches import Chance
from chainrule.training.interrupts import Interrupts
from support.compare import parameters
from support.data import regression

MOMENTS = 100 if os.environ.get("SOAK") else 1
ANSWER = "stopping after this step"


def network(**given):
    given = {"activation": "tanh", "loss": "mean_squared_error", "seed": 0, **given}
    return NeuralNetwork(3, 5, 1, **given)


def interrupting(times):
    """Return tanh with Ctrl-C pressed so many times on its way forward in the seventh step."""
    calls = []

    def value(Z):
        calls.append(len(Z))
        if len(calls) == 7:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return tanh.value(Z)

    return Activation("interrupting", value, tanh.derivative)


def first_steps(X, y, steps):
    """Return the parameters after so many steps on batches of 2, in the order of training."""
    net, chance = network(), Chance(0)
    orders = [chance.order(len(X)) for _ in range(1 + steps * 2 // len(X))]
    batches = [order[i : i + 2] for order in orders for i in range(0, len(X), 2)]
    for rows in batches[:steps]:
        net.backward(X[rows], y[rows], 0.1)
    return parameters(net)


@pytest.mark.parametrize(("times", "steps"), [(1, 7), (2, 6)])
def test_ctrl_c_in_mid_epoch_finishes_the_step_and_a_second_one_does_not(rng, capfd, times, steps):
    X, y = regression(rng, 8)  # four steps an epoch: the seventh is the third of the second
    net = network(activation=interrupting(times))
    history = net.train(X, y, 100, batch_size=2, compile=False, progress=False)
    assert history.interrupted
    assert len(history) == 1
    assert (parameters(net) == first_steps(X, y, steps)).all()
    assert capfd.readouterr().err == f"{ANSWER}; a second Ctrl-C does not wait for it\n"


def test_ctrl_c_in_the_last_step_is_reported_and_afterwards_does_what_it_did(rng):
    X, y = regression(rng, 7)
    net = network(activation=interrupting(times=1))
    history = net.train(X, y, 1, batch_size=1, compile=False, progress=False)
    assert (history.interrupted, len(history)) == (True, 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_once_the_steps_are_over_it_takes_a_third_ctrl_c(capfd):
    def press():
        signal.raise_signal(signal.SIGINT)

    with Interrupts(), Interrupts() as inner:  # the outer one has the handler
        press()
        with pytest.raises(KeyboardInterrupt):
            inner.check()
        press()
        with pytest.raises(KeyboardInterrupt):
            press()
    assert capfd.readouterr().err.count(ANSWER) == 1


def test_sigterm_is_seen_where_ctrl_c_is_ignored_as_in_a_background_job():
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts(signal.SIGINT, signal.SIGTERM), Interrupts() as inner:
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                inner.check()
    finally:
        signal.signal(signal.SIGINT, usual)


def test_training_in_another_thread_leaves_signals_alone(rng):
    X, y = regression(rng)
    handlers = []

    def look(_):
        handlers.append(signal.getsignal(signal.SIGINT))

    worker = threading.Thread(target=network().train, args=(X, y, 3), kwargs={"callbacks": [look]})
    worker.start()
    worker.join()
    assert handlers == [signal.default_int_handler] * 3


def press_ctrl_c(moment):
    """Press it so many seconds after training has begun to listen: before that, it would end the test."""
    until = time.monotonic() + 60
    while signal.getsignal(signal.SIGINT) is signal.default_int_handler and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(moment)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("moment", [0.05, 0.13])
def test_ctrl_c_at_any_moment_leaves_a_network_that_can_be_used(rng, backend, moment):
    X, y = regression(rng, 512)
    net = network(backend=backend)
    net.train(X, y, 1, 0.01, batch_size=64, progress=False)  # what is compiled is compiled here
    start = parameters(net)
    killer = threading.Thread(target=press_ctrl_c, args=(moment,))
    killer.start()
    began = time.process_time()  # what others do on the machine is not counted
    history = net.train(X, y, 10_000_000, 0.01, batch_size=64, progress=False)
    killer.join()
    assert time.process_time() - began < 20
    assert history.interrupted
    assert np.isfinite(parameters(net)).all()
    assert (parameters(net) != start).any() or not history.records  # or still compiling


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_chainrule_train_writes_a_whole_model_whenever_a_signal_comes_after_the_first_epoch(
    tmp_path, rng, number, times
):
    kind = np.where(rng.normal(size=400) > 0, "x", "y")
    np.savez(tmp_path / "t.npz", a=rng.normal(size=400), kind=kind)
    words = "train t.npz --target kind --epochs 1000000 -o m.safetensors"
    command = [sys.executable, "-m", "chainrule", *words.split()]
    moments = random.Random(f"{number} {times}")  # noqa: S311  no secret
    for _ in range(MOMENTS):
        with subprocess.Popen(command, cwd=tmp_path, text=True, stderr=subprocess.PIPE) as process:
            first = process.stderr.readline()
            time.sleep(moments.uniform(0.0, 0.3))
            for _ in range(times):
                process.send_signal(number)
                time.sleep(moments.uniform(0.01, 0.2))
            rest = process.communicate()[1]
        assert first.startswith("epoch 1/")
        assert f"{ANSWER}, then writing m.safetensors" in rest
        # A second signal may come after the model has been written, and end the program in the usual way.
        wanted = {signal.SIGINT: {0}, signal.SIGTERM: {143}}[number]
        assert process.returncode in wanted | ({130, -number} if times == 2 else set())
        assert [path.name for path in sorted(tmp_path.iterdir())] == ["m.safetensors", "t.npz"]
        assert NeuralNetwork.load(tmp_path / "m.safetensors").metadata["held_out"]["accuracy"] > 0
        (tmp_path / "m.safetensors").unlink()
