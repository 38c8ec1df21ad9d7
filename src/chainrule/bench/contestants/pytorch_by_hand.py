"""PyTorch without autograd: the derivatives written by hand, for speed."""

from collections.abc import Callable
from typing import Any

import torch

Step = Callable[[Any, Any, list[Any], list[Any], float], Any]


def shallow(X: Any, Y: Any, weights: list[Any], biases: list[Any], rate: float) -> Any:
    """Take a step of sigmoid-sigmoid; a weight's update is part of the product that makes its gradient."""
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


def deep(optimizer: Any) -> Step:
    """Return the step of relu layers with softmax cross-entropy; ``optimizer`` updates."""

    def step(X: Any, Y: Any, weights: list[Any], biases: list[Any], _rate: float) -> Any:
        A = [X]
        for W, b in zip(weights[:-1], biases[:-1], strict=True):
            A.append(torch.addmm(b, A[-1], W).relu_())  # (n, n_l)
        logs = torch.log_softmax(torch.addmm(biases[-1], A[-1], weights[-1]), 1)  # (n, n_L)
        D = logs.exp().sub_(Y).div_(len(X))  # (n, n_L)
        for number in reversed(range(len(weights))):
            weights[number].grad = A[number].T @ D  # (n_in, n_out)
            biases[number].grad = D.sum(0, keepdim=True)  # (1, n_out)
            if number > 0:
                D = torch.ops.aten.threshold_backward(D @ weights[number].T, A[number], 0)  # (n, n_l)
        optimizer.step()
        return torch.dot(logs.view(-1), Y.view(-1)).div_(-len(X))

    return step
