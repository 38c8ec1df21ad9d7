"""Training steps of every kind, to test traces, plans and engines with."""

from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import numpy as np

from chainrule import backends
from chainrule.backends.numpy import NumpyLibrary
from chainrule.mathematics.activations import ACTIVATIONS, Activation
from chainrule.mathematics.architecture import Architecture, architecture
from chainrule.mathematics.initializers import draw
from chainrule.mathematics.losses import LOSSES
from chainrule.mathematics.optimizers import OPTIMIZERS, Optimizer, optimizer
from chainrule.mathematics.step import Batch, Progress, TrainingStep
from chainrule.program.engine import Epoch, Work, batch_spec, bounds, plan_step, progress_spec
from chainrule.program.replay import Arrays, call
from chainrule.program.row_blocks import Cut
from chainrule.program.trace import Spec
from support.activations import ALL_OF_THEM
from support.data import targets

FEATURES, OUTPUTS = 5, 3


@dataclass(frozen=True)
class Case:
    """A step: the network, the optimizer, and whether samples have weights."""

    hidden: tuple[int, ...] = (7, 6)
    activation: str | Activation = "tanh"
    loss: str = "mean_squared_error"
    optimizer: str | Optimizer = "sgd"
    weighted: bool = False
    additions: dict[str, Any] = field(default_factory=dict)

    @property
    def net(self) -> Architecture:
        """The architecture."""
        return architecture(
            (FEATURES, self.hidden, OUTPUTS), self.activation, None, self.loss, **self.additions
        )

    @property
    def step(self) -> TrainingStep:
        """The step as functions of arrays."""
        return TrainingStep(self.net, optimizer(self.optimizer))


ALL = {"dropout": 0.2, "weight_decay": 1e-3, "clip_norm": 0.5}
NAMES = zip(ACTIVATIONS, cycle(LOSSES), cycle(OPTIMIZERS), strict=False)  # every name at least once
CASES = {
    "plain": Case(),
    **{"-".join(names): Case((7, 6), *names) for names in NAMES},
    "activations-of-ones-own": Case(activation=ALL_OF_THEM),
    **{name: Case(additions={name: number}) for name, number in ALL.items()},
    "weights": Case(weighted=True),
    "one-layer": Case(hidden=()),
    "four-layers": Case(hidden=(7, 1, 6)),
    **{
        f"everything-{name}": Case((7, 6), "gelu", "cross_entropy", name, weighted=True, additions=ALL)
        for name in OPTIMIZERS
    },
}


def made_batch(case, rows, dtype="float64", lead=()):
    """Return a batch of the case, NumPy arrays."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((*lead, rows, FEATURES))
    Y = targets(rng, case.loss, (*lead, rows, OUTPUTS))
    weights = rng.uniform(0.5, 2.0, (*lead, rows, 1)) if case.weighted else None
    return Batch(
        *(None if part is None else np.ascontiguousarray(part, dtype) for part in (X, Y, weights))
    )


def made_progress(case, dtype="float64", lead=()):
    """Return where training starts, NumPy arrays of its own; ``lead`` stacks networks of different seeds."""
    count = int(np.prod(lead, dtype=int))
    drawn = [draw(case.net, seed=seed) for seed in range(count)]
    theta = np.stack(drawn).reshape(*lead, -1).astype(dtype)
    return Progress(theta, case.step.optimizer.init(theta))


def made_work(case, rows, dtype="float64", batch_size=None, **more):
    """Return work to run: fresh arrays at every call."""
    return Work(
        case.step,
        made_progress(case, dtype),
        made_batch(case, rows, dtype),
        bounds(rows, batch_size),
        drops=bool(case.net.dropout),
        **more,
    )


def made_plan(case, rows=9, dtype="float64", lead=()):
    """Return the plan of the case's step."""
    progress, batch = made_progress(case, dtype, lead), made_batch(case, rows, dtype, lead)
    specs = batch_spec(batch, rows)
    specs = type(batch)(*(s and s._replace(shape=(*lead, *s.shape)) for s in specs))
    key = Spec((), np.dtype(np.int32), "key") if case.net.dropout else None
    return plan_step(case.step, progress_spec(progress), specs, key, named=True)


def epochs(work, count=3, rate=0.05):
    """Return epochs to run: another order, other keys and another learning rate at every step."""
    rng, (_, rows), steps = np.random.default_rng(11), work.bounds[-1], len(work.bounds)
    return [
        Epoch(
            None if work.is_one_batch else rng.permutation(rows),
            work.bounds,
            [rate / (1 + number + i) for i in range(steps)],
            rng.integers(-(2**31), 2**31, steps, dtype=np.int32) if work.drops else None,
        )
        for number in range(count)
    ]


def ran(engine, plans):
    """Run epochs; return the losses, and copies of everything that a step changes."""
    losses = []
    with np.errstate(all="ignore"), engine.at_work():
        for epoch in plans:
            losses.extend(engine.run(epoch, lambda: None))
    theta, state = engine.progress
    return np.array(losses), [host(part) for part in (theta, *state)]


def host(array):
    """Return a copy of an array on the host."""
    return np.array(array.get() if hasattr(array, "get") else array)


def plain(work):
    """Return the engine that every other is held to."""
    return backends.named("numpy").plain(work)


def forced(work):
    """Return cuts that the rule would not make of so few rows: two threads of three blocks, or one."""
    return {rows: Cut(2, 3) if rows >= 6 else Cut(1, min(3, rows)) for rows in work.batch_sizes}


def replayed(made, inputs):
    """Return the arrays and the calls of a plan on NumPy."""
    library = NumpyLibrary()
    arrays = Arrays(made, inputs, library)
    return arrays, [call(group.only, arrays, library) for group in made.groups]


def ran_plan(made, progress, batch, rates, keys):
    """Replay a planned step, one for each rate and key; return the parameters with the state, and the losses."""
    theta, state = progress
    changed = [np.array(part) for part in (theta, *state)]
    rate, key = np.zeros((), theta.dtype), np.zeros((), np.int32)
    given = [*changed, *(part for part in batch if part is not None), rate, key]
    arrays, calls = replayed(made, given[: len(made.program.inputs)])
    losses = []
    for rate[()], key[()] in zip(rates, keys, strict=True):
        for function, arguments in calls:
            function(*arguments)
        losses.append(np.array(arrays.of(made.program.outputs[-1])))
    return changed, losses
