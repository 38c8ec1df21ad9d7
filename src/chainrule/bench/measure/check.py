"""Correct before fast: the first pass of a contestant against the same steps in float64."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.bench.cell_data import CellData
from chainrule.bench.contestant import Contestant, State
from chainrule.bench.contestants.notebook import forward, notebook
from chainrule.bench.measure.product_precision import TF32, of_products

# Tolerances by the precision of products. For TF32, about ten times the largest error of steps whose factors were
# rounded to 10 bits on a CPU, in cells from 64-16-16-8 to 784-1024-10.
# Relative errors of the loss, a sum over up to 1e6 terms, and of outputs, a row's sum over the inputs.
LOSS_TOLERANCE = {TF32: 3e-3, "float32": 1e-5, "float64": 1e-12}
OUTPUT_TOLERANCE = {TF32: 2e-2, "float32": 1e-4, "float64": 1e-11}
# Shares of the distance from the start, for SGD and for Adam. Adam divides each gradient by its own size, so
# a gradient that is only a rounding error counts as much as any other.
STEP_TOLERANCE = {
    ("sgd", TF32): 1e-2,
    ("adam", TF32): 1e-1,
    ("sgd", "float32"): 1e-3,
    ("adam", "float32"): 2e-2,
    ("sgd", "float64"): 1e-9,
    ("adam", "float64"): 1e-6,
}
# Roundings of the parameters per step. More than one: a
# product that adds to the parameters in place (torch's addmm_) rounds them again at every panel of rows.
ROUNDINGS = 2.5


def check(
    contestant: Contestant, returned: Any, data: CellData, cache: Path | None = None
) -> dict[str, Any]:
    """Return the comparison after the first pass, and under "wrong" what does not agree.

    Parameters
    ----------
    contestant, data
        The contestant, and its data.
    returned
        The result of the pass.
    cache
        A folder where the reference is kept for the next contestant.
    """
    if contestant.outputs is not None:
        return _outputs(contestant.outputs(returned), data)
    if contestant.state is None:
        return {"exempt": contestant.exempt, "wrong": ""}
    got = contestant.state(returned)
    if not contestant.exempt:
        return {"loss": got.loss, "exempt": ""} | _compared(got, reference(data, cache), data)
    wrong = "" if np.isfinite(got.loss) else f"its loss is {got.loss}"
    return {"loss": got.loss, "exempt": contestant.exempt, "wrong": wrong}


def reference(data: CellData, cache: Path | None = None) -> State:
    """Return the state after a pass of plain NumPy in float64; kept in the folder ``cache``, if given."""
    file = cache / f"{data.cell.name}-{data.steps}.npz" if cache else None
    if file and file.exists():
        with np.load(file) as kept:
            loss, *parameters = (kept[name] for name in kept.files)
            return State(float(loss), parameters)
    one = notebook(data.astype("float64"), "step")
    assert one.state is not None  # noqa: S101  it is a step
    state = one.state(one.run())
    if file:  # several contestants may be at it
        own = file.with_suffix(f".{os.getpid()}.npz")
        np.savez(own, state.loss, *state.parameters)
        own.replace(file)
    return state


def _compared(got: State, wanted: State, data: CellData) -> dict[str, Any]:
    error = abs(got.loss - wanted.loss) / abs(wanted.loss)
    share = worst_share(got.parameters, wanted.parameters, data)
    wrong = ""
    if not error <= LOSS_TOLERANCE[of_products(data.cell.dtype)]:
        wrong = f"loss {got.loss:.9g} after {data.steps} steps, wanted {wanted.loss:.9g}"
    elif not share <= 1.0:
        wrong = f"parameters off by {share:.3g} times the tolerance after {data.steps} steps"
    return {"loss_wanted": wanted.loss, "share_of_tolerance": share, "wrong": wrong}


def worst_share(got: Any, wanted: Any, data: CellData) -> float:
    """Return the largest error of an array of parameters, in tolerances."""
    cell = data.cell
    tolerance = STEP_TOLERANCE[cell.rule, of_products(cell.dtype)]
    roundings = ROUNDINGS * data.steps * float(np.finfo(cell.dtype).eps)
    shares = []
    for ours, theirs, start in zip(got, wanted, data.parameters, strict=True):
        if ours.shape != theirs.shape:
            return float("inf")
        allowed = tolerance * np.linalg.norm(theirs - start) + roundings * np.linalg.norm(theirs)
        shares.append(float(np.linalg.norm(ours - theirs) / allowed))
    return max(shares)


def _outputs(got: np.ndarray, data: CellData) -> dict[str, Any]:
    wanted = forward(data.astype("float64"), data.rows[-1])  # (n, n_L)
    if got.shape != wanted.shape:
        return {"wrong": f"outputs of shape {got.shape}, wanted {wanted.shape}"}
    error = float(np.abs(got - wanted).max() / np.abs(wanted).max())
    tolerance = OUTPUT_TOLERANCE[of_products(data.cell.dtype)]
    wrong = "" if error <= tolerance else f"outputs off by {error:.3g}, relative; {tolerance:.0e} passes"
    return {"share_of_tolerance": error / tolerance, "exempt": "", "wrong": wrong}
