"""Chains of every form, and the check of their kernels against NumPy: on the stand-in, or on a GPU."""

import ml_dtypes
import numpy as np

from chainrule.program.chains import DTYPES, Chain, Operand, Output, Statement
from chainrule.program.cuda.loop import KEPT_COLUMNS, form_of
from support.chains import evaluated
from support.cuda.texts import kernel_of
from support.steps import host

S, O = Statement, Operand
DTYPE = {name: np.dtype(getattr(ml_dtypes, name, None) or name) for name in DTYPES}


def numbers(rng, shape, dtype):
    if "float" in dtype:
        return rng.uniform(0.1, 2.0, shape).astype(DTYPE[dtype])
    return rng.integers(0, 30, shape).astype(DTYPE[dtype])


def shape_of(kind, where):
    shapes = {"full": tuple(where), "row": (1, where.columns), "column": (where.rows, 1), "scalar": ()}
    return shapes[kind]


def ran_chain(device, chain, arrays, where, *, aligned=True):
    """Return the outputs of a chain's kernel."""
    how, text = kernel_of(chain, where, device.multiprocessors, aligned=aligned)
    outputs = []
    for output in chain.outputs:
        kind = "scalar" if output.total else "row" if output.columns else chain.kinds[output.value]
        outputs.append(device.empty(shape_of(kind, where), DTYPE[chain.dtypes[output.value]]))
    sizes = np.int64(how.where.rows), np.int64(how.where.columns)
    given = [*sizes, *map(device.constant, arrays), *outputs]
    if how.parts:
        counters = device.constant(np.zeros(how.counters, dtype=np.uint32))
        given += [device.empty((how.part_bytes,), np.dtype(np.uint8)), counters]
    function = device.kernel(text)
    with device.at_work():
        for _ in range(2):  # the counters are left as they were
            function(how.grid, how.block, tuple(given))
    return [host(output) for output in outputs]


def check(device, chain, where, rng, *, aligned=True, ulps=4):
    if (
        form_of(chain) == "row" and where.columns > KEPT_COLUMNS
    ):  # the grouping leaves its sums to another kernel
        outputs = tuple(output for output in chain.outputs if not output.columns)
        chain = Chain(chain.inputs, chain.statements, outputs)
    arrays = [numbers(rng, shape_of(o.kind, where), o.dtype) for o in chain.inputs]
    got = ran_chain(device, chain, arrays, where, aligned=aligned)
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
