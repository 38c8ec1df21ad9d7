"""Executors: packs of work are sent to workers of any kind, and run in this process if the workers are gone."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any

from chainrule.training.interrupts import Interrupts

LOOK_SECONDS = 0.1  # between two checks for Ctrl-C
ANSWER = "no further pack is sent; a second Ctrl-C does not wait for the packs at work"


def scatter(
    executor: Executor, function: Callable[[Any], Any], packs: Sequence[Any]
) -> Iterator[tuple[int, Any]]:
    """Yield the number of each pack and ``function(pack)``, in the order in which workers return them.

    After Ctrl-C, packs that no worker has started are left out. If the executor is broken, as a pool of processes is after
    the death of a process, the remaining packs run in this process. An error of ``function`` is raised here.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Processes, the ranks of ``mpi4py.futures``, the workers of Dask, ...
    function : function
        Takes a pack.
    packs : sequence
        Objects that can be pickled.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(1) as executor:
    ...     dict(scatter(executor, sum, [[1, 2], [3, 4]]))
    {0: 3, 1: 7}
    """
    with Interrupts(answer=ANSWER) as interrupts:
        sent = {_sent(executor, function, pack): number for number, pack in enumerate(packs)}
        try:
            while sent:
                for future in wait(sent, LOOK_SECONDS, FIRST_COMPLETED).done:
                    number = sent.pop(future)
                    if future.cancelled():
                        continue
                    try:
                        result = future.result()
                    except BrokenExecutor as error:
                        msg = f"{error}; a pack runs in this process"
                        warnings.warn(msg, RuntimeWarning, stacklevel=2)
                        result = function(packs[number])
                    yield number, result
                if interrupts.is_pending:
                    for future in sent:
                        future.cancel()
        except KeyboardInterrupt:  # a second Ctrl-C
            return
        finally:
            for future in sent:
                future.cancel()


def _sent(executor: Executor, function: Callable[[Any], Any], pack: Any) -> Future[Any]:
    """Return the future of a pack; if the executor is broken already, its result is that error."""
    try:
        return executor.submit(function, pack)
    except BrokenExecutor as error:
        future = Future[Any]()
        future.set_exception(error)
        return future
