"""The cells of the benchmark: their launches counted, and every kernel of them run on the CPU."""

import json
import re

import numpy as np
import pytest

from chainrule import backends
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import PRESETS, parse, preset
from chainrule.bench.contestants import ours
from chainrule.bench.measure.check import check
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.initializers import draw
from chainrule.mathematics.optimizers import optimizer
from chainrule.mathematics.step import Batch, Progress, TrainingStep
from chainrule.program.cuda.batch import is_product
from chainrule.program.cuda.engine import GraphEngine
from chainrule.program.cuda.geometry import launch
from chainrule.program.cuda.lowering import fused
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.source import write
from chainrule.program.engine import Work
from support.cuda.device import need_device
from support.cuda.work import on_device
from support.data import targets
from support.engines import worst
from support.steps import epochs, plain, ran

GRID = "H=16..4096:x4 B=1,16,256,4096,65536"
PROCESSORS = 132  # of an H100
KIND = {"sgd": ("sigmoid", "squared_error"), "adam": ("relu", "cross_entropy")}


def work_of(cell):
    activation, loss = KIND[cell.rule]
    net = architecture((cell.sizes[0], cell.sizes[1:-1], cell.sizes[-1]), activation, None, loss)
    step, rng = TrainingStep(net, optimizer(cell.rule)), np.random.default_rng(0)
    theta, rows = draw(net, seed=0).astype(np.float32), cell.batch
    X, Y = rng.standard_normal((rows, cell.sizes[0])), targets(rng, loss, (rows, cell.sizes[-1]))
    batch = Batch(X.astype(np.float32), Y.astype(np.float32))
    return Work(step, Progress(theta, step.optimizer.init(theta)), batch, [(0, rows)])


def planned(cell):
    """Return the plan of a cell, of arrays that take no memory, and its kernels, whatever numbers of rows and terms are in them."""
    small = work_of(cell._replace(batch=1))
    X, Y = (np.broadcast_to(part, (cell.batch, part.shape[-1])) for part in small.data[:2])
    plan = cuda_plan(Work(small.step, small.progress, Batch(X, Y), [(0, cell.batch)]).plan(cell.batch))
    made = [fused(group) for group in plan.groups if not is_product(group)]
    kernels = [write(launch(one, PROCESSORS, aligned=True).loop, one.tail) for one in made]
    # The number of rows, and the threads of a row and the terms of a product: other tests vary these.
    varied = re.compile(
        rf"{float(cell.batch)!r}f|{1 / cell.batch!r}f|(?<=long_dot<)\d+|(?<=, )\d+(?=, false)"
    )
    return plan, {varied.sub("number", one.source.replace(one.name, "")) for one in kernels}


def reduced(cell):
    """Return a cell with the same kernels: at most 256 columns, and four blocks of rows where columns are summed."""
    sizes = tuple(68 if size == 784 else min(size, 256) for size in cell.sizes)
    return cell._replace(sizes=sizes, batch=min(cell.batch, 128))


@pytest.mark.parametrize("name", PRESETS)
def test_the_kernels_of_every_cell_are_the_plain_step(name):
    have, wanted_kernels = set(), set()
    for cell in preset(name, GRID):
        plan, kernels = planned(cell)
        launches = {2: 5, 3: 8} if cell.hidden <= 16 else {2: 6, 3: 12}
        # The sums of a softmax's only row have the shape of totals, for which a kernel waits.
        more = 2 * (cell.batch == 1 and cell.rule == "adam")
        assert len(plan.groups) == launches[cell.depth] + more, cell.name
        wanted_kernels |= kernels
        small = reduced(cell)
        new = planned(small)[1] - have
        if not new:
            continue
        have |= new
        device = need_device(multiprocessors=PROCESSORS)
        engine, plans = GraphEngine(on_device(device, work_of(small)), device), epochs(work_of(small), 2)
        got, wanted = ran(engine, plans), ran(plain(work_of(small)), plans)
        count = 0 if cell.rule == "adam" else 1  # Adam makes a step even of a rounding error
        close = worst((got[0], got[1][:count]), (wanted[0], wanted[1][:count]))
        assert close < 256 * np.finfo(np.float32).eps, cell.name
        device.check_guards()
    assert have >= wanted_kernels


def test_the_first_pass_of_our_contestant_agrees_and_its_answer_can_be_sent(stand_in):
    data = cell_data(parse("8-16-4,32,adam"))
    one = ours._steps(
        data, backends.named("numpy"), lambda work: GraphEngine(on_device(stand_in, work), stand_in)
    )
    checked = check(one, one.run(), data)
    assert checked["wrong"] == ""
    assert json.loads(json.dumps(checked)) == checked
