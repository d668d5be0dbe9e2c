"""Measure what a leak is worth: the test AUROC of random treatments with a copy of them in the graph.

    python benchmarks/leaks.py --json [--seed 0] [--cores 2]

The graph has 150 drugs, 150 diseases and 300 genes in ten groups; most edges connect nodes of one group. Only
the 600 treatments are drawn at random, so no method can predict them from the rest of the graph: an AUROC
above 0.5 comes from the copy. In the copy, the same ids have another type (Drug), with the same treatments
and genes. Two runs of the workflow use the default model: one keeps the copied treatments in the graph
(`graph.keep_relations`), the other excludes them. The output is one JSON object per run: copy, seed, pairs,
and the test AUROC on the random split by method.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).parent.parent
COPY = "indication (Drug, disease)"
HEADER = ["relation", "x_id", "x_type", "x_name", "y_id", "y_type", "y_name"]
GROUPS = 10
IN_GROUP = 100.0  # how much more likely an edge is within a group
SIZES = {"drug": 150, "disease": 150, "gene/protein": 300}
# relation, head type, tail type, edges
RELATIONS = [
    ("indication", "drug", "disease", 600),
    ("drug_protein", "drug", "gene/protein", 750),
    ("disease_protein", "disease", "gene/protein", 750),
    ("protein_protein", "gene/protein", "gene/protein", 1500),
]


def write_table(path: Path, seed: int) -> None:
    """Write the edges table: distinct random pairs of each relation, and the treatments again under Drug."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for relation, head_type, tail_type, edges in RELATIONS:
            groups = (np.arange(SIZES[node_type]) % GROUPS for node_type in (head_type, tail_type))
            weights = np.where(np.equal.outer(*groups), IN_GROUP, 1.0).ravel()
            if relation == "indication":
                weights[:] = 1
            if head_type == tail_type:
                # Each pair once, and no edge from a node to itself.
                weights[np.tri(SIZES[head_type], dtype=bool).ravel()] = 0
            codes = rng.choice(len(weights), edges, replace=False, p=weights / weights.sum())
            for head, tail in zip(*np.divmod(codes, SIZES[tail_type]), strict=True):
                ends = [f"{head_type[:2]}{head}", head_type, "", f"{tail_type[:2]}{tail}", tail_type, ""]
                writer.writerow([relation, *ends])
                if head_type == "drug":
                    writer.writerow([relation, ends[0], "Drug", *ends[2:]])


def run(table: Path, key: str, seed: int, cores: int) -> dict[str, float]:
    """The test AUROC on the random split by method, with the copied treatments listed in graph.`key`."""
    overlay = {"edges": str(table), "seed": seed, "graph": {key: [COPY]}, "split": {"schemes": ["random"]}}
    overlay["target"] = {"negative": []}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "overlay.yaml").write_text(json.dumps(overlay))
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--directory", folder]
        command += ["--snakefile", PROJECT / "Snakefile", "--configfile", Path(folder, "overlay.yaml")]
        done = subprocess.run(
            [*command, "--", "results/classifier/cpu/metrics.json"], capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"the run with graph.{key} failed:\n{done.stdout}{done.stderr}")
        metrics = json.loads(Path(folder, "results/classifier/cpu/metrics.json").read_text())
    return {method: row["auroc"]["value"] for method, row in metrics["schemes"]["random"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure what a copy of the treatments in the graph is worth."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line (the only format)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "edges.csv")
        write_table(table, chosen.seed)
        for key, copy in (("keep_relations", "kept"), ("exclude_relations", "excluded")):
            auroc = run(table, key, chosen.seed, chosen.cores)
            print(json.dumps({"copy": copy, "seed": chosen.seed, "pairs": 600, "auroc": auroc}), flush=True)


if __name__ == "__main__":
    main()
