"""Features and targets: which targets are classes, what is held out, and the bundled digits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import DIGITS, Samples, digits, features_and_target, split


def table_of(target):
    target = np.asarray(target)
    return {"feature": np.arange(target.size, dtype=float), "t": target}


def test_digits_are_1797_images_of_64_pixels_from_0_to_16():
    X, y = digits()
    assert X.shape == (1797, 64)
    assert X.dtype == np.float32
    assert y.shape == (1797,)
    assert y.dtype == np.int64
    assert (X.min(), X.max()) == (0, 16)
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert X.sum() == 561718  # of the published table


def test_digits_take_less_than_100_kilobytes_and_are_credited_beside_them():
    assert DIGITS.stat().st_size < 100_000
    notice = DIGITS.with_name("NOTICE.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in notice
    assert "Alpaydin" in notice
    assert "CC BY 4.0" in digits.__doc__


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (["elm", "oak", "elm", "ash"], ["ash", "elm", "oak"]),
        ([True, False, True], [False, True]),
        ([3, 1, 3], [1, 3]),  # two values are classes however few the rows
        ([0, 1, 2, 0, 1, 2, 0, 1, 2], [0, 1, 2]),  # 3 values in 9 rows
    ],
)
def test_text_booleans_and_few_integers_are_classes_sorted(target, labels):
    samples = features_and_target(table_of(target), "t")
    assert samples.task == "classification"
    assert samples.labels == labels
    assert [labels[i] for i in samples.y] == target
    assert samples.y.dtype == np.int64


@pytest.mark.parametrize(
    "target",
    [
        [0.0, 1.0, 0.0, 1.0],  # floats
        [0, 1, 2, 0, 1, 2, 0, 1],  # 3 values in 8 rows: more than the square root
        list(range(51)) * 60,  # more than 50 values
    ],
)
def test_floats_and_many_integers_are_a_quantity(target):
    samples = features_and_target(table_of(target), "t")
    assert samples.task == "regression"
    assert samples.labels == []
    assert samples.y.dtype == np.float64
    assert samples.y.tolist() == target


def test_task_is_what_the_caller_says():
    assert features_and_target(table_of([0.0, 1.0, 1.0]), "t", "classification").labels == [0, 1]
    assert features_and_target(table_of([0, 1, 1]), "t", "regression").task == "regression"


def test_all_other_columns_are_features_in_their_order():
    table = {"b": np.array([1, 2]), "t": np.array([0, 1]), "a": np.array([True, False])}
    samples = features_and_target(table, "t")
    assert samples.features == ["b", "a"]
    assert samples.X.tolist() == [[1.0, 1.0], [2.0, 0.0]]
    assert samples.X.dtype == np.float64


@pytest.mark.parametrize(
    ("table", "target", "task", "message"),
    [
        (table_of([0, 1]), "T", None, "no column 'T' for the target .columns: feature, t"),
        (table_of([0, 1]), "t", "clasification", "unknown task .* did you mean 'classification'"),
        ({"t": np.array([0, 1])}, "t", None, "only the column 't'"),
        (table_of(np.array(["a", None, "b"], dtype=object)), "t", None, "row 2 has no value"),
        (table_of([0.5, np.nan]), "t", None, "row 2 has no value in the target column 't'"),
        (table_of([7, 7, 7]), "t", None, "is 7 in every row; there is nothing to learn"),
        (table_of(["a", "b", "c"]), "t", None, "every row has a target 't' of its own"),
        (
            table_of(np.array(["1", "b", "b"], dtype=object)),
            "t",
            "regression",
            "row 2 has 'b' in column 't'",
        ),
        (table_of([1.0, np.inf]), "t", None, "row 2 has an infinite value in column 't'"),
    ],
)
def test_what_cannot_be_learnt_is_refused_in_one_line(table, target, task, message):
    with pytest.raises(ValueError, match=message) as error:
        features_and_target(table, target, task)
    assert "\n" not in str(error.value)


def samples_of(y, labels):
    return Samples(np.zeros((len(y), 1)), np.asarray(y), ["x"], labels, "classification")


@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32),
)
def test_split_holds_out_the_same_share_of_each_class_and_never_all_of_one(counts, fraction, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    samples = samples_of(y, list(range(len(counts))))
    try:
        learnt, held = split(samples, fraction, np.random.default_rng(seed))
    except ValueError:
        most = y.size - len(counts)  # a row of each class must stay
        assert min(round(fraction * y.size), most) == 0
        return
    assert np.sort(np.concatenate([learnt, held])).tolist() == list(range(y.size))
    assert set(y[learnt]) == set(y)
    if fraction <= 0.5 and min(counts) > 2:
        share = np.bincount(y[held], minlength=len(counts))
        assert np.all(np.abs(share - fraction * np.array(counts)) <= 2)


def test_split_of_the_digits_holds_out_a_fifth_of_each():
    X, y = digits()
    samples = Samples(X, y, [], list(range(10)), "classification")
    _, held = split(samples, 0.2, np.random.default_rng(0))
    assert held.size == 359
    assert np.abs(np.bincount(y[held]) / np.bincount(y) - 0.2).max() < 0.01
    again = split(samples, 0.2, np.random.default_rng(0))
    assert np.array_equal(held, again[1])
    assert not np.array_equal(held, split(samples, 0.2, np.random.default_rng(1))[1])


@pytest.mark.parametrize(
    ("rows", "fraction", "message"),
    [
        (10, 0.0, "must lie between 0 and 1, got 0"),
        (10, 1.5, "must lie between 0 and 1, got 1.5"),
        (10, float("nan"), "must lie between 0 and 1"),
        (2, 0.2, "2 rows cannot be split with 0.2 held out"),
    ],
)
def test_split_that_leaves_nothing_is_refused(rows, fraction, message):
    with pytest.raises(ValueError, match=message):
        split(samples_of(np.zeros(rows), []), fraction, np.random.default_rng(0))
