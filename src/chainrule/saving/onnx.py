"""ONNX: the prediction as a file that other runtimes execute (extra ``onnx``).

The prediction is traced like a training step, with the weights as constants. Each operation becomes a node of the
operator that its row in ``program/primitives.py`` names, or a few nodes if ONNX has no such operator.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule._version import __version__, how_to_install
from chainrule.data.facts import Facts
from chainrule.data.scaling import Scaler
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.naming import require
from chainrule.mathematics.step import forward
from chainrule.program.operations import Operand, Operation, Program, Value
from chainrule.program.primitives import PRIMITIVES
from chainrule.program.trace import Spec, trace
from chainrule.saving.files import PathLike, write_whole
from chainrule.saving.models import check_name, facts_of

try:
    from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
except ImportError:
    _MISSING = f"to_onnx needs onnx; {how_to_install('onnx')}"
    raise ImportError(_MISSING) from None

# Version 18 of ONNX's operators is the first one in which all reductions take their axes as an input; version 8 is the
# first of the file format that has them.
_OPSETS, _IR_VERSION = [helper.make_opsetid("", 18)], 8
_LARGEST = 2**31 - 2**20  # bytes of weights: a protobuf message, such as an ONNX file, holds 2 GiB


def _expm1(x: Array) -> Array:
    xp = namespace(x)
    return xp.tanh(0.5 * x) * (xp.exp(x) + 1.0)  # (...)


def _log1p(x: Array) -> Array:
    # Kahan's method: with y = 1 + x rounded, log(y) and y - 1 have the same error.
    xp = namespace(x)
    y = 1.0 + x  # (...)
    return xp.where(y == 1.0, x, xp.where(y == x, xp.log(y), xp.log(y) * x / (y - 1.0)))  # (...)


# Primitives without an ONNX operator, composed of others.
_COMPOSED: dict[str, Callable[..., Array]] = {
    "square": lambda x: x * x,
    "expm1": _expm1,
    "log1p": _log1p,
    "not_equal": lambda x, y: namespace(x, y).logical_not(x == y),
}


def write(path: PathLike, theta: np.ndarray, net: Architecture, metadata: Mapping[str, Any]) -> None:
    """Write the prediction of a network with the parameters ``theta (P,)``, on the host.

    Raises
    ------
    ValueError
        If the file's suffix is not ``.onnx``, the weights take more than 2 GiB, or an activation is constant, depends
        on the number of rows, or uses a function for which ONNX has no operator.
    """
    check_name(path, ".onnx", "this one is an ONNX file")
    problem = f"the weights take {theta.nbytes} bytes, and an ONNX file holds 2 GiB; use float32 or a smaller network"
    require(theta.nbytes <= _LARGEST, problem)
    # The file allows any number of rows, so traces with two numbers of rows must give the same model.
    facts = facts_of(metadata)
    content, other = (_model(theta, net, facts, rows).SerializeToString() for rows in (2, 3))
    problem = "an activation depends on the number of rows, which is free in an ONNX file; give a function of Z alone"
    require(content == other, problem)
    write_whole(path, content)


def _model(theta: np.ndarray, net: Architecture, facts: Facts | None, rows: int) -> ModelProto:
    X = Spec((rows, net.sizes[0]), theta.dtype if facts is None else np.float64, "X")
    program = trace(lambda X: _prediction(X, theta, net, facts), X, named=True)
    (A,) = program.outputs
    problem = "the prediction is the same for every X: an activation is constant; give a function of Z"
    require(not A.is_constant, problem)
    A.name = "prediction"
    graph = _Graph()
    ends = *program.inputs, A
    values = [_described(graph.name(end), end.dtype, end.shape[1:]) for end in ends]
    graph.write(program)
    if facts is not None and facts.labels:
        labels = np.asarray(facts.labels)  # (k,)
        labels = labels.astype(object) if labels.dtype.kind == "U" else labels
        table, place = graph.constant(labels, "labels"), graph.name("place")
        graph.node("ArgMax", [graph.name(A)], [place], axis=-1, keepdims=0)
        graph.node("Gather", [table, place], ["label"])
        values.append(_described("label", labels.dtype))
    constants = list(graph.constants.values())
    model = helper.make_model(
        helper.make_graph(graph.nodes, "prediction", values[:1], values[1:], initializer=constants),
        opset_imports=_OPSETS,
        ir_version=_IR_VERSION,
        producer_name="chainrule",
        producer_version=__version__,
    )
    if facts is not None:
        properties = {"features": json.dumps(facts.features), "target": facts.target}
        helper.set_model_props(model, properties)
    return model


def _described(name: str, dtype: np.dtype[Any], columns: tuple[int, ...] = ()) -> Any:
    """Return the type of an input or output: an array with any number of rows."""
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_value_info(name, kind, ["rows", *columns])


def _prediction(X: Array, theta: np.ndarray, net: Architecture, facts: Facts | None) -> Array:
    """Return the predictions for ``X (n, n_0)``; with facts, X and the predictions are in the units of the table."""
    xp = namespace(X)

    def constant(scaler: Scaler) -> Scaler:
        return Scaler(*(xp.constant(part, part.shape) for part in scaler))

    if facts is not None:
        X = xp.astype(constant(facts.scaler).apply(X), theta.dtype)  # (n, n_0)
    P = net.loss.link(forward(xp.constant(theta, theta.shape), X, net.predicting).A)  # (n, n_L)
    if facts is not None and facts.target_scaler is not None:
        return constant(facts.target_scaler).undo(xp.astype(P, np.float64))  # (n, 1)
    return P


class _Graph:
    """The nodes and the constants of the graph, and the names of its values."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self._names: dict[Any, str] = {"label": "label"}  # the name of an output: no value may have it

    def name(self, value: Value | str | tuple[Any, ...], wanted: str = "") -> str:
        """Return the name of a value: its name in the mathematics, with a number if that is taken."""
        if value not in self._names:
            wanted = wanted or (value.name if isinstance(value, Value) else str(value)) or "t"
            is_free = wanted not in self._names.values()
            self._names[value] = wanted if is_free else f"{wanted}_{len(self._names)}"
        return self._names[value]

    def constant(self, data: np.ndarray, wanted: str = "c") -> str:
        """Return the name of a constant; equal constants are stored once."""
        name = self.name((wanted, data.dtype.str, data.shape, data.tobytes()), wanted)
        self.constants[name] = numpy_helper.from_array(data, name)
        return name

    def node(self, operator: str, inputs: list[str], results: list[str], **attributes: Any) -> None:
        """Add a node."""
        self.nodes.append(helper.make_node(operator, inputs, results, **attributes))

    def write(self, program: Program) -> None:
        """Add the nodes of each operation."""
        for operation in program.operations:
            self._write_operation(operation)

    def _operand(self, operand: Operand, dtype: Any = None) -> str:
        """Return the name of an operand; a number becomes a constant of this dtype."""
        if not isinstance(operand, Value):
            return self.constant(np.asarray(operand, dtype))
        if operand.data is None:
            return self.name(operand)
        return self.constant(operand.data, operand.name or "c")

    def _write_operation(self, operation: Operation) -> None:
        row, settings = PRIMITIVES[operation.function], operation.settings
        inputs = [self._operand(part, operation.inputs[-1].dtype) for part in operation.operands]
        result = [self.name(operation.result)]
        if row.kind == "reduction":
            inputs.append(self.constant(np.asarray(settings["axis"]), "axes"))
            self.node(row.onnx, inputs, result, keepdims=int(settings["keepdims"]))
        elif row.name == "astype":
            self.node(row.onnx, inputs, result, to=helper.np_dtype_to_tensor_dtype(settings["to"]))
        elif row.onnx and (row.takes != "integer" or operation.result.dtype == np.bool_):
            self.node(row.onnx, inputs, result)
        elif row.name in _COMPOSED:
            specs = [
                Spec(part.shape, part.dtype) if isinstance(part, Value) else part
                for part in operation.operands
            ]
            program = trace(_COMPOSED[row.name], *specs)
            names = [*map(self._operand, operation.inputs), *result]
            self._names |= zip((*program.inputs, *program.outputs), names, strict=True)
            self.write(program)
        else:
            msg = f"the prediction uses xp.{row.name} ({operation.source}), for which ONNX has no operator; use others"
            raise ValueError(msg)
