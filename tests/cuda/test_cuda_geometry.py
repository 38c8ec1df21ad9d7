"""Where a kernel's time would go, counted from its geometry: no device is needed to know."""

from itertools import product

import pytest

from chainrule.backends.plans import step_plan
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.optimizers import optimizer
from chainrule.program.chains import Chain, Operand, Output, Statement
from chainrule.program.cuda.batch import is_product
from chainrule.program.cuda.geometry import launch
from chainrule.program.cuda.lowering import Fused, fused
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.fusion import Extent
from support.pairs import all_pairs

HIDDEN, BATCHES = (16, 64, 128, 256, 512, 1024, 4096), (1, 16, 256, 4096, 65536)
CLASSES = (2, 3, 10, 16, 17, 100, 128, 129, 1000, 1024)
PROCESSORS = 132  # of an H100


def launches(hidden, batch, classes):
    """Return the launches of the kernels of a step, with and without room for whole vectors."""
    net = architecture((64, (hidden, hidden), classes), "relu", None, "cross_entropy")
    groups = cuda_plan(step_plan(net, optimizer("adam"), batch, "float32")).groups
    made = [fused(group) for group in groups if not is_product(group)]
    return [launch(one, PROCESSORS, aligned=aligned) for one in made for aligned in (True, False)]


@pytest.mark.parametrize(("hidden", "batch", "classes"), all_pairs(HIDDEN, BATCHES, CLASSES))
def test_the_last_block_waits_for_memory_at_most_eight_times(hidden, batch, classes):
    for how in launches(hidden, batch, classes):
        for output in how.loop.chain.outputs:
            if output.columns:
                parts = -(-how.grid[1] // how.block[1])  # that a thread adds up
                at_once = max(1, 32 // how.loop.lanes(output))  # before the first addition: `add_parts`
                assert -(-parts // at_once) <= 8, how[1:]
        assert how.grid[1] <= 65535
        assert how.block[0] * how.block[1] == 256


def test_whole_vectors_whatever_the_number_of_parameters():
    x = Operand("x0", "full", "float32")
    half = Chain((x,), (Statement("multiply", "r0", ("x0", 0.5)),), (Output("r0"),))
    for parameters, aligned in product((795 * 4096 + 10, 32 * 7 + 1), (True, False)):
        made = Fused(half, None, Extent(1, parameters), (), ())
        assert launch(made, PROCESSORS, aligned=aligned).loop.width == (4 if aligned else 1)
