"""The record of a model file is held to one schema, and damaged files are refused in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from chainrule import NeuralNetwork
from chainrule.data.facts import Facts
from chainrule.data.samples import features_and_target
from chainrule.saving import checkpoint

# ruff: noqa: ARG005  each change takes the arrays, the network and the table
FILES = 20_000 if os.environ.get("SOAK") else 280
DAMAGE = Path(__file__).parents[1] / "support" / "damage.py"


def test_damaged_files_are_refused_in_one_line_or_predict_as_the_whole_one_in_little_memory():
    command = [sys.executable, DAMAGE, str(FILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outcome = json.loads(done.stdout)
    assert outcome["refused"] > 0.8 * FILES
    assert outcome["peak_MiB"] < 300


@pytest.fixture
def model(tmp_path):
    """A model that was trained on a table of two features and three classes."""
    table = {"a": np.arange(6.0), "b": np.arange(6.0) ** 2, "y": np.array(["x", "y", "z"] * 2)}
    net = NeuralNetwork(2, 3, 3, loss="cross_entropy", dtype="float32", seed=0)
    net.metadata["table"] = Facts.fit(features_and_target(table, "y"), "y", np.arange(6)).to_dict()
    net.save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def changed(path, change):
    """Write the model again, with its record and arrays changed, and a checksum that is right."""
    arrays, record = checkpoint.read(path)
    change(arrays, record["network"], record["metadata"]["table"])
    checkpoint.write(path, arrays, record)


CONTRADICTIONS = [
    (lambda a, n, t: t["labels"].append("w"), "4 labels, but the network has 2 inputs, 3 outputs"),
    (lambda a, n, t: t.update(labels=["x", "x", "z"]), "2 labels, but"),
    (lambda a, n, t: t.update(labels={"x": 1}), r"table.labels is .*, wanted list"),
    (lambda a, n, t: t.update(labels=[["x"], "y", "z"]), r"table.labels\[0\] is \['x'\], wanted str"),
    (lambda a, n, t: t.update(features=["a", "a"]), "1 features, but"),
    (lambda a, n, t: t["scaler"]["mean"].append(0.0), "the scaler needs 2 means"),
    (lambda a, n, t: t["scaler"].update(scale=[1.0, 0.0]), "scales above 0"),
    (lambda a, n, t: t["scaler"].pop("mean"), "table.scaler has no field 'mean'"),
    (lambda a, n, t: t.update(task="regression"), "3 labels, but"),
    (lambda a, n, t: t.update(target_scaler=t["scaler"]), "the scaler needs 1 means"),
    (lambda a, n, t: n.update(dropout="0.1"), "network.dropout is '0.1', wanted float"),
    (lambda a, n, t: n.update(hidden_size=[2**40]), r"'W1' has shape \(2, 3\), wanted \(2, 10995116"),
    (lambda a, n, t: n.update(activation=["relux"]), "did you mean 'relu'"),
    (lambda a, n, t: a.pop("b2"), r"'b2' has shape None, wanted \(1, 3\)"),
    (lambda a, n, t: a.update(W9=np.ones(1)), r"'W9' has shape \(1,\), wanted None"),
    (lambda a, n, t: a["W1"].fill(np.nan), "weights that are not finite in float32"),
    (lambda a, n, t: a.update(W1=np.full((2, 3), 1e300)), "not finite in float32; load it in float64"),
]


def test_a_record_that_contradicts_itself_or_its_arrays_is_refused_by_name(model):
    whole = model.read_bytes()
    for change, message in CONTRADICTIONS:
        model.write_bytes(whole)
        changed(model, change)
        with pytest.raises(ValueError, match=message) as error:
            NeuralNetwork.load(model)
        assert str(model) in str(error.value)


def test_weights_too_large_for_the_dtype_asked_for_are_refused(model):
    changed(model, lambda a, n, t: (a.update(W1=np.full((2, 3), 1e300)), n.update(dtype="float64")))
    assert NeuralNetwork.load(model).layers[0].W.max() == 1e300
    with pytest.raises(ValueError, match="not finite in float32"):
        NeuralNetwork.load(model, dtype="float32")


def test_deep_json_an_empty_record_and_weights_in_bfloat16_are_refused_in_one_line(model):
    content = model.read_bytes()
    for record, message in (
        ("[" * 100_000 + "]" * 100_000, "no chainrule model"),
        ('{"format": 1, "network": {}, "n": NaN}', "network has no field 'input_size'"),
    ):
        save_file({"W1": np.ones(1)}, model, metadata={"chainrule": record})
        with pytest.raises(ValueError, match=message):
            NeuralNetwork.load(model)
    model.write_bytes(content.replace(b'"dtype":"F32","shape":[2,3]', b'"dtype":"BF16","shape":[12]'))
    with pytest.raises(ValueError, match="BF16, wanted float16, float32"):
        NeuralNetwork.load(model)


def test_facts_that_do_not_fit_are_refused_when_saving_and_metadata_of_ones_own_are_not(model):
    net = NeuralNetwork.load(model)
    net.metadata["table"]["labels"].append("w")
    with pytest.raises(ValueError, match="4 labels"):
        net.save(model)
    net.metadata = {"table": {"features": 7}}
    net.save(model)
    assert NeuralNetwork.load(model).metadata == {"table": {"features": 7}}
