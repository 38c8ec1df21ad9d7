"""The runner: the steps of an epoch, one after the other, on data that stay on the device."""

import numpy as np

from chainrule.architecture import Architecture
from chainrule.arrays import Array, namespace
from chainrule.backends import Backend
from chainrule.batches import Epoch, bounds
from chainrule.interrupts import Interrupts
from chainrule.optimizers import Optimizer
from chainrule.step import Batch, Progress, rows_of, step


class Runner:
    """Holds the progress of training and runs epochs on it.

    Parameters
    ----------
    backend
        Where the arrays live, and who compiles the step.
    net, optimizer
        What a step computes.
    theta
        ``(P,)``: the parameters to start from; given up to the runner.
    data
        All rows, on the device.
    batch_size
        The rows of a step; ``None`` for all of them.
    compiled
        ``False`` runs the plain step as it is written.
    """

    def __init__(
        self,
        backend: Backend,
        net: Architecture,
        optimizer: Optimizer,
        theta: Array,
        data: Batch,
        batch_size: int | None,
        *,
        compiled: bool = True,
    ) -> None:
        self._backend = backend
        self._net = net
        self._data = data
        self._bounds = bounds(data.X.shape[-2], batch_size)
        self.progress = Progress(theta, optimizer.init(theta))

        def this_step(
            progress: Progress, batch: Batch, learning_rate: Array, key: Array | None
        ) -> tuple[Progress, Array]:
            return step(progress, batch, learning_rate, key, net, optimizer)

        self._step = backend.compile(this_step) if compiled else this_step

    def run(self, epoch: Epoch, interrupts: Interrupts) -> float:
        """Run the steps of one epoch and return the loss over it, on the scale that is reported.

        Each batch's loss is the one before its update. Ctrl-C is heard before each step.
        """
        asarray, dtype = self._backend.asarray, self.progress.theta.dtype
        order = None if epoch.order is None else asarray(epoch.order)  # (n,)
        losses = []
        for number, (start, stop) in enumerate(self._bounds):
            interrupts.check()
            batch = self._rows(order, start, stop)
            rate = asarray(epoch.rates[number], dtype)  # ()
            key = None if epoch.keys is None else asarray(epoch.keys[number], "int32")  # ()
            self.progress, L = self._step(self.progress, batch, rate, key)
            losses.append(L)
        return self._reported(self._backend.to_numpy(namespace(*losses).stack(losses)))  # sync

    def _rows(self, order: Array | None, start: int, stop: int) -> Batch:
        """Return the rows of one batch: the data themselves where they are all of them."""
        if order is None:
            whole = stop - start == self._data.X.shape[-2]
            parts = (part if whole or part is None else part[start:stop, :] for part in self._data)
            return Batch(*parts)
        return rows_of(self._data, order[start:stop])

    def _reported(self, losses: np.ndarray) -> float:
        rows = np.asarray([stop - start for start, stop in self._bounds])  # (steps,)
        outputs = self._net.sizes[-1]
        shares = [
            self._net.loss.reported(float(L), int(n), outputs) * (n / rows.sum())
            for L, n in zip(losses, rows, strict=True)
        ]
        return float(sum(shares))
