"""Tables from disk: what is read, and what is refused in which words."""

import datetime
import gzip
import sys

import numpy as np
import pytest

from chainrule.data.tables import numbers, read_table

pl = pytest.importorskip("polars", reason="Polars reads CSV and Parquet: install the extra data")


@pytest.fixture
def csv(tmp_path):
    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


def test_csv_gives_its_columns_by_name_in_order(csv):
    table = read_table(csv("length,kind,seen\n1.5,oak,true\n2,elm,false\n"))
    assert list(table) == ["length", "kind", "seen"]
    assert table["length"].tolist() == [1.5, 2.0]
    assert table["kind"].tolist() == ["oak", "elm"]
    assert table["seen"].tolist() == [True, False]


def test_gzipped_csv_and_parquet_read_as_the_csv_does(csv, tmp_path):
    text = "a,b\n1,x\n2,y\n"
    zipped, parquet = tmp_path / "table.csv.gz", tmp_path / "table.parquet"
    zipped.write_bytes(gzip.compress(text.encode()))
    pl.read_csv(text.encode()).write_parquet(parquet)
    wanted = {"a": [1, 2], "b": ["x", "y"]}
    for path in (csv(text), zipped, parquet):
        assert {name: column.tolist() for name, column in read_table(path).items()} == wanted


def test_blanks_after_commas_are_no_part_of_a_value_or_name(csv):
    table = read_table(csv("a, b, kind\n1, 2, oak\n3, 4.5, elm\n"))
    assert list(table) == ["a", "b", "kind"]
    assert table["b"].tolist() == [2.0, 4.5]
    assert table["kind"].tolist() == ["oak", "elm"]


def test_parquet_decimals_are_numbers_and_categories_are_text(tmp_path):
    frame = pl.DataFrame(
        {
            "price": pl.Series(["1.25", "2.50"]).cast(pl.Decimal(10, 2)),
            "kind": pl.Series(["oak", "elm"], dtype=pl.Categorical),
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table["price"].tolist() == [1.25, 2.5]
    assert table["kind"].tolist() == ["oak", "elm"]


def test_npz_with_a_matrix_and_a_target_gives_numbered_columns(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.arange(6.0).reshape(3, 2), y=np.array([[0], [1], [0]]))
    table = read_table(tmp_path / "t.npz")
    assert {name: column.tolist() for name, column in table.items()} == {
        "X_0": [0.0, 2.0, 4.0],
        "X_1": [1.0, 3.0, 5.0],
        "y": [0, 1, 0],
    }


def test_npz_with_an_array_a_column_gives_them(tmp_path):
    np.savez(tmp_path / "t.npz", width=np.arange(3), kind=np.array(["a", "b", "a"]))
    assert list(read_table(tmp_path / "t.npz")) == ["width", "kind"]


def test_npz_is_read_without_polars_and_csv_names_the_extra(tmp_path, csv, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    np.savez(tmp_path / "t.npz", X=np.ones((2, 1)), y=np.arange(2))
    assert list(read_table(tmp_path / "t.npz")) == ["X_0", "y"]
    with pytest.raises(ModuleNotFoundError, match=r'pip install "chainrule\[data\]"'):
        read_table(csv("a,b\n1,2\n"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", b"a,b\n1,2\n", "must end in one of .csv, .csv.gz, .parquet, .npz"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n", "holds no rows"),
        ("t.csv", b"a,b\n1,2\n3,4,5\n", "cannot be read"),
        ("t.csv", b"a,b\n1,\xff\xfe\n", "cannot be read"),
        ("t.csv.gz", b"\x1f\x8b\x08 and then nonsense", "cannot be read|holds no rows"),
        ("t.parquet", b"nonsense" * 9, "cannot be read"),
        ("t.npz", b"nonsense" * 9, "cannot be read as npz"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_table(path)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_table(tmp_path)


def test_npz_with_pickled_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="without object arrays"):
        read_table(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.ones((3, 2)), "y": np.ones(2)}, "different lengths"),
        ({"X": np.ones((3, 2, 2)), "y": np.ones(3)}, r"holds X \(3, 2, 2\), y \(3,\); wanted"),
    ],
)
def test_npz_whose_arrays_are_no_table_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.npz")


def test_text_in_a_number_column_is_named_with_its_row_however_late(csv):
    rows = "\n".join("1,2" for _ in range(499))
    table = read_table(csv(f"a,b\n{rows}\n1,seven\n"))
    with pytest.raises(ValueError, match="row 500 has 'seven' in column 'b'"):
        numbers(table, ["a", "b"], "a feature")


def test_a_gap_is_named_with_the_first_row_it_stands_in(csv):
    table = read_table(csv("a,b\n1,2\n3,\n,5\n"))
    with pytest.raises(ValueError, match=r"row 2 has no value in column 'b' \(the first of 2"):
        numbers(table, ["a", "b"], "a feature")


@pytest.mark.parametrize(("text", "what"), [("NaN", "no value"), ("inf", "an infinite value")])
def test_nan_and_infinity_are_refused(csv, text, what):
    table = read_table(csv(f"a\n1.5\n{text}\n"))
    with pytest.raises(ValueError, match=f"row 2 has {what} in column 'a'"):
        numbers(table, ["a"], "a feature")


def test_numbers_written_as_text_are_numbers():
    table = {"a": np.array(["1", " 2.5", "3e2"], dtype=object)}
    assert numbers(table, ["a"], "a feature").tolist() == [[1.0], [2.5], [300.0]]


def test_dates_are_refused_by_name(tmp_path):
    day = datetime.date(2026, 1, 1)
    pl.DataFrame({"when": [day, day]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="column 'when' holds datetime64"):
        numbers(read_table(tmp_path / "t.parquet"), ["when"], "a feature")


def test_a_missing_column_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="no column 'widht' for a feature; did you mean 'width'"):
        numbers({"width": np.ones(2), "height": np.ones(2)}, ["widht"], "a feature")
