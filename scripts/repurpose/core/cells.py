"""Cells of a csv file that a spreadsheet would read as a formula, and how they are written as text."""

import pyarrow as pa
import pyarrow.compute as pc

# A text with apostrophes before a formula gets one more, so that `with_formulas` gives back what was written.
FORMULA = r"^('*[=+\-@\t\r])"
FORMULA_AS_TEXT = r"^'('*[=+\-@\t\r])"

Texts = pa.ChunkedArray | pa.Array


def without_formulas(texts: Texts) -> Texts:
    """The texts, with an apostrophe in front of those that a spreadsheet would read as a formula."""
    return pc.replace_substring_regex(texts, FORMULA, r"'\1")


def table_without_formulas(table: pa.Table) -> pa.Table:
    """The table with all its texts as `without_formulas` writes them."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(place, field, without_formulas(table[field.name]))
    return table


def with_formulas(texts: Texts) -> Texts:
    """The texts that `without_formulas` was given."""
    return pc.replace_substring_regex(texts, FORMULA_AS_TEXT, r"\1")
