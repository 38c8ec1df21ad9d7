"""The gradient check: the derived gradient compared with oracles, parameter by parameter."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from textwrap import fill
from typing import NamedTuple

import numpy as np

from chainrule.explain.oracles import NAMES, Oracle, all_of
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import size
from chainrule.mathematics.naming import check_known
from chainrule.mathematics.step import Batch, gradient

_FLOOR = 1e-4  # relative to the loss or the gradient's largest entry, whichever is larger
_MOST = 200  # largest number of entries compared per parameter


class ParameterCheck(NamedTuple):
    """The largest errors of one parameter array's gradient."""

    name: str
    shape: tuple[int, ...]
    checked: int  # how many entries were compared
    errors: Mapping[str, float]  # for each oracle: largest difference / max(largest entry, floor)
    verdict: str  # "ok", "wrong" or "skipped"
    factor: float | None = None  # derived gradient / the oracle's, if the ratio is one number


class GradientCheck(NamedTuple):
    """The check of all parameters; prints as a table with a column for each oracle."""

    parameters: tuple[ParameterCheck, ...]
    tolerances: Mapping[str, float]  # one for each oracle
    notes: tuple[str, ...] = ()  # which oracles were left out, and why

    @property
    def passed(self) -> bool:
        """Whether entries of every layer were compared, and no parameter is wrong."""
        return not self.wrong and not self.unchecked

    @property
    def unchecked(self) -> tuple[int, ...]:
        """The layers of which no entry was compared, neither of W nor of b."""
        compared = {_layer(parameter.name) for parameter in self.parameters if parameter.checked}
        return tuple(sorted({_layer(parameter.name) for parameter in self.parameters} - compared))

    @property
    def wrong(self) -> tuple[str, ...]:
        """The names of the parameters whose gradient is wrong."""
        return tuple(parameter.name for parameter in self.parameters if parameter.verdict == "wrong")

    @property
    def advice(self) -> str:
        """The likely location: an error shows in its own layer and in all layers below it."""
        if self.unchecked and not self.wrong:
            layers = ", ".join(map(str, self.unchecked))
            reason = "no oracle has a finite slope there"
            remedy = "scale X, use other weights, or allow more oracles"
            return f"nothing was compared in layer {layers}: {reason}; {remedy}"
        if not self.wrong:
            return ""
        layer = max(map(_layer, self.wrong))
        is_last = layer == _layer(self.parameters[-1].name)
        there = [p for p in self.parameters if p.verdict == "wrong" and _layer(p.name) == layer]
        factor = there[0].factor
        size = "" if factor is None else f"; it is {factor:.6g} times what it should be"
        loss = ", or at the slope of the loss" if is_last else ""
        return f"look at the derivative of layer {layer}'s activation{loss}{size}"

    def __str__(self) -> str:
        """Return the table, a line for each parameter."""

        def row(name: str, shape: str, count: str, cells: Iterable[str], verdict: str = "") -> str:
            columns = zip(cells, self.tolerances, strict=True)
            numbers = " ".join(f"{cell:>{max(len(oracle), 7)}}" for cell, oracle in columns)
            return f"{name:<9} {shape:<12} {count:>7} {numbers}  {verdict}".rstrip()

        lines = [row("parameter", "shape", "entries", self.tolerances)]
        for name, shape, checked, errors, verdict, _ in self.parameters:
            cells = [f"{errors[oracle]:.1e}" if checked else "" for oracle in self.tolerances]
            lines.append(row(name, str(shape), str(checked), cells, verdict))
        lines.append(row("allowed", "", "", [f"{most:.0e}" for most in self.tolerances.values()]))
        below = [fill(text, 80) for text in (*self.notes, self.advice) if text]
        return "\n".join([*lines, *below])


def _layer(name: str) -> int:
    return int(name[1:])


def check_step(
    theta: np.ndarray, batch: Batch, net: Architecture, oracles: Sequence[str] = NAMES
) -> GradientCheck:
    """Compare the gradient of a training step with each oracle, in float64 on the host, without dropout.

    ``error = max |derived - oracle| / max(|derived|, |oracle|, floor)`` over the entries of a parameter,
    where ``floor`` is 1e-4 of the loss or of the largest entry of the whole gradient: smaller entries
    are lost in the rounding of the loss. A parameter is wrong if an error exceeds its oracle's
    tolerance; if there are exact oracles, only they decide. An entry is not compared if an oracle gives NaN
    for it, as at a kink; an entry that is NaN in the derived gradient alone is infinitely wrong. At most 200
    entries of each parameter are compared, spread evenly.

    Parameters
    ----------
    theta
        ``(P,)``: the flat parameters.
    batch
        ``X (n, n_0)``, ``Y (n, n_L)`` and the weights, on the host.
    net
        Sizes, activations, loss and weight decay.
    oracles
        Some of "differences", "complex step", "torch" and "jax".

    Returns
    -------
    GradientCheck
        The errors of each parameter; ``passed`` if none is wrong.

    Raises
    ------
    ValueError
        If an oracle is unknown.

    Examples
    --------
    >>> from chainrule import NeuralNetwork  # its method check_gradients calls this function
    >>> net = NeuralNetwork(1, 2, 1, seed=1)
    >>> print(net.check_gradients([[0.5], [1]], [[1], [0]], oracles=["complex step"]))  # doctest: +ELLIPSIS
    parameter shape        entries complex step
    W1        (1, 2)             2      ...  ok
    ...
    allowed                               1e-10
    """
    oracles = [oracles] if isinstance(oracles, str) else oracles
    for name in oracles:
        check_known("oracle", name, NAMES)
    net = replace(net, compute=None)
    theta = np.array(theta, dtype=np.float64)  # (P,)
    batch = batch.map(lambda part: np.asarray(part, np.float64))
    with np.errstate(all="ignore"):
        L, g = gradient(theta, batch, net)  # (), (P,)
        usable, notes = all_of(net, theta, batch, oracles)
        sizes = np.abs(np.append(g, L))  # (P + 1,)
        floor = _FLOOR * sizes[np.isfinite(sizes)].max(initial=0.0)
        parameters, start = [], 0
        for name, shape in net.layout.named_shapes:
            count = size(shape)
            inside = np.unique(np.linspace(0, count - 1, min(count, _MOST)).round().astype(int))
            places = start + inside  # (k,)
            slopes = [oracle.slopes(places) for oracle in usable]  # each (k,)
            fields = _compared(g[places], slopes, usable, floor)
            parameters.append(ParameterCheck(name, shape, *fields))
            start += count
    return GradientCheck(tuple(parameters), {o.name: o.tolerance for o in usable}, notes)


def _compared(
    derived: np.ndarray, slopes: Sequence[np.ndarray], oracles: Sequence[Oracle], floor: float
) -> tuple[int, dict[str, float], str, float | None]:
    """Return the last four fields of the check of some entries ``derived (k,)`` with the ``(k,)`` of each oracle."""
    finite = np.isfinite(np.reshape(slopes, (len(oracles), len(derived))))  # (oracles, k)
    broken = ~np.isfinite(derived) & finite.any(axis=0)  # (k,)
    smooth = np.isfinite(derived) & finite.all(axis=0) & bool(oracles)  # (k,)
    errors = {
        oracle.name: np.inf if broken.any() else _error(derived[smooth], slope[smooth], floor)
        for oracle, slope in zip(oracles, slopes, strict=True)
    }
    checked = int(np.sum(smooth | broken))
    judges = [oracle for oracle in oracles if oracle.name != "differences"] or oracles  # the exact ones
    is_wrong = any(errors[oracle.name] > oracle.tolerance for oracle in judges)
    verdict = "wrong" if is_wrong else "ok" if checked else "skipped"
    factor = _factor(derived[smooth], slopes[-1][smooth], floor) if slopes else None
    return checked, errors, verdict, factor


def _error(derived: np.ndarray, slopes: np.ndarray, floor: float) -> float:
    size = max(floor, np.abs(slopes).max(initial=0.0), np.abs(derived).max(initial=0.0))
    return float(np.abs(slopes - derived).max(initial=0.0) / size) if size > 0 else 0.0


def _factor(derived: np.ndarray, slopes: np.ndarray, floor: float) -> float | None:
    """Return the factor between the oracle's slopes and the derived ones, if there is one."""
    size = float(slopes @ slopes)
    if size == 0.0 or not np.isfinite(size) or not np.isfinite(derived).all():
        return None
    factor = float(derived @ slopes) / size
    return factor if _error(derived, factor * slopes, floor) < 1e-5 else None
