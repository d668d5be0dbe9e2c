import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from repurpose.ingest import codes

TEXTS = st.lists(st.sampled_from(["", "b", "a", "B", "10", "9", "é", "NA"]), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(TEXTS, TEXTS, st.booleans())
def test_codes_give_the_texts_back(first, second, encoded):
    columns = [pa.chunked_array([text[:3], text[3:]], pa.string()) for text in (first, second)]
    if encoded:
        columns = [column.dictionary_encode() for column in columns]
    numbers, values = codes.of_text(columns)
    assert values.to_pylist() == sorted({*first, *second} - {""})
    for text, number in zip((first, second), numbers, strict=True):
        assert number.dtype == np.int32
        assert [values[int(i)].as_py() if i >= 0 else "" for i in number] == text


def test_dictionaries_that_differ_between_chunks_are_unified():
    chunks = [pa.array(texts).dictionary_encode() for texts in (["b", "a"], ["c", "b"])]
    (numbers,), values = codes.of_text([pa.chunked_array(chunks)])
    assert numbers.tolist() == [1, 0, 2, 1]
    assert values.to_pylist() == ["a", "b", "c"]


def test_values_of_a_dictionary_that_no_cell_uses_are_left_out():
    column = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([1, 1]), ["unused", "used"])])
    assert codes.of_text([column])[1].to_pylist() == ["used"]


def test_null_is_the_empty_text():
    columns = [pa.chunked_array([["a", None]]), pa.chunked_array([pa.array([None, "a"]).dictionary_encode()])]
    numbers, _ = codes.of_text(columns)
    assert [part.tolist() for part in numbers] == [[0, -1], [-1, 0]]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-5, 2**60), max_size=30))
def test_number_codes_are_those_of_unique(numbers):
    array = np.array(numbers, dtype=np.int64)
    expected, inverse = np.unique(array, return_inverse=True)
    found, distinct = codes.of_numbers(array)
    assert (distinct == expected).all()
    assert (found == inverse).all()
