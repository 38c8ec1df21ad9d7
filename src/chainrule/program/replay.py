"""Replay: run a plan with ``out=`` on NumPy, PyTorch and CuPy, without allocating memory.

A plan becomes a list of ``(function, arguments)``, and running it is a loop over that list. These are the functions of
the plain step, in the same order, so the bits are the same.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from chainrule.mathematics.arrays import Array, size
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import LAUNCH_SECONDS, Engine, Epoch, Work, arrays_of
from chainrule.program.machine import asked_threads, blas_threads
from chainrule.program.operations import Operand, Operation, Value
from chainrule.program.plan import Home, Plan
from chainrule.program.unrecordable import UnrecordableError

EMPTY: Mapping[int, Array] = MappingProxyType({})
Empty = Callable[[tuple[int, ...], np.dtype[Any]], Array]
Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Allocator(Protocol):
    """The functions of an array library that make the arrays of a plan."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an uninitialized array that starts at the boundary of a cache line."""

    def reshaped(self, raw: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return the first bytes of ``raw``, 1-d of uint8, as an array of this shape and dtype."""

    def constant(self, data: np.ndarray) -> Array:
        """Return an array with these entries."""

    def shares(self, view: Array, array: Array) -> bool:
        """Return whether ``view``, a reshaped ``array``, shares its memory and is not a copy."""


class Library(Allocator, Protocol):
    """The functions of an array library that replay uses: memory, and calls with ``out``."""

    def call(self, operation: Operation, arguments: list[Any], out: Array) -> Call:
        """Return the call that computes ``operation`` into ``out``."""

    def gather(self, source: Array, rows: Array, out: Array) -> None:
        """Copy rows of ``source`` to ``out``."""

    def fill(self, target: Array, number: float) -> None:
        """Write a number into a 0-d array."""

    def listed(self, array: Array) -> list[float]:
        """Return the numbers of a 1-d array, on the host."""

    def captured(self, calls: list[Call]) -> list[Call]:
        """Return calls that repeat these with less overhead, after they have been made once; or the same calls."""


class Arrays:
    """The arrays of a plan: the given inputs, and new constants and scratch memory.

    Parameters
    ----------
    plan
        The plan.
    inputs
        The arrays of its inputs.
    library
        The array library.
    outputs
        Memory for outputs, 1-d arrays of uint8, by their index among the outputs.
    scratch
        Allocates scratch memory; by default ``library.empty``.
    raw
        Memory of some storages, by ``id``.
    """

    def __init__(
        self,
        plan: Plan,
        inputs: Sequence[Array],
        library: Allocator,
        outputs: Mapping[int, Array] = EMPTY,
        scratch: Empty | None = None,
        raw: Mapping[int, Array] = EMPTY,
    ) -> None:
        self._plan = plan
        self.empty = scratch or library.empty
        self._library = library
        self._inputs = dict(zip(map(id, plan.program.inputs), inputs, strict=True))
        self._raw: dict[int, Array] = dict(raw) | {
            id(plan.homes[id(plan.program.outputs[place])].storage): array
            for place, array in outputs.items()
        }
        self._made: dict[int, Array] = {}
        self._maker = {id(op.result): op for op in plan.program.operations if op.is_view}

    def operand(self, operand: Operand, dtype: np.dtype[Any]) -> Any:
        """Return the array of an operand of an elementwise function; a number becomes a 0-d array."""
        if not isinstance(operand, Value):
            return self._library.constant(np.asarray(operand, dtype=dtype))
        if operand.data is not None and operand.data.ndim == 0 and id(operand) not in self._plan.homes:
            return self._library.constant(operand.data)
        return self.of(operand)

    def of(self, value: Value) -> Array:
        """Return the array of a value."""
        if id(value) not in self._made:
            view = self._maker.get(id(value))
            self._made[id(value)] = self._root(value) if view is None else self._view(view)
        return self._made[id(value)]

    def is_part(self, value: Value) -> bool:
        """Return whether a value is stored as a part of a concatenation."""
        return self._plan.homes[id(value)].whole is not None

    def _view(self, view: Operation) -> Array:
        array = self.of(view.inputs[0])
        if view.function == "slice":
            return array[view.settings["places"]]
        if view.function == "reshape":
            reshaped = array.reshape(view.result.shape)
            # A transposed array cannot be reshaped without a copy, and the copy would not follow later changes.
            if not self._library.shares(reshaped, array):
                what = f"it reshapes a transposed array, or a part of one, to {view.result.shape}"
                remedy = f"which copies it ({view.source}); reshape first"
                msg = f"the step cannot be replayed: {what}, {remedy}"
                raise UnrecordableError(msg)
            return reshaped
        return array.swapaxes(-1, -2)

    def _root(self, value: Value) -> Array:
        home = self._plan.homes[id(value)]
        if home.whole is None:
            return self._whole(home, value.shape, value.dtype)
        whole = self._whole(home, home.whole, value.dtype)
        *lead, _ = home.whole
        length = size(value.shape[len(lead) :])
        return whole[..., home.start : home.start + length].reshape(value.shape)

    def _whole(self, home: Home, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        source = home.storage.value
        if source is not None and source.data is not None:
            return self._library.constant(np.broadcast_to(source.data, source.shape))
        if source is not None:
            return self._inputs[id(source)]
        if id(home.storage) not in self._raw:
            self._raw[id(home.storage)] = self.empty((home.storage.nbytes,), np.dtype("u1"))
        return self._library.reshaped(self._raw[id(home.storage)], shape, dtype)


def call(operation: Operation, arrays: Arrays, library: Library, columns: slice = slice(None)) -> Call:
    """Return the call of an operation on some columns of its operands and its result."""
    dtype = operation.inputs[-1].dtype  # the first input of ``where`` is its condition
    arguments = [arrays.operand(operand, dtype) for operand in operation.operands]
    *arguments, out = [_columns(array, columns) for array in (*arguments, arrays.of(operation.result))]
    return library.call(operation, arguments, out)


def _columns(array: Array, columns: slice) -> Array:
    is_long = columns != slice(None) and array.ndim and array.shape[-1] > 1
    return array[..., columns] if is_long else array


@dataclass
class BoundCalls:
    """The calls for one batch size, and their arrays."""

    buffers: tuple[Array, ...]  # X, Y and, if given, the weights of the batch
    calls: list[Call]
    L: Array  # ()
    is_fresh: bool = True  # whether the calls have not been made yet


class Replay(Engine):
    """Runs the plan of a step, one for each batch size.

    Parameters
    ----------
    work
        The steps and their arrays; those of its progress are overwritten.
    library
        The array library.
    asarray
        The method of the backend: from the host to its device.
    threads
        The number of threads of NumPy's BLAS; by default that of ``work``.
    """

    def __init__(
        self, work: Work, library: Library, asarray: Callable[..., Array], threads: int | None = None
    ) -> None:
        self.progress = work.progress
        self._threads = threads or asked_threads(work.threads)
        self._work, self._library, self._asarray = work, library, asarray
        self._rate = asarray(np.zeros(()), work.progress[0].dtype)  # ()
        self._key = asarray(np.zeros((), dtype=np.int32))  # ()
        self._losses = asarray(np.zeros(len(work.bounds)), work.progress[0].dtype)  # (steps,)
        self._epochs_at_once = 1
        self._batches = {rows: self._batch(rows) for rows in work.batch_sizes}

    @property
    def at_once(self) -> int:
        """The number of epochs that take ``LAUNCH_SECONDS``."""
        return self._epochs_at_once

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in, in which BLAS has the requested number of threads."""
        return blas_threads(self._threads)

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``."""
        fill, began, steps = self._library.fill, perf_counter(), len(epoch.bounds)
        if steps > self._losses.shape[0]:
            self._losses = self._asarray(np.zeros(steps), self.progress[0].dtype)  # (steps,)
        order = None if epoch.order is None else self._asarray(epoch.order)  # (n,)
        sources, epochs = arrays_of(epoch.data or self._work.data), steps // len(self._work.bounds)
        for number, (start, stop) in enumerate(epoch.bounds):
            if number == 0 or epochs < 2:  # epochs that run together are recorded together
                check()
            batch = self._batches[stop - start]
            if order is not None:
                for source, buffer in zip(sources, batch.buffers, strict=True):
                    self._library.gather(source, order[start:stop], buffer)
            fill(self._rate, epoch.rates[number])
            if epoch.keys is not None:
                fill(self._key, epoch.keys[number])
            for function, arguments in batch.calls:
                function(*arguments)
            self._losses[number] = batch.L
            if batch.is_fresh:
                batch.calls, batch.is_fresh = self._library.captured(batch.calls), False
        losses = self._library.listed(self._losses[:steps])  # sync: the losses, once per call
        if perf_counter() - began < LAUNCH_SECONDS / 2:
            self._epochs_at_once = max(self._epochs_at_once, 2 * epochs)
        return losses

    def _batch(self, rows: int) -> BoundCalls:
        work = self._work
        planned = work.plan(rows)
        buffers = work.arrays if work.is_one_batch else self._buffers(rows)
        key = (self._key,) if work.drops else ()
        inputs = (self.progress[0], *self.progress[1], *buffers, self._rate, *key)
        arrays = Arrays(planned, inputs, self._library)
        calls = [call(group.only, arrays, self._library) for group in planned.groups]
        return BoundCalls(buffers, calls, arrays.of(planned.program.outputs[-1]))

    def _buffers(self, rows: int) -> tuple[Array, ...]:
        empty, sources = self._library.empty, self._work.arrays
        return tuple(empty((rows, s.shape[-1]), numpy_dtype(s.dtype)) for s in sources)
