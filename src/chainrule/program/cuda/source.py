"""Source: a chain, and the tail that follows its totals, as the text of one CUDA kernel.

The arguments of a kernel are, in order: the rows and columns of its grid; the inputs and outputs of the chain; the inputs and
outputs of the tail; and, if there are sums, the memory for their parts and the counters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from chainrule.program.chains import Chain
from chainrule.program.cuda import sums
from chainrule.program.cuda.expressions import REGISTERS, STORED, assignment
from chainrule.program.cuda.loop import THREADS, Loop
from chainrule.program.cuda.rows import rows
from chainrule.program.cuda.strips import flat, tile

# The start of every kernel's source.
PRELUDE = Path(__file__).with_name("prelude.cuh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Tail:
    """Statements on single numbers, such as the totals of a chain, which one thread computes at the end of the kernel."""

    chain: Chain
    totals: tuple[tuple[str, int], ...]  # inputs that are totals, each with its index in the outputs
    inner: tuple[int, ...]  # outputs that only the tail reads, and that are not stored


@dataclass(frozen=True)
class KernelText:
    """The source of a kernel, and its name; equal sources have equal names."""

    name: str
    source: str
    shared_bytes: int = 0  # size of the array ``memory``, in shared memory
    blocks: int = 1  # per cluster


def write(loop: Loop, tail: Tail | None = None) -> KernelText:
    """Return the kernel of a chain and its tail.

    Examples
    --------
    >>> from chainrule.program.chains import Chain, Operand, Output, Statement
    >>> tanh = Chain((Operand("x0", "full", "float32"),), (Statement("tanh", "r0", ("x0",)),), (Output("r0"),))
    >>> text = write(Loop(tanh, width=4))
    >>> "const float r0 = tanhf(x0);" in text.source
    True
    """
    head = f'extern "C" __global__ void __launch_bounds__({THREADS})'
    return _text(head, (), "[[maybe_unused]] const Block block = own_block();", loop, tail)


def function(loop: Loop, tail: Tail | None = None) -> KernelText:
    """Return the same as a device function, whose first argument describes the block that computes it."""
    names = ("threadIdx", "blockIdx", "blockDim", "gridDim")
    hidden = ", ".join(f"{name} = block.{name}" for name in names)
    first = f"[[maybe_unused]] const Pair {hidden};"
    return _text("__device__ inline void", ("const Block block",), first, loop, tail)


def _text(head: str, more: Sequence[str], first: str, loop: Loop, tail: Tail | None) -> KernelText:
    """Return a function with ``more`` parameters before those of the chain, and a ``first`` line."""
    parameters = ",\n    ".join([*more, *_all_parameters(loop, tail)])
    body = [line if line.startswith("#") else f"  {line}" for line in [first, *_body(loop, tail)]]
    rest = "\n".join([f"(\n    {parameters}) {{", *body, "}", ""])
    name = f"chain_{sha256(rest.encode()).hexdigest()[:16]}"
    return KernelText(name, f"{head} {name}{rest}")


def _all_parameters(loop: Loop, tail: Tail | None) -> list[str]:
    inner = () if tail is None else tail.inner
    parameters = ["const long long rows", "const long long columns", *_parameters(loop.chain, "", inner)]
    if tail is not None:
        parameters += _parameters(tail.chain, "tail_", (), [name for name, _ in tail.totals])
    if any(output.total or output.columns for output in loop.chain.outputs):
        parameters += [f"{loop.sums} *parts", "unsigned int *counters"]
    return parameters


def _body(loop: Loop, tail: Tail | None) -> list[str]:
    last = _stored_totals(loop.chain, () if tail is None else tail.inner)
    last += [] if tail is None else _tail(tail)
    walk = {"flat": flat, "tile": tile, "row": rows}[loop.form]
    return [*sums.declared(loop), *loop.scalars(), *walk(loop), *sums.finished(loop, last)]


def _parameters(chain: Chain, prefix: str, inner: Iterable[int], known: Iterable[str] = ()) -> list[str]:
    inputs = [f"const {STORED[o.dtype]} *{prefix}{o.name}_" for o in chain.inputs if o.name not in known]
    return inputs + [
        f"{STORED[chain.dtypes[output.value]]} *{prefix}{_place(number, chain)}_"
        for number, output in enumerate(chain.outputs)
        if number not in inner
    ]


def _place(number: int, chain: Chain) -> str:
    """Return the name of an output's argument; sums are named by their numbers."""
    output = chain.outputs[number]
    return f"out{number}" if output.total or output.columns else output.value


def _stored_totals(chain: Chain, inner: Iterable[int]) -> list[str]:
    """Return the stores of the totals."""
    totals = [n for n, output in enumerate(chain.outputs) if output.total and n not in inner]
    return [f"store(out{n}_, total{n});" for n in totals]


def _tail(tail: Tail) -> list[str]:
    """Return the statements of the tail, whose names shadow those of the chain."""
    lines, known = ["{"], dict(tail.totals)
    for operand in tail.chain.inputs:
        kind, name = REGISTERS[operand.dtype], operand.name
        value = f"total{known[name]}" if name in known else f"value_of(*tail_{name}_)"
        lines.append(f"  const {kind} {name} = {value};")
    lines += [f"  {assignment(statement, tail.chain)}" for statement in tail.chain.statements]
    lines += [f"  store(tail_{output.value}_, {output.value});" for output in tail.chain.outputs]
    return [*lines, "}"]
