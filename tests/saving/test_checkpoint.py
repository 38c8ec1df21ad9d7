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


def test_nothing_else_is_left_in_the_folder(model):
    assert [path.name for path in model.parent.iterdir()] == ["model.safetensors"]


def test_a_failed_write_leaves_the_old_file_as_it_was(model, monkeypatch):
    before = model.read_bytes()

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(model, {"W": np.zeros(9)}, {})
    assert model.read_bytes() == before
    assert len(list(model.parent.iterdir())) == 1


def test_a_link_stays_a_link(model):
    link = model.with_name("newest")
    link.symlink_to(model)
    checkpoint.write(link, {"W": np.ones(1)}, {})
    assert link.is_symlink()
    assert checkpoint.read(model)[0]["W"].tolist() == [1.0]


def test_the_file_has_the_permissions_of_any_new_file(model):
    plain = model.with_name("plain")
    plain.touch()
    assert model.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no model file, or is cut short"),
        (b"a,b\n1,2\n" * 9, "no model file, or is cut short"),
        (pickle.dumps({"W": [1.0]}), "no model file, or is cut short"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content, message):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        checkpoint.read(path)
    assert "\n" not in str(error.value)


def test_a_truncated_file_is_refused_wherever_it_is_cut(model):
    whole = model.read_bytes()
    for length in range(0, len(whole), 7):
        model.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cut short"):
            checkpoint.read(model)


@pytest.mark.parametrize("header", [None, {"format": "pt"}, {"chainrule": "[1]"}, {"chainrule": "{"}])
def test_safetensors_of_others_are_refused(tmp_path, header):
    save_file({"W": np.ones(2)}, tmp_path / "m.safetensors", metadata=header)
    with pytest.raises(ValueError, match="holds arrays but no chainrule model"):
        checkpoint.read(tmp_path / "m.safetensors")


def test_a_later_format_says_to_upgrade(tmp_path):
    header = {"chainrule": json.dumps({"format": checkpoint.FORMAT + 1})}
    save_file({"W": np.ones(2)}, tmp_path / "m.safetensors", metadata=header)
    with pytest.raises(ValueError, match="upgrade chainrule"):
        checkpoint.read(tmp_path / "m.safetensors")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        checkpoint.read(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("nowhere/m.safetensors", FileNotFoundError, "there is no folder"),
        (".", IsADirectoryError, "is a folder"),
    ],
)
def test_where_nothing_can_be_written_is_said(tmp_path, path, error, message):
    with pytest.raises(error, match=message):
        checkpoint.write(tmp_path / path, ARRAYS, {})


@pytest.mark.parametrize(
    ("arrays", "metadata", "message"),
    [
        ({"z": np.ones(2, dtype=complex)}, {}, "array 'z' is complex128"),
        ({"z": np.array([{}])}, {}, "array 'z' is object"),
        ({}, {"f": print}, "the metadata cannot be written as JSON"),
        ({}, {"f": float("nan")}, "use plain, finite values"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_written(tmp_path, arrays, metadata, message):
    with pytest.raises(TypeError, match=message):
        checkpoint.write(tmp_path / "m.safetensors", arrays, metadata)
    assert list(tmp_path.iterdir()) == []
