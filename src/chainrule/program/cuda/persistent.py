"""The persistent kernel: many steps of a small network in one launch, in the shared memory of one block or of a cluster.

Parameters, state and activations stay in shared memory from step to step, and the rows of the next batch arrive while a step
computes, so no step waits for a launch or for the device's memory. The kernel is printed from the same plan and the same
chains as the kernels of a graph. One launch can train many networks, each by its own block or cluster.

The blocks of a cluster divide the rows of a batch, as ranks do, and the update: each adds up its share of the gradient through the
shared memory of the others, always in the same order, updates its share of the parameters, and copies the shares of the others.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.mathematics.arrays import record_like, size
from chainrule.program.blocks import trace_block
from chainrule.program.cuda.batch import contiguous, is_product, product
from chainrule.program.cuda.cublas import matrix
from chainrule.program.cuda.device import Product
from chainrule.program.cuda.expressions import STORED
from chainrule.program.cuda.geometry import PACK_BYTES, launch
from chainrule.program.cuda.grouping import grouped, is_column_sum
from chainrule.program.cuda.loop import STRIP, THREADS, indented
from chainrule.program.cuda.lowering import fused
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.source import KernelText, function
from chainrule.program.engine import Work, batch_spec, progress_spec
from chainrule.program.fusion import is_total
from chainrule.program.operations import Fusion, Program, Value
from chainrule.program.plan import Plan, plan
from chainrule.program.replay import Arrays
from chainrule.program.trace import Spec, trace

# In one block's matrix products per step; above this, ordinary kernels with many blocks are faster.
MOST_FLOPS = 3_000_000
# A model of a step, fitted to 46 steps of an H200 (benchmarks/results): a group of operations, the products, the bytes that are
# read and written, and in a cluster the gradient and the parameters from other blocks. It is off by 40 % at most.
GROUP_MICROSECONDS, FLOPS_A_MICROSECOND, BYTES_A_MICROSECOND = 0.7, 300_000, 210_000
REMOTE_BYTES_A_MICROSECOND = 6_500
FLAG_BYTES = 16  # of shared memory, in `Block::is_last`
PER_BATCH, PER_STEP = ("sample", "target", "weight"), ("rate", "key")  # roles of inputs
ROLES = ("parameter", "state", *PER_BATCH, *PER_STEP)

# The functions of a persistent kernel that are the same for all networks.
HELPERS = Path(__file__).with_name("persistent.cuh").read_text(encoding="utf-8")


class Persistent(NamedTuple):
    """A persistent kernel, and how long one of its steps takes by a model.

    Its arguments are a table with a row of addresses for each network, the first step and the one after the last. A row has the
    parameters, the state, the data, the rates and the keys, the constants, the order of the rows where batches are gathered, and
    the losses; of rates, keys, order and losses the addresses are those of step 0.
    """

    text: KernelText
    microseconds: float
    constants: tuple[np.ndarray, ...]


def persistent(work: Work, rows: int, shared_bytes: int, blocks: int = 1) -> Persistent | None:
    """Return the kernel of steps on this many rows; ``None`` if they do not fit into a block, or would take too long.

    Parameters
    ----------
    work
        The run.
    rows
        Rows per batch.
    shared_bytes
        Bytes of shared memory per block.
    blocks
        Blocks per cluster, which divide the rows.

    Raises
    ------
    CannotCaptureError
        If the step does something that the kernels cannot.
    """
    theta, flops = work.progress[0], work.plan(rows).flops / blocks
    # A block of a cluster holds the gradient and the parameters. Most networks are refused here, before tracing.
    if flops > MOST_FLOPS or theta.nbytes * min(blocks, 2) > shared_bytes:
        return None
    plans = _plans(work, rows, blocks)
    if not plans or max(stage.peak_bytes for stage in plans) > shared_bytes:
        return None
    printer = _Printer(plans, rows, blocks, gathers=not work.is_one_batch)
    text = printer.text()
    if text.shared_bytes + FLAG_BYTES > shared_bytes:
        return None
    time = sum(len(stage.groups) * GROUP_MICROSECONDS for stage in plans) + flops / FLOPS_A_MICROSECOND
    time += sum(stage.bytes for stage in plans) / BYTES_A_MICROSECOND
    if blocks > 1:
        time += theta.nbytes / REMOTE_BYTES_A_MICROSECOND
    return Persistent(text, time, printer.constants)


def _plans(work: Work, rows: int, blocks: int) -> list[Plan]:
    """Return the plan of a step; for a cluster, the plan of a block's rows, and that of the update of a block's share.

    None for a cluster if an entry of the update depends on others, as with ``clip_norm``, or on the number or the places of the
    parameters, as it may with an optimizer of your own: a share would be updated by other numbers.
    """
    if blocks == 1:
        # The weights are few: their update stores the gradient.
        return [cuda_plan(work.plan(rows), long=False)]
    progress, batch = progress_spec(work.progress), batch_spec(work.data, rows // blocks)
    theta, rate = progress[0], Spec((), progress[0].dtype, "learning_rate", "rate")
    part = trace_block(work.step, theta, batch, None, rows, 0)
    (count,), pack = theta.shape, PACK_BYTES // theta.dtype.itemsize

    def update(entries: int) -> Program:
        """Return the update of this many parameters."""
        records = [theta, *progress[1]]
        theta_part, *state = [
            spec._replace(shape=(entries,)) if spec.shape == theta.shape else spec for spec in records
        ]
        part = type(progress)(theta_part, record_like(progress[1], state))
        return trace(work.step.finish, part, theta_part._replace(name="g", role=""), rate)

    whole = update(count)
    constants = [v for op in whole.operations for v in op.inputs if v.is_constant]
    if any(op.is_view or not op.is_elementwise for op in whole.operations):
        return []
    if any(constant.shape[-1:] == theta.shape for constant in constants):
        return []
    own = update(-(-count // (blocks * pack)) * pack)
    if _formulas(own) != _formulas(whole):
        return []
    carried = list(zip(own.inputs, own.outputs, strict=False))[: 1 + len(progress[1])]
    return [plan(part, (), grouped(part, long=False)), plan(own, carried, grouped(own))]


def _formulas(program: Program) -> list[tuple[str, list[Any]]]:
    """Return the function of each operation, and its operands: numbers, and ``None`` for arrays."""
    # An operand is a value, of which constants have a number, or a number.
    return [(op.function, [getattr(o, "number", o) for o in op.operands]) for op in program.operations]


class SharedMemory:
    """The shared memory of a block, laid out on an array of the host, whose addresses differ by a constant."""

    def __init__(self, nbytes: int) -> None:
        self._whole = np.empty(nbytes, np.uint8)
        self.used = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return an array at the next multiple of 16 bytes."""
        array = self.reshaped(self._whole[self.used :], shape, dtype)
        self.skip(array.nbytes)
        return array

    def skip(self, nbytes: int) -> int:
        """Reserve this many bytes, and return their start."""
        start = self.used
        self.used += -(-nbytes // PACK_BYTES) * PACK_BYTES
        return start

    def place(self, array: np.ndarray) -> int:
        """Return the start of an array."""
        return array.ctypes.data - self._whole.ctypes.data

    def reshaped(self, raw: np.ndarray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return the first bytes of ``raw``, 1-d of uint8, as an array of this shape and dtype."""
        return raw[: size(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def shares(self, view: np.ndarray, array: np.ndarray) -> bool:
        """Return whether ``view`` is a view of ``array`` and no copy."""
        return np.may_share_memory(view, array)

    def constant(self, data: np.ndarray) -> np.ndarray:
        """Return an address for a constant, which the kernel loads."""
        return self.empty(data.shape, data.dtype)


class _Printer:
    """Prints the kernel of plans: addresses in shared memory, functions, and the loop over the steps."""

    def __init__(self, plans: list[Plan], rows: int, blocks: int, *, gathers: bool) -> None:
        self._plans, self._rows, self._blocks, self._gathers = plans, rows, blocks, gathers
        inputs = {
            v.name: v for stage in reversed(plans) for v in stage.program.inputs if v.role in ROLES
        }
        self._inputs = sorted(inputs.values(), key=lambda value: ROLES.index(value.role))
        room = sum(stage.peak_bytes + PACK_BYTES * len(stage.homes) for stage in plans)
        self._memory = SharedMemory(2 * (room + 8 * rows + PACK_BYTES))
        # Inputs that change from step to step come first, in two copies: one is filled while the other is read.
        self._order = self._memory.empty((rows // blocks * gathers,), np.dtype(np.int64))
        changing = [value for value in self._inputs if self._changes(value)]
        self._places = {v.name: self._memory.empty(v.shape, v.dtype) for v in changing}
        self._turn = self._memory.skip(self._memory.used)
        staying = [value for value in self._inputs if not self._changes(value)]
        self._places |= {v.name: self._memory.empty(v.shape, v.dtype) for v in staying}
        # A block's shares of the parameters and of the gradient.
        shared = [v for v in plans[-1].program.inputs if blocks > 1 and v.name in ("theta", "g")]
        self._own = {v.name: self._memory.empty(v.shape, v.dtype) for v in shared}
        self._arrays, constants = list[Arrays](), list[tuple[np.ndarray, np.ndarray]]()
        for stage, own in zip(plans, ({}, self._own), strict=False):
            places = self._places | own
            arrays = Arrays(stage, [places[v.name] for v in stage.program.inputs], self._memory)
            known = [storage.value for storage in stage.storages if storage.value is not None]
            for value in known:
                if value.data is not None:
                    data = np.ascontiguousarray(np.broadcast_to(value.data, value.shape))
                    constants.append((data, arrays.of(value)))
            self._arrays.append(arrays)
        self.constants = tuple(data for data, _ in constants)
        # The inputs that a kernel reads by the addresses in its table, and their addresses in shared memory.
        self._read = [(value.role, self._places[value.name]) for value in self._inputs]
        self._read += [("", array) for _, array in constants]
        self._functions: dict[str, str] = {}
        self._sum_bytes = self._part_bytes = self._counters = 0

    def text(self) -> KernelText:
        """Return the kernel."""
        stages = zip(self._plans, self._arrays, strict=True)
        body = self._body([self._stage(stage, arrays) for stage, arrays in stages])
        # All chains use the same memory for their sums, one after the other.
        sums = f"return (T *)(memory + {self._memory.skip(self._sum_bytes)});"
        functions = f"template <typename T, int> __device__ inline T *sums_memory() {{ {sums} }}\n"
        functions += "".join(self._functions.values())
        key = sha256("\n".join([functions, *body]).encode()).hexdigest()[:16]
        arguments = "const long long *table, const long long first, const long long last"
        cluster = f"__cluster_dims__({self._blocks}, 1, 1) " if self._blocks > 1 else ""
        lines = [
            f"namespace of_{key} {{\n{HELPERS}{functions}}}",
            f'extern "C" __global__ void {cluster}__launch_bounds__({THREADS}, 1) steps_{key}({arguments}) {{',
            f"  using namespace of_{key};",
            *indented(body),
            "}\n",
        ]
        return KernelText(f"steps_{key}", "\n".join(lines), self._memory.used, self._blocks)

    # -- the loop over the steps ------------------------------------------------------------------

    def _changes(self, value: Value) -> bool:
        return value.role in PER_STEP or (self._gathers and value.role in PER_BATCH)

    def _body(self, stages: list[list[str]]) -> list[str]:
        """Return the loop: while a step computes, the rows of the next step arrive, and the order of the rows after those."""
        loads, fetches, stores = self._moves()
        loss, counters = self._arrays[0].of(self._plans[0].program.outputs[-1]), self._counters
        rank, ends = [f"[[maybe_unused]] const int rank = blockIdx.x % {self._blocks};"], list[str]()
        if self._blocks == 1:
            (step,) = stages
            step += [f"if (threadIdx.x == 0) losses[step] = *{self._at(loss)};"]
        else:
            loss, g = map(self._arrays[0].of, self._plans[0].program.outputs)
            theta, share = self._places["theta"], self._own["g"].size
            added = f"{self._at(g)}, {g.size}, {self._at(self._own['g'])}, {share}, {self._at(loss)}, losses + step"
            collected = f"{self._at(theta)}, {theta.size}, {self._at(self._own['theta'])}, {share}"
            # Both begin with a barrier of the cluster.
            step = [*stages[0], f"sum_share<{self._blocks}>({added});", "__syncthreads();", *stages[1]]
            step += [f"collect_shares({collected});"]
            rank += [f"const int begin = rank * {share}, mine = smaller({share}, {theta.size} - begin);"]
            ends = ["cluster_barrier();"]  # others may still read this block's share
        kinds = [(f"p{n}", STORED[array.dtype.name]) for n, (_, array) in enumerate(self._read)]
        kinds += [("order", "const long long")] * self._gathers + [("losses", STORED[loss.dtype.name])]
        rows = self._rows // self._blocks
        order = f"fetch((long long *)now, order + (step + 2) * {self._rows} + rank * {rows}, {rows})"
        return [
            *rank,
            f"const long long *const row = table + blockIdx.x / {self._blocks} * (long long){len(kinds)};",
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
            "  }",
            "  arrived();",
            "  __syncthreads();",
            "}",
            *stores,
            *ends,
        ]

    def _moves(self) -> tuple[list[str], list[str], list[str]]:
        """Return the loads before the loop, the copies of the next step's inputs, and the stores after the loop."""
        loads, fetches, stores = list[str](), list[str](), list[str]()
        for n, (role, array) in enumerate(self._read):
            here = self._at(array, "next")
            if role in PER_STEP:
                fetches.append(f"fetch({here}, p{n} + step + 1, 1);")
            elif role in PER_BATCH and self._gathers:
                shape = f"{len(array)}, {array.shape[-1]}"
                fetches.append(f"fetch_rows({here}, p{n}, (const long long *)next, {shape});")
            elif role in PER_BATCH:
                loads.append(f"fetch({here}, p{n} + rank * {array.size}, {array.size});")
            else:
                loads.append(f"fetch({here}, p{n}, {array.size});")
            if role in ("parameter", "state"):
                own = self._own.get("theta", array) if role == "parameter" else array
                part = f"{self._at(own)}, p{n}, {own.size}"
                if self._own and own.shape == self._own["theta"].shape:
                    part = f"{self._at(own)}, p{n} + begin, mine"
                    loads[-1:] = [*loads[-1:] * (own is not array), f"fetch({part});"]
                stores.append(f"put_back({part});")
        return loads, fetches, stores

    # -- the operations of a step --------------------------------------------------------------------

    def _stage(self, stage: Plan, arrays: Arrays) -> list[str]:
        """Return the calls of the groups, with a barrier before each that depends on one since the last barrier."""
        lines, read, written = list[str](), set[int](), set[int]()
        for group in stage.groups:
            inputs = group.inputs if is_product(group) else fused(group).arguments
            reads, writes = (self._packs(map(arrays.of, v)) for v in (inputs, group.results))
            if any(is_column_sum(op) or is_total(op) for op in group.operations):
                writes.add(-1)  # all of them use the memory for sums
            if written & (reads | writes) or read & writes:
                lines.append("__syncthreads();")
                read, written = set(), set()
            read |= reads
            written |= writes
            lines.append(self._group(group, arrays))
        return lines

    def _packs(self, arrays: Iterable[np.ndarray]) -> set[int]:
        """Return the numbers of the 16-byte packs of shared memory that arrays lie in."""
        places = [(self._memory.place(array), array) for array in arrays]
        return {
            pack
            for place, array in places
            for pack in range(place // PACK_BYTES, -(-(place + array.nbytes) // PACK_BYTES))
        }

    def _group(self, group: Fusion, arrays: Arrays) -> str:
        """Return the call of a group. One block computes the blocks of its grid one after the other."""
        if is_product(group):
            return self._product(product(group, arrays))
        lowered = fused(group)
        aligned = all(self._memory.place(arrays.of(v)) % PACK_BYTES == 0 for v in lowered.full)
        how = launch(lowered, 1, aligned=aligned, strip=2 * STRIP)
        blocks, across = how.grid[0] if how.loop.form == "tile" else 1, how.block[0]
        how = how._replace(grid=(blocks, 1))
        text = function(how.loop, lowered.tail)
        self._functions[text.name] = text.source
        arguments = [
            f"block_of({across}, {'block' if blocks > 1 else 0}, {blocks})",
            *map(str, how.where),
            *(self._at(contiguous(arrays.of(value))) for value in lowered.arguments),
        ]
        if how.parts:
            arguments += [f"({how.loop.sums} *)parts", "counters"]
            nbytes = how.loop.shared * (8 if how.loop.sums == "double" else 4)
            self._sum_bytes = max(self._sum_bytes, nbytes)
            self._part_bytes = max(self._part_bytes, how.part_bytes * (blocks > 1))
            self._counters = max(self._counters, how.counters * (blocks > 1))
        if blocks == 1:
            return f"{text.name}({', '.join(arguments)});"
        each = f"for (unsigned int block = 0; block < {blocks}; block++)"
        return f"{each} {{ {text.name}({', '.join(arguments)}); __syncthreads(); }}"

    def _product(self, product: Product) -> str:
        """Return the call of a product, whose factors may be transposed."""
        A, B, out = (matrix(array, self._memory.place(array), array.dtype.name) for array in product[:3])
        (m, k), n, parts = product.A.shape, out.columns, 1
        while parts < 16 and 2 * parts * -(-m // 4) * -(-n // 4) <= THREADS and 16 * parts <= k:
            parts *= 2
        # Four numbers at once, if all that are loaded begin at a multiple of four.
        lengths = [k, A.stride, B.stride, m if A.turned else 4, 4 if B.turned else n]
        is_whole = product.A.itemsize <= 4 and not any(length % 4 for length in lengths)
        width = 4 if is_whole and (A.address | B.address) % PACK_BYTES == 0 else 1
        how = f"{parts}, {width}, {str(A.turned).lower()}, {str(B.turned).lower()}"
        at_A, at_B, at_out = map(self._at, product[:3])
        return f"multiply<{how}>({m}, {n}, {k}, {at_A}, {A.stride}, {at_B}, {B.stride}, {at_out});"

    def _at(self, array: np.ndarray, turn: str = "now") -> str:
        """Return a pointer to an array in shared memory."""
        place = self._memory.place(array)
        base = turn if place < self._turn else "memory"
        return f"({STORED[array.dtype.name]} *)({base} + {place})"
