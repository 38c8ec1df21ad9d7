"""Trials: run a step on two rows on a backend, and compare each of its functions with NumPy's."""

import linecache
import traceback
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.backends.base import Backend
from chainrule.backends.plans import step_plan
from chainrule.mathematics.activations import ACTIVATIONS
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.losses import LOSSES
from chainrule.mathematics.optimizers import OPTIMIZERS, optimizer
from chainrule.program.engine import Epoch, Plain, Work
from chainrule.program.operations import Operation, Program, Value
from chainrule.program.primitives import PRIMITIVES
from chainrule.program.trace import Spec, trace
from chainrule.program.unrecordable import UnrecordableError
from chainrule.program.watch import Evaluated

EXTRAS: dict[str, Any] = {"dropout": 0.5, "weight_decay": 0.1, "clip_norm": 1.0}
# Primitives that take Python numbers in addition to an array.
NUMBERS: dict[str, Any] = {"clip": lambda x: namespace(x).clip(x, 0.2, 0.8), "pow": lambda x: x**3}
TOLERANCE = 1e4  # in roundings; a larger error means another function, not another order of a sum


def first_problem(work: Work, backend: Backend) -> str:
    """Return the first problem of a step on two rows in one line; "" if all functions agree with NumPy's."""
    failed = ""
    try:
        _take_two_steps(work, backend)
    except Exception as error:  # noqa: BLE001  any library's
        failed = failed_call(error)
    try:
        return next(problems(work.plan(2).program, backend), failed)
    except UnrecordableError:  # no program lists its functions
        return failed


def _take_two_steps(work: Work, backend: Backend) -> None:
    """Take one step on each of the first two rows."""
    rows = min(2, work.data.X.shape[0])
    keys = np.arange(rows, dtype=np.int32) if work.drops else None
    small = replace(work, bounds=[(row, row + 1) for row in range(rows)])
    with backend.quiet():
        epoch = Epoch(np.arange(rows)[::-1].copy(), small.bounds, [0.1] * rows, keys)
        Plain(small, backend).run(epoch, lambda: None)


def every_problem(backend: Backend, dtype: str = "float32") -> list[str]:
    """Return a line for each function that is missing or wrong.

    It checks the functions of all activations, losses and optimizers, and the primitives that only user-defined
    activations and losses can use.

    Parameters
    ----------
    backend
        The backend to check.
    dtype
        The dtype of the arrays.

    Returns
    -------
    list of str
        The problems; empty if there are none.

    Examples
    --------
    >>> from chainrule.backends import named
    >>> every_problem(named("numpy"))
    []
    """
    programs = []
    for loss, rule in zip_longest(LOSSES, OPTIMIZERS, fillvalue="adam"):
        sizes = (3, [4] * len(ACTIVATIONS), 2)
        net = architecture(sizes, list(ACTIVATIONS), None, loss, **EXTRAS)
        programs.append(step_plan(net, optimizer(rule), 2, dtype).program)
    for row in PRIMITIVES.values():
        if row.kind == "elementwise" and row.name not in {"astype", "copy"}:
            kind = next(kind for kind in (dtype, "int32", "bool") if row.accepts(kind))
            first = Spec((2, 3), "bool" if row.name == "where" else kind, "x")
            arguments = [first] + [Spec((2, 3), kind, f"x{n}") for n in range(1, row.arity)]
            call = NUMBERS.get(row.name, lambda *x, name=row.name: getattr(namespace(*x), name)(*x))
            programs.append(trace(call, *arguments[: 1 if row.name in NUMBERS else row.arity]))
    lines = [line for program in programs for line in problems(program, backend)]
    return list({line.partition(" ")[0]: line for line in reversed(lines)}.values())[::-1]


def problems(program: Program, backend: Backend) -> Iterator[str]:
    """Yield a line for each function of a program that a backend lacks or computes differently from NumPy."""
    rng = np.random.default_rng(0)
    inputs = [_drawn(value, rng) for value in program.inputs]
    with np.errstate(all="ignore"):
        run = Evaluated(program, inputs, np.asarray)
    seen: set[str] = set()
    for operation in program.operations:
        operands = [run.of(o) if isinstance(o, Value) else o for o in operation.operands]
        problem = _problem(operation, operands, run.of(operation.result), backend)
        if problem and operation.function not in seen:
            seen.add(operation.function)
            yield problem


def _drawn(value: Value, rng: np.random.Generator) -> np.ndarray:
    """Return an input between 0.1 and 0.9, which may be a target or a mean of squares."""
    drawn = rng.uniform(0.1, 0.9, value.shape)
    return np.asarray(drawn if "float" in value.dtype.name else 10 * drawn).astype(value.dtype)


def _problem(operation: Operation, operands: list[Any], wanted: np.ndarray, backend: Backend) -> str:
    """Return the problem of one function, or ""."""
    shapes = ", ".join(str(np.shape(o)) for o in operands)
    name = f"{operation.function} of {shapes}"
    try:
        there: list[Array] = [  # np.generic: NumPy's functions return scalars, not 0-d arrays
            # No dtype for booleans: libraries name it differently, and training never copies booleans from the host.
            backend.asarray(o, None if o.dtype == bool else o.dtype.name)
            if isinstance(o, np.ndarray | np.generic)
            else o
            for o in operands
        ]
        with backend.quiet():
            got = backend.to_numpy(operation.computed(there, backend.xp))
    except Exception as error:  # noqa: BLE001  any library's
        return f"{name} raises {_shown(error)}"
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
        return f"{name} gives {got.shape} of {got.dtype}, NumPy {wanted.shape} of {wanted.dtype}"
    if not _is_close(got, wanted):
        worst = np.nanargmax(np.abs(got.astype(float) - wanted))
        return f"{name} gives {got.flat[worst]}, NumPy {wanted.flat[worst]}"
    return ""


def _is_close(got: np.ndarray, wanted: np.ndarray) -> bool:
    if wanted.dtype.kind != "f":
        return np.array_equal(got, wanted)
    error = TOLERANCE * np.finfo(wanted.dtype).eps
    return np.allclose(got, wanted, rtol=error, atol=error, equal_nan=True)


def failed_call(error: Exception) -> str:
    """Return the call in this package that raised an error, and the error, in one line."""
    here = str(Path(__file__).parents[1])
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(here)]
    line = linecache.getline(frames[-1].filename, frames[-1].lineno or 0)
    return f"{line[frames[-1].colno : frames[-1].end_colno].strip()} raises {_shown(error)}"


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
