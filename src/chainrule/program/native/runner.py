"""The runner: runs steps without Python, in one or several threads; each step has phases, with a barrier after each."""

import copy
import functools
import os
import platform
import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
from llvmlite import ir

from chainrule.program import machine
from chainrule.program.kernels import pool, wait
from chainrule.program.native import compiler
from chainrule.program.native.instructions import Array, Instruction, addresses
from chainrule.program.native.writer import WORD, Places, Value, Writer, call_function

Phase = Sequence[Sequence[Instruction]]  # the instructions of each thread

_YIELD_EVERY: Final = 256  # spins, a power of two: about 5 us
_LINE: Final = 8  # words per cache line
_busy = threading.Lock()  # all threads of a run must run at the same time, so only one run may use them
machine.while_forking(_busy)


class StepRunner:
    """Runs steps: the phases of a step in order, and in each phase the instructions of every thread.

    Parameters
    ----------
    phases
        The instructions of each thread in each phase.
    steps
        For each thread, the array (1,) of int64 from which it reads the number of the step.
    """

    def __init__(self, phases: Sequence[Phase], steps: Sequence[Array]) -> None:
        self.threads = len(steps)
        meet = [_barrier(self.threads)] if self.threads > 1 else []
        tables = [  # a phase may list fewer threads: the others are idle in it
            [item for phase in phases for items in (*phase[thread : thread + 1], meet) for item in items]
            for thread in range(self.threads)
        ]
        functions = iter(addresses([item for table in tables for item in table]))
        self._kept: list[object] = [phases, steps, meet]
        self._tables = [  # per thread: the address of the step number, its functions and their arguments
            (step.ctypes.data, [next(functions) for _ in table], [item.arguments for item in table])
            for step, table in zip(steps, tables, strict=True)
        ]
        self._bind()

    def _bind(self) -> None:
        """Write the arguments of `run` for each thread."""
        self._words = []
        for step, functions, lines in self._tables:
            places = [(f, line.ctypes.data) for f, line in zip(functions, lines, strict=True)]
            table = np.array(places, np.int64)
            self._kept.append(table)
            self._words.append(np.array([0, step, table.ctypes.data, len(table)], np.int64))
        self._addresses = [words.ctypes.data for words in self._words]
        self._run = compiler.function_at(_run_address())

    def twin(self, moved: Sequence[tuple[Array, Array]]) -> "StepRunner":
        """Return a runner of the same steps with some arrays replaced; it shares the others.

        The two must not run at the same time.
        """
        other = copy.copy(self)
        other._kept = [self, moved]
        other._tables = [(s, f, [_moved(line, moved) for line in lines]) for s, f, lines in self._tables]
        other._bind()
        return other

    def __call__(self, steps: int) -> None:
        """Run this many steps, from number 0, and return when they are done."""
        for words in self._words:
            words[0] = steps
        mine, *others = self._addresses
        if not others:
            self._run(mine)
            return
        with _busy:
            waiting = [pool(self.threads).submit(self._run, address) for address in others]
            try:
                self._run(mine)
            finally:
                wait(waiting)

    @staticmethod
    def together(launches: "Sequence[tuple[StepRunner, int]]") -> None:
        """Run the given number of steps of each runner in turn, in one call of native code; each has one thread."""
        for runner, steps in launches:
            runner._words[0][0] = steps
        run, number = _run_address(), np.zeros(1, np.int64)
        table = np.array([(run, runner._addresses[0]) for runner, _ in launches], np.int64)
        words = np.array([1, number.ctypes.data, table.ctypes.data, len(table)], np.int64)
        compiler.function_at(run)(words.ctypes.data)


def _moved(arguments: Array, moved: Sequence[tuple[Array, Array]]) -> Array:
    """Return arguments with each address within the first array of a pair moved to the second array."""
    others = arguments.copy()
    for old, new in moved:
        start = old.ctypes.data
        others[(arguments >= start) & (arguments < start + old.nbytes)] += new.ctypes.data - start
    return others


@functools.cache
def _run_address() -> int:
    return compiler.compile_functions([("run", _write_run)])[0]


def _write_run(writer: Writer) -> None:
    """Write `run`; it takes the number of steps, the address of the step number, the table and its length."""
    builder = writer.builder
    steps, number, table, length = (writer.argument(i) for i in range(4))
    with writer.loop(0, steps) as step:
        builder.store(step, writer.pointer(number))
        with writer.loop(0, length) as index:
            function, arguments = (
                builder.load(writer.pointer(table, (index, 16), writer.word(place)), typ=WORD)
                for place in (0, 8)
            )
            writer.call(function, writer.pointer(arguments))


def _barrier(threads: int) -> Instruction:
    """Return the instruction that waits until all threads have reached it."""
    # The number of threads that have arrived, and in another cache line the number of times that all have.
    words = np.zeros(3 * _LINE, np.int64)

    def write(writer: Writer, places: Places) -> None:
        _write_barrier(writer, places[0], writer.word(threads))

    return Instruction(write, ("barrier", threads), (words,))


def _write_barrier(writer: Writer, barrier: Value, threads: Value) -> None:
    """Write a barrier: the last thread to arrive releases the others by raising its generation."""
    builder = writer.builder
    arrived, generation = writer.pointer(barrier), writer.pointer(barrier, writer.word(8 * _LINE))
    mine = builder.load_atomic(generation, "seq_cst", 8, typ=WORD)
    before = builder.atomic_rmw("add", arrived, writer.word(1), "seq_cst")
    is_last = builder.icmp_signed("==", builder.add(before, writer.word(1)), threads)
    with builder.if_else(is_last) as (last, others):
        with last:
            builder.atomic_rmw("xchg", arrived, writer.word(0), "seq_cst")
            builder.atomic_rmw("add", generation, writer.word(1), "seq_cst")
        with others:
            _write_wait(writer, generation, mine)


def _write_wait(writer: Writer, generation: Value, mine: Value) -> None:
    builder = writer.builder
    before = builder.block
    head, body, after = (builder.append_basic_block() for _ in range(3))
    builder.branch(head)
    builder.position_at_end(head)
    spins = builder.phi(WORD)
    spins.add_incoming(writer.word(0), before)
    now = builder.load_atomic(generation, "seq_cst", 8, typ=WORD)
    builder.cbranch(builder.icmp_signed("==", now, mine), body, after)
    builder.position_at_end(body)
    _write_pause(writer)
    if os.name == "posix":  # if two threads share one processor, let the other one run
        mask = writer.word(_YIELD_EVERY - 1)
        often = builder.icmp_signed("==", builder.and_(spins, mask), mask)
        with builder.if_then(often, likely=False):
            call_function(builder, "sched_yield", ir.IntType(32))
    spins.add_incoming(builder.add(spins, writer.word(1)), builder.block)
    builder.branch(head)
    builder.position_at_end(after)


def _write_pause(writer: Writer) -> None:
    processor = platform.machine().lower()
    if processor in ("x86_64", "amd64"):
        call_function(writer.builder, "llvm.x86.sse2.pause", ir.VoidType())
    elif processor in ("aarch64", "arm64"):
        hint = ir.Constant(ir.IntType(32), 1)  # yield
        call_function(writer.builder, "llvm.aarch64.hint", ir.VoidType(), hint)
