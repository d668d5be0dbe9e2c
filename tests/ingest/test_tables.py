import gzip
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repurpose.core.errors import InputError
from repurpose.ingest import tables

COLUMNS = ["relation", "x_id", "x_name"]
HEADER = "relation,x_id,x_name,note\n"
GOOD = HEADER + 'indication,0012,"aspirin, plain",a\nindication,NA,"two\nlines",b\n,"",null,c\n'
CELLS = {
    "relation": ["indication", "indication", ""],
    "x_id": ["0012", "NA", ""],
    "x_name": ["aspirin, plain", "two\nlines", "null"],
}


def write(path: Path, content: str | bytes) -> Path:
    """Write a file, compressed according to its suffix."""
    content = content.encode() if isinstance(content, str) else content
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = pa.compress(content, codec="zstd", asbytes=True)
    path.write_bytes(content)
    return path


def refusal(path: Path, columns: list[str] = COLUMNS) -> str:
    """The error with which a table is refused; it must be one line and name the file."""
    with pytest.raises(InputError) as caught:
        tables.read(path, columns)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


# ---- tables that are read ----


@pytest.mark.parametrize(
    "name", ["t.csv", "t.csv.gz", "t.csv.zst", "t.tsv", "t.tsv.gz", "t.tsv.zst", "T.CSV.GZ"]
)
def test_the_cells_of_a_text_table_are_read(tmp_path, name):
    content = GOOD.replace(",", "\t") if "tsv" in name else GOOD
    expected = {**CELLS, "x_name": ["aspirin\t plain", *CELLS["x_name"][1:]]} if "tsv" in name else CELLS
    path = tmp_path / name
    path.write_bytes(write(tmp_path / name.lower(), content).read_bytes())
    assert tables.read(path, COLUMNS).to_pydict() == expected


def test_a_parquet_table_gives_the_same_cells(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"note": [1, 2, 3], **CELLS}), path)
    assert tables.read(path, COLUMNS).to_pydict() == CELLS


def test_every_column_is_dictionary_encoded_text_without_nulls(tmp_path):
    text = write(tmp_path / "t.csv", GOOD)
    parquet = tmp_path / "t.parquet"
    pq.write_table(pa.table({"relation": [None, "a"], "x_id": [7, None], "x_name": pa.nulls(2)}), parquet)
    for table in (tables.read(text, COLUMNS), tables.read(parquet, COLUMNS)):
        assert set(table.schema.types) == {tables.TEXT}
        assert not any(column.null_count for column in table.columns)
    assert tables.read(parquet, COLUMNS).to_pydict() == {
        "relation": ["", "a"],
        "x_id": ["7", ""],
        "x_name": ["", ""],
    }


def test_columns_are_returned_once_and_in_the_requested_order(tmp_path):
    path = write(tmp_path / "t.csv", GOOD)
    assert tables.read(path, ["x_id", "relation", "x_id"]).column_names == ["x_id", "relation"]


def test_ids_stay_strings(tmp_path):
    path = write(tmp_path / "t.csv", "id\n0012\n12\n1e3\nTrue\nnan\n")
    assert tables.read(path, ["id"])["id"].to_pylist() == ["0012", "12", "1e3", "True", "nan"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([3091, 5]), ["3091", "5"]),
        (pa.array([3091.0, None]), ["3091", ""]),
        (pa.array([3091.0, float("nan")]), ["3091", ""]),
        (pa.array([2.0**53, 1.0]), ["9007199254740992", "1"]),
        (pa.array([0.5, 2.0]), ["0.5", "2"]),
        (pa.array(["0012", None]), ["0012", ""]),
        (pa.array(["0012", None]).dictionary_encode(), ["0012", ""]),
        (pa.array([b"0012", b""]), ["0012", ""]),
        (pa.array(["0012", "NA"], pa.large_string()), ["0012", "NA"]),
    ],
)
def test_parquet_values_of_any_plain_type_become_text(tmp_path, values, expected):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x.id": values}), path)
    assert tables.read(path, ["x.id"])["x.id"].to_pylist() == expected


def test_byte_order_marks_and_windows_line_ends_are_no_content(tmp_path):
    path = write(tmp_path / "t.csv", b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert tables.read(path, ["relation", "x_id"]).to_pydict() == {
        key: CELLS[key] for key in ("relation", "x_id")
    }


def test_blank_lines_are_no_rows(tmp_path):
    path = write(tmp_path / "t.csv", "\na,b\n\n1,2\n\n")
    assert tables.read(path, ["a", "b"]).to_pydict() == {"a": ["1"], "b": ["2"]}


def test_a_file_of_several_gzip_members_is_read_to_its_end(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"))
    assert tables.read(path, ["b"])["b"].to_pylist() == ["2", "4"]


def test_a_table_of_several_blocks_and_batches_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(tables, "BATCH_ROWS", 100)
    ids = [f"{i:05}" for i in range(2000)]
    text = write(tmp_path / "t.csv.zst", "a,b\n" + "".join(f"{i},{i[-1]}\n" for i in ids))
    parquet = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": ids, "b": [i[-1] for i in ids]}), parquet)
    for path in (text, parquet):
        assert tables.read(path, ["a", "b"]).to_pydict() == {"a": ids, "b": [i[-1] for i in ids]}


def test_faults_outside_the_wanted_columns_do_not_matter(tmp_path):
    path = write(tmp_path / "t.csv", b"a,b\n1,\xff\n")
    assert tables.read(path, ["a"])["a"].to_pylist() == ["1"]
    assert "UTF-8" in refusal(path, ["a", "b"])


# ---- tables that are refused ----


def test_a_missing_file_is_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "absent.csv")


def test_a_directory_is_refused(tmp_path):
    (tmp_path / "t.csv").mkdir()
    assert "is not a file" in refusal(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["t.doc", "t.csv.bz2", "t", "t.gz", "t.csv.gz.gz", "t.xlsx"])
def test_an_unknown_suffix_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_text(GOOD)
    assert "unknown kind" in refusal(path)
    assert ".parquet" in refusal(path)


def test_an_archive_with_the_name_of_a_table_is_told_its_right_name(tmp_path):
    (tmp_path / "kg.tsv").write_text("a\tb\n1\t2\n")
    with tarfile.open(tmp_path / "kg.tsv.gz", "w:gz") as archive:
        archive.add(tmp_path / "kg.tsv", "kg.tsv")
    with pytest.raises(
        InputError, match=r"what it holds is a tar archive: give it a name that ends in \.tar"
    ):
        tables.read(tmp_path / "kg.tsv.gz", ["a"])


def test_a_compressed_parquet_file_is_refused(tmp_path):
    assert "unpack it" in refusal(write(tmp_path / "t.parquet.gz", b"PAR1"))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zst", "t.tsv", "t.parquet"])
def test_an_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert "is empty" in refusal(tmp_path / name)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_compressed_empty_file_is_refused(tmp_path, content):
    assert "is empty" in refusal(write(tmp_path / "t.csv.gz", content))


@pytest.mark.parametrize("content", [HEADER, HEADER.strip(), HEADER + "\n\n"])
def test_a_header_without_rows_is_refused(tmp_path, content):
    assert "a header but no rows" in refusal(write(tmp_path / "t.csv", content))


def test_a_parquet_header_without_rows_is_refused(tmp_path):
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in COLUMNS}), tmp_path / "t.parquet")
    assert "a header but no rows" in refusal(tmp_path / "t.parquet")


def test_the_error_about_a_missing_column_lists_the_existing_ones(tmp_path):
    text = write(tmp_path / "t.csv", GOOD)
    parquet = tmp_path / "t.parquet"
    pq.write_table(pa.table({**CELLS, "note": CELLS["x_id"]}), parquet)
    for path in (text, parquet):
        sentence = refusal(path, ["relation", "y_id"])
        assert "no column y_id" in sentence
        assert "relation, x_id, x_name, note" in sentence
        assert "graph.columns" in sentence
    with pytest.raises(InputError, match=r"graph\.node_columns"):
        tables.read(text, ["y_id"], "graph.node_columns")


def test_a_column_name_that_occurs_twice_is_refused_only_if_wanted(tmp_path):
    path = write(tmp_path / "t.csv", "a,b,b,c\n1,2,3,4\n")
    assert "more than one column b" in refusal(path, ["a", "b"])
    assert tables.read(path, ["a", "c"]).num_rows == 1


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zst"])
@pytest.mark.parametrize(("row", "count"), [("indication,1,2", 3), ("indication,1,2,3,4", 5), ("x", 1)])
def test_a_row_with_a_wrong_number_of_fields_is_refused_with_its_line(tmp_path, name, row, count):
    # GOOD has five lines (one line break is inside quotation marks), and a blank line follows.
    path = write(tmp_path / name, f"{GOOD}\n{row}\n{row}\nindication,1,2,3\n")
    sentence = refusal(path)
    assert "line 7:" in sentence
    assert f"{count} field" in sentence
    assert "header has 4" in sentence
    assert tables.read(write(tmp_path / name, f"{GOOD}\nindication,1,2,3\n"), COLUMNS).num_rows == 4


def test_the_line_number_is_correct_after_the_first_block(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_BYTES", 1000)
    content = "a,b\n" + '1,"2\n2"\n' * 1500 + "1\n" + "1,2\n" * 1000
    assert "line 3002:" in refusal(write(tmp_path / "t.csv.gz", content), ["a", "b"])


def test_bytes_that_are_not_utf8_are_refused_with_line_and_column(tmp_path):
    content = GOOD.encode() + "indication,1,Sjögren,d\n".encode("latin-1")
    for name in ("t.csv", "t.csv.gz"):
        sentence = refusal(write(tmp_path / name, content))
        assert "line 6:" in sentence
        assert "x_name" in sentence
        assert "0xf6" in sentence
    good = write(tmp_path / "t.csv", GOOD + "indication,1,Sjögren,d\n")
    assert tables.read(good, COLUMNS)["x_name"][-1].as_py() == "Sjögren"


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_header_that_is_not_utf8_is_refused(tmp_path, encoding):
    path = write(tmp_path / "t.csv", "a,é\n1,2\n".encode(encoding))
    assert "not UTF-8 text (in its header)" in refusal(path, ["a"])


def test_a_quotation_mark_left_open_in_the_header_is_refused(tmp_path):
    assert "in its header" in refusal(write(tmp_path / "t.csv", 'a,"b\n' + "1,2\n" * 50_000), ["a"])


@pytest.mark.parametrize("last", [True, False])
def test_a_quotation_mark_left_open_is_refused_with_its_line(tmp_path, last):
    # In the last column, all later rows become part of one field, and the number of fields is correct.
    row = '1,"2\n' if last else '"1,2\n'
    content = "a,b\n" + '1,"2\n2"\n' * 3 + row + "1,2\n" * 100
    sentence = refusal(write(tmp_path / "t.csv", content), ["a"])
    assert "line 8:" in sentence
    assert "quotation mark" in sentence


def test_a_last_cell_that_ends_in_a_line_break_is_read(tmp_path):
    path = write(tmp_path / "t.csv", 'a,b\n1,"2\n"\n')
    assert tables.read(path, ["b"])["b"].to_pylist() == ["2\n"]


def test_a_quotation_mark_that_swallows_more_than_a_block_is_refused_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_BYTES", 1000)
    path = write(tmp_path / "t.csv", "a,b\n1,2\n" + '1,"2\n' + "1,2\n" * 50_000)
    assert "line 3: a quotation mark is left open" in refusal(path, ["a"])


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.zst", "t.parquet"])
@pytest.mark.parametrize("missing", [1, 8, 0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path, name, missing):
    # These rows compress badly, so that half of the file contains complete rows.
    ids = [str(hash((i, "id"))) for i in range(5000)]
    path = tmp_path / name
    if name == "t.parquet":
        pq.write_table(pa.table({"a": ids}), path)
    else:
        write(path, "a\n" + "\n".join(ids) + "\n")
    assert tables.read(path, ["a"]).num_rows == 5000
    content = path.read_bytes()
    path.write_bytes(content[: -(missing if missing >= 1 else int(missing * len(content)))])
    assert "cut short or damaged" in refusal(path, ["a"])


def test_a_parquet_file_damaged_inside_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [str(i) for i in range(1000)]}), path)
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * 200 + content[204:])
    assert "cut short or damaged" in refusal(path, ["a"])


def test_a_gzip_file_damaged_inside_is_refused(tmp_path):
    path = write(tmp_path / "t.csv.gz", "a\n" + "1\n" * 1000)
    content = path.read_bytes()
    path.write_bytes(content[:-8] + b"\x00" + content[-7:])  # changes the checksum
    assert "cut short or damaged" in refusal(path, ["a"])


@pytest.mark.parametrize(
    ("written", "renamed", "words"),
    [
        ("t.csv", "u.csv.gz", "named as gzip but holds text"),
        ("t.csv", "u.csv.zst", "named as zstd but holds text"),
        ("t.csv", "u.parquet", "named as parquet but holds text"),
        ("t.csv.gz", "u.csv", "named as text but holds gzip"),
        ("t.csv.zst", "u.csv.gz", "named as gzip but holds zstd"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, written, renamed, words):
    write(tmp_path / written, GOOD).rename(tmp_path / renamed)
    assert words in refusal(tmp_path / renamed)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"<!DOCTYPE html>\n<html></html>\n", "holds a web page"),
        ("t.csv.zst", b"<html></html>\n", "what it holds is a web page"),
        ("t.parquet", b"  <html></html>", "named as parquet but holds a web page"),
        ("t.csv", b'{"message": "Not Found"}', "holds JSON"),
        (
            "t.tsv",
            b"PK\x03\x04rest",
            "an Excel workbook or a zip archive: unpack it, or save the sheet as csv",
        ),
        ("t.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("t.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("t.csv", b"BZh91AY&SY", "a bzip2 archive: unpack it"),
    ],
)
def test_the_error_says_what_a_file_is_that_is_no_table(tmp_path, name, content, words):
    assert words in refusal(write(tmp_path / name, content))


def test_marks_of_html_or_json_in_the_header_of_a_table_are_no_fault(tmp_path):
    path = write(tmp_path / "t.csv", "<b>,{x}\n1,2\n")
    assert tables.read(path, ["{x}"])["{x}"].to_pylist() == ["2"]


def test_a_parquet_column_of_lists_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [["1"], ["2"]]}), path)
    sentence = refusal(path, ["a"])
    assert "column a" in sentence
    assert "list" in sentence


def test_reading_or_refusing_a_file_does_not_change_it(tmp_path):
    for content in (GOOD, GOOD + "x\n"):
        path = write(tmp_path / "t.csv.gz", content)
        before = path.read_bytes()
        if content is GOOD:
            tables.read(path, COLUMNS)
        else:
            refusal(path)
        assert path.read_bytes() == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv.gz"]


# ---- the faulty row ----


def fault(text: str, wanted: tuple[str, ...] = ("a", "b")) -> str | None:
    return tables.first_fault(text.splitlines(keepends=True), ",", ["a", "b"], wanted)


def test_a_sound_table_has_no_fault():
    assert fault('a,b\n1,2\n\n"1\n,",5" x\n1,"2\n"\n') is None


def test_the_first_faulty_row_is_named_by_the_line_where_it_starts():
    assert fault('a,b\n\n"1\n1",2\n1\n1,2,3\n').startswith("line 5: the row has 1 field where")


def test_the_error_about_a_row_of_several_lines_mentions_the_quotation_mark():
    sentence = fault('a,b\n1,2\n"1,2\n3,4\n"\n1,2\n')
    assert sentence.startswith("line 3: the row has 1 field")
    assert "ends on line 5: is a quotation mark left open?" in sentence
    assert "quotation" not in fault("a,b\n1\n")


def test_bytes_that_are_not_utf8_count_in_wanted_columns_only():
    text = b"a,b\n1,2\n1,\xff\n".decode(errors="surrogateescape")
    assert fault(text) == "line 3: column b has the byte 0xff, which is not UTF-8 text"
    assert fault(text, ("a",)) is None


def test_a_quotation_mark_that_is_never_closed_is_found_in_the_last_row():
    assert fault('a,b\n1,2\n1,"2\n1,2\n') == "line 3: a quotation mark is left open"
    assert fault('a,b\n1,2\n1,"2\n1,2\n"\n') is None


def test_a_very_long_field_counts_as_a_quotation_mark_left_open():
    assert fault('a,b\n1,"' + "2\n" * 100_000) == "line 2: a quotation mark is left open"


def test_the_first_byte_that_is_not_utf8_is_returned():
    assert tables.first_non_utf8_byte(["é", b"x\xfe\xff".decode(errors="surrogateescape")]) == 0xFE
    assert tables.first_non_utf8_byte(["é", "x"]) is None
