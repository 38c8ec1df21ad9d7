"""Ours: the bare step of the engine that ``train`` would run on, and ``train`` itself."""

import io
import sys
from contextlib import redirect_stderr
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from step_contestants.contestant import Contestant, State, Timing, UnavailableError
from step_contestants.problem import Problem

MANY = 10**9  # steps: a run long enough to be worth compiling for


def native(problem: Problem) -> Contestant:
    """Return the step with the extra ``jit``."""
    _need_native()
    return _step(problem, "native")


def plain(problem: Problem) -> Contestant:
    """Return the step of a plain install."""
    _hide_llvmlite()
    return _step(problem, "interpreted")


def train_native(problem: Problem) -> Contestant:
    """Return an epoch of ``train`` with the extra ``jit``."""
    _need_native()
    return _train(problem, "chainrule.program.native.kernels")


def train_plain(problem: Problem) -> Contestant:
    """Return an epoch of ``train`` of a plain install."""
    _hide_llvmlite()
    return _train(problem)


def _hide_llvmlite() -> None:
    sys.modules["llvmlite"] = None  # type: ignore[assignment]  # as if it were not installed


def _need_native() -> None:
    from chainrule.backends.numpy import native_is_at_hand

    if not native_is_at_hand():
        msg = "llvmlite is here, but no BLAS of NumPy's was found to call from native code"
        raise UnavailableError(msg)


def work(problem: Problem) -> Any:
    """Return the step as ``train`` hands it to its backend, in full batch."""
    from chainrule.batches import bounds
    from chainrule.program.engine import Work
    from chainrule.step import Batch, Progress, TrainingStep

    net, theta, optimizer = _start(problem)
    return Work(
        TrainingStep(net, optimizer),
        Progress(theta, optimizer.init(theta)),
        Batch(problem.X, problem.Y),
        bounds(problem.cell.batch, None),
        steps=MANY,
    )


def _start(problem: Problem) -> tuple[Any, np.ndarray, Any]:
    """Return the architecture, its flat parameters ``(P,)`` and the optimizer."""
    from chainrule.architecture import architecture
    from chainrule.layers import Dense
    from chainrule.optimizers import adam, sgd

    first, *hidden, last = problem.cell.sizes
    kinds = ("relu", None, "cross_entropy") if problem.cell.adam else ("sigmoid", None, "squared_error")
    net = architecture((first, hidden, last), *kinds)
    layers = list(map(Dense, problem.weights, problem.biases))
    return net, net.layout.join(layers), adam() if problem.cell.adam else sgd()


def _step(problem: Problem, kind: str) -> Contestant:
    """Return the engine's run of one full batch: the step, its learning rate set, its loss read."""
    from chainrule.backends import named
    from chainrule.batches import Epoch

    todo = work(problem)
    engine = named("numpy").engine(todo)
    layout = todo.step.net.layout

    def state(losses: list[float]) -> State:
        layers = layout.split(engine.progress.theta)
        return State(losses[0], [*(layer.W for layer in layers), *(layer.b for layer in layers)])

    run = partial(engine.run, Epoch(None, [problem.rate], None), _no_check)
    note = f"{kind}, {type(engine).__name__}, {_how_cut(todo, kind)}"
    return Contestant(run, state, context=engine.at_work, note=note)


def _no_check() -> None:
    """Stand in for the look at Ctrl-C."""


def _how_cut(todo: Any, kind: str) -> str:
    from chainrule.program.steps import cuts

    (cut,) = cuts(todo, native=kind == "native").values()
    return f"{cut.threads} threads x {cut.blocks} blocks"


class _Training:
    """``NeuralNetwork.train`` from the start of a problem."""

    def __init__(self, problem: Problem, needs: str) -> None:
        self._problem = problem
        self._needs = needs  # the module that a run has loaded which was long enough to compile for
        self.net = self._network()

    def _network(self) -> Any:
        from chainrule import NeuralNetwork

        cell = self._problem.cell
        first, *hidden, last = cell.sizes
        kinds = {"activation": "relu", "loss": "cross_entropy"} if cell.adam else {}
        net = NeuralNetwork(first, hidden, last, **kinds, backend="numpy", dtype="float32", seed=0)
        for number, (W, b) in enumerate(zip(self._problem.weights, self._problem.biases, strict=True)):
            net.set_layer(number, W=W, b=b)
        return net

    def run(self, epochs: int) -> Any:
        """Return the history of training for so many epochs, progress shown to nobody."""
        cell, X, Y, *_, rate = self._problem
        how = {"optimizer": "adam" if cell.adam else "sgd", "learning_rate": rate}
        with redirect_stderr(io.StringIO()):
            return self.net.train(X, Y, epochs=epochs, progress=True, **how)

    def state(self, history: Any) -> State:
        """Return where it stands; the history's loss is put on the scale of the step's."""
        loss, cell = self.net.architecture.loss, self._problem.cell
        layers = self.net.layers
        value = history["loss"][-1] / loss.reported(1.0, cell.batch, cell.sizes[-1])
        return State(value, [*(layer.W for layer in layers), *(layer.b for layer in layers)])

    def measure(self, seconds: float) -> Timing:
        """Return the time of an epoch by the history's own clock, what comes before the first left out."""
        few = self._spans(self.run(10)["seconds"], 1)
        epochs = max(20, int((0.3 + seconds) * 1e6 / median(few)))
        clock = self.run(epochs)["seconds"]
        while self._needs and self._needs not in sys.modules:  # it was thought too short to compile for
            epochs *= 2
            clock = self.run(epochs)["seconds"]
        warm = clock[len(clock) // 4 :]
        per_block = max(1, int(1e4 / median(self._spans(warm, 1))))
        return Timing(clock[0] * 1e6, per_block, self._spans(warm, min(per_block, len(warm) // 3)))

    @staticmethod
    def _spans(clock: list[float], epochs: int) -> list[float]:
        """Return the µs of an epoch over each run of so many."""
        marks = clock[::epochs]
        return [(b - a) / epochs * 1e6 for a, b in pairwise(marks)]


def _train(problem: Problem, needs: str = "") -> Contestant:
    training = _Training(problem, needs)
    five = partial(training.run, 5)
    return Contestant(five, training.state, steps=5, five=five, measure=training.measure)
