"""Kernels: the groups of a plan as native instructions, which run in threads without the GIL."""

from collections.abc import Sequence

import numpy as np

from chainrule.program.fusion import fuse
from chainrule.program.lowering import kind, laid_out, lower
from chainrule.program.native import instructions
from chainrule.program.native.instructions import Instruction
from chainrule.program.native.runner import StepRunner
from chainrule.program.operations import Fusion
from chainrule.program.program import Program
from chainrule.program.replay import Arrays, Library


class NativeKernels:
    """Chains fused, products printed or by the BLAS that NumPy is linked with, called by its address."""

    at_once = 4096

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
            adds = add and arrays.is_part(result)
            return [instructions.product(A, B, arrays.of(result), adds=adds)]
        lowered = lower(group)
        inputs, outputs = (
            [
                _columns(laid_out(arrays.of(value), kind(value, lowered.where), lowered.where), columns)
                for value in values
            ]
            for values in (lowered.inputs, lowered.outputs)
        )
        return [instructions.chain(lowered.chain, inputs, outputs)]

    def subtract(self, rate: np.ndarray, A: np.ndarray, B: np.ndarray, out: np.ndarray) -> Instruction:
        """Return what computes ``out -= rate A @ B``."""
        return instructions.product(A, B, out, rate=rate)

    gather = staticmethod(instructions.gather)
    take = staticmethod(instructions.take)
    put = staticmethod(instructions.put)

    def ready(
        self, phases: Sequence[Sequence[Sequence[Instruction]]], steps: Sequence[np.ndarray]
    ) -> StepRunner:
        """Return what runs this many steps of these phases, each thread its own instructions."""
        return StepRunner(phases, steps)


def _columns(array: np.ndarray, columns: slice) -> np.ndarray:
    return array[:, columns] if array.ndim and array.shape[-1] > 1 else array
