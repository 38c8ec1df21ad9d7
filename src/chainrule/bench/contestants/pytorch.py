"""PyTorch: eager with autograd, with derivatives written by hand, and compiled."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from chainrule.bench.cell_data import BETA1, BETA2, EPSILON, CellData
from chainrule.bench.contestant import Contestant, State, UnavailableError, over_batches
from chainrule.bench.contestants.pytorch_by_hand import Step, deep, shallow


def tensor(array: np.ndarray, device: str = "cpu") -> Any:
    """Return an array as a tensor; on a CUDA device it is a copy.

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
    """Return a function that waits until a device has computed everything; its arguments do not matter."""

    def wait(*_: Any) -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    return wait


def eager(device: str, data: CellData, operation: str) -> Contestant:
    """Return modules, autograd and an optimizer of torch.optim, as in PyTorch's tutorials."""
    model = _Model(data, device)
    return _forward(model) if operation == "forward" else model.contestant(model.step(model.loss))


def compiled(device: str, mode: str, data: CellData, _operation: str) -> Contestant:
    """Return the modules with the loss and its gradient compiled by ``torch.compile``.

    ``mode="reduce-overhead"`` captures CUDA graphs of the compiled functions.
    """
    model = _Model(data, device)
    return model.contestant(model.step(torch.compile(model.loss, mode=mode)))


def graph(steps: str, mode: str, data: CellData, _operation: str) -> Contestant:
    """Return whole steps captured in a CUDA graph, as in PyTorch's notes on CUDA graphs.

    Parameters
    ----------
    steps
        "one": a step, launched for each batch; "all": the steps of a pass, launched at once.
    mode
        "eager", or "compile" for a loss and its gradient that ``torch.compile`` has made.
    data
        The data of the cell.
    """
    model = _Model(data, "cuda", graphed=True)
    step = model.step(torch.compile(model.loss) if mode == "compile" else model.loss)
    every = torch.stack(model.rows)  # (steps, n)
    passes = list(every.split(1 if steps == "one" else data.steps))  # (1, n) or (steps, n) each
    chosen = passes[0].clone()
    captured, loss = _captured(partial(_each, step, chosen), model)

    def replayed(rows: Any) -> Any:
        chosen.copy_(rows)
        captured.replay()
        return loss

    return replace(model.contestant(replayed, passes), steps=data.steps)


def _each(step: Callable[[Any], Any], batches: Any) -> Any:
    """Take a step on each batch of rows; return the last loss."""
    for rows in batches:
        loss = step(rows)
    return loss


def _captured(run: Callable[[], Any], model: "_Model") -> tuple[Any, Any]:
    """Return the graph of steps and its loss; the parameters are reset after the steps of the warm-up."""
    start = [part.detach().clone() for part in model.parameters]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    # The graph allocates its own gradients, and does not accumulate.
    model.optimizer.zero_grad(set_to_none=True)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        loss = run()
    with torch.no_grad():
        for part, value in zip(model.parameters, start, strict=True):
            part.copy_(value)
        for state in model.optimizer.state.values():
            for held in filter(torch.is_tensor, state.values()):
                held.zero_()
    return captured, loss


class _Model:
    """Modules with the data's initial parameters, the data on the device, and the optimizer."""

    def __init__(self, data: CellData, device: str, *, graphed: bool = False) -> None:
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
        # The sum of squares at half the rate: the same step as with half the sum, with one operation less.
        self._scale = 1.0 if is_adam else 0.5
        self._criterion = torch.nn.CrossEntropyLoss() if is_adam else torch.nn.MSELoss(reduction="sum")
        rate = data.rate * self._scale
        how = {"fused": True} if graphed else {"foreach": True}  # one kernel, or one for each operation
        if is_adam:
            self.optimizer: Any = adam(self.parameters, rate, capturable=graphed, **how)
        else:
            self.optimizer = torch.optim.SGD(self.parameters, lr=rate, **how)

    def loss(self, X: Any, targets: Any) -> Any:
        """Return the loss of a batch."""
        return self._criterion(self.module(X), targets)

    def step(self, loss_of: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
        """Return a step on the rows of a batch, with this loss."""

        def step(rows: Any) -> Any:
            self.optimizer.zero_grad(set_to_none=True)  # no kernel: the gradients are assigned
            loss = loss_of(self.X[rows], self.targets[rows])
            loss.backward()
            self.optimizer.step()
            return loss

        return step

    def contestant(self, step: Callable[[Any], Any], batches: Sequence[Any] | None = None) -> Contestant:
        """Return the contestant whose pass takes a step on each batch."""
        return over_batches(step, batches or self.rows, waiting(self.device), state=self._state)

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
    wait, outputs = waiting(model.device), lambda A: A.cpu().numpy()
    one = over_batches(model.module, batches, wait, outputs=outputs)
    return replace(one, context=torch.no_grad)


def manual(data: CellData, _operation: str) -> Contestant:
    """Return the step with derivatives written by hand, computed in place where possible."""
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
