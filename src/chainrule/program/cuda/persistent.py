"""The persistent kernel: many steps of a small network in one launch, by one block, in its shared memory.

Parameters, state and activations stay in shared memory from step to step, and the rows of the next batch arrive
while a step computes: no step waits for a launch or for the device's memory. It is printed from the same plan and
the same chains as the kernels of a graph. Each block trains a network of its own, so one launch can train many.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.mathematics.arrays import size
from chainrule.program.cuda.batch import contiguous, is_product, product
from chainrule.program.cuda.device import Product
from chainrule.program.cuda.expressions import STORED
from chainrule.program.cuda.geometry import PACK_BYTES, launch
from chainrule.program.cuda.loop import THREADS, indented
from chainrule.program.cuda.lowering import fused
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.source import KernelText, function
from chainrule.program.engine import Work
from chainrule.program.operations import Fusion, Value
from chainrule.program.plan import Plan
from chainrule.program.replay import Arrays

# Of a step's products: beyond that the many blocks of ordinary kernels are faster than one.
MOST_FLOPS = 3_000_000
# A model of a step on one multiprocessor of an H100, not a measurement: a barrier and the latency of the first loads for
# each group, half of its 450 GFLOP/s in float32 for the products, and nearly all of what its shared memory moves.
GROUP_MICROSECONDS, FLOPS_A_MICROSECOND, BYTES_A_MICROSECOND = 0.2, 220_000, 200_000


class Persistent(NamedTuple):
    """A persistent kernel, and how long one of its steps takes by a model.

    Its arguments are a table with a row of addresses for each block, the first step and the one after the last. A row has
    the inputs of the step's plan in their order, the constants, the order of the rows where batches are gathered, and the
    losses; of rates, keys, order and losses the addresses are those of step 0.
    """

    text: KernelText
    microseconds: float
    constants: tuple[np.ndarray, ...]


def persistent(work: Work, rows: int, shared_bytes: int) -> Persistent | None:
    """Return the kernel of steps on this many rows; ``None`` where one block has no room, or would take too long.

    Raises
    ------
    CannotCaptureError
        If the step does something that the kernels cannot.
    """
    plan = cuda_plan(work.plan(rows), straight=False)
    if plan.flops > MOST_FLOPS or plan.peak_bytes > shared_bytes:
        return None
    printer = _Printer(plan, rows, gathers=not work.is_one_batch)
    text = printer.text()
    if text.shared_bytes + printer.static_bytes > shared_bytes:
        return None
    time = len(plan.groups) * GROUP_MICROSECONDS + plan.flops / FLOPS_A_MICROSECOND
    return Persistent(text, time + plan.bytes / BYTES_A_MICROSECOND, printer.constants)


class SharedMemory:
    """The shared memory of a block, laid out on an array of the host: their addresses differ by a constant."""

    def __init__(self, nbytes: int) -> None:
        self._whole = np.empty(nbytes, np.uint8)
        self.used = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return an array at the next multiple of 16 bytes."""
        array = self.reshaped(self._whole[self.used :], shape, dtype)
        self.skip(array.nbytes)
        return array

    def skip(self, nbytes: int) -> int:
        """Leave so many bytes; return where they begin."""
        start = self.used
        self.used += -(-nbytes // PACK_BYTES) * PACK_BYTES
        return start

    def place(self, array: np.ndarray) -> int:
        """Return where an array begins."""
        return array.ctypes.data - self._whole.ctypes.data

    def reshaped(self, raw: np.ndarray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return the first bytes of ``raw``, 1-d of uint8, as an array of this shape and dtype."""
        return raw[: size(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def shares(self, view: np.ndarray, array: np.ndarray) -> bool:
        """Return whether what was reshaped looks at the memory of what it was, and is no copy."""
        return np.may_share_memory(view, array)

    def constant(self, data: np.ndarray) -> np.ndarray:
        """Return a place for a known array, which the kernel loads."""
        return self.empty(data.shape, data.dtype)


class _Printer:
    """Prints the kernel of a plan: places in shared memory, functions, and the loop over the steps."""

    def __init__(self, plan: Plan, rows: int, *, gathers: bool) -> None:
        self._plan, self._rows, self._gathers = plan, rows, gathers
        inputs = plan.program.inputs
        known = [storage.value for storage in plan.storages if storage.value is not None]
        constants = [(value, value.data) for value in known if value.data is not None]
        self.constants = tuple(
            np.ascontiguousarray(np.broadcast_to(data, value.shape)) for value, data in constants
        )
        self._read = (*inputs, *(value for value, _ in constants))
        room = plan.peak_bytes + 8 * rows + PACK_BYTES * (len(plan.homes) + 1)
        self._memory = SharedMemory(2 * room)
        # What changes from step to step comes first and has two places: one is filled while the other is read.
        self._order = self._memory.empty((rows if gathers else 0,), np.dtype(np.int64))
        places = {id(v): self._memory.empty(v.shape, v.dtype) for v in inputs if self._changes(v)}
        self._turn = self._memory.skip(self._memory.used)
        places |= {id(v): self._memory.empty(v.shape, v.dtype) for v in inputs if not self._changes(v)}
        self._arrays = Arrays(plan, [places[id(value)] for value in inputs], self._memory)
        self._functions: dict[str, str] = {}
        self._sums: set[tuple[str, int]] = (
            set()
        )  # of the arrays that sums are added up in: type and length
        self._part_bytes = self._counters = 0

    @property
    def static_bytes(self) -> int:
        """The shared memory that the functions ask for themselves."""
        return sum(count * (8 if kind == "double" else 4) for kind, count in self._sums)

    def text(self) -> KernelText:
        """Return the kernel."""
        step = [line for group in self._plan.groups for line in (self._group(group), "__syncthreads();")]
        body = self._body(step)
        functions = "".join(self._functions.values())
        key = sha256("\n".join([functions, *body]).encode()).hexdigest()[:16]
        arguments = "const long long *table, const long long first, const long long last"
        lines = [
            f"namespace of_{key} {{\n{helpers()}{functions}}}",
            f'extern "C" __global__ void __launch_bounds__({THREADS}, 1) steps_{key}({arguments}) {{',
            f"  using namespace of_{key};",
            *indented(body),
            "}\n",
        ]
        return KernelText(f"steps_{key}", "\n".join(lines), self._memory.used)

    # -- the loop over the steps ------------------------------------------------------------------

    def _changes(self, value: Value) -> bool:
        return value.role in ("rate", "key", *(("sample", "target", "weight") * self._gathers))

    def _body(self, step: list[str]) -> list[str]:
        """Return the loop: while a step computes, the rows of the next arrive, and the order of those after them."""
        loads, fetches, stores = self._moves()
        loss, counters = self._plan.program.outputs[-1], self._counters
        kinds = [(f"p{n}", STORED[value.dtype.name]) for n, value in enumerate(self._read)]
        kinds += [("order", "const long long")] * self._gathers + [("losses", STORED[loss.dtype.name])]
        order = f"fetch((long long *)now, order + (step + 2) * {self._rows}, {self._rows})"
        return [
            f"const long long *const row = table + blockIdx.x * (long long){len(kinds)};",
            *(f"{kind} *const {name} = ({kind} *)row[{n}];" for n, (name, kind) in enumerate(kinds)),
            f"[[maybe_unused]] unsigned char *const parts = memory + {self._memory.skip(self._part_bytes)};",
            f"unsigned int *const counters = (unsigned int *)(memory + {self._memory.skip(4 * counters)});",
            f"for (int at = threadIdx.x; at < {counters}; at += blockDim.x) counters[at] = 0;",
            *loads,
            "for (long long step = first - 2; step < last; step++) {",
            f"  unsigned char *const now = memory + (step & 1) * {self._turn};",
            f"  unsigned char *const next = memory + (~step & 1) * {self._turn};",
            *[f"  if (step + 2 < last) {order};"] * self._gathers,
            "  if (step + 1 >= first && step + 1 < last) {",
            *indented(fetches, 2),
            "  }",
            "  if (step >= first) {",
            *indented(step, 2),
            f"    if (threadIdx.x == 0) losses[step] = *{self._at(loss)};",
            "  }",
            "  arrived();",
            "  __syncthreads();",
            "}",
            *stores,
        ]

    def _moves(self) -> tuple[list[str], list[str], list[str]]:
        """Return the loads before the loop, the copies of what the next step reads, and the stores after the loop."""
        loads, fetches, stores = list[str](), list[str](), list[str]()
        for n, value in enumerate(self._read):
            here, count = self._at(value, "next"), size(value.shape)
            if not self._changes(value):
                loads.append(f"fetch({here}, p{n}, {count});")
            elif value.role in ("rate", "key"):
                fetches.append(f"fetch({here}, p{n} + step + 1, 1);")
            else:
                shape = f"{self._rows}, {value.shape[-1]}"
                fetches.append(f"fetch_rows({here}, p{n}, (const long long *)next, {shape});")
            if value.role in ("parameter", "state"):
                stores.append(f"put_back(p{n}, {here}, {count});")
        return loads, fetches, stores

    # -- what a step does ---------------------------------------------------------------------------

    def _group(self, group: Fusion) -> str:
        """Return the call of a group. What a grid of many blocks does side by side, this one does block by block."""
        if is_product(group):
            return self._product(product(group, self._arrays), [*group.only.inputs, group.only.result])
        made = fused(group)
        aligned = all(self._memory.place(self._arrays.of(v)) % PACK_BYTES == 0 for v in made.full)
        how = launch(made, 1, aligned=aligned)
        blocks, across = how.grid[0] if how.loop.form == "tile" else 1, how.block[0]
        how = how._replace(grid=(blocks, 1))
        text = function(how.loop, made.tail)
        self._functions[text.name] = text.source
        for value in made.arguments:
            contiguous(self._arrays.of(value))
        given = [
            f"block_of({across}, block, {blocks})",
            *map(str, how.where),
            *map(self._at, made.arguments),
        ]
        if how.parts:
            given += [f"({how.loop.sums} *)parts", "counters"]
            self._sums.add((how.loop.sums, how.loop.shared))
            self._part_bytes = max(self._part_bytes, how.part_bytes * (blocks > 1))
            self._counters = max(self._counters, how.counters * (blocks > 1))
        each = f"for (unsigned int block = 0; block < {blocks}; block++)"
        return f"{each} {text.name}({', '.join(given)});"

    def _product(self, product: Product, values: list[Value]) -> str:
        """Return the call of a product; its factors may be turned."""
        (m, k), n, parts = product.A.shape, product.out.shape[1], 1
        while parts < 16 and 2 * parts * -(-m // 4) * -(-n // 4) <= THREADS and 16 * parts <= k:
            parts *= 2
        A, B, out = map(self._at, values)
        down, across, *turned = [s // array.itemsize for array in product[:2] for s in array.strides]
        factors = f"{A}, {down}, {across}, {B}, {turned[0]}, {turned[1]}"
        return f"multiply<{parts}>({m}, {n}, {k}, {factors}, {out});"

    def _at(self, value: Value, turn: str = "now") -> str:
        """Return a pointer to a value in shared memory."""
        place = self._memory.place(self._arrays.of(value))
        base = turn if place < self._turn else "memory"
        return f"({STORED[value.dtype.name]} *)({base} + {place})"


@cache
def helpers() -> str:
    """Return the functions of a persistent kernel that no network changes."""
    return Path(__file__).with_name("persistent.cuh").read_text(encoding="utf-8")
