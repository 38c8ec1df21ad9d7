"""PyTorch: eager with autograd, the derivatives written out by hand, and compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from chainrule.bench.contestant import Contestant, State, UnavailableError
from chainrule.bench.contestants.pytorch_by_hand import Step, deep, shallow
from chainrule.bench.task import BETA1, BETA2, EPSILON, Task

tensor = torch.from_numpy
NO_DEVICE = "PyTorch finds no CUDA device"


def cuda_tensor(array: np.ndarray) -> Any:
    """Return a copy of an array on a CUDA device.

    Raises
    ------
    UnavailableError
        If there is none.
    """
    if not torch.cuda.is_available():
        raise UnavailableError(NO_DEVICE)
    return tensor(array).cuda()


def wait_for_cuda() -> None:
    """Return when a CUDA device has computed everything."""
    torch.cuda.synchronize()


def matmul() -> Callable[..., Any]:
    """Return ``torch.matmul``, which autograd does not watch."""
    torch.set_grad_enabled(False)
    found: Callable[..., Any] = torch.matmul
    return found


def eager(task: Task, operation: str) -> Contestant:
    """Return modules, autograd and an optimizer of torch.optim, as the tutorials write it."""
    return _eager(task, operation, "cpu")


def eager_cuda(task: Task, operation: str) -> Contestant:
    """Return the same on a CUDA device."""
    return _eager(task, operation, "cuda")


def _eager(task: Task, operation: str, device: str) -> Contestant:
    model = _Model(task, device)
    if operation == "forward":
        return _forward(task, model)

    def step(rows: Any) -> Any:
        model.optimizer.zero_grad(set_to_none=True)
        loss = model.loss(model.X[rows], model.targets[rows])
        loss.backward()
        model.optimizer.step()
        return loss

    return model.contestant(step)


def compiled(task: Task, _operation: str) -> Contestant:
    """Return the same, the loss and its gradient compiled by ``torch.compile``."""
    return _compiled(task, "cpu", "default")


def compiled_cuda(task: Task, _operation: str) -> Contestant:
    """Return the same on a CUDA device."""
    return _compiled(task, "cuda", "default")


def reduced_cuda(task: Task, _operation: str) -> Contestant:
    """Return the same with ``mode="reduce-overhead"``, which captures CUDA graphs of what it compiled."""
    return _compiled(task, "cuda", "reduce-overhead")


def _compiled(task: Task, device: str, mode: str) -> Contestant:
    model = _Model(task, device)
    loss_of = torch.compile(model.loss, mode=mode)

    def step(rows: Any) -> Any:
        model.optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model.X[rows], model.targets[rows])
        loss.backward()
        model.optimizer.step()
        return loss

    return model.contestant(step)


def graph(task: Task, _operation: str) -> Contestant:
    """Return the whole step captured in a CUDA graph, its batch gathered into static tensors."""
    model = _Model(task, "cuda", capturable=True)
    rows = model.rows[0].clone()  # (n,)

    def step() -> Any:
        model.optimizer.zero_grad(set_to_none=False)
        loss = model.loss(model.X[rows], model.targets[rows])
        loss.backward()
        model.optimizer.step()
        return loss

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
    """Modules at the task's start, its data, and the optimizer."""

    def __init__(self, task: Task, device: str, **how: bool) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise UnavailableError(NO_DEVICE)
        self._task, is_adam = task, task.cell.rule == "adam"
        self._device = device
        self.X = tensor(task.X).to(device)
        self.targets = tensor(task.labels if is_adam else task.Y).to(device)
        self.rows = [tensor(rows).to(device) for rows in task.rows]
        between = torch.nn.ReLU if is_adam else torch.nn.Sigmoid
        self.linears = [_linear(W, b) for W, b in zip(task.weights, task.biases, strict=True)]
        modules = [module for linear in self.linears for module in (linear, between())]
        # With Adam the loss takes logits.
        self.module = torch.nn.Sequential(*modules[: -1 if is_adam else None]).to(device)
        self.parameters = list(self.module.parameters())
        # The sum of squares at half the rate: the same step as half the sum, an operation less.
        self._scale = 1.0 if is_adam else 0.5
        self._criterion = torch.nn.CrossEntropyLoss() if is_adam else torch.nn.MSELoss(reduction="sum")
        rate = task.rate * self._scale
        if is_adam:
            self.optimizer: Any = adam(self.parameters, rate, **({"foreach": True} | how))
        else:
            self.optimizer = torch.optim.SGD(self.parameters, lr=rate, foreach=True)

    def loss(self, X: Any, targets: Any) -> Any:
        """Return the loss of a batch."""
        return self._criterion(self.module(X), targets)

    def contestant(self, step: Callable[[Any], Any]) -> Contestant:
        """Return the contestant whose pass takes a step on each batch."""

        def run() -> Any:
            for rows in self.rows:
                loss = step(rows)
            return loss

        note = f"{torch.get_num_threads()} threads" if self._device == "cpu" else self._device
        return Contestant(run, self._task.steps, self._state, wait=self.wait, note=note)

    def wait(self) -> None:
        """Wait for the device."""
        if self._device == "cuda":
            torch.cuda.synchronize()

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
    """Return torch.optim's Adam with the task's constants."""
    return torch.optim.Adam(parameters, lr=rate, betas=(BETA1, BETA2), eps=EPSILON, **how)


def _forward(task: Task, model: _Model) -> Contestant:
    batches = [model.X[rows] for rows in model.rows]  # (n, n_0) each

    def run() -> Any:
        with torch.no_grad():
            for X in batches:
                A = model.module(X)  # (n, n_L)
        return A

    return Contestant(run, task.steps, outputs=lambda A: np.asarray(A.cpu().numpy()), wait=model.wait)


def manual(task: Task, _operation: str) -> Contestant:
    """Return the step with its derivatives written out, results in place where they can be."""
    X, Y = tensor(task.X), tensor(task.Y)
    batches = [tensor(rows) for rows in task.rows]
    weights, biases = ([tensor(part) for part in parts] for parts in task.copies())
    function: Step = shallow
    if task.cell.rule == "adam":
        function = deep(adam([*weights, *biases], task.rate, fused=True))

    def run() -> Any:
        with torch.no_grad():
            for rows in batches:
                L = function(X[rows], Y[rows], weights, biases, task.rate)
        return L

    def state(L: Any) -> State:
        return State(L.item(), [part.numpy() for part in (*weights, *biases)])

    return Contestant(run, task.steps, state, note=f"{torch.get_num_threads()} threads")
