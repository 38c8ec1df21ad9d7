"""Executors: packs of work sent to workers of any kind, and again where a worker dies."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any

from chainrule.training.interrupts import Interrupts

MOST_SENT = 3  # times that a pack is sent
LOOK_SECONDS = 0.1  # between two looks for Ctrl-C
ANSWER = "no further pack is sent, those at work are waited for; a second Ctrl-C does not wait for them"


def scatter(
    executor: Executor, function: Callable[[Any], Any], packs: Sequence[Any]
) -> Iterator[tuple[int, Any]]:
    """Yield the number of each pack and ``function(pack)``, as the workers return them.

    After Ctrl-C, packs that no worker has begun are left out. An executor that is broken for good, as one of
    processes is once a process has died, has no workers left: the rest runs in this process.

    Parameters
    ----------
    executor
        What runs functions: processes, the ranks of ``mpi4py.futures``, the workers of Dask, ...
    function
        Of a pack; its errors are raised here.
    packs
        What to send; it must be possible to pickle each.

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
    """Return the future of a pack that is sent to a worker, or has run here."""
    try:
        return executor.submit(_answer, function, pack)
    except BrokenExecutor as error:
        warnings.warn(f"{error}; a pack runs in this process", RuntimeWarning, stacklevel=2)
        future = Future[Any]()
        future.set_result(_answer(function, pack))
        return future


def _answer(function: Callable[[Any], Any], pack: Any) -> tuple[Any, Exception | None]:
    """Return the result and the error of a function, so that an error of the future is the worker's."""
    try:
        return function(pack), None
    except Exception as error:  # noqa: BLE001  raised where the pack came from
        return None, error
