"""The generated kernels, run on the CPU thread by thread, against NumPy a statement at a time."""

import warnings

import numpy as np
import pytest

from chainrule.program.chains import DTYPES, HALVES, Chain, Output
from chainrule.program.fusion import Extent
from support.cuda.checks import BIAS_TANH, DTYPE, GRIDS, SOFTMAX, UPDATE, O, S, check, ran_chain
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


def test_a_row_wider_than_a_kernel_keeps_sums_for(stand_in, rng):
    chain = Chain(SOFTMAX.inputs, SOFTMAX.statements, SOFTMAX.outputs[:3])
    check(stand_in, chain, Extent(3, 3000), rng, ulps=64)


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
    numbers = rng.standard_normal((64, 64)) * 10.0 ** rng.integers(-7, 5, (64, 64))
    numbers = numbers.astype(np.float32)
    chain = Chain((O("x0", "full", "float32"),), statements, (Output("r0"), Output("r1")))
    low, back = ran_chain(stand_in, chain, [numbers], Extent(64, 64))
    np.testing.assert_array_equal(low.view(np.uint16), numbers.astype(DTYPE[half]).view(np.uint16))
    np.testing.assert_array_equal(back, low.astype(np.float32))
