"""The matrix products of a step and nothing else, as a CUDA graph to be timed.

It is the very graph of the step, with the same buffers, the same products in the same order and nothing else. Products
with a matrix of a few columns, which the step makes in its kernels, are products here.
"""

import numpy as np

from chainrule.program.cuda.batch import BoundBatch
from chainrule.program.cuda.device import Device
from chainrule.program.cuda.engine import Chunk, Runner
from chainrule.program.cuda.feed import FeedShape
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Epoch, Work

TINY = 1e-30  # the learning rate: what goes straight into the weights is added, and changes nothing


def steps(work: Work, device: Device, count: int = 1, rate: float = TINY) -> Runner:
    """Return this many steps on all rows of the data, in their order, to be run as one graph.

    They have been made once, one kernel after the other, when this returns.
    """
    return _steps(work, device, count, rate, thin=True)[1].run


def products(work: Work, device: Device, count: int = 1) -> Runner:
    """Return the products of this many steps, and nothing else, to be run as one graph.

    The steps have been made once when this returns, so that the products multiply their numbers.
    """
    batch, chunk = _steps(work, device, count, TINY, thin=False)
    with device.at_work():
        calls = [call for part in chunk.parts for call in batch.calls(part, products_only=True)]
        return Runner(device, calls)


def _steps(
    work: Work, device: Device, count: int, rate: float, *, thin: bool
) -> tuple[BoundBatch, Chunk]:
    if not work.is_one_batch:
        msg = (
            f"the bare products are those of one batch, got {len(work.bounds)}; give bounds of all rows"
        )
        raise ValueError(msg)
    ((_, rows),) = work.bounds
    shape = FeedShape(count, 0, numpy_dtype(work.progress[0].dtype), work.drops)
    keys = np.arange(count, dtype=np.int32)  # (steps,)
    with device.at_work():
        batch = BoundBatch(work, rows, device, plan=cuda_plan(work.plan(rows), thin=thin))
        chunk = Chunk(device, batch, shape)
        made, _ = chunk.launch(Epoch(None, [(0, rows)] * count, [rate] * count, keys), 0)
        made.wait()  # sync: the steps, once
    return batch, chunk
