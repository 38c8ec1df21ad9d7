"""Epilogues: a layer's forward product that adds the bias, and takes the relu, in the same kernel, by cuBLASLt.

Whether that is faster than a product and a kernel after it depends on the shape and the device. So both are timed once,
and the times are kept in the cache folder; ``CHAINRULE_EPILOGUE=lt`` or ``plain`` decides without timing anything.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from chainrule.program import machine
from chainrule.program.cuda.cublas_lt import alignment
from chainrule.program.cuda.device import CannotCaptureError, Device, Product
from chainrule.program.operations import Fusion, Value
from chainrule.program.plan import Plan
from chainrule.program.replay import Call

VARIABLE = "CHAINRULE_EPILOGUE"


class Layer(NamedTuple):
    """A forward product, and the chain after it, which adds a bias and may take the relu."""

    product: Fusion
    chain: Fusion
    bias: Value
    relu: bool

    def __str__(self) -> str:
        (rows, inner), columns = self.product.only.inputs[0].shape, self.bias.shape[-1]
        kind = "relu" if self.relu else "identity"
        return f"({rows}, {inner}) @ ({inner}, {columns}) {self.bias.dtype.name} {kind}"


def layers(plan: Plan) -> list[Layer]:
    """Return the products of a plan that cuBLASLt could finish.

    Examples
    --------
    >>> from chainrule.mathematics.arrays import namespace
    >>> from chainrule.program.cuda.planning import cuda_plan
    >>> from chainrule.program.plan import plan
    >>> from chainrule.program.trace import Spec, trace
    >>> def two_layers(X, W, b, V):
    ...     xp = namespace(X)
    ...     return xp.matmul(xp.matmul(X, W) + b, V)
    >>> shapes = (64, 32), (32, 48), (1, 48), (48, 20)
    >>> program = trace(two_layers, *(Spec(shape, "float32") for shape in shapes))
    >>> [str(layer) for layer in layers(cuda_plan(plan(program, ())))]
    ['(64, 32) @ (32, 48) float32 identity']
    """
    pairs = pairwise(plan.groups)
    return [layer for product, chain in pairs if (layer := _layer(product, chain, plan)) is not None]


def _layer(product: Fusion, chain: Fusion, plan: Plan) -> Layer | None:
    functions = [operation.function for operation in chain.operations]
    is_plain = functions in (["add"], ["add", "maximum"]) and len(chain.results) == 1
    if product.operations[0].function != "matmul" or not is_plain:
        return None
    Z, (add, *relu), (A,) = product.only.result, chain.operations, chain.results
    zeros = [value for operation in relu for value in operation.inputs[1:] if value.data is not None]
    *_, bias = add.inputs
    is_bias = add.operands == (Z, bias) and (bias.shape, bias.dtype) == ((1, Z.shape[-1]), Z.dtype)
    is_relu = len(zeros) == len(relu) and not any(np.any(value.data) for value in zeros)
    # Written over Z, which nothing else reads.
    is_alone = plan.homes[id(A)].storage is plan.homes[id(Z)].storage
    return Layer(product, chain, bias, bool(relu)) if is_bias and is_relu and is_alone else None


def finished_by_lt(
    layer: Layer, device: Device, whole: Product, apart: Sequence[Call]
) -> tuple[Call | None, str]:
    """Return the one call of a layer, or ``None`` if a product and a kernel are better; and why, for the history.

    Parameters
    ----------
    layer
        The layer.
    device
        Where it runs.
    whole
        Its product with bias and relu.
    apart
        The calls that do the same one after the other. What both write is computed again in every step.

    Raises
    ------
    ValueError
        If ``CHAINRULE_EPILOGUE`` is set to something else than "lt" or "plain".
    """
    asked = os.environ.get(VARIABLE) or None
    if asked not in {None, "lt", "plain"}:
        msg = f"{VARIABLE} must be lt or plain, got {asked!r}; unset it to have both timed"
        raise ValueError(msg)
    if asked == "plain":
        return None, f"{layer}: product and kernel, as {VARIABLE} asks"
    try:
        call = function, arguments = device.product(whole)
        function(*arguments)  # only a launch shows whether the device supports the algorithm
        if asked == "lt":
            return call, f"{layer}: one call of cuBLASLt, as {VARIABLE} asks"
        addresses = map(device.address, (*whole[:3], whole.bias))
        aligned = " ".join(str(alignment(address)) for address in addresses)
        lt, plain = _times(f"{device.name}: {layer}, aligned to {aligned} bytes", device, [call], apart)
    except CannotCaptureError as error:
        return None, f"{layer}: product and kernel, since {error}"
    is_faster = lt < 0.95 * plain  # near a tie, timing again would choose another way, with other bits
    chosen = "one call of cuBLASLt" if is_faster else "product and kernel"
    return call if is_faster else None, f"{layer}: {chosen}; timed {lt:.1f} and {plain:.1f} µs"


def _times(key: str, device: Device, one: Sequence[Call], apart: Sequence[Call]) -> tuple[float, float]:
    """Return the microseconds of both ways, from the cache folder or measured now."""
    path = machine.cache_folder() / "epilogues.json"
    try:
        stored = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # missing or damaged
        stored = {}
    match stored.get(key):
        case [float(lt), float(plain)]:
            return lt, plain
    stored[key] = times = device.timed(one), device.timed(apart)
    other = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):  # the folder is read-only or full: the next process measures again
        path.parent.mkdir(parents=True, exist_ok=True)
        other.write_text(json.dumps(stored, indent=1), encoding="utf-8")
        other.replace(path)
    return times
