"""Settings: what the parameters of an estimator mean to a ``NeuralNetwork`` and to its ``train``."""

from functools import lru_cache
from math import isfinite
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from chainrule import NeuralNetwork
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.architecture import Architecture, architecture
from chainrule.mathematics.checks import at_least, check_number
from chainrule.mathematics.losses import loss as named_loss
from chainrule.mathematics.naming import lookup
from chainrule.mathematics.optimizers import Optimizer, adam, momentum, nesterov, sgd
from chainrule.mathematics.step import Batch

LOGISTIC = "logistic"  # scikit-learn's name of sigmoid
AUTO = 200  # rows, the most that "auto" makes a batch of, as in scikit-learn


def network(asked: Any, data: Batch, loss: str) -> NeuralNetwork:
    """Return the network that an estimator's parameters ask for, to learn from these rows.

    Raises
    ------
    ValueError, TypeError
        If a parameter is unknown or outside its range.
    """
    seed = asked.random_state
    return NeuralNetwork(
        *_sizes(asked, data),
        activation=_activation(asked.activation),
        loss=loss,
        initializer=asked.initializer,
        backend=asked.backend,
        dtype="float32" if asked.dtype is None and data.X.dtype == np.float32 else asked.dtype,
        seed=int(seed) if isinstance(seed, Integral) else check_random_state(seed).randint(2**31),
        **_additions(asked, data, loss),
    )


def gone_on(network: NeuralNetwork, asked: Any, data: Batch, loss: str) -> NeuralNetwork:
    """Return the network that has learnt, to go on as the parameters are now: another alpha, dropout, clip_norm.

    Raises
    ------
    ValueError, TypeError
        As :func:`network`; and if its layers are others than those that are asked for.
    """
    was, function = network.architecture, _activation(asked.activation)
    additions = _additions(asked, data, loss)
    now = architecture(_sizes(asked, data), function, None, loss, compute=was.compute, **additions)
    if (was.sizes, was.activations) != (now.sizes, now.activations):
        msg = f"the network has {_layers(was)}, and now {_layers(now)} are asked for; fit with warm_start=False"
        raise ValueError(msg)
    network.architecture = now
    return network


def _layers(net: Architecture) -> str:
    return "-".join(map(str, net.sizes)) + " units, " + ", ".join(f.name for f in net.activations)


def _sizes(asked: Any, data: Batch) -> tuple[int, Any, int]:
    hidden = asked.hidden_layer_sizes
    return data.X.shape[1], tuple(hidden) if np.iterable(hidden) else hidden, data.Y.shape[1]


def _additions(asked: Any, data: Batch, loss: str) -> dict[str, Any]:
    decay = _weight_decay(asked, data, loss)
    return {"dropout": asked.dropout, "weight_decay": decay, "clip_norm": asked.clip_norm}


def _activation(given: Any) -> Any:
    if isinstance(given, str):
        return "sigmoid" if given == LOGISTIC else given
    return given if isinstance(given, Activation) else [_activation(f) for f in given]


def _weight_decay(asked: Any, data: Batch, loss: str) -> float:
    """Return the lambda of the penalty that ``alpha`` is for these rows.

    What is to become small is ``(sum w error + alpha/2 sum W²) / divisor``, where the divisor is that of the
    loss, in units of the weight of a row. The loss divides its own sum; so lambda is alpha over it.
    """
    check_number("alpha", asked.alpha)
    if not (isfinite(asked.alpha) and asked.alpha >= 0.0):
        msg = f"alpha is {asked.alpha}; give a finite number of 0 or more, such as 1e-4"
        raise ValueError(msg)
    divisor = named_loss(loss).divisor(batch_rows(asked, len(data.X)), data.Y.shape[1])
    return float(asked.alpha / (divisor * mean_weight(data)))


def weights(given: Any) -> np.ndarray | None:
    """Return the sample weights as numbers, to be checked with the rows."""
    return None if given is None else np.asarray(given, dtype=np.float64)  # (n,)


def mean_weight(data: Batch) -> float:
    """Return the mean size of the sample weights; 1 where there are none.

    Raises
    ------
    ValueError
        If all of them are zero, or one is NaN or infinite.
    """
    # Of their sizes: a negative one is to stay negative, and to be refused.
    mean = 1.0 if data.weights is None else float(np.mean(np.abs(data.weights)))
    if not isfinite(mean):
        msg = "sample_weight holds NaN or infinity; fill or drop it first"
        raise ValueError(msg)
    if mean == 0.0:
        msg = "the sample weights are all zero: there is nothing to learn from; give one above 0"
        raise ValueError(msg)
    return mean


def weighed(data: Batch, mean: float) -> Batch:
    """Return the rows with their weights in units of ``mean``."""
    return data if data.weights is None else data._replace(weights=data.weights / mean)


def batch_rows(asked: Any, rows: int) -> int:
    """Return how many of so many rows are in a batch.

    Raises
    ------
    ValueError, TypeError
        If ``batch_size`` is neither "auto" nor a whole number of 1 or more.
    """
    if isinstance(asked.batch_size, str):
        if asked.batch_size != "auto":
            msg = f"batch_size is {asked.batch_size!r}; give 'auto', or a whole number of 1 or more"
            raise ValueError(msg)
        return min(AUTO, rows)
    return min(at_least(1, "batch_size", asked.batch_size), rows)


def patience(asked: Any) -> tuple[float, float]:
    """Return ``tol`` and ``n_iter_no_change``.

    Raises
    ------
    ValueError
        If ``tol`` is negative, or ``n_iter_no_change`` below 1.
    """
    for name in ("tol", "n_iter_no_change"):
        check_number(name, getattr(asked, name))
    if not asked.tol >= 0.0:
        msg = f"tol is {asked.tol}; give a number of 0 or more, such as 1e-4"
        raise ValueError(msg)
    if not asked.n_iter_no_change >= 1:
        msg = f"n_iter_no_change is {asked.n_iter_no_change}; give 1 or more"
        raise ValueError(msg)
    return asked.tol, asked.n_iter_no_change


def solver(asked: Any) -> Optimizer:
    """Return the optimizer.

    Raises
    ------
    ValueError, TypeError
        If ``solver`` is none that is known, or one of its numbers is outside its range.
    """
    known = {
        "adam": _adam(asked.beta_1, asked.beta_2, asked.epsilon),
        "sgd": _sgd(asked.momentum, asked.nesterovs_momentum),
    }
    return lookup("solver", asked.solver, Optimizer, known)


# One object for equal numbers, so that what was compiled with it is found again by the next fit.
@lru_cache(maxsize=32)
def _adam(beta_1: float, beta_2: float, epsilon: float) -> Optimizer:
    return adam(beta_1, beta_2, epsilon)


@lru_cache(maxsize=32)
def _sgd(decay: float, looks_ahead: bool) -> Optimizer:
    if decay == 0.0:
        return sgd()
    return nesterov(decay) if looks_ahead else momentum(decay)
