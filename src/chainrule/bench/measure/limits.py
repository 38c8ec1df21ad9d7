"""What this machine can do at its best with one library: its rates of matrix products and of copies.

The best over all libraries bounds every step from below: see ``chainrule.bench.judge.results.Limit``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from chainrule.bench.contestant import Contestant
from chainrule.bench.measure.clock import block, warm_up

WORKING_SETS = tuple(1 << power for power in range(14, 29, 2))  # bytes: 16 KB, 64 KB, ... 256 MB
SMALLEST, LARGEST = 256, 8192  # of square matrices
LONG = 0.05  # seconds; when a product takes longer, larger ones are not faster
SWEEPS = 3  # over everything, so that a moment in which the machine is busy does not count
WARM, BLOCK = 0.005, 0.005  # seconds


class Best(NamedTuple):
    """The best that a library did here.

    Attributes
    ----------
    products
        FLOP/s of square matrix products.
    copies
        For each working set in bytes (what is read and what is written), the bytes a second.
    empty_call
        Seconds of the smallest operation there is.
    """

    products: float
    copies: tuple[tuple[int, float], ...]
    empty_call: float


class Calls(NamedTuple):
    """A library's own calls: each takes what it reads and where the result goes, and returns the result.

    ``update``, where there is one, reads and writes one array in place. An optimizer does the same, and a
    processor need not fetch what it is about to overwrite, as it does for a copy.
    """

    place: Callable[[np.ndarray], Any]
    matmul: Callable[[Any, Any, Any], Any]
    copy: Callable[[Any, Any], Any]
    total: Callable[[Any], Any]
    add: Callable[[Any, Any], Any]
    wait: Callable[[Any], object]
    update: Callable[[Any], Any] | None = None


class Timed(NamedTuple):
    """A call that is timed again and again."""

    contestant: Contestant
    passes: int

    def seconds(self) -> float:
        """Return the seconds of a call."""
        return block(self.contestant, self.passes).computed / self.passes


def best(library: str, dtype: str = "float32") -> Best:
    """Return the best that a library does on this machine; takes about two seconds.

    Examples
    --------
    >>> best("numpy").products > 1e9
    True
    """
    calls = _CALLS[library]()
    products = _products(calls, dtype)
    ones = np.ones(WORKING_SETS[-1] // np.dtype(dtype).itemsize, dtype)
    moves = [(size, *move) for size in WORKING_SETS for move in _moves(calls, ones, size)]
    one, out = (calls.place(np.ones(1, dtype)) for _ in range(2))
    empty = _timed(partial(calls.add, one, out), calls)
    rates, copies, empties = [], dict.fromkeys(WORKING_SETS, 0.0), []
    for _ in range(SWEEPS):
        rates += [flops / timed.seconds() for flops, timed in products]
        for size, moved, timed in moves:
            copies[size] = max(copies[size], moved / timed.seconds())
        empties.append(empty.seconds())
    return Best(max(rates), tuple(copies.items()), min(empties))


def _products(calls: Calls, dtype: str) -> list[tuple[float, Timed]]:
    """Return products of square matrices, each with its FLOPs, up to the first that takes long."""
    rng = np.random.default_rng(0)
    products: list[tuple[float, Timed]] = []
    n = SMALLEST
    while n <= LARGEST:
        # Random numbers: products of zeros draw less power, and some processors clock higher for it.
        A, B, out = (
            calls.place(rng.standard_normal((n, n), np.float32).astype(dtype)) for _ in range(3)
        )
        timed = _timed(partial(calls.matmul, A, B, out), calls)
        products.append((2.0 * n**3, timed))
        if timed.seconds() > LONG:
            break
        n *= 2
    return products


def _moves(calls: Calls, ones: np.ndarray, size: int) -> list[tuple[int, Timed]]:
    """Return what moves the bytes of a working set: a copy, an update in place, a sum.

    A sum only reads, as a step at a batch of one almost does. Each comes with the bytes that it moves.
    """
    count = size // ones.itemsize
    whole, source, target = map(
        calls.place, (ones[:count], ones[: count // 2], ones[count // 2 : count])
    )
    moves = [(size, partial(calls.copy, source, target)), (size, partial(calls.total, whole))]
    if calls.update is not None:
        moves.append((2 * size, partial(calls.update, whole)))
    return [(moved, _timed(call, calls)) for moved, call in moves]


def _timed(call: Callable[[], Any], calls: Calls) -> Timed:
    last: list[Any] = [call()]

    def run() -> None:
        last[0] = call()

    contestant = Contestant(run, 1, wait=lambda: calls.wait(last[0]))
    return Timed(contestant, warm_up(contestant, WARM, BLOCK).passes)


def _numpy() -> Calls:
    return Calls(
        place=lambda array: array,
        matmul=lambda A, B, out: np.matmul(A, B, out=out),
        copy=lambda source, target: np.copyto(target, source),
        total=lambda source: np.dot(source, source),
        add=lambda one, out: np.add(one, one, out),
        wait=lambda _: None,
        update=lambda target: np.negative(target, out=target),
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
        total=lambda source: source.sum(),
        add=lambda one, out: out.copy_(one),
        wait=wait,
        update=lambda target: target.neg_(),
    )


def _jax() -> Calls:
    from chainrule.bench.contestants import jax as peer

    calls: Calls = peer.calls(Calls)
    return calls


def _cupy() -> Calls:
    from chainrule.backends import named

    backend = named("cupy")
    xp = backend.xp
    return Calls(
        place=backend.asarray,
        matmul=lambda A, B, out: xp.matmul(A, B, out=out),
        copy=backend.copy,
        total=xp.sum,
        add=lambda one, out: xp.add(one, one, out),
        wait=backend.synchronize,
        update=lambda target: xp.negative(target, out=target),
    )


_CALLS: dict[str, Callable[[], Calls]] = {
    "numpy": _numpy,
    "torch": _torch,
    "torch-cuda": _torch_cuda,
    "jax": _jax,
    "cupy": _cupy,
}
