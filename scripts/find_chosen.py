"""Find the heads and tails that the ranking is restricted to, before anything trains."""

import logging
from collections.abc import Sequence
from pathlib import Path

from repurpose.config.sections import Target
from repurpose.core import files, logs
from repurpose.core.errors import InputError
from repurpose.graph import annotations, graph, names
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import jobs


def main(
    *,
    graph_files: GraphFiles,
    annotations_in: str | Path | None,
    chosen_out: str | Path,
    target: Target,
    heads: Sequence[str],
    tails: Sequence[str],
    only: Sequence[str],
) -> None:
    """Write the indices of the nodes with these ids or names that fulfil all conditions; null for all nodes.

    annotations_in: what the conditions `only` (see `Annotations.chosen`) are about. Raises InputError if the
    graph has no such node.
    """
    kg = graph.load(graph_files)
    indices = {
        f"{side}s": {names.find(kg, node_type, text) for text in texts} or None
        for side, node_type, texts in zip(annotations.SIDES, target.types, (heads, tails), strict=True)
    }
    if only:
        allowed = annotations.load(annotations_in, kg.node_ids, target.types).chosen(only, target.types)
        for side, nodes in allowed.items():
            named = indices[f"{side}s"]
            indices[f"{side}s"] = set(nodes.tolist()) & (named or set(nodes.tolist()))
            if not indices[f"{side}s"]:
                raise InputError(
                    f"none of the nodes in candidates.{side}s has what annotations.only asks for: "
                    f"{', '.join(only)}"
                )
    files.write_json(chosen_out, {key: sorted(nodes) if nodes else None for key, nodes in indices.items()})
    logging.info("ranking %s", {key: len(value) if value else "all" for key, value in indices.items()})


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                graph_files=GraphFiles.of(snakemake.input),
                annotations_in=snakemake.input.get("annotations"),
                chosen_out=output.chosen,
                target=Target(**snakemake.params.target),
                **snakemake.params.lists,
            )
