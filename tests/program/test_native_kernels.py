"""Kernels of chains against NumPy: every statement, strides, places shared, reductions, integers; refusals."""

import numpy as np
import pytest

from support.needs import need

pytestmark = need("jit", module=True)

from chainrule.program.chains import Chain, Operand, Output, Statement
from chainrule.program.native import instructions
from chainrule.program.native.runner import StepRunner

S = Statement
SHAPES = [(1, 1), (3, 10), (5, 16), (4, 33), (1, 1000), (64, 256), (7, 1)]


def run(chain, inputs, outputs):
    StepRunner([[[instructions.chain(chain, inputs, outputs)]]], [np.zeros(1, np.int64)])(1)
    return outputs


def operand(name, array, kind="full"):
    return Operand(name, kind, array.dtype.name)


each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@each_shape
def test_operands_broadcast_and_rows_may_be_strided_and_outputs_may_be_the_inputs_exchanged(shape):
    rng = np.random.default_rng(2)
    rows, columns = shape
    wide = rng.normal(size=(rows, columns + 5)).astype(np.float32)
    x, row = wide[:, 3 : 3 + columns], rng.normal(size=(1, columns)).astype(np.float32)
    column, scalar = rng.normal(size=(rows, 1)).astype(np.float32), np.array(0.5, np.float32)
    out = np.full_like(wide, 9)
    inputs = (
        operand("x", x),
        operand("r", row, "row"),
        operand("c", column, "column"),
        operand("s", scalar, "scalar"),
    )
    statements = (
        S("multiply", "cs", ("c", "s")),
        S("add", "xr", ("x", "r")),
        S("subtract", "z", ("xr", "cs")),
    )
    run(Chain(inputs, statements, (Output("z"),)), (x, row, column, scalar), (out[:, 3 : 3 + columns],))
    np.testing.assert_array_equal(out[:, 3 : 3 + columns], x + row - column * scalar)
    assert (out[:, :3] == 9).all()
    assert (out[:, 3 + columns :] == 9).all()
    x, y = np.random.default_rng(3).normal(size=(2, *shape))
    sums, differences = x + y, x - y
    chain = Chain(
        (operand("x", x), operand("y", y)),
        (S("add", "p", ("x", "y")), S("subtract", "m", ("x", "y"))),
        (Output("p"), Output("m")),
    )
    run(chain, (x, y), (y, x))
    np.testing.assert_array_equal(y, sums)
    np.testing.assert_array_equal(x, differences)


def hash_statements():
    """Return a multiplicative hash of an index, to a keep mask of probability 1/2 and its float."""
    return (
        S("multiply", "h1", ("i", -1640531527)), S("bitwise_right_shift", "s", ("h1", 15)), S("bitwise_xor", "h2", ("h1", "s")),
        S("add", "h3", ("h2", 2147483647)), S("bitwise_left_shift", "h4", ("h3", 3)), S("bitwise_and", "h5", ("h4", 0xFFFF)),
        S("less", "keep", ("h5", 32768)), S("astype", "mask", ("keep",), "float32"), S("astype", "value", ("h4",), "float32"),
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64"])
def test_integers_wrap_around_and_shift_by_their_sign(dtype):
    i = np.arange(-50, 51).astype(dtype)[np.newaxis]

    def wrapped(a):
        return a if isinstance(a, str) else np.array(a).astype(dtype).item()

    statements = tuple(s._replace(arguments=tuple(map(wrapped, s.arguments))) for s in hash_statements())
    chain = Chain((operand("i", i),), statements, (Output("h4"), Output("mask"), Output("value")))
    floats = (np.empty(i.shape, np.float32) for _ in range(2))
    got = run(chain, (i,), (np.empty_like(i), *floats))
    with np.errstate(over="ignore"):
        h1 = i * np.array(-1640531527).astype(dtype)
        h4 = ((h1 ^ (h1 >> np.array(15, dtype))) + np.array(2147483647, dtype)) << np.array(3, dtype)
    wanted = (h4, (h4 & np.array(0xFFFF, dtype)) < 32768, h4.astype(np.float32))
    for have, want in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_shape
def test_total_is_exact_to_rounding_and_repeats_its_bits(shape, dtype):
    x = np.random.default_rng(4).normal(size=shape).astype(dtype)
    chain = Chain((operand("x", x),), (S("square", "q", ("x",)),), (Output("q", total=True),))
    first, second = (run(chain, (x,), (np.empty((), dtype),))[0] for _ in range(2))
    exact = np.sum(np.square(x).astype(np.longdouble))
    np.testing.assert_allclose(first, exact, rtol=4 * np.finfo(dtype).eps)
    assert first.tobytes() == second.tobytes()


def softmax_cross_entropy(dtype):
    """Return the chain of logits Z and targets Y to the loss and dL/dZ, which may replace Z."""
    statements = (
        S("row_max", "m", ("Z",)), S("subtract", "Zm", ("Z", "m")), S("exp", "e", ("Zm",)), S("row_sum", "s", ("e",)),
        S("log", "logs", ("s",)), S("subtract", "logp", ("Zm", "logs")), S("multiply", "ylogp", ("Y", "logp")),
        S("negative", "loss", ("ylogp",)), S("divide", "p", ("e", "s")), S("subtract", "dZ", ("p", "Y")),
    )  # fmt: skip
    outputs = (Output("dZ"), Output("loss", total=True), Output("logs"))
    return Chain((Operand("Z", "full", dtype), Operand("Y", "full", dtype)), statements, outputs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_shape
def test_softmax_cross_entropy_is_one_kernel_in_place(shape, dtype):
    rng = np.random.default_rng(5)
    Z = (30 * rng.normal(size=shape)).astype(dtype)
    Y = rng.dirichlet(np.ones(shape[1]), shape[0]).astype(dtype)
    wide = Z.astype(np.longdouble) - Z.max(axis=1, keepdims=True)
    logs = np.log(np.exp(wide).sum(axis=1, keepdims=True))
    want = np.exp(wide - logs) - Y, -(Y * (wide - logs)).sum(), logs
    outputs = (Z, np.empty((), dtype), np.empty((shape[0], 1), dtype))
    error = 20 * np.finfo(dtype).eps
    for have, exact in zip(run(softmax_cross_entropy(dtype), (Z, Y), outputs), want, strict=True):
        np.testing.assert_allclose(have, exact, rtol=error, atol=error)


def test_row_maximum_of_a_row_with_nan_is_nan():
    x = np.array([[1.0, np.nan, 3.0], [-np.inf, -np.inf, -5.0]], np.float32)
    chain = Chain((operand("x", x),), (S("row_max", "m", ("x",)),), (Output("m"),))
    (got,) = run(chain, (x,), (np.empty((2, 1), np.float32),))
    np.testing.assert_array_equal(got, [[np.nan], [-5.0]])
