"""The explanation: a step built line by line, judged, and put together."""

from chainrule.backends import Backend
from chainrule.explain import faults
from chainrule.explain.building import Builder
from chainrule.explain.diagnosis import findings
from chainrule.explain.evidence import Evidence, loss_of_guess, slope
from chainrule.explain.records import Explanation, Findings, Line, Setting
from chainrule.explain.tracing import Start
from chainrule.mathematics.step import TrainingStep, objective


def explain(step: TrainingStep, start: Start, backend: Backend, *, every: bool = False) -> Explanation:
    """Return one training step, factor by factor.

    Parameters
    ----------
    step
        Which network, with which optimizer.
    start
        The parameters, the rows, the learning rate and the dropout key to start from.
    backend
        Where these arrays live.
    every
        Whether each operation has a line of its own.
    """
    built = Builder(step, start, backend, every=every)
    lines = tuple(built.lines())
    net, batch = step.net, start.batch
    with backend.quiet():
        before, after = (
            float(backend.to_numpy(objective(theta, batch, net, start.key)))
            for theta in (start.progress.theta, built.end.theta)
        )
    updates = tuple(built.updates({line.name: line.array for line in lines}))
    flags = tuple(faults.flags(built.program, built.run, backend.to_numpy))
    found = Findings(flags)
    if not flags:
        evidence = Evidence(
            arrays={line.name: line.array for line in lines},
            slopes=tuple(slope(activation, backend) for activation in net.activations),
            updates=updates,
            learning_rate=float(backend.to_numpy(start.learning_rate)),
            loss_before=before,
            loss_after=after,
            loss_of_guess=loss_of_guess(batch, net, backend),
        )
        found = findings(evidence)
    return Explanation(_setting(step, start, backend, lines), lines, updates, before, after, found)


def _setting(step: TrainingStep, start: Start, backend: Backend, lines: tuple[Line, ...]) -> Setting:
    net = step.net
    sizes = "-".join(map(str, net.sizes))
    names = ", ".join(activation.name for activation in net.activations)
    rate = float(backend.to_numpy(start.learning_rate))
    where = f"{backend.describe()}, {lines[0].array.dtype.name}"
    rows = int(start.batch.X.shape[-2])
    return Setting(f"{sizes} ({names})", net.loss.name, rows, step.optimizer.name, rate, where)
