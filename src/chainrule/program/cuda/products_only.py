"""The matrix products of a step and nothing else, as a CUDA graph to be timed.

It is the graph of the step, with the same buffers and the same products in the same order, and nothing else. Products
with a matrix of a few columns, which the step computes in its kernels, are products here.
"""

import numpy as np

from chainrule.program.cuda.batch import BoundBatch
from chainrule.program.cuda.device import Device
from chainrule.program.cuda.engine import Chunk, Runner
from chainrule.program.cuda.feed import FeedShape
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Epoch, Work

TINY = 1e-30  # learning rate: products that are added to the weights do not change them


def products(work: Work, device: Device, count: int = 1) -> Runner:
    """Return the products of this many steps on all rows of the data, to be run as one graph.

    The steps have been made once when this returns, so that the products multiply their numbers.

    Raises
    ------
    ValueError
        If the work has several batches.
    """
    if not work.is_one_batch:
        msg = f"products alone can be run for one batch only, got {len(work.bounds)} batches; give one with all rows"
        raise ValueError(msg)
    ((_, rows),) = work.bounds
    shape = FeedShape(count, 0, numpy_dtype(work.progress[0].dtype), work.drops)
    keys = np.arange(count, dtype=np.int32)  # (steps,)
    with device.at_work():
        batch = BoundBatch(work, rows, device, plan=cuda_plan(work.plan(rows), thin=False))
        chunk = Chunk(device, batch, shape)
        mark, _ = chunk.launch(Epoch(None, [(0, rows)] * count, [TINY] * count, keys), 0)
        mark.synchronize()  # sync: the steps, once
        calls = [call for part in chunk.parts for call in batch.calls(part, products_only=True)]
        return Runner(device, calls)
