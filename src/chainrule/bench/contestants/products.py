"""The bare products: the matrix products of a step and nothing else, in NumPy, PyTorch and CuPy."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from chainrule.bench.cell_data import CellData
from chainrule.bench.contestant import Contestant
from chainrule.bench.contestants import ours
from chainrule.program.machine import blas_threads
from chainrule.program.row_blocks import one_core

EXEMPT = "it takes no step"

# A, B, and the array for their product; arrays of NumPy or another library.
Product = tuple[Any, Any, Any]


def numpy(data: CellData, operation: str) -> Contestant:
    """Return the products by ``np.dot(out=)``: the BLAS calls of ``np.matmul``, with half of its overhead.

    BLAS has the threads that it has in our step: one where the products are small.
    """
    contestant = _with_out(products(data, operation), np.dot, data.steps)
    theta = np.concatenate([part.ravel() for part in data.parameters])  # (P,)
    is_small = one_core(theta, data.cell.batch)
    return replace(contestant, context=partial(blas_threads, 1)) if is_small else contestant


def torch(device: str, data: CellData, operation: str) -> Contestant:
    """Return the products by ``torch.matmul(out=)``, without autograd, on "cpu" or "cuda"."""
    import torch as library

    from chainrule.bench.contestants import pytorch

    library.set_grad_enabled(False)
    calls = [tuple(pytorch.tensor(part, device) for part in call) for call in products(data, operation)]
    return replace(_with_out(calls, library.matmul, data.steps), wait=pytorch.waiting(device))


def cupy(data: CellData, operation: str) -> Contestant:
    """Return the products of chainrule's CUDA graph of a step, one launch per pass; forward, one by one."""
    backend = ours.available("cupy")
    wait = backend.device.synchronize
    if operation == "forward":
        calls = [tuple(map(backend.asarray, call)) for call in products(data, operation)]
        return replace(_with_out(calls, backend.xp.matmul, data.steps), wait=wait)
    from chainrule.program.cuda.products_only import products as captured

    device = backend.cuda_device()  # type: ignore[attr-defined]  # in TF32 if our step uses TF32
    run = captured(ours.work(data.first_batch(), backend), device, data.steps)
    return Contestant(run, data.steps, wait=wait, exempt=EXEMPT, context=device.at_work)


def _with_out(calls: list[Any], matmul: Callable[..., Any], steps: int) -> Contestant:
    def run() -> None:
        for A, B, out in calls:
            matmul(A, B, out=out)

    return Contestant(run, steps, exempt=EXEMPT)


def products(data: CellData, operation: str) -> list[Product]:
    """Return the products of a pass, in the order of its steps: ``3L - 1`` each, or ``L`` forward.

    Everything but X holds random numbers of the same scale. Each batch of X is its own; the rest is overwritten in every
    step, as in training.
    """
    n, dtype = data.cell.batch, data.cell.dtype
    rng = np.random.default_rng(1)
    A, D = ([rng.standard_normal((n, W.shape[1])).astype(dtype) for W in data.weights] for _ in "AD")
    dL_dW = [np.empty_like(W) for W in data.weights]  # (n_in, n_out)
    Z, dL_dA = [np.empty_like(d) for d in D], [np.empty_like(a) for a in [data.X[:n], *A]]  # (n, n_l)
    calls: list[Product] = []
    for start, stop in data.bounds:
        inputs = [data.X[start:stop], *A]
        calls += zip(inputs, data.weights, Z, strict=False)
        if operation == "forward":
            continue
        for number, W in reversed(list(enumerate(data.weights))):
            calls.append((inputs[number].T, D[number], dL_dW[number]))
            if number > 0:
                calls.append((D[number], W.T, dL_dA[number]))
    return calls
