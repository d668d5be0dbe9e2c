"""Turn the target relations into labelled pairs with one split per scheme, and check them for leakage."""

import logging
from collections.abc import Sequence
from pathlib import Path

from repurpose.config.sections import SplitSettings, Target
from repurpose.core import files, logs
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import identifiers
from repurpose.pairs import areas, certificate, dates, pairs
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
    dates_in: str | Path | None = None,
    sources_in: str | Path | None = None,
) -> None:
    """Write pairs.parquet and certificate.json; `target` and `split` are the config sections.

    kept: graph.keep_relations. areas_in: table of the tails' areas; without it, areas come from the relation
    target.hierarchy. identifiers_in: table of ids that are replaced by others in the tables. dates_in: table
    of the pairs' dates; without it, dates come from sources_in, the file of where edges come from.
    """
    kg = graph.load(graph_files)
    same = identifiers.read(identifiers_in)
    labelled = pairs.label(kg, target)
    pairs.require_others(kg, labelled, target)
    tail_type, hierarchy = target.tail_type, target.hierarchy
    if hierarchy:
        areas.require_hierarchy(kg, hierarchy, tail_type)
    if "area" in split.schemes:
        area_of_tail = (
            areas.from_table(areas_in, kg, tail_type, same)
            if areas_in
            else areas.from_hierarchy(kg, hierarchy, tail_type)
        )
        labelled["area_index"] = area_of_tail[labelled["tail_index"]]
    if "date" in split.schemes:
        known = (
            dates.from_table(dates_in, kg, target.types, same)
            if dates_in
            else dates.from_edges(sources_in, kg, target)
        )
        labelled[pairs.DATES] = dates.of_pairs(labelled, known)
    shares = split.valid_share, split.test_share
    labelled = pairs.split(labelled, split.schemes, *shares, seed, split.test_from)
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
                dates_in=snakemake.params.tables["split.dates"],
                sources_in=snakemake.input.get("sources"),
            )
