"""Tasks: the network, the rows, the settings, and the outcome of training."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from chainrule.backends import Backend
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.checks import at_least
from chainrule.mathematics.naming import require
from chainrule.mathematics.optimizers import Optimizer, State
from chainrule.mathematics.schedules import Schedule
from chainrule.ranks.group import Group
from chainrule.training.batches import Chance, TrainingRows
from chainrule.training.history import History, Record

if TYPE_CHECKING:  # imported for a run with checkpoints, so that `import chainrule` stays light
    from chainrule.training.resuming import RunFolder

Callback = Callable[[Record], object]
PATIENCE = 10  # epochs; what early_stopping=True means, as in scikit-learn


@dataclass(frozen=True)
class Settings:
    """How to train: all arguments except the network and the data."""

    epochs: int
    batch_size: int | None  # None: all rows in one batch, in their order
    schedule: Schedule
    optimizer: Optimizer
    patience: int | None = None  # epochs without a better loss before training stops
    callbacks: Sequence[Callback] = ()  # called with every record; True ends training
    show: Callable[[Array], None] | None = None  # gets a copy of the weights (P,) before the callbacks
    shuffle: bool = True  # False: batches of rows in their order
    compiled: bool = True  # False: run the step as it is written
    threads: int | None = None  # None: CHAINRULE_THREADS, else one per core
    group: Group = field(default_factory=Group)  # the ranks that train together
    folder: "RunFolder | None" = None  # for checkpoints


def patience(early_stopping: Any) -> int | None:
    """Return the number of epochs without a smaller loss after which training stops.

    Parameters
    ----------
    early_stopping : int, bool or None
        As in :meth:`chainrule.NeuralNetwork.train`.

    Returns
    -------
    int or None
        ``None`` if training does not stop early.

    Raises
    ------
    TypeError, ValueError
        If it is neither a bool nor a whole number of 1 or more.

    Examples
    --------
    >>> patience(True), patience(3), patience(None)
    (10, 3, None)
    """
    if early_stopping is None or early_stopping is False:
        return None
    return PATIENCE if early_stopping is True else at_least(1, "early_stopping", early_stopping)


def callback_list(callbacks: Any) -> tuple[Callback, ...]:
    """Return ``callbacks`` as a tuple of functions.

    Parameters
    ----------
    callbacks : iterable of functions
        As in :meth:`chainrule.NeuralNetwork.train`.

    Returns
    -------
    tuple of functions
        The callables, in the same order.

    Raises
    ------
    TypeError
        If it is not a sequence of functions.
    """
    functions = tuple(callbacks) if isinstance(callbacks, Iterable) else (None,)
    problem = f"callbacks is {callbacks!r}; give a list of functions, such as [print]"
    require(all(map(callable, functions)), problem, TypeError)
    return functions


class DivergedError(FloatingPointError):
    """The loss or the weights are not finite; the arguments: the problem, what is kept, the remedy."""

    def __str__(self) -> str:
        return "; ".join(self.args)


class Outcome(NamedTuple):
    """The result of training. The weights are good even if the history has an error to raise."""

    theta: Array  # (P,)
    history: History
    state: State | None  # the optimizer's arrays at these weights; None if they belong to later weights


class Task(NamedTuple):
    """The network, its backend, and the data to learn from."""

    net: Architecture
    backend: Backend
    data: TrainingRows
    validation: TrainingRows | None = None


class Member(NamedTuple):
    """A network to train: its initial weights, its data, the settings, and its random numbers."""

    theta: Array  # (P,)
    task: Task
    settings: Settings
    chance: Chance
    state: State | None = None  # the optimizer's; its initial one by default
