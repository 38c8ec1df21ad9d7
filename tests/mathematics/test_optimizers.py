"""The optimizers: against their recurrences, and against torch's."""

import numpy as np
import pytest

from chainrule.mathematics.optimizers import adam, adamw, momentum, nesterov, sgd
from support.compare import relative_error

STEPS, P = 12, 7

RULES = {
    "sgd": (sgd(), "SGD", {}),
    "momentum": (momentum(0.8), "SGD", {"momentum": 0.8}),
    "nesterov": (nesterov(0.8), "SGD", {"momentum": 0.8, "nesterov": True}),
    "adam": (adam(0.8, 0.95, 1e-6), "Adam", {"betas": (0.8, 0.95), "eps": 1e-6}),
    "adamw": (
        adamw(0.8, 0.95, 1e-6, 0.1),
        "AdamW",
        {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
    ),
    "adam, large epsilon": (adam(epsilon=0.1), "Adam", {"eps": 0.1}),
    "adam as it comes": (adam(), "Adam", {}),
    "adamw as it comes": (adamw(), "AdamW", {}),
    "momentum as it comes": (momentum(), "SGD", {"momentum": 0.9}),
}


def drawn(rng, stack=()):
    """Return a start and the gradients and rates of each step."""
    gradients = rng.standard_normal((STEPS, *stack, P)) * np.geomspace(1e-4, 10, P)
    return rng.standard_normal((*stack, P)), gradients, np.linspace(0.1, 0.01, STEPS)


def run(rule, theta, gradients, rates, backend):
    theta = backend.asarray(theta)
    state = rule.init(theta)
    for g, rate in zip(gradients, rates, strict=True):
        theta, state = rule.update(backend.asarray(g), state, theta, backend.asarray(rate, theta.dtype))
    return backend.to_numpy(theta)


def recurrence(name, theta, gradients, rates, **setting):
    """The update as the papers write it, one number at a time."""
    beta1, beta2 = setting.get("betas", (0.9, 0.999))
    epsilon, decay, mu = (
        setting.get(k, d) for k, d in (("eps", 1e-8), ("weight_decay", 0.01), ("momentum", 0))
    )
    m = v = np.zeros(P)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        if name == "SGD":
            m = mu * m + g
            theta = theta - rate * (g + mu * m if setting.get("nesterov") else m)
            continue
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        if name == "AdamW":
            theta = theta - rate * decay * theta
        theta = theta - rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
    return theta


def test_steps_are_those_of_the_recurrence_on_every_backend(backend, rng):
    start, gradients, rates = drawn(rng)
    for label, (rule, name, setting) in RULES.items():
        got = run(rule, start, gradients, rates, backend)
        assert relative_error(got, recurrence(name, start, gradients, rates, **setting)) < 1e-13, label


@pytest.mark.needs("torch")
def test_steps_are_those_of_torch_optim(reference, rng):
    import torch

    start, gradients, rates = drawn(rng)
    for label, (rule, name, setting) in RULES.items():
        theta = torch.nn.Parameter(torch.from_numpy(start.copy()))
        theirs = getattr(torch.optim, name)([theta], lr=0.1, **setting)
        for g, rate in zip(gradients, rates, strict=True):
            theirs.param_groups[0]["lr"] = float(rate)
            theta.grad = torch.from_numpy(g)
            theirs.step()
        got = run(rule, start, gradients, rates, reference)
        assert relative_error(got, theta.detach().numpy()) < 1e-12, label


def test_a_stack_of_parameters_is_updated_as_each_alone(reference, rng):
    start, gradients, rates = drawn(rng, (3,))
    for rule, *_ in RULES.values():
        together = run(rule, start, gradients, rates, reference)
        for number in range(3):
            alone = run(rule, start[number], gradients[:, number], rates, reference)
            assert (together[number] == alone).all()


def test_float32_keeps_its_digits_in_adams_first_steps(backend, rng):
    start, gradients, rates = drawn(rng)
    for rule in (adam(), adamw()):
        single = run(rule, np.float32(start), np.float32(gradients), rates, backend)
        assert single.dtype == np.float32
        assert relative_error(single, run(rule, start, gradients, rates, backend)) < 1e-6


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient_and_a_beta_may_be_0(reference):
    theta = run(adam(), np.zeros(3), [np.array([1e-3, -5.0, 1e4])], [0.1], reference)
    assert theta == pytest.approx([-0.1, 0.1, -0.1], rel=1e-4)
    rule, gradient = adam(beta1=0.0, beta2=0.0), np.array([3.0, -4.0])
    assert run(rule, np.zeros(2), [gradient] * 2, [0.1] * 2, reference) == pytest.approx([-0.2, 0.2])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: momentum(1.0), "momentum: decay is 1.0; give a number from 0"),
        (lambda: nesterov(None), "nesterov: decay is None"),
        (lambda: adam(beta2=-1.0), "adam: beta2 is -1.0"),
        (lambda: adamw(epsilon=0.0), "adamw: epsilon is 0.0; give a finite number above 0"),
        (lambda: adam(epsilon=float("inf")), "adam: epsilon is inf; give a finite number above 0"),
        (lambda: adamw(weight_decay=float("nan")), "adamw: weight_decay is nan; give a finite number"),
        (lambda: adam(beta1="0.9"), "adam: beta1 is '0.9'; give a number from 0"),
    ],
)
def test_settings_outside_their_range_are_refused(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()
