"""An ONNX file gives what ``predict`` gives, in ONNX Runtime and in ONNX's own reference."""

import sys

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.data import DIGITS, read_table
from chainrule.mathematics.activations import ACTIVATIONS, Activation
from chainrule.mathematics.arrays import namespace
from chainrule.mathematics.losses import LOSSES
from support.activations import OWN
from support.commands import refused
from support.data import samples

NEEDS_ONNX = pytest.mark.needs("onnx", "onnxruntime")


def run(path, X, net):
    """Return the outputs of a file in both runtimes, after a check of its size."""
    import onnx
    from onnx.reference import ReferenceEvaluator
    from onnxruntime import InferenceSession

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param  # the batch is free
    weights = net.architecture.layout.total * np.dtype(net.dtype).itemsize
    assert path.stat().st_size <= weights + 4096
    for runtime in (InferenceSession(path), ReferenceEvaluator(model)):
        with np.errstate(all="ignore"):  # the reference computes in NumPy, branches not taken as well
            yield runtime.run(None, {"X": X})


def assert_near(got, wanted, tolerance):
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_allclose(got, wanted, tolerance, tolerance)


@NEEDS_ONNX
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_loss_and_depth_is_predicted_within_1e_6(activation, rng, tmp_path):
    for loss in LOSSES:
        for hidden in ((), (16,), (16, 12)):
            net = NeuralNetwork(7, hidden, 3, activation=activation, loss=loss, dtype="float32", seed=1)
            net.to_onnx(tmp_path / "net.onnx")
            for rows in (1, 1000):
                X = samples(rng, rows, 7).astype(np.float32)
                for (prediction,) in run(tmp_path / "net.onnx", X, net):
                    assert_near(prediction, net.predict(X), 1e-6)


def activation(value):
    return Activation(value.__name__, value, lambda _, A: A)


@activation
def of_conditions(Z):
    xp = namespace(Z)
    return xp.where(
        ~((Z > 0) & (Z < 1) | (Z == 2.0)) ^ (Z <= -1), Z, 0.5 * xp.astype(Z != 0.25, Z.dtype)
    )


@NEEDS_ONNX
def test_activations_of_ones_own_are_written_in_float64(rng, tmp_path):
    X = np.concatenate([samples(rng, 9, 4), [[1e3] * 4, [-1e3] * 4, [1e-9] * 4]])
    for own in (*OWN.values(), of_conditions):
        net = NeuralNetwork(4, (5, 6), 2, activation=[own, "tanh"], dtype="float64", seed=1)
        net.to_onnx(tmp_path / "net.onnx")
        for (prediction,) in run(tmp_path / "net.onnx", X, net):
            assert_near(prediction, net.predict(X), 1e-12)


@NEEDS_ONNX
def test_a_model_of_a_table_takes_its_numbers_and_gives_its_labels_and_units(
    chainrule, models, tmp_path
):
    chainrule("train digits --target digit --epochs 1 -o digit.safetensors")
    for target, table in (("kind", "flowers.csv"), ("price", "prices.csv"), ("digit", DIGITS)):
        model, file = f"{target}.safetensors", tmp_path / f"{target}.onnx"
        assert chainrule(f"export {model} -o {file}").stdout == f"wrote {file}\n"
        columns = read_table(table)
        net = NeuralNetwork.load(model)
        X = np.stack([columns[name] for name in net.metadata["table"]["features"]], axis=1).astype(float)
        chainrule(f"predict {model} {table} -o out.csv")
        label, *probabilities = (np.asarray(column) for column in read_table("out.csv").values())
        for prediction, *labels in run(file, X, net):
            if labels:
                assert_near(prediction, np.stack(probabilities, 1).astype(np.float32), 1e-6)
                assert labels[0].tolist() == label.tolist()
            else:
                assert_near(prediction, label[:, None], 1e-6)


@NEEDS_ONNX
def test_what_onnx_cannot_hold_is_refused_in_one_line_and_nothing_is_written(tmp_path, monkeypatch):
    for value, message in (
        (
            lambda Z: namespace(Z).concat([Z[..., :1], Z[..., 1:]], axis=-1),
            "uses xp.slice .test_onnx.py:",
        ),
        (lambda Z: Z - namespace(Z).sum(Z, axis=-2, keepdims=True) / Z.shape[-2], "the number of rows"),
        (lambda Z: namespace(Z).ones_like(Z), "the prediction is the same for every X"),
    ):
        net = NeuralNetwork(2, 3, 1, activation=activation(value))
        with pytest.raises(ValueError, match=message):
            net.to_onnx(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"this one is an ONNX file: 'net\.onnx'"):
        net.to_onnx(tmp_path / "net.safetensors")
    monkeypatch.setattr("chainrule.saving.onnx._LARGEST", 100)
    with pytest.raises(ValueError, match="the weights take 104 bytes, and an ONNX file holds 2 GiB"):
        net.to_onnx(tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_the_extra_is_named(chainrule, models, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "chainrule.saving.onnx", raising=False)
    monkeypatch.delattr("chainrule.saving.onnx", raising=False)
    refused(chainrule("export kind.safetensors -o m.onnx"), "to_onnx needs onnx; pip install '.[onnx]'")
