"""The generated kernels, run on the CPU thread by thread, against NumPy a statement at a time."""

import warnings

import ml_dtypes
import numpy as np
import pytest

from chainrule.program.chains import DTYPES, HALVES, Chain, Operand, Output, Statement
from chainrule.program.fusion import Grid
from support.chains import evaluated
from support.cuda.device import know, stand_in  # noqa: F401
from support.cuda.texts import every_function, kernel_of

S, O = Statement, Operand
DTYPE = {name: np.dtype(getattr(ml_dtypes, name, None) or name) for name in DTYPES}


def numbers(rng, shape, dtype):
    if "float" in dtype:
        return rng.uniform(0.1, 2.0, shape).astype(DTYPE[dtype])
    return rng.integers(0, 30, shape).astype(DTYPE[dtype])


def made_of(operand, where, rng):
    shapes = {"full": where, "row": (1, where.columns), "column": (where.rows, 1), "scalar": ()}
    return numbers(rng, shapes[operand.kind], operand.dtype)


def ran(device, chain, arrays, where, *, aligned=True):
    """Return the outputs of a chain's kernel."""
    how, text = kernel_of(chain, where, device.multiprocessors, aligned=aligned)
    outputs = []
    for output in chain.outputs:
        shapes = {"full": tuple(where), "column": (where.rows, 1), "scalar": ()}
        shape = (
            ()
            if output.total
            else (1, where.columns)
            if output.columns
            else shapes[chain.kinds[output.value]]
        )
        outputs.append(device.empty(shape, DTYPE[chain.dtypes[output.value]]))
    given = [
        np.int64(how.where.rows),
        np.int64(how.where.columns),
        *map(device.constant, arrays),
        *outputs,
    ]
    if how.parts:
        counters = device.constant(np.zeros(how.counters, dtype=np.uint32))
        given += [device.empty((how.part_bytes,), np.dtype(np.uint8)), counters]
    function = device.kernel(text)
    for _ in range(2):  # the counters are left as they were
        function(how.grid, how.block, tuple(given))
    return outputs


def check(device, chain, where, rng, *, aligned=True, ulps=4):
    arrays = [made_of(operand, where, rng) for operand in chain.inputs]
    got = ran(device, chain, arrays, where, aligned=aligned)
    for output, x, y in zip(chain.outputs, got, wanted(chain, arrays, where), strict=True):
        dtype = chain.dtypes[output.value]
        if "float" in dtype:
            error = ulps * float(ml_dtypes.finfo(DTYPE[dtype]).eps)
            np.testing.assert_allclose(x.astype(np.float64), y.astype(np.float64), error, error)
        else:
            np.testing.assert_array_equal(x, y)


def wanted(chain, arrays, where):
    """Return what NumPy makes of a chain; of sums over rows, what it makes of their terms."""
    terms = tuple(o._replace(columns=False, total=False) for o in chain.outputs)
    found = evaluated(Chain(chain.inputs, chain.statements, terms), arrays, where)
    for number, output in enumerate(chain.outputs):
        if output.columns or output.total:
            axis = 0 if output.columns else None
            total = np.sum(found[number].astype(np.float64), axis=axis, keepdims=output.columns)
            found[number] = total.astype(found[number].dtype)
    return found


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name not in {"bool", *HALVES}])
def test_every_function_in_every_dtype(stand_in, rng, dtype):  # noqa: F811
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of casts to a narrower dtype
        check(stand_in, every_function(dtype), Grid(5, 12), rng)


BIAS_TANH = Chain(
    (O("x0", "full", "float32"), O("x1", "row", "float32"), O("x2", "column", "float32"), O("x3", "scalar", "float32")),
    (S("add", "r0", ("x0", "x1")), S("multiply", "r1", ("r0", "x2")), S("tanh", "r2", ("r1",)), S("subtract", "r3", ("r2", "x3"))),
    (Output("r3"), Output("r3", columns=True), Output("r2", total=True)),
)  # fmt: skip
SOFTMAX = Chain(
    (O("x0", "full", "float32"), O("x1", "full", "float32"), O("x2", "row", "float32")),
    (
        S("add", "r0", ("x0", "x2")), S("row_max", "r1", ("r0",)), S("subtract", "r2", ("r0", "r1")),
        S("exp", "r3", ("r2",)), S("row_sum", "r4", ("r3",)), S("log", "r5", ("r4",)), S("divide", "r6", ("r3", "r4")),
        S("subtract", "r7", ("r6", "x1")),
    ),
    (Output("r7"), Output("r5"), Output("r5", total=True), Output("r7", columns=True)),
)  # fmt: skip
UPDATE = Chain(
    (O("x0", "full", "float64"), O("x1", "full", "float64"), O("x2", "scalar", "float64")),
    (S("multiply", "r0", ("x2", "x1")), S("subtract", "r1", ("x0", "r0")), S("multiply", "r2", ("x1", "x1"))),
    (Output("r1"), Output("r2", total=True)),
)  # fmt: skip
GRIDS = [(1, 1), (1, 7), (9, 1), (5, 3), (150, 70), (9, 1000), (1, 3100), (600, 2)]


@pytest.fixture(scope="module", autouse=True)
def _all_at_once():
    """Make every kernel of this file known, so that the first to run has all of them compiled."""
    for dtype in DTYPES[1:-2]:
        know(kernel_of(every_function(dtype))[1])
    for chain in (BIAS_TANH, SOFTMAX, UPDATE):
        for where in GRIDS:
            for aligned in (True, False):
                know(kernel_of(chain, Grid(*where), aligned=aligned)[1])


@pytest.mark.parametrize("aligned", [True, False], ids=["wide", "narrow"])
@pytest.mark.parametrize("where", GRIDS, ids=str)
@pytest.mark.parametrize("chain", [BIAS_TANH, SOFTMAX, UPDATE], ids=["tile", "row", "flat"])
def test_every_form_on_every_shape(stand_in, rng, chain, where, aligned):  # noqa: F811
    check(stand_in, chain, Grid(*where), rng, aligned=aligned, ulps=64)


def test_a_row_wider_than_a_kernel_keeps_sums_for(stand_in, rng):  # noqa: F811
    chain = Chain(SOFTMAX.inputs, SOFTMAX.statements, SOFTMAX.outputs[:3])
    check(stand_in, chain, Grid(3, 3000), rng, ulps=64)


@pytest.mark.parametrize("half", HALVES)
def test_16_bits_are_computed_in_float32_and_rounded_when_stored(stand_in, half):  # noqa: F811
    every = np.arange(2**16, dtype=np.uint16).view(DTYPE[half]).reshape(256, 256)
    x = O("x0", "full", half)
    # A sum that 16 bits would round away is there when the difference is taken.
    statements = (
        S("multiply", "r0", ("x0", 1 / 3)),
        S("add", "r1", ("x0", 1e-6)),
        S("subtract", "r2", ("r1", "x0")),
    )
    chain = Chain((x,), statements, (Output("r0"), Output("r2")))
    third, small = ran(stand_in, chain, [every], Grid(256, 256))
    with np.errstate(all="ignore"):
        expected = (every.astype(np.float32) * np.float32(1 / 3)).astype(DTYPE[half])
        assert np.array_equal(third.astype(np.float32), expected.astype(np.float32), equal_nan=True)
        between = (every.astype(np.float32) + np.float32(1e-6)) - every.astype(np.float32)
        assert np.array_equal(
            small.astype(np.float32), between.astype(DTYPE[half]).astype(np.float32), equal_nan=True
        )


@pytest.mark.parametrize("half", HALVES)
def test_a_cast_to_16_bits_rounds(stand_in, rng, half):  # noqa: F811
    x = O("x0", "full", "float32")
    statements = (S("astype", "r0", ("x0",), half), S("astype", "r1", ("r0",), "float32"))
    numbers = rng.standard_normal((64, 64)).astype(np.float32) * np.float32(10.0) ** rng.integers(
        -7, 5, (64, 64)
    )
    chain = Chain((x,), statements, (Output("r0"), Output("r1")))
    low, back = ran(stand_in, chain, [numbers.astype(np.float32)], Grid(64, 64))
    np.testing.assert_array_equal(
        low.view(np.uint16), numbers.astype(np.float32).astype(DTYPE[half]).view(np.uint16)
    )
    np.testing.assert_array_equal(back, low.astype(np.float32))
