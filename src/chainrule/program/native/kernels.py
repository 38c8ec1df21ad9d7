"""Kernels: the groups of a plan as native instructions, which run in threads without the GIL."""

from collections.abc import Sequence

import numpy as np

from chainrule.program.fusion import fuse, laid_out, lower
from chainrule.program.kernels import Kernels, Phase
from chainrule.program.native import instructions
from chainrule.program.native.instructions import Instruction
from chainrule.program.native.runner import StepRunner
from chainrule.program.operations import Fusion, Program
from chainrule.program.replay import Arrays


class NativeKernels(Kernels):
    """Chains fused; products printed, or computed by the BLAS that NumPy is linked with."""

    at_once = 4096
    can_subtract = True

    def groups(self, program: Program) -> list[Fusion]:
        """Return the operations as groups that run one after the other: fused."""
        return fuse(program)

    def item(self, group: Fusion, arrays: Arrays, columns: slice, *, add: bool) -> list[Instruction]:
        """Return the instruction that runs a group on some columns; with ``add``, a product adds to its result."""
        if group.is_product:
            operation = group.only
            A, B, out = (arrays.of(value) for value in (*group.inputs, operation.result))
            rate = operation.settings.get("rate")
            adds = add and arrays.is_part(operation.result)
            return [instructions.product(A, B, out, adds=adds, rate=rate and arrays.of(rate))]
        lowered = lower(group)
        inputs, outputs = (
            [_columns(laid_out(arrays.of(value), lowered.where), columns) for value in values]
            for values in (lowered.inputs, lowered.outputs)
        )
        return [instructions.chain(lowered.chain, inputs, outputs)]

    gather = staticmethod(instructions.gather)
    take = staticmethod(instructions.take)
    put = staticmethod(instructions.put)

    def ready(self, phases: Sequence[Phase], steps: Sequence[np.ndarray]) -> StepRunner:
        """Return the runner of these phases, each thread with its own instructions."""
        return StepRunner(phases, steps)


def _columns(array: np.ndarray, columns: slice) -> np.ndarray:
    return array[:, columns] if array.ndim and array.shape[-1] > 1 else array
