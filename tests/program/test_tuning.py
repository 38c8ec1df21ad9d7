"""Tuning measures what the rule would choose by shapes, and keeps what it found."""

import json

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.backends.numpy import native_is_at_hand
from chainrule.program import tuning
from chainrule.program.tuning import Choice


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Measure for a moment, and keep it in a folder of the test's own."""
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tuning, "ROUNDS", 1)
    monkeypatch.setattr(tuning, "ROUND_SECONDS", 0.0)


def trained(tune, **given):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((50, 6)), rng.random((50, 2))
    net = NeuralNetwork(6, 5, 2, seed=0, dropout=0.2, backend="numpy")
    net.train(X, Y, 3, 0.1, optimizer="adam", progress=False, tune=tune, **given)
    return net._theta


@pytest.mark.parametrize("batch_size", [None, 20])
def test_a_tuned_run_learns_what_an_untuned_one_does(batch_size):
    tuned, usual = trained(True, batch_size=batch_size), trained(False, batch_size=batch_size)
    np.testing.assert_allclose(tuned, usual, rtol=1e-9, atol=1e-11)


def test_measuring_leaves_the_weights_and_their_state_alone(monkeypatch):
    seen = []
    usual = tuning._measured

    def noted(work, build, choices):
        before = work.progress.theta.copy()
        found = usual(work, build, choices)
        seen.append(np.array_equal(work.progress.theta, before))
        return found

    monkeypatch.setattr(tuning, "_measured", noted)
    trained(True)
    assert seen == [True]


def test_a_choice_is_measured_once_and_kept(monkeypatch, tmp_path):
    calls = []
    usual = tuning._measured
    monkeypatch.setattr(tuning, "_measured", lambda *given: calls.append(1) or usual(*given))
    trained(True)
    trained(True)
    assert calls == [1]
    (kept,) = json.loads((tmp_path / "tuning.json").read_text()).values()
    assert Choice(*kept).threads >= 1


def test_other_shapes_and_other_thread_counts_are_measured_anew(monkeypatch, tmp_path):
    trained(True)
    trained(True, batch_size=25)
    trained(True, threads=1)
    assert len(json.loads((tmp_path / "tuning.json").read_text())) == 3


def test_a_damaged_file_is_measured_over(tmp_path):
    (tmp_path / "tuning.json").write_text("{not json")
    trained(True)
    assert len(json.loads((tmp_path / "tuning.json").read_text())) == 1


def test_the_fastest_is_chosen(monkeypatch):
    wanted = Choice(native=native_is_at_hand(), threads=1, blocks=4)
    chosen = []
    monkeypatch.setattr(
        tuning, "_measured", lambda _work, _build, choices: [(float(c != wanted), c) for c in choices]
    )
    usual = tuning.tuned
    monkeypatch.setattr(tuning, "tuned", lambda *a, **k: chosen.append(usual(*a, **k)) or chosen[-1])
    trained(True)
    assert chosen == [wanted]
