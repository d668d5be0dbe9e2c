"""A public split of Hetionet's treatments, on which other methods have published results.

    python benchmarks/polo.py --results results --config benchmarks/hetionet.yaml --split ../shared/polo
    --json

The split (train 483, dev 121, test 151 pairs) is that of PoLo (Liu et al., "Neural multi-hop reasoning with
logical rules on biomedical knowledge graphs", ESWC 2021); REx (IJCAI 2025) uses the same. For each test pair
all diseases are ranked for its compound, without the compound's other pairs in train, dev and test. Models
learn from the train pairs alone; the dev pairs choose rounds and weights. The embeddings are those of a
finished run, whose graph has no treatment. Tied diseases share the mean of their ranks (`average`), or all
have the worst (`pessimistic`).

Methods as in benchmarks/lists.py. One row per seed and method, then their means.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import lists
import row_files

from repurpose.classifier.classifier import Fit
from repurpose.config import settings
from repurpose.core import threads
from repurpose.graph.graph import Graph
from repurpose.pairs.pairs import Known

PARTS = {"train": "train", "dev": "valid", "test": "test"}  # file -> part of the split
HITS = (1, 3, 10)
# The share of a drug's mean score changes nothing in the list of the drug.
METHODS = [method for method in lists.METHODS if method not in ("degree", "prior")]


def main() -> None:
    """Print a row for each seed and method, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run on Hetionet")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--config", nargs="*", default=[], type=Path, help="the overlays of that run")
    parser.add_argument("--split", type=Path, required=True, help="folder of train.txt, dev.txt and test.txt")
    parser.add_argument("--rows", nargs="+", type=Path, default=[Path("results/polo.jsonl")])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    options = parser.parse_args()
    if options.seeds:
        measure(options)
    means = pd.DataFrame(row_files.read(*options.rows)).groupby("method", sort=False)
    for method, rows in means:
        columns = [name for name in rows if isinstance(rows[name].iloc[0], float)]
        row = {"method": method, "seeds": len(rows), **rows[columns].mean().round(4).to_dict()}
        print(json.dumps(row) if options.json else "  ".join(f"{key} {value}" for key, value in row.items()))


def measure(options: argparse.Namespace) -> None:
    """Append a row for each method and seed that has none."""
    config = settings.load([lists.PROJECT / "config" / "config.yaml", *options.config])
    n_threads = threads.limit(options.threads)
    bench = lists.read(options.results, options.device, config, n_threads, options.methods)
    labelled = split_pairs(options.split, bench.kg, bench.types)
    known = Known(
        *(labelled[f"{side}_index"].to_numpy() for side in ("head", "tail")), labelled["part"].to_numpy()
    )
    task = replace(bench.task, pairs=labelled.drop(columns="part"), known=known)
    bench = replace(bench, task=task)
    path = row_files.new_rows_file(options.rows)
    for seed in options.seeds:
        done = {row["method"] for row in row_files.read(*options.rows) if row["seed"] == seed}
        wanted = [method for method in options.methods if method not in done]
        fits = lists.fitted(bench, {"random": labelled["part"].to_numpy()}, seed, wanted) if wanted else {}
        for method, (_, fit_by_scheme) in fits.items():
            row_files.append(path, {"seed": seed, "method": method, **measures(fit_by_scheme["random"])})


def split_pairs(folder: Path, kg: Graph, types: tuple[str, str]) -> pd.DataFrame:
    """The pairs of the three files: head_index, tail_index, label, and the part of the split."""
    index_of_id = [{node: index for index, node in enumerate(kg.node_ids[node_type])} for node_type in types]
    rows = [
        (*(index[end.split("::")[1]] for index, end in zip(index_of_id, (head, tail), strict=True)), 1, part)
        for name, part in PARTS.items()
        for head, _, tail in map(str.split, (folder / f"{name}.txt").read_text().splitlines())
    ]
    frame = pd.DataFrame(rows, columns=["head_index", "tail_index", "label", "part"])
    frame = frame.astype({"head_index": np.int32, "tail_index": np.int32, "label": np.int8})
    return frame.sort_values(["tail_index", "head_index"]).reset_index(drop=True)


def measures(fit: Fit) -> dict[str, float]:
    """Hits and MRR of the test pairs' ranks in the lists of their heads."""
    frame = fit.ranked.frame
    return dict(_measures(frame["head_above"].to_numpy(), frame["head_tied"].to_numpy()))


def _measures(above: np.ndarray, tied: np.ndarray) -> Iterator[tuple[str, Any]]:
    for name, ranks in (("", 1 + above + tied / 2), ("pessimistic_", 1 + above + tied)):
        for places in HITS:
            yield f"{name}hits_at_{places}", float((ranks <= places).mean())
        yield f"{name}mrr", float((1 / ranks).mean())


if __name__ == "__main__":
    main()
