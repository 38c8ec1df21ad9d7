"""Dropout: masks computed from a key, so that they are equal wherever they are computed."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from chainrule.backends import named
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.dropout import dropout_mask
from chainrule.mathematics.initializers import draw
from chainrule.mathematics.step import Batch, data_gradient, forward
from chainrule.training.batches import Chance
from support.data import samples, targets

HOST = named("numpy")


def mask(rows, columns, key=1, *, rate=0.5, layer=0, first_row=0, backend=HOST, dtype="float64"):
    A = backend.asarray(np.ones((rows, columns)), dtype)
    M = dropout_mask(A, backend.asarray(np.int32(key)), rate, layer, first_row)
    assert M.dtype == A.dtype
    return backend.to_numpy(M)


def lowbias32(x):
    """The published hash, in Python's own integers: github.com/skeeto/hash-prospector."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


def test_a_mask_is_the_published_hash_of_the_place_and_the_key():
    key, rate, layer, columns = -123456789, 0.3, 2, 5
    start = layer * 0x9E3779B9 % 2**31 + 2**31  # the int32 place, read as unsigned
    places = np.arange(20).reshape(4, columns)
    for (row, column), place in np.ndenumerate(places):
        hashed = lowbias32(lowbias32((start + int(place)) % 2**32) ^ key % 2**32)
        signed = hashed - 2**32 if hashed >= 2**31 else hashed
        kept = signed >= round(rate * 2**32) - 2**31
        assert mask(4, columns, key, rate=rate, layer=layer)[row, column] == (1 / 0.7 if kept else 0.0)


def test_masks_are_equal_to_the_bit_on_every_backend(backend):
    for key, dtype in product([0, 1, -1, 2**31 - 1, -(2**31)], ["float32", "float64"]):
        for layer, first_row in ((0, 0), (1, 0), (3, 17)):
            place = {"layer": layer, "first_row": first_row, "dtype": dtype}
            assert (mask(9, 7, key, backend=backend, **place) == mask(9, 7, key, **place)).all()


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.2, 0.5, 0.9])
def test_the_share_dropped_is_the_rate_and_what_is_kept_is_scaled_up_so_that_the_mean_stays(rate):
    n = 200_000
    for key in (5, -77, 2**30):
        M = mask(n // 100, 100, key, rate=rate)
        assert set(np.unique(M)) <= {0.0, 1 / (1 - rate)}
        assert abs((M == 0.0).mean() - rate) <= 4.5 * np.sqrt(rate * (1 - rate) / n)


def test_masks_of_other_steps_layers_rows_and_columns_are_unlike():
    M = mask(300, 300)
    others = [mask(300, 300, key=2), mask(300, 300, layer=1), mask(300, 300, layer=2)]
    for other in (*others, M[::-1], M[:, ::-1], M.T):
        # Independent halves agree in a half, within 5 standard deviations.
        assert abs(((M == 0.0) == (other == 0.0)).mean() - 0.5) < 5 * 0.5 / 300
    for axis in (0, 1):  # and each row and each column has its share
        assert np.abs((M == 0.0).mean(axis=axis) - 0.5).max() < 5 * 0.5 / 300**0.5


def test_leading_dimensions_share_one_mask():
    A = np.ones((3, 4, 5))
    assert dropout_mask(A, np.int32(3), 0.5, 0).shape == (4, 5)


@pytest.mark.parametrize(("rows", "columns", "cut"), [(1, 1, 0), (40, 1, 39), (17, 9, 5), (9, 4, 8)])
def test_a_block_of_rows_has_the_rows_of_the_whole_mask(rows, columns, cut):
    for key, layer in ((0, 0), (-(2**31), 1), (2**31 - 1, 9)):
        whole = mask(rows, columns, key, layer=layer)
        assert (mask(rows - cut, columns, key, layer=layer, first_row=cut) == whole[cut:]).all()


def test_a_block_far_down_a_tall_batch_has_the_rows_of_the_whole_mask():
    # Layer 4 starts 119 million places below 0; the places go on through 0 without a jump.
    seam = 2**31 - 4 * 0x9E3779B9 % 2**31
    whole = mask(64, 1, layer=4, first_row=seam - 32)
    assert (mask(32, 1, layer=4, first_row=seam) == whole[32:]).all()


# -- in a network --------------------------------------------------------------------------------------


def stepped(rng, hidden=(6, 5), rows=12):
    net = architecture((4, hidden, 3), "tanh", None, "cross_entropy", dropout=0.4)
    Y, weights = targets(rng, "cross_entropy", (rows, 3)), rng.uniform(1, 2, (rows, 1))
    batch = Batch(samples(rng, rows, 4), Y, weights)
    return net, draw(net, seed=0), batch


def test_hidden_layers_are_masked_each_in_its_own_way_the_output_is_not_and_none_without_a_key(rng):
    net, theta, batch = stepped(rng, (6, 6))
    first, second, last = forward(theta, batch.X, net, np.int32(9)).masks
    assert (first != second).any()
    assert last is None
    whole = replace(net, dropout=0.0)
    assert (forward(theta, batch.X, net).A == forward(theta, batch.X, whole).A).all()


def test_the_gradients_of_blocks_of_rows_add_up_to_the_whole(backend, rng):
    net, theta, batch = stepped(rng)
    theta, key = backend.asarray(theta), backend.asarray(np.int32(-5))
    batch = Batch(*map(backend.asarray, batch))
    L, g = (backend.to_numpy(part) for part in data_gradient(theta, batch, net, key))
    sums = [0.0, 0.0]
    for start, stop in ((0, 4), (4, 8), (8, 12)):
        block = Batch(*(part[start:stop, :] for part in batch))
        parts = data_gradient(theta, block, net, key, rows=12, first_row=start)
        sums = [total + backend.to_numpy(part) for total, part in zip(sums, parts, strict=True)]
    assert sums[0] == pytest.approx(L, rel=1e-13)
    assert np.abs(sums[1] - g).max() < 1e-14


def test_the_keys_of_training_differ_from_step_to_step_and_repeat_with_the_seed():
    keys = Chance(3).keys(1000)
    assert keys.dtype == np.int32
    assert len(set(keys.tolist())) > 990
    assert keys.min() < 0 < keys.max()
    assert (Chance(3).keys(1000) == keys).all()
    assert (Chance(4).keys(1000) != keys).any()
