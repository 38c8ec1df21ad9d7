"""ONNX: the prediction as a file that other runtimes execute (extra ``onnx``).

The prediction is traced like a training step, with the weights as constants. Each operation becomes the node that
its row in ``program/primitives.py`` names. The operations of one Python function, such as an activation, become a
function of the file: a layer is three nodes, MatMul, Add and its activation, even for your own activation.
"""

import json
from collections.abc import Callable, Mapping
from itertools import groupby
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
    from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
except ImportError:
    _MISSING = f"to_onnx needs onnx; {how_to_install('onnx')}"
    raise ImportError(_MISSING) from None

_IR_VERSION = 8  # the first version of the file format with functions
_DOMAIN = "chainrule"  # domain of those functions
# Version 18 of ONNX's operators is the first one in which all reductions take their axes as an input.
_OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid(_DOMAIN, 1)]
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
    body = _Body({}, "label")
    values = [
        _described(body.name(value), value.dtype, value.shape[1:]) for value in (*program.inputs, A)
    ]
    body.write(program)
    if facts is not None and facts.labels:
        labels = np.asarray(facts.labels)  # (k,)
        labels = labels.astype(object) if labels.dtype.kind == "U" else labels
        table, place = body.constant(labels, "labels"), body.name("place")
        body.node("ArgMax", [body.name(A)], [place], axis=-1, keepdims=0)
        body.node("Gather", [table, place], ["label"])
        values.append(_described("label", labels.dtype))
    constants = list(body.constants.values())
    model = helper.make_model(
        helper.make_graph(body.nodes, "prediction", values[:1], values[1:], initializer=constants),
        functions=list(body.functions.values()),
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


class _Body:
    """The nodes of the graph, or of a function.

    ``functions`` are the functions of the file, by their names and the nodes inside; ``taken`` is a name that no
    value may have.
    """

    def __init__(self, functions: dict[tuple[str, bytes], FunctionProto], taken: str = "") -> None:
        self.functions = functions
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self._names: dict[Any, str] = {taken: taken}

    def name(self, value: Value | str | tuple[Any, ...], wanted: str = "") -> str:
        """Return the name of a value: its name in the mathematics, with a number if that is taken."""
        key = id(value) if isinstance(value, Value) else value
        if key not in self._names:
            wanted = wanted or (value.name if isinstance(value, Value) else str(value)) or "t"
            is_free = wanted not in self._names.values()
            self._names[key] = wanted if is_free else f"{wanted}_{len(self._names)}"
        return self._names[key]

    def constant(self, data: np.ndarray, wanted: str = "c") -> str:
        """Return the name of a constant; equal constants are stored once."""
        name = self.name((wanted, data.dtype.str, data.shape, data.tobytes()), wanted)
        self.constants[name] = numpy_helper.from_array(data, name)
        return name

    def node(self, operator: str, inputs: list[str], results: list[str], **attributes: Any) -> None:
        """Add a node."""
        self.nodes.append(helper.make_node(operator, inputs, results, **attributes))

    def write(self, program: Program) -> None:
        """Add a node for each operation; the operations of a Python function without a product share one."""
        layers = {c for part in program.operations if part.function == "matmul" for c in part.within}

        def function(operation: Operation) -> Any:
            return next((code for code in operation.within if code not in layers), operation)

        for code, group in groupby(program.operations, function):
            operations = tuple(group)
            if len(operations) == 1:
                self._write_operation(*operations)
            else:
                name = code.co_name.strip("_<>") or "function"
                part = _part(program, operations)
                results = [self.name(value) for value in part.outputs]
                self._call(name, part, [self._operand(value) for value in part.inputs], results)

    def _operand(self, operand: Operand, dtype: Any = None) -> str:
        """Return the name of an operand; a number becomes a constant of this dtype."""
        if not isinstance(operand, Value):
            return self.constant(np.asarray(operand, dtype))
        if operand.data is None or id(operand) in self._names:
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
                Spec(part.shape, part.dtype, "x") if isinstance(part, Value) else part
                for part in operation.operands
            ]
            inputs = [self._operand(value) for value in operation.inputs]
            self._call(row.name, trace(_COMPOSED[row.name], *specs), inputs, result)
        else:
            msg = f"the prediction uses xp.{row.name} ({operation.source}), for which ONNX has no operator; use others"
            raise ValueError(msg)

    def _call(self, name: str, program: Program, inputs: list[str], results: list[str]) -> None:
        """Add a call of a function, and the function itself unless an equal one exists."""
        body = _Body(self.functions)
        for value in (*program.inputs, *(operation.result for operation in program.operations)):
            body.name(value, value.name.rstrip("0123456789") or "t")
        for operation in program.operations:
            body._write_operation(operation)
        takes, gives = ([body.name(v) for v in part] for part in (program.inputs, program.outputs))
        nodes = [helper.make_node("Constant", [], [c], value=t) for c, t in body.constants.items()]
        nodes += body.nodes
        key = name, b"".join(node.SerializeToString() for node in nodes)
        if key not in self.functions:
            is_taken = any(name == known for known, _ in self.functions)
            called = f"{name}_{len(self.functions)}" if is_taken else name
            self.functions[key] = helper.make_function(_DOMAIN, called, takes, gives, nodes, _OPSETS)
        self.node(self.functions[key].name, inputs, results, domain=_DOMAIN)


def _part(program: Program, operations: tuple[Operation, ...]) -> Program:
    """Return some operations of a program as a program; single numbers are not inputs."""
    results = {id(operation.result) for operation in operations}
    inputs = {id(value): value for operation in operations for value in operation.inputs}
    others = (part for part in program.operations if part not in operations)
    read = {id(value) for part in others for value in part.inputs} | set(map(id, program.outputs))
    return Program(
        tuple(v for v in inputs.values() if id(v) not in results and (v.data is None or v.data.ndim)),
        tuple(operation.result for operation in operations if id(operation.result) in read),
        operations,
    )
