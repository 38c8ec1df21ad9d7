"""PyTorch: eager with autograd, and the derivatives written out by hand."""

from collections.abc import Callable
from typing import Any

from step_contestants.contestant import Contestant, State
from step_contestants.problem import BETA1, BETA2, EPSILON, Problem


def eager(problem: Problem) -> Contestant:
    """Return modules, autograd and an optimizer of torch.optim, as the tutorials write it."""
    import torch

    X, Y = torch.from_numpy(problem.X), torch.from_numpy(problem.Y)
    model, linears = _model(problem)
    parameters = list(model.parameters())
    if problem.cell.adam:
        labels, scale = torch.from_numpy(problem.labels), 1.0
        optimizer = _adam(parameters, problem.rate, foreach=True)
        criterion = torch.nn.CrossEntropyLoss()
    else:
        # The sum of squares at half the rate: the same step as half the sum, an operation less.
        labels, scale = Y, 0.5
        optimizer = torch.optim.SGD(parameters, lr=problem.rate * scale, foreach=True)
        criterion = torch.nn.MSELoss(reduction="sum")

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(X), labels)
        loss.backward()
        optimizer.step()
        return loss

    def state(loss: Any) -> State:
        weights = [linear.weight.detach().T.numpy() for linear in linears]
        biases = [linear.bias.detach().reshape(1, -1).numpy() for linear in linears]
        return State(scale * loss.item(), [*weights, *biases])

    return Contestant(step, state, note=f"{torch.get_num_threads()} threads")


def _model(problem: Problem) -> tuple[Any, list[Any]]:
    """Return the module, and its linear layers, at the start."""
    import torch

    between = torch.nn.ReLU if problem.cell.adam else torch.nn.Sigmoid
    modules, linears = [], []
    for W, b in zip(problem.weights, problem.biases, strict=True):
        linear = torch.nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W).T)
            linear.bias.copy_(torch.from_numpy(b[0]))
        linears.append(linear)
        modules += [linear, between()]
    if problem.cell.adam:
        modules.pop()  # the loss takes logits
    return torch.nn.Sequential(*modules), linears


def _adam(parameters: list[Any], rate: float, **how: bool) -> Any:
    import torch

    return torch.optim.Adam(parameters, lr=rate, betas=(BETA1, BETA2), eps=EPSILON, **how)


def manual(problem: Problem) -> Contestant:
    """Return the step with its derivatives written out, results in new tensors."""
    if problem.cell.adam:
        return _by_hand(problem, _deep(problem, foreach=True))
    return _by_hand(problem, _textbook)


def buffers(problem: Problem) -> Contestant:
    """Return the same with every result in a tensor made beforehand."""
    if problem.cell.adam:
        return _by_hand(problem, _deep(problem, fused=True))
    return _by_hand(problem, _into_buffers(problem))


Step = Callable[[Any, Any, list[Any], list[Any], float], Any]


def _by_hand(problem: Problem, function: Step) -> Contestant:
    """Return the contestant that calls a step written by hand."""
    import torch

    X, Y = torch.from_numpy(problem.X), torch.from_numpy(problem.Y)
    weights, biases = ([torch.from_numpy(part) for part in parts] for parts in problem.copies())
    rate = problem.rate

    @torch.no_grad()
    def step() -> Any:
        return function(X, Y, weights, biases, rate)

    def state(loss: Any) -> State:
        return State(loss.item(), [part.numpy() for part in (*weights, *biases)])

    return Contestant(step, state, note=f"{torch.get_num_threads()} threads")


def _textbook(X: Any, Y: Any, weights: list[Any], biases: list[Any], rate: float) -> Any:
    """Sigmoid-sigmoid; the update of a weight is part of the product that makes its gradient."""
    import torch

    (W1, W2), (b1, b2) = weights, biases
    A1 = torch.addmm(b1, X, W1).sigmoid_()  # (n, n_1)
    A2 = torch.addmm(b2, A1, W2).sigmoid_()  # (n, n_2)
    E = A2 - Y  # (n, n_2)
    D2 = torch.ops.aten.sigmoid_backward(E, A2)  # (n, n_2)
    D1 = torch.ops.aten.sigmoid_backward(D2 @ W2.T, A1)  # (n, n_1)
    W2.addmm_(A1.T, D2, alpha=-rate)
    b2.add_(D2.sum(0, keepdim=True), alpha=-rate)
    W1.addmm_(X.T, D1, alpha=-rate)
    b1.add_(D1.sum(0, keepdim=True), alpha=-rate)
    return torch.dot(E.view(-1), E.view(-1)).mul_(0.5)


def _into_buffers(problem: Problem) -> Step:
    """Return the textbook's step with ``out=`` wherever torch has it."""
    import torch

    n, (_, n_1, n_2) = problem.cell.batch, problem.cell.sizes
    A1, D1, G1 = (torch.empty(n, n_1) for _ in range(3))
    A2, E, D2 = (torch.empty(n, n_2) for _ in range(3))
    s1, s2, L = torch.empty(1, n_1), torch.empty(1, n_2), torch.empty(())
    backward = torch.ops.aten.sigmoid_backward.grad_input

    def step(X: Any, Y: Any, weights: list[Any], biases: list[Any], rate: float) -> Any:
        (W1, W2), (b1, b2) = weights, biases
        torch.addmm(b1, X, W1, out=A1).sigmoid_()
        torch.addmm(b2, A1, W2, out=A2).sigmoid_()
        torch.sub(A2, Y, out=E)
        backward(E, A2, grad_input=D2)
        torch.mm(D2, W2.T, out=G1)
        backward(G1, A1, grad_input=D1)
        W2.addmm_(A1.T, D2, alpha=-rate)
        b2.add_(torch.sum(D2, 0, keepdim=True, out=s2), alpha=-rate)
        W1.addmm_(X.T, D1, alpha=-rate)
        b1.add_(torch.sum(D1, 0, keepdim=True, out=s1), alpha=-rate)
        return torch.dot(E.view(-1), E.view(-1), out=L).mul_(0.5)

    return step


def _deep(problem: Problem, **how: bool) -> Step:
    """Return the step of relu layers with softmax cross-entropy; the update is torch.optim's Adam."""
    import torch

    optimizer: list[Any] = []
    n = problem.cell.batch

    def step(X: Any, Y: Any, weights: list[Any], biases: list[Any], rate: float) -> Any:
        if not optimizer:
            optimizer.append(_adam([*weights, *biases], rate, **how))
        A = [X]
        for W, b in zip(weights[:-1], biases[:-1], strict=True):
            A.append(torch.addmm(b, A[-1], W).relu_())  # (n, n_l)
        logs = torch.log_softmax(torch.addmm(biases[-1], A[-1], weights[-1]), 1)  # (n, n_L)
        D = logs.exp().sub_(Y).div_(n)  # (n, n_L)
        for number in reversed(range(len(weights))):
            weights[number].grad = A[number].T @ D  # (n_in, n_out)
            biases[number].grad = D.sum(0, keepdim=True)  # (1, n_out)
            if number > 0:
                D = torch.ops.aten.threshold_backward(D @ weights[number].T, A[number], 0)  # (n, n_l)
        optimizer[0].step()
        return torch.dot(logs.view(-1), Y.view(-1)).div_(-n)

    return step
