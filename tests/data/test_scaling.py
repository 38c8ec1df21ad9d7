"""Scaling of columns, and back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import floats

from chainrule.data.scaling import Scaler
from chainrule.saving.schema import parsed


def test_columns_get_mean_0_and_deviation_1():
    X = np.random.default_rng(0).normal([3.0, -50.0], [0.1, 20.0], (500, 2))
    scaled = Scaler.fit(X).apply(X)
    assert scaled.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert scaled.std(axis=0) == pytest.approx([1, 1])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 / 3])
def test_a_column_of_one_value_becomes_0_and_comes_back(value):
    X = np.full((7, 1), value)  # rounding gives some of these a deviation that is not 0
    scaler = Scaler.fit(X)
    assert scaler.scale.tolist() == [1.0]
    assert np.all(scaler.apply(X) == 0)
    assert np.all(scaler.undo(scaler.apply(X)) == X)


@given(arrays(np.float64, (5, 3), elements=floats(-1e6, 1e6)))
def test_undo_undoes_apply(X):
    scaler = Scaler.fit(X)
    assert scaler.undo(scaler.apply(X)) == pytest.approx(X, rel=1e-9, abs=1e-6)


def test_json_gives_the_scaler_back_to_the_last_bit():
    scaler = Scaler.fit(np.random.default_rng(1).normal(size=(9, 4)))
    again = parsed(json.loads(json.dumps(scaler.to_dict())), Scaler, "scaler")
    assert np.array_equal(again.mean, scaler.mean)
    assert np.array_equal(again.scale, scaler.scale)
