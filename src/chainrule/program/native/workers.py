"""Run one table per thread: the calling thread runs the first, persistent workers the rest, and all are done on return.

Between two runs a worker spins for some 100 us on an atomic word, without the GIL, and then sleeps on a lock. Training
steps follow each other faster than that, so a hand-off costs a cache line (some 100 ns), not two wake-ups (some 10 us); an
idle process does not burn a core.

A step's BLAS must run at one thread (threadpoolctl) around `WorkerPool.run`.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

import numpy as np

from chainrule.program.native import compiler
from chainrule.program.native.mailboxes import (
    ASLEEP,
    LENGTH,
    LINE,
    OWN_LENGTH,
    OWN_TABLE,
    POSTED,
    SEQUENCE,
    SLEEPING,
    SPINS,
    STOP,
    TABLE,
    UNFINISHED,
    print_serve,
    print_work,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainrule.program.native.interpreter import Array, InstructionTable

SPIN_SECONDS: Final = 100e-6


@functools.cache
def _functions() -> tuple[compiler.Function, compiler.Function, compiler.Function]:
    """Return `serve`, `post` and `work`."""
    serve = compiler.compile_function(print_serve, "serve")
    post, work = (
        compiler.compile_function(functools.partial(print_work, name), name) for name in ("post", "work")
    )
    return compiler.function_at(serve), compiler.function_at(post), compiler.function_at(work)


@functools.cache
def _spins() -> int:
    """Return how many spins take `SPIN_SECONDS` here: one trial serves no mail, three times, the fastest counts."""
    trial = 2000
    mailbox = np.zeros(LINE, np.int64)
    mailbox[SPINS] = trial
    times = []
    for _ in range(3):
        start = time.perf_counter()
        _functions()[0](mailbox.ctypes.data)
        times.append(time.perf_counter() - start)
    return max(1, int(trial * SPIN_SECONDS / min(times)))


class WorkerPool:
    """`threads - 1` persistent workers. One caller at a time; the workers start at the first run, and again in a forked child."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._running = threading.Lock()
        self._workers: list[threading.Thread] = []
        _pools.add(self)

    def _start(self) -> None:
        count = self.threads - 1
        boxes = np.zeros((count + 1) * LINE, np.int64)
        first = -(boxes.ctypes.data // boxes.itemsize) % LINE  # mailboxes begin at a cache line
        self._boxes = boxes[first : first + count * LINE].reshape(count, LINE)
        self._boxes[:, SPINS] = _spins()
        words = np.array([self._boxes.ctypes.data, count, 0, 0, 0, 0, 0], np.int64)
        self._words, self._mail = words.data, self._boxes.data  # an item costs a third of an array's
        self._wakes = [threading.Semaphore(0) for _ in range(count)]
        self._address = words.ctypes.data
        _, self._post, self._work = _functions()
        self._workers = [
            threading.Thread(target=_serve, args=(box, wake), name="chainrule-worker", daemon=True)
            for box, wake in zip(self._boxes, self._wakes, strict=True)
        ]
        for worker in self._workers:
            worker.start()

    def run(self, tables: Sequence[InstructionTable]) -> None:
        """Run one table in each thread, the first in this one; return when all are done."""
        if len(tables) != self.threads:
            msg = f"got {len(tables)} tables for {self.threads} threads; give one table a thread, an empty one for none"
            raise ValueError(msg)
        if self.threads == 1:
            tables[0].run()
            return
        with self._running:
            if not self._workers:
                self._start()
            for index in range(1, self.threads):
                self._mail[index - 1, TABLE], self._mail[index - 1, LENGTH] = tables[index].words
            self._run_posted(tables[0])

    def _run_posted(self, own: InstructionTable) -> None:
        self._words[SEQUENCE] += 1
        self._words[OWN_TABLE], self._words[OWN_LENGTH] = own.words
        self._words[UNFINISHED] = 1  # until the native code says otherwise
        try:
            self._post(self._address)
            if self._words[SLEEPING]:
                self._wake()
                self._work(self._address)
        finally:  # whatever interrupts this thread (Ctrl-C), no worker is left at work on the caller's arrays
            self._join()

    def _wake(self) -> None:
        for box, wake in zip(self._boxes, self._wakes, strict=True):
            if box[ASLEEP]:
                wake.release()

    def _join(self) -> None:
        """Wait without spinning for workers that the native join has left at work; that is rare, or follows an interruption."""
        self._words[OWN_LENGTH] = 0  # an empty table: only join
        while self._words[UNFINISHED]:
            if (self._boxes[:, POSTED] != self._words[SEQUENCE]).any():
                return  # interrupted before the post
            self._wake()
            time.sleep(SPIN_SECONDS / 2)
            self._work(self._address)

    def close(self) -> None:
        """End the workers; the next run starts new ones."""
        with self._running:
            if not self._workers:
                return
            self._boxes[:, LENGTH] = STOP
            self._words[OWN_LENGTH] = 0
            self._words[SEQUENCE] += 1
            self._post(self._address)
            self._wake()
            for worker in self._workers:
                worker.join()
            self._workers = []

    def forget(self) -> None:
        """Drop the workers without a word to them: in a forked child they do not exist."""
        self._running = threading.Lock()
        self._workers = []


def _serve(mailbox: Array, wake: threading.Semaphore) -> None:
    """Serve, sleep, serve: the life of a worker."""
    serve, _, _ = _functions()
    while True:
        serve(mailbox.ctypes.data)
        if mailbox[LENGTH] == STOP:
            return
        wake.acquire()


_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
