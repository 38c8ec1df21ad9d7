"""PyTorch: eager with autograd, the derivatives written out by hand, and compiled."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from chainrule.bench.cell_data import BETA1, BETA2, EPSILON, CellData
from chainrule.bench.contestant import Contestant, State, UnavailableError, over_batches
from chainrule.bench.contestants.pytorch_by_hand import Step, deep, shallow


def tensor(array: np.ndarray, device: str = "cpu") -> Any:
    """Return an array as a tensor; on a CUDA device a copy of it.

    Raises
    ------
    UnavailableError
        If there is no CUDA device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        msg = "PyTorch finds no CUDA device"
        raise UnavailableError(msg)
    return torch.from_numpy(array).to(device)


def waiting(device: str) -> Callable[..., None]:
    """Return a function that returns when a device has computed everything, whatever it is given."""

    def wait(*_: Any) -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    return wait


def eager(device: str, data: CellData, operation: str) -> Contestant:
    """Return modules, autograd and an optimizer of torch.optim, as the tutorials write it."""
    model = _Model(data, device)
    return _forward(model) if operation == "forward" else model.contestant(model.step(model.loss))


def compiled(device: str, mode: str, data: CellData, _operation: str) -> Contestant:
    """Return the same, the loss and its gradient compiled by ``torch.compile``.

    ``mode="reduce-overhead"`` captures CUDA graphs of what it compiled.
    """
    model = _Model(data, device)
    return model.contestant(model.step(torch.compile(model.loss, mode=mode)))


def graph(data: CellData, _operation: str) -> Contestant:
    """Return the whole step captured in a CUDA graph, its batch gathered into static tensors."""
    model = _Model(data, "cuda", capturable=True)
    rows = model.rows[0].clone()  # (n,)
    step = partial(model.step(model.loss, set_to_none=False), rows)
    captured, loss = _captured(step, model)

    def replayed(chosen: Any) -> Any:
        rows.copy_(chosen)
        captured.replay()
        return loss

    return model.contestant(replayed)


def _captured(step: Callable[[], Any], model: "_Model") -> tuple[Any, Any]:
    """Return the graph of a step and its loss; the steps taken to warm it up are taken back."""
    start = [part.detach().clone() for part in model.parameters]
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        loss = step()
    with torch.no_grad():
        for part, value in zip(model.parameters, start, strict=True):
            part.copy_(value)
        for state in model.optimizer.state.values():
            for held in state.values():
                held.zero_()
    return captured, loss


class _Model:
    """Modules at the data's start, its data, and the optimizer."""

    def __init__(self, data: CellData, device: str, **how: bool) -> None:
        self._data, is_adam = data, data.cell.rule == "adam"
        self.device = device
        self.X = tensor(data.X, device)
        self.targets = tensor(data.labels if is_adam else data.Y, device)
        self.rows = [tensor(rows, device) for rows in data.rows]
        between = torch.nn.ReLU if is_adam else torch.nn.Sigmoid
        self.linears = [_linear(W, b) for W, b in zip(data.weights, data.biases, strict=True)]
        modules = [module for linear in self.linears for module in (linear, between())]
        # With Adam the loss takes logits.
        self.module = torch.nn.Sequential(*modules[: -1 if is_adam else None]).to(device)
        self.parameters = list(self.module.parameters())
        # The sum of squares at half the rate: the same step as half the sum, an operation less.
        self._scale = 1.0 if is_adam else 0.5
        self._criterion = torch.nn.CrossEntropyLoss() if is_adam else torch.nn.MSELoss(reduction="sum")
        rate = data.rate * self._scale
        if is_adam:
            self.optimizer: Any = adam(self.parameters, rate, **({"foreach": True} | how))
        else:
            self.optimizer = torch.optim.SGD(self.parameters, lr=rate, foreach=True)

    def loss(self, X: Any, targets: Any) -> Any:
        """Return the loss of a batch."""
        return self._criterion(self.module(X), targets)

    def step(
        self, loss_of: Callable[[Any, Any], Any], *, set_to_none: bool = True
    ) -> Callable[[Any], Any]:
        """Return a step on the rows of a batch, with this loss."""

        def step(rows: Any) -> Any:
            self.optimizer.zero_grad(set_to_none=set_to_none)
            loss = loss_of(self.X[rows], self.targets[rows])
            loss.backward()
            self.optimizer.step()
            return loss

        return step

    def contestant(self, step: Callable[[Any], Any]) -> Contestant:
        """Return the contestant whose pass takes a step on each batch."""
        return over_batches(step, self.rows, waiting(self.device), state=self._state)

    def _state(self, loss: Any) -> State:
        weights = [linear.weight.detach().T.cpu().numpy() for linear in self.linears]
        biases = [linear.bias.detach().reshape(1, -1).cpu().numpy() for linear in self.linears]
        return State(self._scale * loss.item(), [*weights, *biases])


def _linear(W: np.ndarray, b: np.ndarray) -> Any:
    linear = torch.nn.Linear(*W.shape, dtype=tensor(W).dtype)
    with torch.no_grad():
        linear.weight.copy_(tensor(W).T)
        linear.bias.copy_(tensor(b[0]))
    return linear


def adam(parameters: list[Any], rate: float, **how: bool) -> Any:
    """Return torch.optim's Adam with the data's constants."""
    return torch.optim.Adam(parameters, lr=rate, betas=(BETA1, BETA2), eps=EPSILON, **how)


def _forward(model: _Model) -> Contestant:
    batches = [model.X[rows] for rows in model.rows]  # (n, n_0) each
    one = over_batches(model.module, batches, waiting(model.device), outputs=_on_host)
    return replace(one, context=torch.no_grad)


def _on_host(A: Any) -> np.ndarray:
    return np.asarray(A.cpu().numpy())


def manual(data: CellData, _operation: str) -> Contestant:
    """Return the step with its derivatives written out, results in place where they can be."""
    X, Y = tensor(data.X), tensor(data.Y)
    batches = [tensor(rows) for rows in data.rows]
    weights, biases = ([tensor(part) for part in parts] for parts in data.copies())
    function: Step = shallow
    if data.cell.rule == "adam":
        function = deep(adam([*weights, *biases], data.rate, fused=True))

    def step(rows: Any) -> Any:
        return function(X[rows], Y[rows], weights, biases, data.rate)

    def state(L: Any) -> State:
        return State(L.item(), [part.numpy() for part in (*weights, *biases)])

    return replace(over_batches(step, batches, waiting("cpu"), state=state), context=torch.no_grad)
