"""Settings: the parameters of an estimator as arguments of ``NeuralNetwork`` and its ``train``."""

from functools import lru_cache
from math import floor
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from chainrule import NeuralNetwork
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.losses import loss as named_loss
from chainrule.mathematics.naming import require
from chainrule.mathematics.optimizers import Optimizer, State, VelocityState, adam, at_rest, sgd
from chainrule.mathematics.schedules import Schedule, schedule
from chainrule.mathematics.step import Batch

_AUTO = 200  # rows: the largest batch of "auto", as in scikit-learn


def network(model: Any, data: Batch, loss: str) -> NeuralNetwork:
    """Return a new network with the parameters of an estimator, for these rows.

    Raises
    ------
    ValueError, TypeError
        If a parameter is unknown or outside its range.
    """
    seed = model.random_state
    is_single = model.dtype is None and str(data.X.dtype).endswith("float32")
    return NeuralNetwork(
        *_sizes(model, data),
        activation=_activation(model.activation),
        loss=loss,
        initializer=model.initializer,
        backend=model.backend,
        dtype="float32" if is_single else model.dtype,
        seed=int(seed) if isinstance(seed, Integral) else check_random_state(seed).randint(2**31),
        **_additions(model, data, loss),
    )


def continued(network: NeuralNetwork, model: Any, data: Batch, loss: str) -> NeuralNetwork:
    """Return the trained network with the current alpha, dropout and clip_norm.

    Raises
    ------
    ValueError, TypeError
        As :func:`network`; and if its layers are not those of the parameters.
    """
    was, function = network.architecture, _activation(model.activation)
    additions = _additions(model, data, loss)
    now = architecture(_sizes(model, data), function, None, loss, compute=was.compute, **additions)
    problem = f"the network is {was}, and the parameters describe {now}; fit with warm_start=False"
    require((was.sizes, was.activations) == (now.sizes, now.activations), problem)
    network.architecture = now
    return network


def _sizes(model: Any, data: Batch) -> tuple[int, Any, int]:
    hidden = model.hidden_layer_sizes
    return data.X.shape[1], tuple(hidden) if np.iterable(hidden) else hidden, data.Y.shape[1]


def _activation(function: Any) -> Any:
    if isinstance(function, str):
        return "sigmoid" if function == "logistic" else function
    return function if isinstance(function, Activation) else [_activation(f) for f in function]


def _additions(model: Any, data: Batch, loss: str) -> dict[str, Any]:
    """Return dropout, clip_norm, and the weight decay that corresponds to ``alpha`` for these rows.

    Training minimizes ``(sum w error + alpha/2 sum W²) / divisor``, where the divisor is that of the loss, times
    the mean weight of a row. The loss divides its own sum, so lambda is alpha over the divisor.
    """
    divisor = named_loss(loss).divisor(batch_rows(model, data.X.shape[0]), data.Y.shape[1])
    decay = float(model.alpha / (divisor * mean_weight(data)))
    return {"dropout": model.dropout, "weight_decay": decay, "clip_norm": model.clip_norm}


def mean_weight(data: Batch) -> float:
    """Return the mean sample weight; 1 without sample weights."""
    return 1.0 if data.weights is None else float(np.mean(data.weights))


def weighed(data: Batch, mean: float) -> Batch:
    """Return the rows with their weights divided by ``mean``."""
    return data if data.weights is None else data._replace(weights=data.weights / mean)


def batch_rows(model: Any, rows: int) -> int:
    """Return the batch size for ``rows`` rows; "lbfgs" takes all of them."""
    if model.solver == "lbfgs":
        return rows
    return min(_AUTO if model.batch_size == "auto" else model.batch_size, rows)


def rates(model: Any, rows: int, *, goes_on: bool) -> Schedule:
    """Return the schedule; for "sgd" it follows the parameter ``learning_rate``.

    Parameters
    ----------
    model
        The estimator; ``t_`` is the number of rows that it has been trained on. If ``learning_rate`` is "adaptive",
        its plateau's ``factor`` lowers the rate.
    rows
        Rows in an epoch.
    goes_on
        Whether the optimizer continues from its state, so that "invscaling" continues, too.
    """
    base, seen = schedule(model.learning_rate_init), model.t_
    kind = model.learning_rate if model.solver == "sgd" else "constant"

    def rate(epoch: float, epochs: int) -> float:
        now = base(epoch, epochs)
        if kind == "adaptive":
            return now * float(model._plateau.factor)
        if kind == "invscaling" and (goes_on or epoch >= 1.0):
            return now / float((seen + floor(epoch) * rows + 1) ** model.power_t)
        return now

    return rate


def solver(model: Any) -> Optimizer:
    """Return the optimizer of a solver other than "lbfgs"; numbers out of range raise ``ValueError``."""
    if model.solver == "adam":
        return _adam(model.beta_1, model.beta_2, model.epsilon)
    if model.solver == "sgd":
        return _sgd(model.momentum, model.nesterovs_momentum)
    optimizer: Optimizer = model.solver
    return optimizer


# The same object for equal numbers, so that the next fit reuses the compiled step.
_adam = lru_cache(maxsize=32)(adam)


@lru_cache(maxsize=32)
def _sgd(decay: float, looks_ahead: bool) -> Optimizer:
    if decay == 0.0:
        return sgd()

    # The rate is part of the velocity, as in scikit-learn, which matters when the rate changes.
    def update(g: Array, state: State, theta: Array, learning_rate: Array) -> tuple[Array, State]:
        step = learning_rate * g  # (..., P)
        v = decay * state[0] - step  # (..., P)
        return theta + (decay * v - step if looks_ahead else v), VelocityState(v)

    name = "nesterov" if looks_ahead else "momentum"
    return Optimizer(f"{name}, rate inside", at_rest, update, {"decay": decay})
