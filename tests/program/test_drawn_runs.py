"""Training gives what the step as it is written gives, on shapes and settings drawn from the whole range."""

import itertools
import os

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.backends.numpy import native_is_at_hand
from chainrule.mathematics import optimizers
from chainrule.program import machine, row_blocks, steps

WIDTHS = (1, 2, 3, 4, 5, 7, 8, 10, 13, 16, 17, 31, 32, 33, 48, 64, 65, 100, 128, 257)
BATCHES = (None, 1, 2, 3, 4, 5, 8, 13, 16, 32, 33, 64, 100, 128, 200)  # None: all rows
RULES = {  # an epsilon that rounding in a gradient near 0 does not outweigh
    "sgd": {},
    "momentum": {},
    "nesterov": {},
    "adam": {"epsilon": 1e-3},
    "adamw": {"epsilon": 1e-3},
}
ALL = list(itertools.product(WIDTHS, BATCHES, RULES))
DRAWN = (
    ALL
    if os.environ.get("SOAK")
    else [ALL[i] for i in np.random.default_rng(0).permutation(len(ALL))[:60]]
)


class Run:
    """A run of training: what is not given is drawn from a seed of its own."""

    def __init__(self, width, batch, rule):
        draw = np.random.default_rng([width, batch or 0, len(rule)])
        self.dtype = str(draw.choice(["float64", "float32"]))
        self.threads = int(draw.integers(1, 6))
        hidden = tuple(width for _ in range(draw.integers(1, 3)))
        loss = str(draw.choice(["squared_error", "cross_entropy", "binary_cross_entropy"]))
        self.network = {
            "input_size": int(draw.choice([1, 2, 5, 16, 33])),
            "hidden_size": hidden,
            "output_size": int(draw.choice([2, 3, 10])),
            "loss": loss,
            "activation": str(draw.choice(["tanh", "sigmoid", "gelu", "softplus"])),
            "dropout": float(draw.choice([0.0, 0.2])),
            "weight_decay": float(draw.choice([0.0, 0.01])),
            "clip_norm": draw.choice([None, 1.0]),
            "dtype": self.dtype,
            "backend": "numpy",
            "seed": 0,
        }
        rows = batch + int(draw.integers(0, batch)) if batch else int(draw.integers(1, 70))
        self.X = draw.standard_normal((rows, self.network["input_size"]))  # (n, n_0)
        if loss == "squared_error":
            self.y = draw.standard_normal((rows, self.network["output_size"]))  # (n, n_L)
        elif loss == "cross_entropy":
            self.y = draw.integers(0, self.network["output_size"], rows)  # (n,)
        else:
            self.y = draw.integers(0, 2, (rows, self.network["output_size"]))  # (n, n_L)
        self.options = {
            "batch_size": batch,
            "optimizer": getattr(optimizers, rule)(**RULES[rule]),
            "sample_weight": draw.random(rows) + 0.5 if draw.integers(2) else None,
            "progress": False,
        }

    def weights(self, **options):
        """Return the weights after two epochs, and the losses."""
        net = NeuralNetwork(**self.network)
        history = net.train(self.X, self.y, 2, 0.02, **self.options, **options)
        parts = [np.ravel(part) for layer in net.layers for part in layer]
        return np.concatenate(parts), np.array(history["loss"])


@pytest.mark.parametrize("native", [False, pytest.param(True, marks=pytest.mark.needs("jit"))])
@pytest.mark.parametrize(("width", "batch", "rule"), DRAWN)
def test_every_engine_trains_as_the_step_is_written(width, batch, rule, native, monkeypatch):
    run = Run(width, batch, rule)
    monkeypatch.setattr(steps, "LONG_SECONDS", 0.0 if native else np.inf)
    if run.threads > 1:  # share out what would run whole
        for name in ("_SHARED_FLOPS", "_SHARED_FLOPS_A_CALL"):
            monkeypatch.setattr(row_blocks, name, 0)
        monkeypatch.setattr(row_blocks, "_SHARED_ROWS", 1)
        monkeypatch.setattr(machine, "l2_bytes", lambda: 20_000)
    assert native_is_at_hand() or not native
    weights, losses = run.weights(threads=run.threads)
    again, _ = run.weights(threads=run.threads)
    np.testing.assert_array_equal(weights, again)  # bits repeat
    plain, plain_losses = run.weights(compile=False)
    near = {"rtol": 1e-9, "atol": 1e-11} if run.dtype == "float64" else {"rtol": 2e-4, "atol": 2e-5}
    # Some runs amplify rounding: the step as it is written is then far from float64, too.
    if run.dtype == "float32":
        run.network["dtype"] = "float64"
        exact, _ = run.weights(compile=False)
        near["atol"] += 4 * np.abs(plain - exact).max()
    np.testing.assert_allclose(weights, plain, **near)
    np.testing.assert_allclose(losses, plain_losses, **near)
