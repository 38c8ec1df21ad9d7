"""Ceilings: what this machine can do with one library, measured in the run that is held to them.

The best rate of square matrix products, the bandwidth of a copy that fits no cache, and the cost of the
smallest call there is.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from chainrule.bench.contestant import Contestant
from chainrule.bench.measure.clock import BLOCK_SECONDS, block, warm_up

COPIED = 1 << 26  # bytes
BLOCKS = 5
WARM_SECONDS = 0.05


class Measured(NamedTuple):
    """FLOP/s, bytes/s, seconds."""

    peak: float
    bandwidth: float
    empty_call: float


class Calls(NamedTuple):
    """A library's own calls: each takes what it reads and where the result goes, and returns the result."""

    place: Callable[[np.ndarray], Any]
    matmul: Callable[[Any, Any, Any], Any]
    copy: Callable[[Any, Any], Any]
    add: Callable[[Any, Any], Any]
    wait: Callable[[Any], object]


def ceilings(library: str, dtype: str = "float32", squares: Sequence[int] = (512, 1024)) -> Measured:
    """Return what the machine does at its best with a library.

    Examples
    --------
    >>> ceilings("numpy").peak > 1e9
    True
    """
    calls = _CALLS[library]()
    rng = np.random.default_rng(0)
    rates = []
    for n in squares:
        # Of random numbers: products of zeros draw less power, and some processors clock higher for it.
        A, B, out = (calls.place(rng.standard_normal((n, n)).astype(dtype)) for _ in range(3))
        rates.append(2 * n**3 / _least(partial(calls.matmul, A, B, out), calls))
    source, target = (calls.place(np.ones(COPIED // np.dtype(dtype).itemsize, dtype)) for _ in range(2))
    copied = 2 * COPIED / _least(partial(calls.copy, source, target), calls)  # read and written
    one, sum_ = (calls.place(np.ones(1, dtype)) for _ in range(2))
    return Measured(max(rates), copied, _least(partial(calls.add, one, sum_), calls))


def _least(call: Callable[[], Any], calls: Calls) -> float:
    """Return the least seconds of a call, over a few blocks of them."""
    held: list[Any] = [call()]

    def run() -> None:
        held[0] = call()

    contestant = Contestant(run, 1, wait=lambda: calls.wait(held[0]))
    passes = warm_up(contestant, WARM_SECONDS, BLOCK_SECONDS).passes
    return min(block(contestant, passes).computed for _ in range(BLOCKS)) / passes


def _numpy() -> Calls:
    return Calls(
        place=lambda array: array,
        matmul=lambda A, B, out: np.matmul(A, B, out=out),
        copy=lambda source, target: np.copyto(target, source),
        add=lambda one, out: np.add(one, one, out),
        wait=lambda _: None,
    )


def _torch() -> Calls:
    from chainrule.bench.contestants import pytorch

    return _torch_calls(pytorch.tensor, lambda _: None)


def _torch_cuda() -> Calls:
    from chainrule.bench.contestants import pytorch

    return _torch_calls(pytorch.cuda_tensor, lambda _: pytorch.wait_for_cuda())


def _torch_calls(place: Callable[[np.ndarray], Any], wait: Callable[[Any], object]) -> Calls:
    from chainrule.bench.contestants import pytorch

    matmul = pytorch.matmul()
    return Calls(
        place=place,
        matmul=lambda A, B, out: matmul(A, B, out=out),
        copy=lambda source, target: target.copy_(source),
        add=lambda one, out: out.copy_(one),
        wait=wait,
    )


def _jax() -> Calls:
    from chainrule.bench.contestants import jax as peer

    found: Calls = peer.calls(Calls)
    return found


def _cupy() -> Calls:
    from chainrule.backends import named

    backend = named("cupy")
    xp = backend.xp
    return Calls(
        place=backend.asarray,
        matmul=lambda A, B, out: xp.matmul(A, B, out=out),
        copy=backend.copy,
        add=lambda one, out: xp.add(one, one, out),
        wait=backend.synchronize,
    )


_CALLS: dict[str, Callable[[], Calls]] = {
    "numpy": _numpy,
    "torch": _torch,
    "torch-cuda": _torch_cuda,
    "jax": _jax,
    "cupy": _cupy,
}
