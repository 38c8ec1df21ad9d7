"""A batch: the plan of a step on this many rows, bound to memory of a device as a list of calls.

The buffers of a step are made once. Binding it again, to other numbers to learn by, gives calls on the same
buffers: so many steps can stand one after the other in one graph.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.mathematics.arrays import Array, size
from chainrule.program.blocks import Arena
from chainrule.program.cuda.device import CannotCaptureError, Device, Product
from chainrule.program.cuda.feed import Feed
from chainrule.program.cuda.gather import BLOCK, gather, gather_grid
from chainrule.program.cuda.geometry import PACK_BYTES, launch
from chainrule.program.cuda.lowering import Fused, fused
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.source import write
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Work
from chainrule.program.operations import Fusion
from chainrule.program.replay import Arrays, Call


class BoundBatch:
    """A step on one batch size, on a device.

    Parameters
    ----------
    work
        What to run; the arrays of its progress are written over.
    rows
        Those of the batch.
    device
        Where it runs.
    straight
        Whether products go straight into the weights; by a rule unless given.
    batch
        The arrays that a step reads its samples from. Unless given: all of the data where they are one
        batch; else buffers, which each step first fills with its rows.
    """

    def __init__(
        self,
        work: Work,
        rows: int,
        device: Device,
        *,
        straight: bool | None = None,
        batch: Sequence[Array] | None = None,
    ) -> None:
        self.plan = cuda_plan(work.plan(rows), straight=straight)
        self._work, self._rows, self._device = work, rows, device
        self._gathers = batch is None and not work.is_one_batch
        self._batch = batch or (work.arrays if work.is_one_batch else self._buffers())
        self._library = _Once(device)
        self._arena = Arena(self._library)
        self._fused = {id(group): fused(group) for group in self.plan.groups if not is_product(group)}

    @property
    def is_straight(self) -> bool:
        """Whether products go straight into the weights."""
        return self.plan.program.inputs[-1].role == "negated rate"

    @property
    def nodes(self) -> int:
        """How many launches a step is."""
        return len(self.plan.groups) + self._gathers

    def calls(self, feed: Feed, *, products_only: bool = False) -> list[Call]:
        """Return the calls of a step whose rate, key and loss are the only ones of ``feed``."""
        progress = self._work.progress
        key = () if feed.keys is None else (feed.keys.reshape(()),)
        given = (progress[0], *progress[1], *self._batch, feed.rates.reshape(()), *key)
        if self.is_straight:
            given += (feed.minus.reshape(()),)
        loss = len(self.plan.program.outputs) - 1
        self._arena.rewind()
        outputs = {loss: feed.losses.view(np.uint8)}
        arrays = Arrays(self.plan, given, self._library, outputs, self._arena.empty)
        calls = [self._gather(feed)] if self._gathers and not products_only else []
        for group in self.plan.groups:
            if is_product(group):
                calls.append(self._device.product(product(group, arrays)))
            elif not products_only:
                calls.append(self._kernel(self._fused[id(group)], arrays))
        return calls

    def _buffers(self) -> tuple[Array, ...]:
        shapes = [((self._rows, part.shape[-1]), numpy_dtype(part.dtype)) for part in self._work.arrays]
        return tuple(self._device.empty(*shape) for shape in shapes)

    def _gather(self, feed: Feed) -> Call:
        given: list[Any] = [np.int64(self._rows), feed.order]
        for source, target in zip(self._work.arrays, self._batch, strict=True):
            given += [np.int64(target.shape[-1]), source, target]
        grid = gather_grid(self._rows, self._device.multiprocessors)
        kernel = self._device.kernel(gather([numpy_dtype(part.dtype).name for part in self._batch]))
        return kernel, (grid, BLOCK, tuple(given))

    def _kernel(self, made: Fused, arrays: Arrays) -> Call:
        aligned = all(self._device.address(arrays.of(value)) % PACK_BYTES == 0 for value in made.full)
        how = launch(made, self._device.multiprocessors, aligned=aligned)
        given: list[Any] = [np.int64(length) for length in how.where]
        given += [contiguous(arrays.of(value)) for value in made.arguments]
        if how.parts:
            given += self._sums
        kernel = self._device.kernel(write(how.loop, made.tail))
        return kernel, (how.grid, how.block, tuple(given))

    @cached_property
    def _sums(self) -> tuple[Array, Array]:
        """The memory for parts of sums, which all kernels use one after the other, and the counters, all 0."""
        known, count = self._fused.values(), self._device.multiprocessors
        launches = [launch(made, count, aligned=aligned) for made in known for aligned in (True, False)]
        parts = self._device.empty((max(how.part_bytes for how in launches),), np.dtype(np.uint8))
        counters = np.zeros(max(how.counters for how in launches), dtype=np.uint32)
        return parts, self._device.constant(counters)


def is_product(group: Fusion) -> bool:
    """Return whether a group is a matrix product, and not a sum over rows."""
    return group.is_product and not group.operations[0].is_row_product


def product(group: Fusion, arrays: Arrays) -> Product:
    """Return the matrix product that a group is."""
    operation = group.only
    A, B = (arrays.of(value) for value in operation.inputs)
    if A.ndim != 2 or B.ndim != 2:
        msg = f"the step multiplies stacks of matrices, {A.shape} and {B.shape}"
        raise CannotCaptureError(msg)
    out = contiguous(arrays.of(operation.result))
    rate = operation.settings.get("rate")
    return Product(A, B, out, None if rate is None else arrays.of(rate), rate is not None)


def contiguous(array: Array) -> Array:
    """Return an array as a kernel takes it, which knows no strides."""
    if size(array.shape) > 1 and not array.flags.c_contiguous:
        msg = f"the step computes on a transposed array, or a part of one, of shape {array.shape}"
        raise CannotCaptureError(msg)
    return array


class _Once:
    """A device that uploads each constant once."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._known: dict[int, tuple[np.ndarray, Array]] = {}
        self.empty, self.reshaped, self.shares = device.empty, device.reshaped, device.shares

    def constant(self, data: np.ndarray) -> Array:
        """Return a known array."""
        owner = data if data.base is None else data.base
        if id(owner) not in self._known:
            self._known[id(owner)] = owner, self._device.constant(data)
        return self._known[id(owner)][1]
