"""The tables of the case studies say what a candidate's explanation says."""

import case_studies

ROW = {
    "rank_of_drug_for_disease": 4,
    "rank_low": 3,
    "rank_high": 9,
    "head_name": "Donepezil | salt",
    "caution": "",
    "probability": 0.1675,
    "paths": [
        {"text": "A -[compound_binds_gene]-> B", "change": -0.31},
        {"text": "A -[compound_resembles_compound]- C", "change": 0.02},
    ],
    "reasons": [
        {"text": "compounds with the same gene (binds)", "voters": ["X for Y", "Z for Y", "U for V"]}
    ],
}


def test_a_row_has_the_strongest_reason_and_the_path_with_the_largest_effect():
    header, rule, line = case_studies.table([ROW], ("compound", "disease"))
    assert header.count("|") == rule.count("|") == line.count("|") == 8
    assert line == (
        "| 4 | 3-9 | Donepezil / salt | 0.17 | compounds with the same gene (binds): X for Y, Z for Y "
        "| A -[binds]-> B | -0.31 |"
    )


def test_a_row_without_paths_and_reasons_has_empty_cells_and_a_caution_is_shown():
    row = ROW | {"paths": [], "reasons": [], "caution": "no binds_gene"}
    *_, line = case_studies.table([row], ("compound", "disease"))
    assert line == "| 4 | 3-9 | Donepezil / salt (no binds_gene) | 0.17 |  |  |  |"
