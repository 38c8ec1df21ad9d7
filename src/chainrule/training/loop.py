"""Training: runs one network or several, and compares what ranks and resumed runs must have in common."""

import zlib
from collections.abc import Sequence
from contextlib import closing, suppress
from importlib.util import find_spec
from typing import Any

import numpy as np

from chainrule._version import __version__
from chainrule.backends import Backend
from chainrule.mathematics.arrays import Array
from chainrule.program import machine
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Pack
from chainrule.program.unrecordable import UnrecordableError
from chainrule.training.display import Display
from chainrule.training.interrupts import Interrupts
from chainrule.training.run import TrainingRun
from chainrule.training.tasks import Member, Outcome

IN_TURN = (
    "the members trained one after the other: nothing here runs such steps together, or the run is short"
)


def fit(members: Sequence[Member], display: Display, threads: int = 1) -> list[Outcome]:
    """Train networks, usually one, and return the outcome of each.

    After Ctrl-C, the current step is finished first, and the run ends as after its last epoch. An error (a loss that is not
    finite, or an error of a callback) ends a run with its last good weights; it is returned, to be raised later, and the
    other members continue.

    Parameters
    ----------
    members
        Several members must have one backend and equal sizes, no ranks and no folders.
    display
        Shows the progress.
    threads
        The number of threads that share several members; each thread trains whole members.

    Returns
    -------
    list of Outcome
        One for each member, in order.

    Raises
    ------
    ValueError
        If the run in the folder has other settings.
    OSError
        If the first checkpoint cannot be written.
    """
    _, task, settings, _, _ = members[0]
    group = settings.group
    with closing(display), task.backend.quiet(), Interrupts() as interrupts:
        if group.size > 1:
            group.check_alike(_facts(members[0]))
        if settings.folder is not None:
            settings.folder.check(_described(members[0]), task.data, task.validation)
        runs = [TrainingRun(member, interrupts, display) for member in members]
        pack = _pack(runs, members[0], threads)
        for run, engine in zip(runs, pack.engines, strict=True):
            run.start(engine)
        try:
            with pack.at_work():
                _drive_all(pack, runs)
        except KeyboardInterrupt:  # a second one
            if group.size > 1:
                raise  # the other ranks have not received it
        interrupts.settle()
        if group.size > 1 and runs[0].history.error is None:
            theta = runs[0].engine.progress.theta
            group.check_alike({"weights after training": _checksum(theta, task.backend)})
        return [run.outcome() for run in runs]


def _pack(runs: Sequence[TrainingRun], member: Member, threads: int) -> Pack:
    """Return the engines of the runs; they run together if the backend can do that."""
    pack = None
    if len(runs) > 1 and member.settings.compiled:
        with suppress(UnrecordableError):
            pack = member.task.backend.pack([run.work for run in runs], threads)
    for run in runs if len(runs) > 1 and pack is None else ():
        run.history.notes += (IN_TURN,)
    return pack or Pack([run.own_engine() for run in runs])


def _drive_all(pack: Pack, runs: Sequence[TrainingRun]) -> None:
    """Run all members to the end, each part of the pack in its own thread."""
    from chainrule.program.kernels import pool, wait

    mine, *others = [[runs[number] for number in part] for part in pack.parts]
    waiting = [pool(len(pack.parts)).submit(_drive, pack, part) for part in others]
    try:
        _drive(pack, mine)
    finally:
        wait(waiting)


def _drive(pack: Pack, runs: Sequence[TrainingRun]) -> None:
    """Run the epochs of some runs until all of them have ended."""
    at_work = False

    def between_steps() -> None:
        nonlocal at_work
        at_work = False
        runs[0].check()
        at_work = True

    with np.errstate(all="ignore"):  # each thread has its own error state
        try:
            going = {run: run.next_plan() for run in runs}
            while plans := {run.engine: plan for run, plan in going.items() if plan is not None}:
                losses = pack.run(plans, between_steps)
                at_work = False
                going = {run: run.next_plan(losses[run.engine]) for run in going if run.engine in plans}
        except BaseException as error:
            unfinished = [run for run in runs if not run.has_ended]
            if not unfinished:
                raise
            for run in unfinished:
                run.stop(error, is_cut=at_work)


def _described(member: Member) -> dict[str, Any]:
    """Return, for JSON, the settings that must equal those of the run that is continued, by name."""
    theta, task, settings, chance, _ = member
    net, rate, epochs = task.net, settings.schedule, settings.epochs
    counts = task.data.counts
    return {
        "network": f"{net}, {net.loss.name}",
        **{name: getattr(net, name) for name in ("dropout", "weight_decay", "clip_norm")},
        "dtype": net.compute or numpy_dtype(theta.dtype).name,
        "backend": task.backend.describe(),
        "compile": settings.compiled,
        "threads": machine.threads(settings.threads),
        "native_code": find_spec("llvmlite") is not None,
        "seed": chance.seed,
        **{name: getattr(settings, name) for name in ("epochs", "batch_size", "shuffle")},
        "learning_rate": [rate(epochs * eighth / 8, epochs) for eighth in range(9)],
        "optimizer": settings.optimizer.name,
        "optimizer_settings": dict(settings.optimizer.settings),
        "early_stopping": settings.patience,
        "ranks_that_share_the_rows": 1 if counts is None else len(counts),
    }


def _facts(member: Member) -> dict[str, Any]:
    """Return the facts that must be equal on all ranks, by name."""
    theta, task, settings, chance, _ = member
    shared = _described(member)
    for name in ("backend", "threads"):  # each has its own device, and its own share of the processors
        del shared[name]
    validation = {} if task.validation is None else task.validation.facts
    return {
        "version": __version__,
        "NumPy's version": np.__version__,
        **shared,
        **task.data.facts,
        **{f"{name} held out": fact for name, fact in validation.items()},
        "weights": _checksum(theta, task.backend),
        "draws": chance.state,
        "sum": settings.group.tree,
    }


def _checksum(theta: Array, backend: Backend) -> str:
    """Return a checksum of the parameters ``theta (P,)``, to compare them."""
    return f"checksum {zlib.crc32(np.ascontiguousarray(backend.to_numpy(theta)).data):08x}"
