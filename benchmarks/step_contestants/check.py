"""Correct before fast: five steps of a contestant against the same in float64."""

from pathlib import Path
from typing import Any

import numpy as np

from step_contestants.contestant import Contestant, State
from step_contestants.numpy_code import notebook
from step_contestants.problem import Problem

STEPS = 5
LOSS_TOLERANCE = 1e-5  # relative: a sum over up to 1e6 terms in float32
# Of the distance that five steps go, for SGD and for Adam. Adam divides each gradient by its own size,
# so that what is left of one by rounding counts as much as any other.
PARAMETER_TOLERANCE, ADAM_TOLERANCE = 1e-3, 2e-2
# Float32 roundings of the parameters themselves, which a short way cannot hide. Not only five: a product
# that adds to the parameters in place (torch's addmm_) rounds them again at every panel of rows.
ROUNDINGS = 12.0


def reference(problem: Problem, cache: Path | None = None) -> State:
    """Return where five steps of plain NumPy in float64 lead; kept in the folder ``cache``, if given."""
    file = None if cache is None else cache / f"{problem.cell.name}.npz"
    if file is not None and file.exists():
        with np.load(file) as kept:
            count = len(kept.files) - 1
            return State(float(kept["loss"]), [kept[f"p{number}"] for number in range(count)])
    found = _after_five(notebook(problem.in_float64()))
    if file is not None:
        arrays = {f"p{number}": part for number, part in enumerate(found.parameters)}
        np.savez(file, loss=found.loss, **arrays)
    return found


def check(contestant: Contestant, problem: Problem, wanted: State) -> dict[str, Any]:
    """Run five steps; return what was compared, and under "wrong" what does not agree."""
    if contestant.state is None:
        contestant.step()
        return {"exempt": contestant.exempt, "wrong": ""}
    got = _after_five(contestant)
    compared = {"loss": got.loss, "exempt": contestant.exempt, "wrong": ""}
    if contestant.exempt:
        return compared | {"wrong": "" if np.isfinite(got.loss) else f"its loss is {got.loss}"}
    error = abs(got.loss - wanted.loss) / abs(wanted.loss)
    share = worst_share(got.parameters, wanted.parameters, problem)
    compared |= {"loss_wanted": wanted.loss, "share_of_tolerance": share}
    if not error <= LOSS_TOLERANCE:
        compared["wrong"] = f"loss {got.loss:.9g} after {STEPS} steps, wanted {wanted.loss:.9g}"
    elif not share <= 1.0:
        compared["wrong"] = f"parameters off by {share:.3g} times the tolerance after {STEPS} steps"
    return compared


def worst_share(got: Any, wanted: Any, problem: Problem) -> float:
    """Return the largest error of an array of parameters, in tolerances."""
    tolerance = ADAM_TOLERANCE if problem.cell.adam else PARAMETER_TOLERANCE
    eps = float(np.finfo("float32").eps)
    shares = []
    for mine, right, start in zip(got, wanted, problem.parameters, strict=True):
        if mine.shape != right.shape:
            return float("inf")
        way = np.linalg.norm(right - start)
        allowed = tolerance * way + ROUNDINGS * eps * np.linalg.norm(right)
        shares.append(float(np.linalg.norm(mine - right) / allowed))
    return max(shares)


def _after_five(contestant: Contestant) -> State:
    assert contestant.state is not None
    with contestant.context():
        if contestant.five is not None:
            return contestant.state(contestant.five())
        returned = [contestant.step() for _ in range(STEPS)][-1]
        contestant.wait()
        return contestant.state(returned)
