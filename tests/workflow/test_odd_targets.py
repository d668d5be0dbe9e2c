"""Small and odd targets: the workflow says how little its numbers mean, or stops with one sentence."""

import csv
import sys
from pathlib import Path

import numpy as np
import project_runs
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import endings

DRUGS, DISEASES, GENES = 70, 60, 120
HEADER = ["relation", "x_id", "x_type", "x_name", "y_id", "y_type", "y_name"]
FEW = "say little about others"
# Name -> numbers of drugs and diseases, the treatments, and words that the screen must have.
WORKS = {
    "all treatments are of one disease": (DRUGS, DISEASES, [(i, 3) for i in range(55)], [FEW]),
    "the graph has one disease": (DRUGS, 1, [(i, 0) for i in range(55)], [FEW]),
    "all treatments are of one drug": (DRUGS, DISEASES, [(5, i) for i in range(55)], []),
    "few pairs are no treatments": (
        8,
        10,
        [(i, j) for i in range(8) for j in range(10) if (i + j) % 7],
        [FEW],
    ),
}
STOPS = {
    "every pair is a treatment": (
        *(6, 7, [(i, j) for i in range(6) for j in range(7)]),
        "so treatments can be compared with nothing",
    ),
    "there are no other relations": (DRUGS, DISEASES, "random", "is left to learn from"),
}


def write(path: Path, drugs: int, diseases: int, treatments: list, *, has_genes: bool = True) -> None:
    """A graph in which drugs and diseases have genes of one of eight groups; half of the genes are linked."""
    rng = np.random.default_rng(0)

    def gene(node: int) -> int:
        in_group = int(rng.integers(0, GENES // 8)) * 8 + node % 8
        return in_group if rng.random() < 0.85 else int(rng.integers(0, GENES))

    def row(relation: str, head: int, head_type: str, tail: int, tail_type: str) -> tuple[str, ...]:
        ends = [
            (f"{kind}:{node}", kind, f"{kind} {node}")
            for node, kind in ((head, head_type), (tail, tail_type))
        ]
        return (relation, *ends[0], *ends[1])

    rows = [row("indication", drug, "drug", disease, "disease") for drug, disease in treatments]
    for number in range(500 if has_genes else 0):
        rows.append(row("drug_protein", number % drugs, "drug", gene(number % drugs), "gene/protein"))
        # A third of the diseases have no edge but treatments.
        disease = number % max(1, diseases * 2 // 3)
        rows.append(row("disease_protein", disease, "disease", gene(disease), "gene/protein"))
        first = int(rng.integers(0, GENES))
        rows.append(row("protein_protein", first, "gene/protein", gene(first), "gene/protein"))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *dict.fromkeys(rows)])


def run(folder: Path, drugs: int, diseases: int, treatments: list, **options) -> project_runs.Run:
    """Write the table and run the workflow on it."""
    made = project_runs.make(folder)
    write(made.directory / "edges.csv", drugs, diseases, treatments, **options)
    config = {**endings.SMALL, "edges": "edges.csv", "target": {"negative": []}}
    config["training"] = {**config["training"], "contrastive": {"relations": ["disease_protein"]}}
    return made.run(config=config, small=False)


SLOW = ("the graph has one disease", "few pairs are no treatments", "all treatments are of one drug")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in WORKS]
)
def test_an_odd_target_has_a_list_and_a_word_of_caution(tmp_path, name):
    *graph, words = WORKS[name]
    done = run(tmp_path, *graph)
    assert done.code == 0, done.output
    page = (tmp_path / "run" / "results" / "report.html").read_text(encoding="utf-8")
    for text in words:
        assert text in done.output and text in page
    assert (tmp_path / "run" / "results" / "candidates" / "cpu" / "candidates.csv").exists()


@pytest.mark.parametrize("name", STOPS)
def test_a_target_that_cannot_be_tested_stops_before_training_with_a_sentence(tmp_path, name):
    drugs, diseases, treatments_of, sentence = STOPS[name]
    treatments = treatments_of
    if treatments_of == "random":
        cells = np.random.default_rng(0).permutation(drugs * diseases)[:80]
        treatments = list(zip(*(ends.tolist() for ends in np.divmod(cells, diseases)), strict=True))
    done = run(tmp_path, drugs, diseases, treatments, has_genes=treatments_of != "random")
    assert done.code == 1
    assert sentence in done.output.split("The run stopped:")[1]
    assert "Traceback" not in done.output
    assert not (tmp_path / "run" / "results" / "checkpoints").exists()
