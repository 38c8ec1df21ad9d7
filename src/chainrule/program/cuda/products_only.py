"""The matrix products of a step and nothing else, as a CUDA graph to be timed.

It is the very graph of the step, with the same buffers, the same products in the same order and nothing else.
"""

import numpy as np

from chainrule.program.cuda.batch import BoundBatch
from chainrule.program.cuda.device import Device
from chainrule.program.cuda.engine import Runner
from chainrule.program.cuda.feed import FeedShape
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Work
from chainrule.program.epoch import Epoch

TINY = 1e-30  # the learning rate: what goes straight into the weights is added, and changes nothing


def steps(work: Work, device: Device, count: int = 1, rate: float = TINY) -> Runner:
    """Return this many steps on all rows of the data, in their order, to be run as one graph.

    Its first call makes the steps one kernel after the other; each later one is a launch of the graph, which
    the second call captures.
    """
    return _runner(work, device, count, rate, products_only=False)


def products(work: Work, device: Device, count: int = 1) -> Runner:
    """Return the products of this many steps, and nothing else, to be run as one graph.

    A step has been made once when this returns, so that the products multiply its numbers.
    """
    return _runner(work, device, count, TINY, products_only=True)


def _runner(work: Work, device: Device, count: int, rate: float, *, products_only: bool) -> Runner:
    if not work.is_one_batch:
        msg = (
            f"the bare products are those of one batch, got {len(work.bounds)}; give bounds of all rows"
        )
        raise ValueError(msg)
    ((_, rows),) = work.bounds
    shape = FeedShape(count, 0, numpy_dtype(work.progress[0].dtype), work.drops)
    keys = np.arange(count, dtype=np.int32)  # (steps,)
    with device.at_work():
        host, feed, sent = shape.on(device, device.pinned), shape.on(device, device.empty), device.mark()
        host.write(Epoch(None, [(0, rows)] * count, [rate] * count, keys))
        device.send(feed.record, host.record)
        sent.set()
        batch = BoundBatch(work, rows, device)
        parts = [feed.part(slice(step, step + 1), slice(0)) for step in range(count)]
        if products_only:
            for function, arguments in batch.calls(parts[0]):
                function(*arguments)
        calls = [c for part in parts for c in batch.calls(part, products_only=products_only)]
        sent.wait()  # sync: the pinned memory is let go
    return Runner(device, calls)
