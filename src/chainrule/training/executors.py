"""Executors: packs of work are sent to workers of any kind, and sent again if a worker dies."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any

from chainrule.training.interrupts import Interrupts

MOST_SENT = 3  # largest number of times that a pack is sent
LOOK_SECONDS = 0.1  # between two checks for Ctrl-C
ANSWER = "no further pack is sent; a second Ctrl-C does not wait for the packs at work"


def scatter(
    executor: Executor, function: Callable[[Any], Any], packs: Sequence[Any]
) -> Iterator[tuple[int, Any]]:
    """Yield the number of each pack and ``function(pack)``, in the order in which workers return them.

    After Ctrl-C, packs that no worker has started are left out. If the executor is broken, as a pool of processes is after
    the death of a process, the remaining packs run in this process.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Processes, the ranks of ``mpi4py.futures``, the workers of Dask, ...
    function : function
        Takes a pack; its errors are raised here.
    packs : sequence
        Objects that can be pickled.

    Raises
    ------
    RuntimeError
        If a pack got no answer three times.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(1) as executor:
    ...     dict(scatter(executor, sum, [[1, 2], [3, 4]]))
    {0: 3, 1: 7}
    """
    with Interrupts(answer=ANSWER) as interrupts:
        sent = {_send(executor, function, pack): (number, 1) for number, pack in enumerate(packs)}
        try:
            while sent:
                done, _ = wait(sent, LOOK_SECONDS, FIRST_COMPLETED)
                for future in done:
                    number, times = sent.pop(future)
                    if future.cancelled():
                        continue
                    lost = future.exception()
                    if lost is None:
                        result, error = future.result()
                        if error is not None:
                            raise error
                        yield number, result
                    elif times < MOST_SENT:
                        sent[_send(executor, function, packs[number])] = number, times + 1
                    else:
                        msg = f"a pack was sent {times} times and got no answer: {lost!r}; give a smaller pack_size, or other workers"
                        raise RuntimeError(msg) from lost
                if interrupts.is_pending:
                    for future in sent:
                        future.cancel()
        except KeyboardInterrupt:  # a second Ctrl-C
            return
        finally:
            for future in sent:
                future.cancel()


def _send(executor: Executor, function: Callable[[Any], Any], pack: Any) -> Future[Any]:
    """Submit a pack to a worker, or run it here, and return its future."""
    try:
        return executor.submit(_answer, function, pack)
    except BrokenExecutor as error:
        warnings.warn(f"{error}; a pack runs in this process", RuntimeWarning, stacklevel=2)
        future = Future[Any]()
        future.set_result(_answer(function, pack))
        return future


def _answer(function: Callable[[Any], Any], pack: Any) -> tuple[Any, Exception | None]:
    """Return the result and the error of a function; an error of the future is then an error of the worker."""
    try:
        return function(pack), None
    except Exception as error:  # noqa: BLE001  raised in the calling process
        return None, error
