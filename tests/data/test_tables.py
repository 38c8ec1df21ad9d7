"""Tables from disk: what is read, with Polars and without, and the words in which the rest is refused."""

import datetime
import gzip
import io
import random
import sys

import numpy as np
import pytest

from chainrule.data import features_and_target, read_table, tables
from chainrule.data.tables import Dialect, numbers

pl = pytest.importorskip("polars", reason="Polars reads Parquet: install the extra data")


@pytest.fixture(params=["polars", "csv"])
def reader(request, monkeypatch):
    """Read CSV with Polars, and with the csv module as if Polars were not installed."""
    if request.param == "csv":
        monkeypatch.setitem(sys.modules, "polars", None)


@pytest.fixture
def csv(tmp_path):
    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def as_lists(table):
    return {name: values.tolist() for name, values in table.items()}


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("length,kind,seen\n1.5,oak,true\n2,elm,FALSE\n",
         {"length": [1.5, 2.0], "kind": ["oak", "elm"], "seen": [True, False]}),
        ("a, b, kind\n1, 2, oak\n3, 4.5, elm\n", {"a": [1, 3], "b": [2.0, 4.5], "kind": ["oak", "elm"]}),
        ("\ufeffa,b\r\n1,2\r\n\r\n , \r\n3,4\r\n\r\n", {"a": [1, 3], "b": [2, 4]}),  # a mark, blank rows
        ("a,b\r1,2\r3,4\r", {"a": [1, 3], "b": [2, 4]}),  # line ends of old Macs
        ('"a, in m","b ""x"""\n1,"x\ny"\n2,z\n', {"a, in m": [1, 2], 'b "x"': ["x\ny", "z"]}),
        ("score\n1_0\n2_1\n", {"score": ["1_0", "2_1"]}),  # no number, though Python's float takes it
        ("a,b\n1\n2,true\n", {"a": [1, 2], "b": [None, True]}),
        ("a,b,c\n1,,9223372036854775809\n,,1\n", {"a": [1, None], "b": [None] * 2, "c": [2**63 + 1, 1]}),
    ],
)  # fmt: skip
def test_csv_gives_its_columns_by_name_in_order(csv, text, wanted):
    assert as_lists(read_table(csv(text))) == wanted
    assert as_lists(read_table(csv(gzip.compress(text.encode()), "t.csv.gz"))) == wanted


@pytest.mark.usefixtures("reader")
def test_encoding_separator_and_spelling_are_as_asked(csv):
    text = "größe;code;y;preis\n0,5;007;ja;9,50\n-1,25;010;nein;\n"
    path = csv(text.encode("cp1252"))
    table = read_table(path, Dialect("cp1252", ";", ("code", "preis")))
    wanted = {"größe": [0.5, -1.25], "code": ["007", "010"], "y": ["ja", "nein"]}
    assert as_lists(table) == wanted | {"preis": ["9.50", None]}
    assert as_lists(read_table(csv(text.encode("utf-16")), Dialect("utf-16", ";")))["code"] == [7, 10]


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", b"a,b\n1,2\n", "unsupported table format; use one of .csv, .csv.gz, .parquet, .npz"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n", "holds no rows"),
        ("t.csv", b"a,b\n\n , \n", "holds no rows"),
        ("t.csv", b"a,b\n1,2\n\n3,4,5\n", "3 fields in line 4, for 2 columns"),
        ("t.csv", b"a,b\n1,2,\n3,4,\n", "3 fields in line 2, for 2 columns"),
        ("t.csv", b'a,b\n1,"2\n3,4\n', "is a quote left open"),
        ("t.csv", b"a;b\n1;2\n", r"one column, 'a;b'; if ';' separates it, give --separator ';'"),
        ("t.csv", b"a\tb\n1\t2\n", "give --separator 'tab'"),
        ("t.csv", b"a,b\n1,\xfe\xff\n", "not utf-8 in line 2; give its encoding with --encoding .such as cp1252"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), r"--encoding \(utf-16, as it seems"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16-le"), "holds NUL characters; is it no text, or UTF-16"),
        ("t.csv", b"a,b, a\n1,2,3\n", r"two columns of one name: 'a' \(column 1\) and ' a' \(column 3\)"),
        ("t.csv", b"y,a,y\n1,2,3\n", r"two columns of one name: 'y' \(column 1\) and 'y' \(column 3\)"),
        ("t.csv", b"x" * 1_000_000 + b",b\n1,2\n", "field larger than field limit"),
        ("t.csv.gz", b"\x1f\x8b\x08 and then nonsense", "cannot be read"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:-20], "cannot be read"),
        ("t.npz", b"nonsense" * 9, "cannot be read as npz"),
        ("t.parquet", b"nonsense" * 9, "cannot be read .*damaged|needs Polars"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused_in_one_line(csv, name, content, message):
    with pytest.raises((ValueError, ModuleNotFoundError), match=message) as error:
        read_table(csv(content, name))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    assert name in str(error.value)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.npz", "t.parquet"])
def test_a_table_too_large_for_the_memory_left_is_refused_with_its_size(csv, name, monkeypatch):
    monkeypatch.setattr(tables, "available_bytes", lambda: 2_000_000)
    content, array = io.BytesIO(), np.zeros(300_000)
    match name:
        case "t.npz":
            np.savez_compressed(content, a=array, b=array)
        case "t.parquet":
            pl.DataFrame({"a": array, "b": array}).write_parquet(content)
        case _:
            text = b"a,b\n" + b"0,0\n" * 300_000
            content.write(gzip.compress(text) if name.endswith("gz") else text)
    with pytest.raises(ValueError, match=r"of memory; 0.0 GB are free: give fewer rows"):
        read_table(csv(content.getvalue(), name))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_table(tmp_path)


def test_without_polars_parquet_and_large_csv_name_the_extra(csv, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setattr(tables, "_MOST_BY_CSV", 5)
    for name in ("t.parquet", "t.csv"):
        with pytest.raises(ModuleNotFoundError, match=r"Polars.*; pip install '.\[data\]' in a clone"):
            read_table(csv("a,b\n1,2\n", name))


# -- Parquet and npz -----------------------------------------------------------------------------


def test_parquet_decimals_are_numbers_categories_text_and_gaps_none(tmp_path):
    frame = pl.DataFrame(
        {
            "price": pl.Series(["1.25", "2.50"]).cast(pl.Decimal(10, 2)),
            "kind": pl.Series(["oak", "elm"], dtype=pl.Categorical),
            "count": pl.Series([3, None]),
            "pair": pl.Series([[1.0], [2.0, 3.0]]),
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    assert as_lists(read_table(tmp_path / "t.parquet")) == {
        "price": [1.25, 2.5], "kind": ["oak", "elm"], "count": [3, None], "pair": [[1.0], [2.0, 3.0]],
    }  # fmt: skip


def test_npz_gives_the_columns_of_a_matrix_numbered_or_an_array_a_column(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.arange(6.0).reshape(3, 2), y=np.array([[0], [1], [0]]))
    matrix = {"X_0": [0.0, 2.0, 4.0], "X_1": [1.0, 3.0, 5.0], "y": [0, 1, 0]}
    assert as_lists(read_table(tmp_path / "t.npz")) == matrix
    np.savez(tmp_path / "t.npz", width=np.arange(3), kind=np.array(["a", "b", "a"]))
    assert list(read_table(tmp_path / "t.npz")) == ["width", "kind"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.ones((3, 2)), "y": np.ones(2)}, r"holds 'X' \(3, 2\), 'y' \(2,\); wanted"),
        ({"X": np.ones((3, 2, 2)), "y": np.ones(3)}, r"holds 'X' \(3, 2, 2\), 'y' \(3,\); wanted"),
        ({"X": np.array([{}, {}], dtype=object)}, "without object arrays"),
        ({"X": np.ones((3, 1)), "X_0": np.ones(3)}, "two columns of one name"),
    ],
)
def test_npz_whose_arrays_are_no_table_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.npz")


# -- numbers out of columns ----------------------------------------------------------------------


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n" + "1,2\n" * 499 + "1,seven\n", r"'b' \(text, 'seven' in row 500\)"),
        ("a,b\n1,2\n3,\n,5\n", r"'a' \(no value in row 3\), 'b' \(no value in row 2\); fill or"),
        ("a,b\n1,true\n2,\n3,false\n4,\n", r"'b' \(no value in row 2 and 1 more\)"),
        ("a,b\n1.5,1\nNaN,2\n", r"'a' \(no value in row 2\)"),
        ("a,b\n1.5,1\ninf,2\n", r"'a' \(an infinite value in row 2\)"),
        ("a,b\n1,1e400\n2,2\n", r"'b' \(an infinite value in row 1\)"),
    ],
)
def test_every_column_that_is_not_one_number_a_row_is_named_with_its_first_row(csv, text, message):
    with pytest.raises(ValueError, match=message):
        numbers(read_table(csv(text)), ["a", "b"], "a feature")


def test_dates_and_lists_are_refused_by_name(tmp_path):
    day = datetime.date(2026, 1, 1)
    pl.DataFrame({"when": [day, day], "pair": [[1], [2]]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"'when' \(dates\), 'pair' \(a list, \[1\] in row 1\)"):
        numbers(read_table(tmp_path / "t.parquet"), ["when", "pair"], "a feature")


@pytest.mark.usefixtures("reader")
def test_numbers_written_as_text_and_whole_numbers_beyond_64_bits_are_numbers(csv):
    table = {"a": np.array(["1", " 2.5", "3e2"], dtype=object)}
    assert numbers(table, ["a"], "a feature").tolist() == [[1.0], [2.5], [300.0]]
    table = read_table(csv("a\n12345678901234567890\n123456789012345678901234567890\n"))
    assert numbers(table, ["a"], "a feature").tolist() == [
        [12345678901234567890.0],
        [1.2345678901234568e29],
    ]


# -- odd tables ----------------------------------------------------------------------------------

CLEAN = "a,b,kind\n" + "".join(f"{i * 0.5},{i % 7},{'pq'[i % 3 == 0]}\n" for i in range(30))
ODD_VALUES = [
    "", "NA", "x", "inf", "1e999", "9" * 40, "-", "\x1b[31m", "é", '"', '""', "1,5", "=1+1", "x" * 200_000, "\0",
]  # fmt: skip


def odd_table(rng):
    """Return the bytes of a table that is damaged in one to three places."""
    lines = [line.split(",") for line in CLEAN.splitlines()]
    for _ in range(rng.randrange(1, 4)):
        line = rng.choice(lines)
        match rng.randrange(6):
            case 0 | 1:
                line[rng.randrange(len(line))] = rng.choice(ODD_VALUES)
            case 2:
                line.insert(rng.randrange(len(line)), rng.choice(ODD_VALUES))
            case 3:
                lines.insert(rng.randrange(len(lines)), rng.choice([[""], ["", ""], ["", "", ""], line]))
            case 4 if len(line) > 1:
                del line[-1]
            case _:
                lines[0][rng.randrange(len(lines[0]))] = rng.choice(
                    [*ODD_VALUES, "a", " a", "kind ", "Unnamed: 0"]
                )
    separator, end = rng.choice(",,,,,;\t"), rng.choice(["\n", "\n", "\r\n", "\r"])
    encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])
    content = end.join(separator.join(line) for line in lines).encode(encoding)
    if rng.random() < 0.2:
        content = content[: rng.randrange(len(content))]
    if rng.random() < 0.2:
        place = rng.randrange(len(content) + 1)
        content = content[:place] + rng.randbytes(rng.randrange(1, 9)) + content[place:]
    return content


@pytest.mark.usefixtures("reader")
def test_150_odd_tables_are_refused_in_one_line_or_learnt_as_they_read(csv):
    rng, learnt, refusals = random.Random(0), 0, []  # noqa: S311  no secret
    for _ in range(150):
        content = odd_table(rng)
        try:
            table = read_table(csv(content))
            samples = features_and_target(table, "kind")
        except ValueError as error:
            refusals.append(str(error))
            continue
        learnt += 1
        assert np.isfinite(samples.X).all()
        assert samples.X.shape == (len(samples.y), len(samples.features))
        assert len(samples.y) <= len(content.splitlines()) - 1
        assert all(name == name.strip() and name in table for name in samples.features)
        if samples.labels:
            spelled = {str(label) for label in samples.labels}
            assert {"p", "q"} <= spelled
            assert not spelled & {"", "NA", "-"}
    assert 5 < learnt < 140
    assert [text for text in refusals if "\n" in text or len(text) > 2500] == []
