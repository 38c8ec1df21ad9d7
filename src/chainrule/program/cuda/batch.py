"""A batch: the plan of a step on a number of rows, bound to memory of a device as a list of calls.

The buffers of a step are allocated once. Binding the step again, to another learning rate and key, gives calls on the same
buffers, so that many steps can follow each other in one graph.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.mathematics.arrays import Array, size
from chainrule.program.blocks import Arena
from chainrule.program.cuda.device import CannotCaptureError, Device, Launchable, Product
from chainrule.program.cuda.epilogues import finished_by_lt, layers
from chainrule.program.cuda.feed import Feed
from chainrule.program.cuda.gather import BLOCK, gather, gather_grid
from chainrule.program.cuda.geometry import PACK_BYTES, Launch, launch
from chainrule.program.cuda.lowering import fused
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.source import write
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Work
from chainrule.program.operations import Fusion, Value
from chainrule.program.plan import Plan, Roots
from chainrule.program.replay import Arrays, Call

BYTES = np.dtype(np.uint8)


class Scratch:
    """Scratch memory, which steps of all batch sizes use one after the other; the largest is bound first."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.empty, self.reshaped, self.shares = device.empty, device.reshaped, device.shares
        self._constants: dict[int, tuple[np.ndarray, Array]] = {}
        self._arena = Arena(device)
        self.sums: tuple[Array, ...] = ()  # memory for partial sums; the counters of blocks, all 0

    def constant(self, data: np.ndarray) -> Array:
        """Return a constant as an array of the device; each is uploaded once."""
        owner = data if data.base is None else data.base
        if id(owner) not in self._constants:
            self._constants[id(owner)] = owner, self._device.constant(data)
        return self._constants[id(owner)][1]

    def raw(self, plan: Plan) -> dict[int, Array]:
        """Return memory for each scratch storage of a plan, by ``id``."""
        storages = [storage for storage in plan.storages if storage.is_scratch]
        # The largest batch first, so that the arrays of smaller ones fit into its memory.
        storages.sort(key=lambda storage: storage.nbytes, reverse=True)
        self._arena.rewind()
        return {id(storage): self._arena.empty((storage.nbytes,), BYTES) for storage in storages}

    def make_room(self, launches: Sequence[Launch]) -> None:
        """Allocate the memory for sums that these kernels need."""
        nbytes = max((how.part_bytes for how in launches), default=0)
        count = max((how.counters for how in launches), default=0)
        if not self.sums or self.sums[0].nbytes < nbytes or self.sums[1].size < count:
            counters = self._device.constant(np.zeros(count, dtype=np.uint32))
            self.sums = self._device.empty((nbytes,), BYTES), counters


class BoundBatch:
    """A step on one batch size, on a device.

    Parameters
    ----------
    work
        The run; the arrays of its progress are overwritten.
    rows
        The number of rows of the batch.
    device
        The device.
    plan
        The plan of the step for a CUDA device; by default that of ``cuda_plan``.
    scratch
        Memory that is shared with other batch sizes; by default its own.
    batch
        The arrays that a step reads its samples from. By default all of the data if they are one batch; else
        buffers, which each step first fills with its rows.
    """

    def __init__(
        self,
        work: Work,
        rows: int,
        device: Device,
        *,
        plan: Plan | None = None,
        scratch: Scratch | None = None,
        batch: Sequence[Array] | None = None,
    ) -> None:
        self.plan = plan or cuda_plan(work.plan(rows))
        self._work, self._rows, self._device = work, rows, device
        # The rows that each step gathers first.
        self.gathered = rows if batch is None and not work.is_one_batch else 0
        self._batch = batch or (work.arrays if work.is_one_batch else self._buffers())
        self._scratch = scratch or Scratch(device)
        self._raw = self._scratch.raw(self.plan)
        self._fused = {id(group): fused(group) for group in self.plan.groups if not is_product(group)}
        known, count = self._fused.values(), device.multiprocessors
        self._scratch.make_room([launch(m, count, aligned=a) for m in known for a in (True, False)])
        self._launches: dict[int, tuple[Launch, Launchable]] = {}
        self._shared: dict[int, Call] = {}  # calls of groups that neither read nor write a feed
        self._finished: dict[int, list[Call]] | None = None  # calls of products with a cuBLASLt epilogue
        self.notes: tuple[str, ...] = ()  # one for each of these products, for the history
        self.hides_nan = False  # whether the relu of cuBLASLt runs, which may turn NaN into 0
        roots, program = Roots(self.plan.program), self.plan.program
        feed = program.inputs[1 + len(work.progress[1]) + len(self._batch) :]
        fed = {id(value) for value in (*feed, roots.of(program.outputs[-1]))}
        self._fed = {
            id(group)
            for group in self.plan.groups
            if any(id(roots.of(value)) in fed for value in _arguments(group))
        }

    @property
    def nodes(self) -> int:
        """How many launches a step is."""
        return len(self.groups) + (self.gathered > 0)

    @property
    def groups(self) -> list[Fusion]:
        """The groups that are launches: all but the chains that the product before them includes."""
        finished = self._finished or {}
        return [group for group in self.plan.groups if finished.get(id(group)) != []]

    def calls(self, feed: Feed, *, products_only: bool = False) -> list[Call]:
        """Return the calls of a step; ``feed`` holds the rate, the key and the loss of this step alone."""
        progress = self._work.progress
        key = () if feed.keys is None else (feed.keys.reshape(()),)
        arguments = (progress[0], *progress[1], *self._batch, feed.rates.reshape(()), *key)
        if self.plan.program.inputs[-1].role == "negated rate":
            arguments += (feed.minus.reshape(()),)
        loss = len(self.plan.program.outputs) - 1
        outputs = {loss: feed.losses.view(np.uint8)}
        arrays = Arrays(self.plan, arguments, self._scratch, outputs, raw=self._raw)
        if products_only:
            return [self._call(group, arrays) for group in self.plan.groups if is_product(group)]
        if self._finished is None:
            self._finished = self._finish(arrays)
        calls = [self._gather(feed)] if self.gathered else []
        for group in self.groups:
            calls += self._finished.get(id(group)) or [self._call(group, arrays)]
        return calls

    def _buffers(self) -> tuple[Array, ...]:
        shapes = [((self._rows, part.shape[-1]), numpy_dtype(part.dtype)) for part in self._work.arrays]
        return tuple(self._device.empty(*shape) for shape in shapes)

    def _finish(self, arrays: Arrays) -> dict[int, list[Call]]:
        """Return the calls of the products that cuBLASLt finishes, and none for the chains after them, by ``id``."""
        calls: dict[int, list[Call]] = {}
        for layer in layers(self.plan):
            out, bias = arrays.of(layer.chain.results[0]), arrays.of(layer.bias)
            whole = product(layer.product, arrays)._replace(out=out, bias=bias, relu=layer.relu)
            apart = [self._call(group, arrays) for group in layer[:2]]
            call, note = finished_by_lt(layer, self._device, whole, apart)
            self.notes += (note,)
            if call is not None:
                self.hides_nan |= layer.relu
                calls |= {id(layer.product): [call], id(layer.chain): []}
        return calls

    def _gather(self, feed: Feed) -> Call:
        arguments: list[Any] = [np.int64(self._rows), feed.order]
        for source, target in zip(self._work.arrays, self._batch, strict=True):
            arguments += [np.int64(target.shape[-1]), source, target]
        grid = gather_grid(self._rows, self._device.multiprocessors)
        kernel = self._device.kernel(gather([numpy_dtype(part.dtype).name for part in self._batch]))
        return kernel, (grid, BLOCK, tuple(arguments))

    def _call(self, group: Fusion, arrays: Arrays) -> Call:
        """Return the call of a group; one that neither reads nor writes a feed is the same in every step."""
        if id(group) in self._shared:
            return self._shared[id(group)]
        if is_product(group):
            call = self._device.product(product(group, arrays))
        else:
            call = self._kernel(group, arrays)
        if id(group) not in self._fed:
            self._shared[id(group)] = call
        return call

    def _kernel(self, group: Fusion, arrays: Arrays) -> Call:
        lowered = self._fused[id(group)]
        if id(group) not in self._launches:
            addresses = [self._device.address(arrays.of(value)) for value in lowered.full]
            aligned = all(address % PACK_BYTES == 0 for address in addresses)
            how = launch(lowered, self._device.multiprocessors, aligned=aligned)
            self._launches[id(group)] = how, self._device.kernel(write(how.loop, lowered.tail))
        how, kernel = self._launches[id(group)]
        arguments: list[Any] = [np.int64(length) for length in how.where]
        arguments += [contiguous(arrays.of(value)) for value in lowered.arguments]
        if how.parts:
            arguments += self._scratch.sums
        return kernel, (how.grid, how.block, tuple(arguments))


def _arguments(group: Fusion) -> tuple[Value, ...]:
    """Return the arrays that a group reads and writes."""
    rates = [op.settings["rate"] for op in group.operations if "rate" in op.settings]
    return (*group.inputs, *group.results, *rates)


def is_product(group: Fusion) -> bool:
    """Return whether a group is a matrix product and not a sum over rows."""
    return group.is_product and not group.operations[0].is_row_product


def product(group: Fusion, arrays: Arrays) -> Product:
    """Return the matrix product of a group."""
    operation = group.only
    A, B = (arrays.of(value) for value in operation.inputs)
    if A.ndim != 2 or B.ndim != 2:
        msg = f"the step multiplies stacks of matrices, {A.shape} and {B.shape}"
        raise CannotCaptureError(msg)
    out = contiguous(arrays.of(operation.result))
    rate = operation.settings.get("rate")
    return Product(A, B, out, None if rate is None else arrays.of(rate), rate is not None)


def contiguous(array: Array) -> Array:
    """Return the array; raise ``CannotCaptureError`` if it has strides, which kernels do not take."""
    if size(array.shape) > 1 and not array.flags.c_contiguous:
        msg = f"the step computes on a transposed array, or a part of one, of shape {array.shape}"
        raise CannotCaptureError(msg)
    return array
