"""Checkpoints: arrays and a record, written whole, read without trust."""

import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from chainrule.saving import checkpoint

ARRAYS = {
    "W": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "big_endian": np.arange(3, dtype=">f8"),
    "scalar": np.float64(0.1),
    "empty": np.zeros((0, 4)),
    "steps": np.arange(3, dtype=np.int32),
    "mask": np.array([True, False]),
}
METADATA = {"labels": ["oak", "elm"], "scale": 0.1, "nested": {"sizes": [2, 3]}, "none": None}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.write(path, ARRAYS, METADATA)
    return path


def test_what_is_written_comes_back(model):
    arrays, metadata = checkpoint.read(model)
    assert metadata == METADATA
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert np.array_equal(arrays[name], array)
        assert arrays[name].shape == np.shape(array)
        assert arrays[name].dtype == np.asarray(array).dtype.newbyteorder("=")


def test_the_arrays_can_be_read_by_safetensors_alone(model):
    assert np.array_equal(load_file(model)["transposed"], ARRAYS["transposed"])


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    for content in (b"", b"a,b\n1,2\n" * 9, pickle.dumps({"W": [1.0]})):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a model file, or is truncated") as error:
            checkpoint.read(path)
        assert "\n" not in str(error.value)


def test_damaged_numbers_are_found_by_the_checksum(model):
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(ValueError, match="its checksum does not match"):
        checkpoint.read(model)


def test_a_model_of_an_earlier_version_without_a_checksum_is_read(tmp_path):
    header = {"chainrule": json.dumps({"format": 1, "note": "old"})}
    save_file({"W": np.ones(2)}, tmp_path / "m.safetensors", metadata=header)
    assert checkpoint.read(tmp_path / "m.safetensors")[1] == {"note": "old"}


def test_safetensors_of_others_and_a_later_format_are_refused(tmp_path):
    path, refused = tmp_path / "m.safetensors", "holds arrays but no chainrule model"
    later = {"chainrule": json.dumps({"format": checkpoint.FORMAT + 1})}
    foreign = [None, {"format": "pt"}, {"chainrule": "[1]"}, {"chainrule": "{"}]
    for header, message in (*((header, refused) for header in foreign), (later, "upgrade chainrule")):
        save_file({"W": np.ones(2)}, path, metadata=header)
        with pytest.raises(ValueError, match=message):
            checkpoint.read(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        checkpoint.read(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        checkpoint.read(tmp_path)


def test_what_cannot_be_kept_is_refused_and_nothing_written(tmp_path):
    for arrays, metadata, message in (
        ({"z": np.ones(2, dtype=complex)}, {}, "array 'z' is complex128"),
        ({"z": np.array([{}])}, {}, "array 'z' is object"),
        ({}, {"f": print}, "the metadata cannot be written as JSON"),
        ({}, {"f": float("nan")}, "use plain, finite values"),
    ):
        with pytest.raises(TypeError, match=message):
            checkpoint.write(tmp_path / "m.safetensors", arrays, metadata)
        assert list(tmp_path.iterdir()) == []
