"""Build the graph from an edges table, with a ledger that counts what became of the rows."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from repurpose.config.sections import GraphSettings, Target
from repurpose.core import files, logs, threads
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import identifiers, ingest, inputs
from repurpose.ingest.formats import reading
from repurpose.ingest.identifiers import Identifiers
from repurpose.provenance import jobs


def main(
    *,
    edges: str | Sequence[str],
    nodes: str | Sequence[str],
    graph_out: GraphFiles,
    ledger_out: str | Path,
    sources_out: str | Path,
    settings: GraphSettings,
    target: Target,
    identifiers_in: str | Path | None = None,
) -> None:
    """Read the tables of edges and nodes, and write the graph's files and its ledger.

    identifiers_in: table of ids that are replaced by others, None for none.
    """
    kg, ledger, sources = read(edges, nodes, settings, target, identifiers.read(identifiers_in))
    ingest.require_messages(kg, target, ledger["file"])
    report(kg, ledger)
    graph.save(kg, graph_out)
    files.write_table(sources_out, sources)
    files.write_json(ledger_out, ledger)


def read(
    edges: str | Sequence[str],
    nodes: str | Sequence[str],
    settings: GraphSettings,
    target: Target,
    same: Identifiers = identifiers.NONE,
) -> ingest.Built:
    """The graph of the raw tables (a path, several, or "" for no nodes table), and its ledger."""
    edges, nodes = inputs.listed(edges), inputs.listed(nodes)
    raw = reading.read(edges, nodes, settings)
    built = ingest.build(
        raw.edges,
        raw.settings,
        target,
        raw.nodes,
        file=", ".join(edges),
        nodes_file=", ".join(nodes) or "the nodes table",
        files=raw.files,
        faults=raw.faults,
        same=same,
    )
    built.ledger["format"] = raw.format
    built.ledger["stripped"] = raw.stripped
    for entry in raw.stripped:
        built.ledger["warnings"].append(
            f"{entry['rows']:,} cells of the column {entry['column']} of the {entry['table']} table had "
            "blanks or invisible characters at an end, which were taken off"
        )
    return built


def report(kg: graph.Graph, ledger: Mapping[str, Any]) -> None:
    """Log the relations of the graph, and why rows were dropped."""
    logging.info("%s: %s rows, %s edges", ledger["file"], f"{ledger['rows']:,}", f"{ledger['kept']:,}")
    for node_type, count in ledger["nodes"].items():
        logging.info("  %-28s %11s nodes", node_type, f"{count:,}", extra=logs.LOG_ONLY)
    for kind in kg.relations:
        logging.info("  %-70s %11s edges, %s", kind.text, f"{kind.edges:,}", kind.role, extra=logs.LOG_ONLY)
    for name in ("mirrored", "excluded"):
        if ledger[name]:
            logging.info("  %s rows %s", f"{ledger[name]:,}", name)
    for entry in ledger["relations"]:
        for reason, count in entry["dropped"].items():
            if count:
                logging.info("  %s rows dropped of %r: %s", f"{count:,}", entry["relation"], reason)
    if "identifiers" in ledger:
        logging.info(
            "%(file)s: %(replaced)d ids replaced, in %(cells)d cells; %(not_in_the_tables)d of its ids do "
            "not occur",
            ledger["identifiers"],
        )
    for sentence in ledger["warnings"]:
        logging.warning("%s", sentence)
    extra = ledger.get("nodes_table")
    if extra:
        logging.info("%s: %s nodes, %s of them without a row", extra["file"], extra["kept"], extra["added"])
        if extra["kept"] == extra["added"]:
            logging.warning(
                "no node of %s is in %s: do their types and ids agree?", extra["file"], ledger["file"]
            )


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    pa.set_cpu_count(threads.usable(snakemake.threads))
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                edges=snakemake.params.paths["edges"],
                nodes=snakemake.params.paths["nodes"],
                graph_out=GraphFiles.of(output),
                ledger_out=output.ledger,
                sources_out=output.sources,
                settings=GraphSettings(**snakemake.params.graph),
                target=Target(**snakemake.params.target),
                identifiers_in=snakemake.params.tables["graph.identifiers"],
            )
