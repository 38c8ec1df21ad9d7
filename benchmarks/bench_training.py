"""Twenty epochs over the bundled digits, on every backend that can be used here."""

from itertools import pairwise

import pytest

from chainrule import NeuralNetwork, backends
from chainrule.data import digits

USABLE = [record.name for record in backends.available() if record.usable]
WORKLOADS = [((32,), 32), ((128, 64), 128), ((512, 512), 512)]
EPOCHS = 20


def network(hidden, backend):
    return NeuralNetwork(
        64, hidden, 10, activation="relu", loss="cross_entropy", dtype="float32", seed=0, backend=backend
    )


@pytest.mark.parametrize("backend", USABLE)
@pytest.mark.parametrize(("hidden", "batch_size"), WORKLOADS)
def bench_training_on_digits(benchmark, backend, hidden, batch_size):
    X, y = digits()
    how = {"batch_size": batch_size, "optimizer": "adam", "learning_rate": 1e-3, "progress": False}
    net = network(hidden, backend)
    arrays = net.backend.asarray(X / 16, "float32"), net.backend.asarray(y)  # moved before timing

    # Right before it is fast; this is also the first call, with what only a first call pays.
    plain = network(hidden, "numpy").train(X / 16, y, epochs=1, compile=False, **how)
    assert net.train(*arrays, epochs=1, **how)["loss"] == pytest.approx(plain["loss"], rel=1e-4)

    sizes = (64, *hidden, 10)
    products = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    benchmark.group = f"{'-'.join(map(str, sizes))}, batch {batch_size}"
    benchmark.extra_info |= {
        "dtype": "float32",
        # The matrix products of a call; the first layer has no dL_dX.
        "flops": 2 * EPOCHS * len(X) * (3 * products - sizes[0] * sizes[1]),
    }
    # Timed is the whole call, compiling included. It reads the loss on the host after each epoch, so
    # nothing is still under way when it returns.
    benchmark.pedantic(net.train, args=arrays, kwargs={"epochs": EPOCHS, **how}, rounds=5)
