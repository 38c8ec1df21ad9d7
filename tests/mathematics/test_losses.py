"""Losses: their values and scales against plain forms and torch's, and at extreme logits."""

from functools import partial

import numpy as np
import pytest

from chainrule.mathematics.losses import LOSSES, cross_entropy
from support.compare import relative_error
from support.data import targets

ROWS, OUTPUTS = 6, 3


def log_softmax(Z):
    return Z - np.log(np.exp(Z).sum(axis=-1, keepdims=True))


def bernoulli(Z, Y):
    return -Y * np.log(1 / (1 + np.exp(-Z))) - (1 - Y) * np.log(1 / (1 + np.exp(Z)))


# The loss of a batch as the docstrings say it, the weights (n, 1) included.
PLAIN = {
    "squared_error": lambda A, Y, w: 0.5 * (w * (A - Y) ** 2).sum(),
    "mean_squared_error": lambda A, Y, w: (w * (A - Y) ** 2).mean(),
    "half_squared_error": lambda A, Y, w: 0.5 * (w * (A - Y) ** 2).sum() / len(A),
    "binary_cross_entropy": lambda Z, Y, w: (w * bernoulli(Z, Y)).mean(),
    "multilabel_cross_entropy": lambda Z, Y, w: (w * bernoulli(Z, Y)).sum() / len(Z),
    "poisson": lambda Z, Y, w: (w * (Y * (np.log(Y) - Z) - Y + np.exp(Z))).sum() / len(Z),
    "cross_entropy": lambda Z, Y, w: -(w * Y * log_softmax(Z)).sum() / len(Z),
}

every = pytest.mark.parametrize("name", LOSSES)


def drawn(rng, name):
    A, w = 2 * rng.standard_normal((ROWS, OUTPUTS)), rng.uniform(0.0, 3.0, (ROWS, 1))
    return A, targets(rng, name, (ROWS, OUTPUTS)), w


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_values_and_gradients_are_those_of_the_plain_formulas(weighted, rng, backend):
    for name in LOSSES:
        A, Y, w = drawn(rng, name)
        plain = partial(PLAIN[name], Y=Y, w=w if weighted else 1.0)
        slopes = np.empty_like(A)
        for place in np.ndindex(A.shape):
            step = np.zeros_like(A)
            step[place] = 1e-5
            slopes[place] = (plain(A + step) - plain(A - step)) / 2e-5
        given = (A, Y, w) if weighted else (A, Y)
        there = [backend.asarray(part) for part in given]
        value, dL_dA = LOSSES[name].value(*there), LOSSES[name].gradient(*there)
        assert value.shape == ()
        assert float(backend.to_numpy(value)) == pytest.approx(plain(A), rel=1e-13), name
        assert relative_error(backend.to_numpy(dL_dA), slopes) < 1e-8, name


@pytest.mark.needs("torch")
def test_values_and_gradients_are_torchs(rng):
    import torch

    for name, theirs in {
        "squared_error": "MSELoss",
        "mean_squared_error": "MSELoss",
        "binary_cross_entropy": "BCEWithLogitsLoss",
        "cross_entropy": "CrossEntropyLoss",
    }.items():
        A, Y, _ = drawn(rng, name)
        Z = torch.from_numpy(A).requires_grad_()
        total = getattr(torch.nn, theirs)()(Z, torch.from_numpy(Y))
        if name == "squared_error":
            total = total * (A.size / 2)
        total.backward()
        assert float(LOSSES[name].value(A, Y)) == pytest.approx(total.item(), rel=1e-13)
        assert relative_error(LOSSES[name].gradient(A, Y), Z.grad.numpy()) < 1e-13


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits_give_finite_losses_and_no_warning(backend, dtype):
    Z = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype)
    Y = np.array([[1.0, 0.0], [1.0, 0.0]], dtype)  # right, and as wrong as can be
    for name, value, slopes in (
        ("binary_cross_entropy", 2e4 / 4, [[0.0, 0.0], [-0.25, 0.25]]),
        ("cross_entropy", 2e4 / 2, [[0.0, 0.0], [-0.5, 0.5]]),
    ):
        A, T = backend.asarray(Z), backend.asarray(Y)
        got = backend.to_numpy(LOSSES[name].value(A, T))
        dL_dA = backend.to_numpy(LOSSES[name].gradient(A, T))
        assert got.dtype == dL_dA.dtype == dtype
        assert got == pytest.approx(value)
        assert dL_dA.tolist() == slopes


def test_the_links_give_probabilities_at_any_logit(backend):
    Z = np.array([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0], [-3.0, 1.0, 2.0]])
    odds, powers = np.exp(Z.clip(-500, 500)), np.exp(Z - Z.max(-1, keepdims=True))
    for name, plain in (
        ("binary_cross_entropy", odds / (1 + odds)),
        ("cross_entropy", powers / powers.sum(-1, keepdims=True)),
    ):
        P = backend.to_numpy(LOSSES[name].link(backend.asarray(Z)))
        assert np.abs(P - plain).max() < 1e-15


def test_soft_labels_are_taken_by_cross_entropy(rng):
    Z, Y = rng.standard_normal((4, 3)), rng.dirichlet([1.0, 1.0, 1.0], 4)
    assert float(cross_entropy.value(Z, Y)) == pytest.approx(PLAIN["cross_entropy"](Z, Y, 1.0))


@every
def test_a_loss_is_a_sum_over_rows_parts_add_up(name, rng):
    A, Y, w = drawn(rng, name)
    f = LOSSES[name]
    parts = [slice(0, 2), slice(2, 5), slice(5, 6)]
    total = sum(float(f.value(A[p], Y[p], w[p], rows=ROWS)) for p in parts)
    assert total == pytest.approx(float(f.value(A, Y, w)), rel=1e-14)
    joined = np.concatenate([f.gradient(A[p], Y[p], w[p], rows=ROWS) for p in parts])
    assert relative_error(joined, f.gradient(A, Y, w)) < 1e-15


@every
def test_a_stack_of_outputs_has_a_loss_each(name, rng):
    A, Y, w = (np.stack(part) for part in zip(*(drawn(rng, name) for _ in range(4)), strict=True))
    f = LOSSES[name]
    values = f.value(A, Y, w)
    assert values.shape == (4,)
    for number in range(4):
        assert values[number] == pytest.approx(
            float(f.value(A[number], Y[number], w[number])), rel=1e-14
        )


def test_what_is_reported_is_the_mean_whatever_is_trained_on():
    assert LOSSES["squared_error"].reported(3.0, rows=4, outputs=3) == 0.5
    assert LOSSES["half_squared_error"].reported(3.0, rows=4, outputs=3) == 1.0
    for name in ("mean_squared_error", "binary_cross_entropy", "cross_entropy"):
        assert LOSSES[name].reported(3.0, rows=4, outputs=3) == 3.0
