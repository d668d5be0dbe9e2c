from repurpose.ingest import faults

HEADER = ["a", "b"]


def first(text: str, wanted: tuple[str, ...] = ("a", "b")) -> str | None:
    return faults.first(text.splitlines(keepends=True), ",", HEADER, wanted)


def test_a_sound_table_has_no_fault():
    assert first('a,b\n1,2\n\n"1\n,",5" x\n1,"2\n"\n') is None


def test_the_first_faulty_row_is_named_by_the_line_it_starts_on():
    assert first('a,b\n\n"1\n1",2\n1\n1,2,3\n').startswith("line 5: the row has 1 field where")


def test_a_row_that_runs_over_lines_is_asked_about_its_quotation_mark():
    sentence = first('a,b\n1,2\n"1,2\n3,4\n"\n1,2\n')
    assert sentence.startswith("line 3: the row has 1 field")
    assert "ends on line 5: is a quotation mark left open?" in sentence
    assert "quotation" not in first("a,b\n1\n")


def test_bytes_that_are_not_utf8_count_in_wanted_columns_only():
    text = b"a,b\n1,2\n1,\xff\n".decode(errors="surrogateescape")
    assert first(text) == "line 3: column b has the byte 0xff, which is not UTF-8 text"
    assert first(text, ("a",)) is None


def test_a_quotation_mark_that_is_never_closed_is_found_in_the_last_row():
    assert first('a,b\n1,2\n1,"2\n1,2\n') == "line 3: a quotation mark is left open"
    assert first('a,b\n1,2\n1,"2\n1,2\n"\n') is None


def test_a_field_beyond_all_bounds_is_a_quotation_mark_left_open():
    assert first('a,b\n1,"' + "2\n" * 100_000) == "line 2: a quotation mark is left open"


def test_the_foreign_byte_is_the_first():
    assert faults.foreign_byte(["é", b"x\xfe\xff".decode(errors="surrogateescape")]) == 0xFE
    assert faults.foreign_byte(["é", "x"]) is None
