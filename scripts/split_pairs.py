"""Turn the target relations into labelled pairs with one split per scheme, and check them for leakage."""

import logging
from collections.abc import Sequence
from pathlib import Path

from repurpose.config.sections import SplitSettings, Target
from repurpose.core import files, logs
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import identifiers
from repurpose.pairs import areas, certificate, pairs
from repurpose.provenance import jobs


def main(
    *,
    graph_files: GraphFiles,
    pairs_out: str | Path,
    certificate_out: str | Path,
    target: Target,
    split: SplitSettings,
    seed: int,
    kept: Sequence[str] = (),
    areas_in: str | Path | None = None,
    identifiers_in: str | Path | None = None,
) -> None:
    """Write pairs.parquet and certificate.json; `target` and `split` are the config sections.

    kept: graph.keep_relations. areas_in: table of the tails' areas; without it, areas come from the relation
    target.hierarchy. identifiers_in: table of ids that are replaced by others in that table.
    """
    kg = graph.load(graph_files)
    labelled = pairs.label(kg, target)
    pairs.require_others(kg, labelled, target)
    tail_type, hierarchy = target.tail_type, target.hierarchy
    if hierarchy:
        areas.require_hierarchy(kg, hierarchy, tail_type)
    if "area" in split.schemes:
        area_of_tail = (
            areas.from_table(areas_in, kg, tail_type, identifiers.read(identifiers_in))
            if areas_in
            else areas.from_hierarchy(kg, hierarchy, tail_type)
        )
        labelled["area_index"] = area_of_tail[labelled["tail_index"]]
    labelled = pairs.split(labelled, split.schemes, split.valid_share, split.test_share, seed)
    content = certificate.certify(kg, labelled, target, kept)
    pairs.save(labelled, pairs_out)
    files.write_json(certificate_out, content)
    logging.info("%(positives)d positive and %(negatives)d negative pairs", content["pairs"])
    for caution in content["cautions"]:
        logging.warning("%s", caution)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                graph_files=GraphFiles.of(snakemake.input),
                pairs_out=output.pairs,
                certificate_out=output.certificate,
                target=Target(**snakemake.params.target),
                split=SplitSettings(**snakemake.params.split),
                seed=snakemake.params.seed,
                kept=snakemake.params.kept,
                areas_in=snakemake.params.tables["split.areas"],
                identifiers_in=snakemake.params.tables["graph.identifiers"],
            )
