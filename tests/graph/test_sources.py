"""The origin of an edge is found in sources.parquet: its sources and its publications, each once."""

import pyarrow as pa
import pytest

from repurpose.core import files
from repurpose.graph import sources
from repurpose.ingest import edge_sources


def stored(path, rows):
    """The origins of a file with rows (relation, head, tail, source, publications), in the file's order."""
    rows = sorted(rows, key=lambda row: (row[0], row[2], row[1]))
    columns = list(zip(*[(*row, "", "") for row in rows], strict=True)) or [[]] * 7
    arrays = [
        pa.array(column, field.type) for column, field in zip(columns, edge_sources.SCHEMA, strict=True)
    ]
    files.write_table(path, pa.table(arrays, schema=edge_sources.SCHEMA))
    return sources.load(path)


@pytest.fixture(name="told")
def origins(tmp_path):
    return stored(
        tmp_path / "sources.parquet",
        [
            (0, 1, 2, "a", "PMID:1|PMID:2"),
            (0, 1, 2, "b", "PMID:2; PMID:3"),
            (0, 1, 2, "a", ""),
            (0, 2, 2, "c", ""),
            (1, 1, 2, "", "doi:10.1/x"),
            (3, 7, 5, "d", "|".join(map(str, range(40)))),
        ],
    )


def test_an_edge_has_its_own_sources_and_publications_each_once(told):
    assert told.of(0, 1, 2) == (("a", "b"), ("PMID:1", "PMID:2", "PMID:3"))
    assert told.of(0, 2, 2) == (("c",), ())
    assert told.of(1, 1, 2) == ((), ("doi:10.1/x",))


def test_other_edges_have_no_origin_not_even_those_with_exchanged_indices(told):
    """The fifth drug and the seventh gene are not the seventh drug and the fifth gene."""
    assert told.of(3, 7, 5) != sources.UNKNOWN
    for edge in ((3, 5, 7), (0, 0, 2), (0, 1, 3), (2, 1, 2), (4, 1, 2), (3, 5, 5)):
        assert told.of(*edge) == sources.UNKNOWN


def test_of_many_publications_the_first_are_given(told):
    assert told.of(3, 7, 5).publications == tuple(map(str, range(sources.MOST)))


def test_a_graph_whose_table_tells_nothing_has_no_origins(tmp_path):
    assert stored(tmp_path / "sources.parquet", []) is None
