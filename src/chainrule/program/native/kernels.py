"""Kernels: the groups of a plan as native instructions, in tables that run in threads without the GIL."""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from chainrule.program.fusion import fuse
from chainrule.program.lowering import kind, laid_out, lower
from chainrule.program.native.interpreter import Instruction, InstructionTable, call_chain, gather_rows
from chainrule.program.native.matmul import matmul
from chainrule.program.native.workers import WorkerPool
from chainrule.program.operations import Fusion
from chainrule.program.program import Program
from chainrule.program.replay import Arrays, Library


class NativeKernels:
    """Chains fused, products by the BLAS that NumPy is linked with, called by its address."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def groups(self, program: Program) -> list[Fusion]:
        """Return the operations as they are to run: fused."""
        return fuse(program)

    def item(self, group: Fusion, arrays: Arrays, columns: slice, *, add: bool) -> list[Instruction]:
        """Return what runs a group on some columns; with ``add``, a product adds to its result."""
        if group.is_product:
            A, B = (arrays.of(value) for value in group.inputs)
            result = group.only.result
            return [_product(A, B, arrays.of(result), accumulate=add and arrays.is_part(result))]
        lowered = lower(group)
        inputs = [
            laid_out(arrays.of(value), kind(value, lowered.where), lowered.where)
            for value in lowered.inputs
        ]
        outputs = [
            laid_out(arrays.of(value), kind(value, lowered.where), lowered.where)
            for value in lowered.outputs
        ]
        shared = [_columns(array, columns) for array in (*inputs, *outputs)]
        return [call_chain(lowered.chain, shared[: len(inputs)], shared[len(inputs) :])]

    def subtract(self, rate: np.ndarray, A: np.ndarray, B: np.ndarray, out: np.ndarray) -> Instruction:
        """Return what computes ``out -= rate A @ B``."""
        return _product(A, B, out, rate=rate)

    def gather(self, source: np.ndarray, rows: np.ndarray, out: np.ndarray) -> Instruction:
        """Return what copies rows of ``source`` to ``out``."""
        return gather_rows(source, rows, out)

    def ready(self, threads: Sequence[Sequence[Instruction]]) -> Callable[[], None]:
        """Return what runs these instructions, each thread its own, and returns when all are done."""
        tables = [InstructionTable(instructions) for instructions in threads]
        if len(tables) == 1:
            return tables[0].run
        return functools.partial(_pool(len(tables)).run, tables)


def _product(
    A: np.ndarray,
    B: np.ndarray,
    out: np.ndarray,
    *,
    accumulate: bool = False,
    rate: np.ndarray | None = None,
) -> Instruction:
    product = matmul(A, B, out, accumulate=accumulate, rate=rate)
    if product is None:
        msg = "no BLAS to call by its address; native_is_at_hand says so beforehand"
        raise RuntimeError(msg)
    return product


def _columns(array: np.ndarray, columns: slice) -> np.ndarray:
    return array[:, columns] if array.ndim and array.shape[-1] > 1 else array


@functools.cache
def _pool(threads: int) -> WorkerPool:
    """Return the workers of this process for so many threads, started at their first run."""
    return WorkerPool(threads)
