"""The benchmark of explanations scores pairs that share a planted mechanism, and knows its nodes."""

import explanations as program
import numpy as np

import build_graph
from repurpose.config.config import Config
from repurpose.core import files
from repurpose.ingest import demo


def test_the_nodes_of_a_pair_are_those_with_a_mechanism_that_drug_and_disease_share(tmp_path):
    planted = demo.plant_graph(0.005, 7)
    files.write_table(tmp_path / "demo.parquet", demo.to_table(planted))
    config = Config()
    kg = build_graph.read(str(tmp_path / "demo.parquet"), "", config.graph, config.target).kg
    number = {t: kg.node_ids[t].astype(int) - 1 for t in kg.node_types}
    heads, tails = np.divmod(np.arange(kg.count("drug") * kg.count("disease")), kg.count("disease"))
    matched = program.through_mechanisms(planted, kg, heads, tails)
    targets = planted.mechanisms["drug target"][number["drug"][matched.heads]]
    causes = planted.mechanisms["disease cause"][number["disease"][matched.tails]]
    assert demo.shares_mechanism(targets, causes).all() and 0 < len(matched.heads) < len(heads)
    all_targets = planted.mechanisms["drug target"][number["drug"][heads]]
    all_causes = planted.mechanisms["disease cause"][number["disease"][tails]]
    assert demo.shares_mechanism(all_targets, all_causes).sum() == len(matched.heads)
    genes, span = planted.mechanisms["gene/protein"][number["gene/protein"]], kg.span("gene/protein")
    for place in (0, len(matched.heads) // 2, -1):
        shared = set(targets[place]) & set(causes[place])
        expected = {span.start + gene for gene, row in enumerate(genes.tolist()) if shared & set(row)}
        assert expected == {node for node in matched.nodes[place] if span.start <= node < span.stop}
    # Indications were drawn from shared mechanisms, most pairs of a drug and a disease share none.
    share = len(matched.heads) / len(heads)
    indications = planted.edges["indication"]
    order = {t: np.argsort(number[t]) for t in ("drug", "disease")}
    known = program.through_mechanisms(
        planted, kg, order["drug"][indications[0]], order["disease"][indications[1]]
    )
    assert len(known.heads) / known.entries > 3 * share
