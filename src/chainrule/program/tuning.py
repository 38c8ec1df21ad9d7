"""Tuning: measure, for this network on this machine, what the rule would otherwise choose by shapes.

Only where it is asked for (``train(tune=True)``): what is chosen by timing may differ from machine to
machine and from day to day, and so may the last bits. The choice is kept on disk, under the machine,
the versions and the shapes that it was made for.
"""

import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chainrule.program import machine
from chainrule.program.engine import Engine, Work
from chainrule.program.epoch import Epoch
from chainrule.program.row_blocks import Cut

ROUNDS = 5
ROUND_SECONDS = 0.03  # for each candidate
STEPS = 4  # of an epoch, at the most


class Choice(NamedTuple):
    """How to run a step: compiled or not, cut into so many blocks in so many threads."""

    native: bool
    threads: int
    blocks: int

    @property
    def cut(self) -> Cut:
        """The cut alone."""
        return Cut(self.threads, self.blocks)


Build = Callable[[Work, Choice], Engine]


def tuned(work: Work, build: Build, *, native: bool) -> Choice:
    """Return the fastest choice, from disk where it has been measured before.

    Parameters
    ----------
    work
        What is to be run; it is measured on copies of its arrays, with a learning rate of 0.
    build
        Makes the engine of a choice.
    native
        Whether native code can be made here.
    """
    known, key = _known(), _key(work)
    if key not in known:
        chosen = min(_measured(work, build, candidates(work, native=native)))[1]
        known[key] = chosen
        _keep(known)
    is_native, threads, blocks = known[key]
    return Choice(bool(is_native), threads, blocks)


def candidates(work: Work, *, native: bool) -> list[Choice]:
    """Return what is worth measuring: whole batches, and blocks from large to small."""
    most, rows = machine.threads(work.threads), max(work.batch_sizes)
    counts = sorted({1, most})
    cuts = [(threads, blocks) for threads in counts for blocks in (1, 2, 4, 8, 16, 32)]
    fitting = [cut for cut in cuts if cut == (1, 1) or rows >= 8 * cut[0] * cut[1]]
    kinds = [True, False] if native else [False]
    return [Choice(kind, *cut) for kind in kinds for cut in fitting]


def _measured(work: Work, build: Build, choices: Sequence[Choice]) -> list[tuple[float, Choice]]:
    """Return the seconds of a step for each choice; the choices take turns."""
    trial = _trial(work)
    engines = [build(_trial(work), choice) for choice in choices]
    rows = trial.data[0].shape[0]
    order = None if trial.is_one_batch else np.arange(rows)
    steps = len(trial.bounds)
    keys = np.zeros(steps, dtype=np.int32) if trial.drops else None
    epoch = Epoch(order, [0.0] * steps, keys)
    times: list[list[float]] = [[] for _ in choices]
    for _ in range(ROUNDS):
        for engine, taken in zip(engines, times, strict=True):
            with engine.at_work():
                taken.append(_seconds(engine, epoch) / steps)
    return [(statistics.median(taken), c) for taken, c in zip(times, choices, strict=True)]


def _seconds(engine: Engine, epoch: Epoch) -> float:
    """Return the median seconds of an epoch, warmed up."""
    engine.run(epoch, lambda: None)
    taken: list[float] = []
    began = time.perf_counter()
    while not taken or time.perf_counter() - began < ROUND_SECONDS:
        start = time.perf_counter()
        engine.run(epoch, lambda: None)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _trial(work: Work) -> Work:
    theta, state = work.progress
    copied = type(work.progress)(theta.copy(), tuple(part.copy() for part in state))
    return replace(work, progress=copied, bounds=work.bounds[:STEPS])


def _key(work: Work) -> str:
    rows = sorted(work.batch_sizes)
    facts = [
        platform.machine(),
        machine.processor(),
        machine.threads(work.threads),
        machine.l2_bytes(),
        *(_version(name) for name in ("chainrule", "numpy", "llvmlite")),
        rows,
        [str(work.plan(n)) for n in rows],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _file() -> Path:
    return machine.cache_folder() / "tuning.json"


def _known() -> dict[str, Sequence[int]]:
    try:
        kept: dict[str, Sequence[int]] = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nothing kept yet, or a damaged file: measure again
        return {}
    return kept


def _keep(known: dict[str, Sequence[int]]) -> None:
    beside = _file().with_suffix(f".{os.getpid()}")
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(json.dumps(known), encoding="utf-8")
    beside.replace(_file())
