"""The generated kernels, run on the CPU thread by thread, against NumPy a statement at a time."""

import warnings

import numpy as np
import pytest

from chainrule.program.chains import DTYPES, HALVES, Chain, Output
from chainrule.program.cuda.gather import BLOCK, gather, gather_grid
from chainrule.program.fusion import Extent
from support.cuda.checks import BIAS_TANH, DTYPE, GRIDS, SOFTMAX, UPDATE, O, S, check, numbers, ran_chain
from support.cuda.device import know
from support.cuda.texts import every_function, kernel_of
from support.pairs import all_pairs

FORMS = all_pairs((BIAS_TANH, SOFTMAX, UPDATE), GRIDS, (True, False))


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name not in {"bool", *HALVES}])
def test_every_function_in_every_dtype(stand_in, rng, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of casts to a narrower dtype
        check(stand_in, every_function(dtype), Extent(5, 12), rng)


@pytest.fixture(scope="module", autouse=True)
def _all_at_once():
    """Make every kernel of this file known, so that the first to run has all of them compiled."""
    for dtype in DTYPES[1:-2]:
        know(kernel_of(every_function(dtype))[1])
    for chain, where, aligned in FORMS:
        know(kernel_of(chain, Extent(*where), aligned=aligned)[1])


@pytest.mark.parametrize(("chain", "where", "aligned"), FORMS)
def test_every_form_on_every_shape(stand_in, rng, chain, where, aligned):
    check(stand_in, chain, Extent(*where), rng, aligned=aligned, ulps=64)


@pytest.mark.parametrize(("chain", "where", "fences"), [
    (BIAS_TANH, (150, 70), 4 * 3 * 4),  # 3 x 4 blocks: the last of each strip of columns, and of all
    (SOFTMAX, (150, 70), 2 * 3), (BIAS_TANH, (600, 4), 2 * 3), (UPDATE, (1, 3001), 2 * 6),
    (BIAS_TANH, (9, 8), 0), (SOFTMAX, (5, 3), 0), (UPDATE, (5, 3), 0),  # one block waits for no other
])  # fmt: skip
def test_one_thread_of_a_block_fences_twice_where_blocks_wait_for_each_other(
    stand_in, rng, chain, where, fences
):
    check(stand_in, chain, Extent(*where), rng, ulps=64)
    assert stand_in.fences == fences


def test_rows_are_gathered_whole_vectors_or_not(stand_in, rng):
    dtypes, widths, order = ("bfloat16", "float32", "float64"), (1600, 10, 7), rng.permutation(40)[:19]
    sources = [
        stand_in.constant(numbers(rng, (40, width), d)) for width, d in zip(widths, dtypes, strict=True)
    ]
    targets = [stand_in.empty((19, width), DTYPE[d]) for width, d in zip(widths, dtypes, strict=True)]
    given = [np.int64(19), stand_in.constant(order)]
    for width, source, target in zip(widths, sources, targets, strict=True):
        given += [np.int64(width), source, target]
    stand_in.kernel(gather(dtypes))(gather_grid(19, 1), BLOCK, tuple(given))
    for source, target in zip(sources, targets, strict=True):
        np.testing.assert_array_equal(target, source[order])


@pytest.mark.parametrize("half", HALVES)
def test_16_bits_are_computed_in_float32_and_rounded_when_stored(stand_in, half):
    every = np.arange(2**16, dtype=np.uint16).view(DTYPE[half]).reshape(256, 256)
    # A sum that 16 bits would round away is there when the difference is taken.
    statements = (
        S("multiply", "r0", ("x0", 1 / 3)),
        S("add", "r1", ("x0", 1e-6)),
        S("subtract", "r2", ("r1", "x0")),
    )
    chain = Chain((O("x0", "full", half),), statements, (Output("r0"), Output("r2")))
    got, wide = ran_chain(stand_in, chain, [every], Extent(256, 256)), every.astype(np.float32)
    with np.errstate(all="ignore"):
        for have, wanted in zip(
            got, (wide * np.float32(1 / 3), wide + np.float32(1e-6) - wide), strict=True
        ):
            rounded = wanted.astype(DTYPE[half]).astype(np.float32)
            np.testing.assert_array_equal(have.astype(np.float32), rounded)


@pytest.mark.parametrize("half", HALVES)
def test_a_cast_to_16_bits_rounds(stand_in, rng, half):
    statements = (S("astype", "r0", ("x0",), half), S("astype", "r1", ("r0",), "float32"))
    given = rng.standard_normal((64, 64)) * 10.0 ** rng.integers(-7, 5, (64, 64))
    given = given.astype(np.float32)
    chain = Chain((O("x0", "full", "float32"),), statements, (Output("r0"), Output("r1")))
    low, back = ran_chain(stand_in, chain, [given], Extent(64, 64))
    np.testing.assert_array_equal(low.view(np.uint16), given.astype(DTYPE[half]).view(np.uint16))
    np.testing.assert_array_equal(back, low.astype(np.float32))
