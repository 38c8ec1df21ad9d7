"""Which rows each step takes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.backends import named
from chainrule.data import targets as samples
from chainrule.data.inputs import Door
from chainrule.mathematics.losses import cross_entropy
from chainrule.mathematics.step import Batch, rows_of
from chainrule.program.engine import bounds
from chainrule.training.batches import Chance

HOST = Door(named("numpy"), "float64")


@given(st.integers(1, 300), st.none() | st.integers(1, 400))
def test_batches_cover_each_row_once_in_order_and_only_the_last_is_short(n, batch_size):
    cuts = bounds(n, batch_size)
    assert [row for start, stop in cuts for row in range(start, stop)] == list(range(n))
    size = n if batch_size is None else min(n, batch_size)
    assert all(stop - start == size for start, stop in cuts[:-1])
    assert 1 <= cuts[-1][1] - cuts[-1][0] <= size


@given(st.integers(0, 2**40), st.integers(1, 200))
def test_an_order_holds_each_row_once_and_repeats_with_the_seed_whether_or_not_keys_are_drawn(seed, n):
    one, other = Chance(seed), Chance(seed)
    for _ in range(3):
        other.keys(7)
        orders = one.order(n, 2).reshape(2, n)
        assert (np.sort(orders) == range(n)).all()
        assert (orders == [other.order(n), other.order(n)]).all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_labels_become_one_hot_rows(labels):
    Y = samples.targets(labels, len(labels), 7, cross_entropy, HOST)
    assert Y.shape == (len(labels), 7)
    assert (Y.sum(axis=1) == 1.0).all()
    assert Y.argmax(axis=1).tolist() == labels
    column = samples.targets(np.reshape(labels, (-1, 1)), len(labels), 7, cross_entropy, HOST)
    assert (column == Y).all()


def test_rows_are_taken_from_all_parts_alike(backend, rng):
    parts = rng.standard_normal((8, 3)), rng.standard_normal((8, 2)), rng.uniform(size=(8, 1))
    places = np.array([6, 0, 3])
    taken = rows_of(Batch(*map(backend.asarray, parts)), backend.asarray(places))
    for got, whole in zip(taken, parts, strict=True):
        assert (backend.to_numpy(got) == whole[places]).all()
    assert rows_of(Batch(*map(backend.asarray, parts[:2])), backend.asarray(places)).weights is None
