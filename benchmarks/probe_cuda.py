"""Where a step's time goes on a GPU: the device's ceilings, the cost of a node, and each call of a step by itself.

``PYTHONPATH=src python -m benchmarks.probe_cuda [CELLS...]``; with ``CUPY_TF32=1``, in TF32.
"""

import operator
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import parse
from chainrule.bench.contestants.ours import work
from chainrule.program.cuda.batch import BoundBatch
from chainrule.program.cuda.device import Product
from chainrule.program.cuda.engine import Chunk, GraphEngine
from chainrule.program.cuda.feed import FeedShape
from chainrule.program.cuda.persistent import persistent
from chainrule.program.cuda.persistent_engine import (
    CLUSTERS,
    PersistentEngine,
    PersistentPack,
    side_by_side,
)
from chainrule.program.cuda.source import KernelText
from chainrule.program.engine import Epoch
from chainrule.program.machine import cores

CELLS = (
    "784-64-10,64", "784-128-10,4096", "784-1024-10,4096", "784-4096-10,4096", "64-64-64-8,64,adam",
    "64-256-256-8,4096,adam", "64-1024-1024-8,65536,adam", "64-64-64-8,256,adam", "784-16-10,256",
)  # fmt: skip
SQUARES, COPIED = (1024, 4096, 8192), 1 << 30  # bytes
EMPTY = KernelText("empty", 'extern "C" __global__ void empty(const long long n) {}\n')
Timer = Callable[..., float]  # device, calls -> microseconds of one of them


def microseconds(device, calls):
    """Return what one of these calls takes in a graph of them, by the device's clock."""
    with device.at_work():
        return device.timed(calls) / len(calls)


def ceilings(backend, device, timed, squares=SQUARES, copied=COPIED):
    """Print the cost of a node that does nothing, and the best rates of products and of a copy."""
    empty = device.kernel(EMPTY), ((1, 1), (32, 1), (np.int64(0),))
    print(f"a node that does nothing: {timed(device, [empty] * 50):.2f} us")
    rng = np.random.default_rng(0)
    one = backend.asarray(np.ones((), dtype=np.float32))
    for n in squares:
        for dtype in ("float32", "float16"):
            # Random numbers: products of zeros draw less power.
            A, B, out = (backend.asarray(rng.standard_normal((n, n)).astype(dtype)) for _ in range(3))
            kinds = {"": Product(A, B, out)}
            if dtype == "float32":  # its scale on the device, as where it goes straight into the weights
                kinds[" onto what is there"] = Product(A, B, out, one, onto=True)
            for kind, product in kinds.items():
                took = timed(device, [device.product(product)])
                print(f"{n}^3 {dtype}{kind}: {2 * n**3 / took / 1e6:.1f} TFLOP/s")
    x, y = (backend.asarray(np.ones(copied // 8, dtype=np.float32)) for _ in range(2))
    print(
        f"copy of {copied >> 20} MiB: {copied / timed(device, [(operator.setitem, (y, ..., x))]) / 1e6:.3f} TB/s"
    )


def step(backend, device, name, timed):
    """Print what each call of a cell's step takes by itself, and what all of them take together."""
    cell = parse(name)
    todo = work(cell_data(cell, "cuda").first_batch(), backend)
    with device.at_work():
        batch = BoundBatch(todo, cell.batch, device)
        chunk = Chunk(device, batch, FeedShape(1, 0, np.dtype(cell.dtype), keys=False))
        mark, _ = chunk.launch(
            Epoch(None, todo.bounds, [1e-30], None), 0
        )  # the weights stay as they are
        mark.synchronize()
    calls = chunk.run.calls
    alone = [timed(device, [call]) for call in calls]
    together = timed(device, calls) * len(calls)
    print(f"{name}: {len(calls)} nodes, together {together:.1f} us, one by one {sum(alone):.1f} us")
    for group, took in zip(batch.groups, alone, strict=True):
        shapes = [result.shape for result in group.results]
        first = group.operations[0].function
        print(
            f"  {took:8.2f} us  {first:12s} x{len(group.operations)}  {group.inputs[0].shape} -> {shapes}"
        )


def passes(backend, device, name, times=20):
    """Print what a step takes by the host's clock in passes as the benchmark runs them: the waits are in it.

    As graphs; and where they fit, as one kernel of 1 to 16 blocks, with what the model of that kernel says.
    """
    data = cell_data(parse(name), "cuda")
    for blocks in (0, 1, *sorted(CLUSTERS)):
        with device.at_work():
            todo = work(data, backend)
            began = time.perf_counter()
            engine = in_blocks(todo, device, blocks) if blocks else GraphEngine(todo, device)
            if engine is None:
                continue
            bound = time.perf_counter() - began
            epoch = Epoch(data.order, todo.bounds, [1e-30] * data.steps, None)
            took = passed({engine: epoch}, engine, times) / data.steps
        for note in getattr(engine, "notes", ()):
            print(f"  {note}")
        kind = f"{blocks:2d} blocks" if blocks else "graphs"
        model = f"; the model says {engine.kernels[data.cell.batch].microseconds:.1f}" if blocks else ""
        print(
            f"  {kind}, passes of {data.steps} steps: {took * 1e6:.1f} us a step{model}; made in {bound:.3f} s"
        )


def in_blocks(todo, device, blocks):
    """Return the engine of persistent kernels of this many blocks; ``None`` where they do not fit."""
    sizes = [rows for rows in todo.batch_sizes if rows % blocks == 0]
    kernels = {rows: persistent(todo, rows, device.shared_bytes, blocks) for rows in sizes}
    if len(kernels) < len(todo.batch_sizes) or None in kernels.values():
        return None
    return PersistentEngine(todo, device, kernels)


def passed(epochs, engine, times):
    """Return the seconds of a pass, the median of ``times``; ``epochs`` has that of each network of a pack."""
    run = engine.run if isinstance(engine, PersistentPack) else None
    (epoch, *_), took = epochs.values(), []
    for _ in range(3 + times):
        began = time.perf_counter()
        run(epochs, lambda: None) if run else engine.run(epoch, lambda: None)
        took.append(time.perf_counter() - began)
    return statistics.median(took[3:])


def together(backend, device, name="64-64-8,32", counts=(1, 16, 64, 128), times=7):
    """Print what a step takes of several networks side by side, each by its own block."""
    data, one = cell_data(parse(name), "cuda"), 0.0
    for count in counts:
        with device.at_work():
            works = [work(data, backend) for _ in range(count)]
            pack = side_by_side(works, device, cores())
            epoch = Epoch(data.order, works[0].bounds, [1e-30] * data.steps, None)
            took = passed(dict.fromkeys(pack.engines, epoch), pack, times) / data.steps
        one = one or took
        print(
            f"{count} networks {name} at once: {took * 1e6:.1f} us a step of all, {count * one / took:.1f} times the rate of one"
        )


def main(names: list[str]) -> None:
    """Print everything on CuPy's current device."""
    from chainrule.backends import named
    from chainrule.backends.cupy_device import CupyDevice

    began, backend = time.perf_counter(), named("cupy")
    device = backend.cuda_device()
    print(f"{backend.notes[0]}; the first device: {time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    CupyDevice(backend.device)
    print(f"another: {time.perf_counter() - began:.3f} s")
    ceilings(backend, device, microseconds)
    for name in names or CELLS:
        step(backend, device, name, microseconds)
        passes(backend, device, name)
    together(backend, device)


if __name__ == "__main__":
    main(sys.argv[1:])
