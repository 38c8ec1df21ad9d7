"""Features and targets: which targets are classes, what is held out, and the bundled digits."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import DIGITS, Samples, digits, features_and_target, split
from chainrule.data.facts import Facts
from chainrule.data.samples import ColumnChoice, uses_of

NUMBERS = [f"{i}.5" for i in range(9)]


def objects(*values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def table_of(target):
    target = np.asarray(target)
    return {"feature": np.arange(target.size, dtype=float), "t": target}


def test_digits_are_1797_small_credited_images_of_64_pixels_from_0_to_16():
    X, y = digits()
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((1797, 64), np.float32, (1797,), np.int64)
    assert (X.min(), X.max(), X.sum()) == (0, 16, 561718)  # of the published table
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert DIGITS.stat().st_size < 100_000
    notice = DIGITS.with_name("NOTICE.md").read_text(encoding="utf-8")
    assert "Alpaydin" in notice
    assert "CC BY 4.0" in notice
    assert "CC BY 4.0" in digits.__doc__


@pytest.mark.parametrize(
    ("target", "task", "labels"),
    [
        (["elm", "oak", "elm", "ash"], None, ["ash", "elm", "oak"]),
        ([True, False, True], None, [False, True]),
        ([3, 1, 3], None, [1, 3]),  # two values are classes however few the rows
        ([0, 1, 2, 0, 1, 2, 0, 1, 2], None, [0, 1, 2]),  # 3 values in 9 rows
        ([0.0, 1.0, 1.0], "classification", [0, 1]),
        ([0.0, 1.0, 0.0, 1.0], None, []),
        ([0, 1, 2, 0, 1, 2, 0, 1], None, []),  # 3 values in 8 rows: more than the square root
        (list(range(51)) * 60, None, []),  # more than 50 values
        ([0, 1, 1], "regression", []),
    ],
)
def test_the_target_or_the_caller_decides_between_sorted_classes_and_a_quantity(target, task, labels):
    samples = features_and_target(table_of(target), "t", task)
    assert samples.task == ("classification" if labels else "regression")
    assert samples.labels == labels
    assert samples.y.dtype == (np.int64 if labels else np.float64)
    assert [labels[i] for i in samples.y] == target if labels else samples.y.tolist() == target


@pytest.mark.parametrize(
    ("table", "target", "task", "message"),
    [
        (table_of([0, 1]), "T", None, "no column 'T' for the target .columns: 'feature', 't'"),
        (table_of([0, 1]), "t", "clasification", "unknown task .* did you mean 'classification'"),
        ({"t": np.array([0, 1])}, "t", None, "only the column 't'"),
        (table_of(objects("a", None, "b")), "t", None, "row 2 has no value"),
        (table_of([0.5, np.nan]), "t", None, "row 2 has no value in the target column 't'"),
        (table_of([7, 7, 7]), "t", None, "is 7 in every row; there is nothing to learn"),
        (table_of(["a", "b", "c"]), "t", None, "every row has a value of its own in the target column 't'"),
        (table_of(objects("1", "b", "b")), "t", "regression", "target column 't' has text, 'b' in row 2"),
        (table_of([1.0, np.inf]), "t", None, "target column 't' has an infinite value in row 2"),
        (table_of([1.0, np.inf]), "t", "classification", "'t' has an infinite value in row 2"),
        (table_of([b"a", b"b"]), "t", None, "the target column 't' holds bytes; wanted"),
        (table_of(np.array(["2026-01-01"] * 2, "M8[D]")), "t", None, "'t' holds dates; wanted"),
        (table_of(objects([1], [2, 3])), "t", None, r"'t' holds a list, \[1\] in row 1; wanted"),
        (table_of(objects({"k": 1}, {"k": 2})), "t", None, "'t' holds a dict, .* in row 1; wanted"),
        (table_of(objects(True, None, False)), "t", None, "row 2 has no value in the target column"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_refused_in_one_line(table, target, task, message):
    with pytest.raises(ValueError, match=message) as error:
        features_and_target(table, target, task)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["male", "female"] * 9 + ["NA"], "row 19 has 'NA' in the .*--missing 'NA', or .*--missing ''"),
        ([*NUMBERS, "?"], "9 numbers and 1 words;.*--missing '[?]', or .*--task classif"),
        ([*NUMBERS, "sold"], "row 10 has 'sold' in the target column 't'"),
    ],
)
def test_a_word_for_no_value_in_the_target_is_a_question_that_missing_or_task_answers(words, message):
    table = table_of(objects(*words))
    with pytest.raises(ValueError, match=message):
        features_and_target(table, "t")
    without = features_and_target(table, "t", choice=ColumnChoice(missing=words[-1:]))
    assert (len(without.y), without.left_out) == (len(words) - 1, 1)
    assert without.task == ("classification" if "male" in words else "regression")
    kept = ColumnChoice(missing=[""])
    if "male" in words:
        assert features_and_target(table, "t", choice=kept).labels == ["NA", "female", "male"]


@pytest.mark.parametrize(
    ("texts", "task", "labels"),
    [
        (["007", "010", "007"], None, ["007", "010"]),
        (["1.0", "2.0", "1.0"], "classification", ["1.0", "2.0"]),
        (["true", "false", "true"], None, ["false", "true"]),
        (["2", "10", "2"], None, [2, 10]),
        (["1_0", "2_1", "1_0"], None, ["1_0", "2_1"]),
    ],
)
def test_labels_keep_their_spelling(texts, task, labels):
    assert features_and_target(table_of(objects(*texts)), "t", task).labels == labels


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("", [0, 1, 2, 3], "an index"),
        ("", ["Mazda", "Fiat", "Volvo", "Ford"], "an index"),
        ("Unnamed: 0", [4, 2, 9, 1], "an index"),
        ("__index_level_0__", [7, 8, 9, 10], "an index"),
        ("", [1, 1, 2, 3], ""),  # it repeats: no index
        ("rows", [0, 1, 2, 3], ""),
    ],
)
def test_what_plainly_numbers_the_rows_is_left_out_and_said(name, values, reason):
    table = {name: np.array(values), "a": np.ones(4), "t": np.array([0, 1, 0, 1])}
    samples = features_and_target(table, "t")
    assert samples.features == ["a"] if reason else [name, "a"]
    assert [use.name for use in samples.uses if use.doubtful] == ([name] if reason else [])
    if isinstance(values[0], int):
        assert features_and_target(table, "t", choice=ColumnChoice(features=[name])).features == [name]


def test_a_whole_number_that_never_repeats_is_worth_a_word():
    table = table_of([0, 1] * 10) | {"id": np.arange(20) * 7 % 20, "n": np.arange(20) // 2}
    doubtful = [use for use in features_and_target(table, "t").uses if use.doubtful]
    assert [(use.name, use.role) for use in doubtful] == [("id", "feature")]
    assert "leave it out with --drop" in doubtful[0].reason


def test_columns_are_left_out_or_taken_by_name_and_all_that_are_no_numbers_are_named():
    day = np.array(["2026-01-01"] * 4, dtype="M8[D]")
    table = {"a": np.ones(4), "b": objects("x", "y", "x", "y"), "c": day, "d": objects(1, None, 2, 3),
             "t": np.array([0, 1, 0, 1])}  # fmt: skip
    message = r"'b' \(text, 'x' in row 1\), 'c' \(dates\), 'd' \(no value in row 2\).*--drop 'b,c,d'"
    with pytest.raises(ValueError, match=message):
        features_and_target(table, "t")
    assert features_and_target(table, "t", choice=ColumnChoice(drop=["b", "c", "d"])).features == ["a"]
    assert features_and_target(table, "t", choice=ColumnChoice(features=["a"])).features == ["a"]
    samples = features_and_target(table, "t", choice=ColumnChoice(drop=["b", "c"], missing=[""]))
    assert (samples.X.tolist(), samples.left_out) == ([[1, 1], [1, 2], [1, 3]], 1)
    with pytest.raises(ValueError, match="no column 'e' for --drop or --features"):
        uses_of(table, "t", ColumnChoice(drop=["e"]))


def test_values_too_large_to_average_are_refused_by_name():
    samples = features_and_target({"a": np.array([1e308, -1e308, 1.0]), "t": np.array([0, 1, 1])}, "t")
    with pytest.raises(ValueError, match="the values of 'a' are too large to average"):
        Facts.fit(samples, "t", np.arange(3))


def test_as_many_classes_as_half_the_rows_are_split_in_seconds():
    y = np.arange(100_000) // 2  # classes times rows would take minutes
    began = time.process_time()
    learnt, held = split(samples_of(y, list(range(50_000))), 0.2, np.random.default_rng(0))
    assert time.process_time() - began < 10
    assert np.unique(y[learnt]).size == 50_000
    assert held.size == 20_000


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
    assert np.array_equal(held, split(samples, fraction, np.random.default_rng(seed))[1])
    assert set(y[learnt]) == set(y)
    if fraction <= 0.5 and min(counts) > 2:
        share = np.bincount(y[held], minlength=len(counts))
        assert np.all(np.abs(share - fraction * np.array(counts)) <= 2)


@pytest.mark.parametrize(
    ("rows", "fraction", "message"),
    [
        (10, 0.0, "fraction is 0.0; give a number above 0"),
        (10, 1.5, "fraction is 1.5; give"),
        (10, float("nan"), "fraction is nan"),
        (2, 0.2, "2 rows cannot be split with 0.2 held out"),
    ],
)
def test_split_that_leaves_nothing_is_refused(rows, fraction, message):
    with pytest.raises(ValueError, match=message):
        split(samples_of(np.zeros(rows), []), fraction, np.random.default_rng(0))
