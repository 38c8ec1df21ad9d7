"""Inspection: what a network says of one step without training: its factors, gradients, cost."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from chainrule import backends
from chainrule.backends import Backend
from chainrule.backends.plans import step_plan
from chainrule.explain.gradcheck import GradientCheck, check
from chainrule.explain.oracles import NAMES, Question, all_of
from chainrule.mathematics.architecture import Architecture, at_least
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.naming import nearest
from chainrule.mathematics.optimizers import Optimizer
from chainrule.mathematics.optimizers import optimizer as named_optimizer
from chainrule.mathematics.schedules import Schedule, schedule
from chainrule.mathematics.step import Batch, Progress, TrainingStep, gradient, objective
from chainrule.training.batches import Chance
from chainrule.training.memory import Demand, MemoryEstimate

if TYPE_CHECKING:
    from chainrule.explain.explanation import Explanation
    from chainrule.program.plan import Plan


class Inspection(ABC):
    """What can be asked about a network's training step."""

    architecture: Architecture
    _theta: Array  # (P,)
    _chance: Chance

    @property
    @abstractmethod
    def backend(self) -> Backend:
        """Where the network lives."""

    @property
    @abstractmethod
    def dtype(self) -> str:
        """The dtype of the parameters."""

    @abstractmethod
    def _data(self, X: Any, y: Any, sample_weight: Any = None, *, finite: bool = True) -> Batch:
        """Return the samples and targets, checked, where the network lives."""

    def explain(
        self,
        X: Any,
        y: Any,
        learning_rate: float | Schedule = 0.1,
        *,
        optimizer: str | Optimizer = "sgd",
        sample_weight: Any = None,
        detail: Literal["named", "all"] = "named",
    ) -> "Explanation":
        """Return one training step on ``X (n, input_size)`` and ``y``, factor by factor.

        It is the very step that :meth:`train` would take on these rows as one batch, run operation by
        operation: forward, loss, backward layer by layer, update. Nothing is changed. It also says
        what keeps the network from learning, and what to do about it: see ``flags``.

        Parameters
        ----------
        X, y, sample_weight
            As :meth:`train` takes them, but NaN and infinity are let in, to be found.
        learning_rate, optimizer
            Of the step; the optimizer starts afresh.
        detail
            "named" shows what the mathematics has a name for; "all" shows every operation.

        Raises
        ------
        ValueError, TypeError
            If an argument is not what is said here.
        RuntimeError
            If a profiler is at work: names are found where it sits.

        Examples
        --------
        >>> from chainrule import NeuralNetwork
        >>> step = NeuralNetwork(2, 4, 1, seed=1).explain([[0, 1], [1, 1]], [[1], [0]])
        >>> print(step["dL_dW1"].formula.text, step["dL_dW1"].products)
        (dZ/dW1).T @ dL/dZ1 ('(2, 2) @ (2, 4) -> (2, 4)',)
        >>> step.flags
        ()
        """
        from chainrule.explain.explanation import explain
        from chainrule.explain.tracing import Start

        if detail not in {"named", "all"}:
            msg = f"detail is {detail!r}; give 'named' or 'all'"
            raise ValueError(msg)
        batch = self._data(X, y, sample_weight, finite=False)
        step = TrainingStep(self.architecture, named_optimizer(optimizer))
        rate = self.backend.asarray(schedule(learning_rate)(0.0, 1), self.dtype)  # ()
        key = None
        if self.architecture.dropout:  # the one that comes next, and is still to come
            key = self.backend.asarray(deepcopy(self._chance).keys(1)[0], "int32")  # ()
        progress = Progress(self._theta, step.optimizer.init(self._theta))
        return explain(step, Start(progress, batch, rate, key), self.backend, every=detail == "all")

    def check_gradients(
        self, X: Any, y: Any, sample_weight: Any = None, *, oracles: Sequence[str] = NAMES
    ) -> GradientCheck:
        """Compare the derived gradient with other ways to it, in float64; print it for a table.

        ``oracles`` are some of "differences" (central), "complex step" (where every function of the
        forward pass and the loss is analytic), "torch" and "jax" (automatic differentiation of the same
        source, where they are installed). At a kink, such as that of relu at 0, nothing is compared.
        Dropout is left out of it: a loss that is drawn anew has no difference to take.

        Raises
        ------
        ValueError, TypeError
            As :meth:`train`, or if an oracle is unknown.

        Examples
        --------
        >>> from chainrule import NeuralNetwork
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
        >>> report = NeuralNetwork(2, 4, 1, seed=1).check_gradients(X, y, oracles=["complex step"])
        >>> report.passed
        True
        """
        for name in oracles:
            if name not in NAMES:
                msg = f"unknown oracle {name!r}{nearest(name, list(NAMES))} (known: {', '.join(NAMES)})"
                raise ValueError(msg)
        host, net = backends.named("numpy"), replace(self.architecture, compute=None)
        parts = (
            None if p is None else self.backend.to_numpy(p) for p in self._data(X, y, sample_weight)
        )
        batch = Batch(*(None if part is None else host.asarray(part, "float64") for part in parts))
        theta = np.array(self.backend.to_numpy(self._theta), dtype=np.float64)  # (P,)
        question = Question(lambda theta, batch: objective(theta, batch, net), theta, batch)
        with host.quiet():
            L, derived = gradient(theta, batch, net)
            found, notes = all_of(question, oracles)
            checked = check(derived, theta, net.layout.named_shapes, found, loss=float(L))
            return checked._replace(notes=notes)

    def program(self, batch_size: int, *, optimizer: str | Optimizer = "sgd") -> "Plan":
        """Return one training step on ``batch_size`` rows, as the operations that it is.

        It has ``operations``, ``matmuls``, ``flops``, ``bytes``, ``launches`` and ``peak_bytes``, all
        known before anything runs, and prints as a table.

        Examples
        --------
        >>> from chainrule import NeuralNetwork
        >>> made = NeuralNetwork(784, 100, 10).program(batch_size=200)
        >>> made.matmuls, made.flops
        (5, 63920000)
        """
        rows, rule = at_least(1, "batch_size", batch_size), named_optimizer(optimizer)
        made: Plan = step_plan(self.architecture, rule, rows, self.dtype)
        return self.backend.planned(made)

    def memory_estimate(
        self,
        batch_size: int,
        *,
        backend: Any = None,
        optimizer: str | Optimizer = "sgd",
        streamed: bool = False,
    ) -> MemoryEstimate:
        """Return the bytes that training on batches of ``batch_size`` rows takes at its peak.

        On ``backend``, or on the network's own. The data beyond one batch come on top; or, ``streamed``,
        stay on the host where a CUDA device has no room for them, and it holds two batches at once. A
        shorter last batch comes on top as well.

        Examples
        --------
        >>> from chainrule import NeuralNetwork
        >>> print(NeuralNetwork(64, 256, 10, dtype="float32").memory_estimate(256))
        parameters  307.36 kB
        state             0 B
        batch        75.78 kB
        scratch     ...
        """
        rows, rule = at_least(1, "batch_size", batch_size), named_optimizer(optimizer)
        where = backends.get(backend) or self.backend
        return Demand(self.architecture, rule, self.dtype, where, streamed).of(rows)
