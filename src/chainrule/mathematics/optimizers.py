"""Optimizers: pairs of pure functions on flat arrays, ``init`` and ``update``.

``theta (..., P)`` are all parameters, ``g (..., P)`` is their gradient, and ``learning_rate`` is a 0-d array. The
state is a tuple of arrays, passed in and returned. The optimizers of this module name its fields; your own
optimizer may use a plain tuple.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.checks import BELOW_ONE, FINITE, POSITIVE, check_number
from chainrule.mathematics.naming import lookup

State = tuple[Array, ...]


class NoState(NamedTuple):
    """The state of gradient descent, which has none."""


class VelocityState(NamedTuple):
    """The state of momentum and of Nesterov's method."""

    v: Array  # (..., P)   the velocity


class AdamState(NamedTuple):
    """The state of Adam and AdamW."""

    m: Array  # (..., P)   the running mean of the gradient
    v: Array  # (..., P)   the running mean of its square
    t: Array  # (..., 1)   the number of steps so far


@dataclass(frozen=True)
class Optimizer:
    """An update rule: ``state = init(theta)``; ``theta, state = update(g, state, theta, lr)``.

    Parameters
    ----------
    name
        Its name in messages and tables.
    init
        ``theta (..., P) -> state``, a tuple of arrays.
    update
        ``g (..., P), state, theta (..., P), learning_rate () -> theta, state``.
    settings
        The numbers of the rule, for messages and tables.

    Examples
    --------
    >>> optimizer("momentum").name, momentum(decay=0.5).settings
    ('momentum', {'decay': 0.5})
    """

    name: str
    init: Callable[[Array], State]
    update: Callable[[Array, State, Array, Array], tuple[Array, State]]
    settings: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __reduce__(self) -> Any:
        # Optimizers of this module are pickled as name and settings, since local functions cannot be pickled.
        if self.update.__module__ == __name__:
            return _made, (self.name, dict(self.settings))
        return super().__reduce__()


def sgd() -> Optimizer:
    """Return gradient descent: ``theta <- theta - lr g``.

    Returns
    -------
    Optimizer
        The rule, without state.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> theta, g, lr = xp.asarray([1.0]), xp.asarray([2.0]), xp.asarray(0.1)
    >>> rule = sgd()
    >>> rule.update(g, rule.init(theta), theta, lr)
    (Array([0.8], dtype=array_api_strict.float64), NoState())
    """

    def init(_theta: Array) -> State:
        return NoState()

    def update(g: Array, state: State, theta: Array, learning_rate: Array) -> tuple[Array, State]:
        return theta - learning_rate * g, state  # (..., P)

    return Optimizer("sgd", init, update)


def at_rest(theta: Array) -> State:
    """Return a velocity of 0, the initial state of momentum and of Nesterov's method.

    Parameters
    ----------
    theta : Array
        ``(..., P)``: the flat parameters.

    Returns
    -------
    VelocityState
        ``v (..., P)``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> at_rest(xp.asarray([1.0, 2.0]))
    VelocityState(v=Array([0., 0.], dtype=array_api_strict.float64))
    """
    return VelocityState(namespace(theta).zeros_like(theta))  # v (..., P)


def momentum(decay: float = 0.9) -> Optimizer:
    """Return the heavy-ball method: ``v <- decay v + g``, ``theta <- theta - lr v``.

    Polyak 1964, USSR Comput. Math. 4(5); as in PyTorch, the rate is not part of the velocity.

    Parameters
    ----------
    decay : float, optional
        The share of the velocity that is kept at each step, in [0, 1).

    Returns
    -------
    Optimizer
        The rule, with a :class:`VelocityState`.

    Raises
    ------
    ValueError
        If ``decay`` is outside [0, 1).

    Examples
    --------
    >>> import array_api_strict as xp
    >>> rule, theta, lr = momentum(0.5), xp.asarray([0.0]), xp.asarray(1.0)
    >>> theta, state = rule.update(xp.asarray([1.0]), rule.init(theta), theta, lr)
    >>> rule.update(xp.asarray([1.0]), state, theta, lr)[0]  # -1, then -(0.5 + 1) more
    Array([-2.5], dtype=array_api_strict.float64)
    """
    check_number("momentum: decay", decay, BELOW_ONE)

    def update(g: Array, state: State, theta: Array, learning_rate: Array) -> tuple[Array, State]:
        (v,) = state
        v = decay * v + g  # (..., P)
        theta = theta - learning_rate * v  # (..., P)
        return theta, VelocityState(v)

    return Optimizer("momentum", at_rest, update, {"decay": decay})


def nesterov(decay: float = 0.9) -> Optimizer:
    """Return Nesterov's method: ``v <- decay v + g``, ``theta <- theta - lr (g + decay v)``.

    Sutskever et al. 2013, ICML, equations 3 and 4; as in PyTorch, ``theta`` are the parameters after the look-ahead.

    Parameters
    ----------
    decay : float, optional
        The share of the velocity that is kept at each step, in [0, 1).

    Returns
    -------
    Optimizer
        The rule, with a :class:`VelocityState`.

    Raises
    ------
    ValueError
        If ``decay`` is outside [0, 1).

    Examples
    --------
    >>> import array_api_strict as xp
    >>> rule, theta, lr = nesterov(0.5), xp.asarray([0.0]), xp.asarray(1.0)
    >>> rule.update(xp.asarray([1.0]), rule.init(theta), theta, lr)[0]  # -(1 + 0.5 * 1)
    Array([-1.5], dtype=array_api_strict.float64)
    """
    check_number("nesterov: decay", decay, BELOW_ONE)

    def update(g: Array, state: State, theta: Array, learning_rate: Array) -> tuple[Array, State]:
        (v,) = state
        v = decay * v + g  # (..., P)
        theta = theta - learning_rate * (g + decay * v)  # (..., P)
        return theta, VelocityState(v)

    return Optimizer("nesterov", at_rest, update, {"decay": decay})


def adam(beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Optimizer:
    """Return Adam, which scales the step by running means of the gradient and of its square.

    ``m <- beta1 m + (1 - beta1) g``, ``v <- beta2 v + (1 - beta2) g²``,
    ``theta <- theta - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)``
    (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; the two corrections are applied to the rate and to epsilon,
    as at the end of section 2 there, but without changing the meaning of epsilon).

    Parameters
    ----------
    beta1, beta2 : float, optional
        The decay rates of the running means of ``g`` and of ``g²``, in [0, 1).
    epsilon : float, optional
        A number above 0, which keeps the divisor away from 0.

    Returns
    -------
    Optimizer
        The rule, with an :class:`AdamState`.

    Raises
    ------
    ValueError
        If ``beta1`` or ``beta2`` is outside [0, 1), or ``epsilon`` is not above 0.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> rule, theta, lr = adam(), xp.asarray([0.0]), xp.asarray(0.1)
    >>> theta, _ = rule.update(xp.asarray([123.0]), rule.init(theta), theta, lr)
    >>> round(float(theta[0]), 6)  # the first step is as long as the rate, whatever the gradient
    -0.1
    """
    return _adam("adam", beta1, beta2, epsilon, weight_decay=0.0)


def adamw(
    beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, weight_decay: float = 0.01
) -> Optimizer:
    """Return Adam with decoupled weight decay: also ``theta <- theta - lr weight_decay theta``.

    Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2, with the schedule in the rate; as in PyTorch, biases
    decay as well.

    Parameters
    ----------
    beta1, beta2, epsilon : float, optional
        As in :func:`adam`.
    weight_decay : float, optional
        The strength of the decay, 0 or more.

    Returns
    -------
    Optimizer
        The rule, with an :class:`AdamState`.

    Raises
    ------
    ValueError
        As :func:`adam`, or if ``weight_decay`` is negative or not finite.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> rule, theta, lr = adamw(weight_decay=0.5), xp.asarray([2.0]), xp.asarray(0.1)
    >>> rule.update(xp.asarray([0.0]), rule.init(theta), theta, lr)[0]  # 2 - 0.1 * 0.5 * 2
    Array([1.9], dtype=array_api_strict.float64)
    """
    check_number("adamw: weight_decay", weight_decay, FINITE)
    return _adam("adamw", beta1, beta2, epsilon, weight_decay)


def _adam(name: str, beta1: float, beta2: float, epsilon: float, weight_decay: float) -> Optimizer:
    check_number(f"{name}: beta1", beta1, BELOW_ONE)
    check_number(f"{name}: beta2", beta2, BELOW_ONE)
    check_number(f"{name}: epsilon", epsilon, POSITIVE)

    def init(theta: Array) -> State:
        zeros = namespace(theta).zeros_like
        return AdamState(zeros(theta), zeros(theta), zeros(theta[..., :1]))  # m, v (..., P), t (..., 1)

    def update(g: Array, state: State, theta: Array, learning_rate: Array) -> tuple[Array, State]:
        xp = namespace(g, theta)
        m, v, t = state
        t = t + 1.0  # (..., 1)
        m = beta1 * m + (1.0 - beta1) * g  # (..., P)
        v = beta2 * v + (1.0 - beta2) * (g * g)  # (..., P)
        correction1 = _one_minus_power(beta1, t)  # (..., 1)
        correction2 = xp.sqrt(_one_minus_power(beta2, t))  # (..., 1)
        rate = learning_rate * correction2 / correction1  # (..., 1)
        if weight_decay:
            theta = theta - (learning_rate * weight_decay) * theta  # (..., P)
        theta = theta - rate * m / (xp.sqrt(v) + epsilon * correction2)  # (..., P)
        return theta, AdamState(m, v, t)

    settings = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
    if weight_decay:
        settings["weight_decay"] = weight_decay
    return Optimizer(name, init, update, settings)


def _one_minus_power(beta: float, t: Array) -> Array:
    # 1 - beta^t = -expm1(t log beta), which keeps its digits in float32 where beta^t is near 1.
    xp = namespace(t)
    if beta == 0.0:
        return xp.ones_like(t)  # (..., 1)
    return -xp.expm1(t * math.log(beta))  # (..., 1)


_RULES = sgd, momentum, nesterov, adam, adamw
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {rule.__name__: rule for rule in _RULES}


def optimizer(choice: str | Optimizer) -> Optimizer:
    """Return the optimizer with this name, with default settings; an :class:`Optimizer` is returned unchanged.

    Parameters
    ----------
    choice : str or Optimizer
        A name, such as "adam", or an optimizer with your settings.

    Returns
    -------
    Optimizer
        The same object for the same name.

    Raises
    ------
    ValueError
        If no optimizer has the name; the message suggests the nearest one.

    Examples
    --------
    >>> optimizer("adam").settings["beta2"]
    0.999
    """
    return lookup("optimizer", choice, Optimizer, _usual())


def _made(name: str, settings: dict[str, Any]) -> Optimizer:
    """Return the optimizer with these settings; with default settings always the same object."""
    usual = _usual()[name]
    return usual if settings == usual.settings else OPTIMIZERS[name](**settings)


@cache
def _usual() -> dict[str, Optimizer]:
    """Return all optimizers with their default settings. They are made once, so that compiled steps are reused."""
    return {name: make() for name, make in OPTIMIZERS.items()}
