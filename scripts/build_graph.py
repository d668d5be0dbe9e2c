"""Build the graph from an edges table, with a ledger that counts what became of the rows."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from repurpose.config.sections import GraphSettings, Target
from repurpose.core import files, logs, threads
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import ingest, tables
from repurpose.provenance import jobs


def main(
    *,
    edges: str | Path,
    nodes_table: str | Path,
    graph_out: GraphFiles,
    ledger_out: str | Path,
    settings: GraphSettings,
    target: Target,
) -> None:
    """Read the tables and write the graph's files and its ledger; nodes_table: "" for none."""
    kg, ledger = read(edges, nodes_table, settings, target)
    report(kg, ledger)
    graph.save(kg, graph_out)
    files.write_json(ledger_out, ledger)


def read(
    edges: str | Path, nodes_table: str | Path, settings: GraphSettings, target: Target
) -> tuple[graph.Graph, dict[str, Any]]:
    """The graph of the raw tables (`nodes_table` may be ""), and its ledger."""
    table = tables.read(edges, named(settings.columns))
    extra = (
        tables.read(nodes_table, named(settings.node_columns), "graph.node_columns") if nodes_table else None
    )
    return ingest.build(
        table,
        settings,
        target,
        extra,
        file=str(edges),
        nodes_file=str(nodes_table),
    )


def named(columns: Any) -> list[str]:
    """The columns to read: those that the config gives a name."""
    return [name for name in vars(columns).values() if name]


def report(kg: graph.Graph, ledger: Mapping[str, Any]) -> None:
    """Log the relations of the graph, and why rows were dropped."""
    logging.info("%s: %s rows, %s edges", ledger["file"], f"{ledger['rows']:,}", f"{ledger['kept']:,}")
    for node_type, count in ledger["nodes"].items():
        logging.info("  %-28s %11s nodes", node_type, f"{count:,}")
    for kind in kg.relations:
        arrow = "->" if kind.directed else "--"
        triple = f"{kind.head_type} {arrow} {kind.relation} {arrow} {kind.tail_type}"
        logging.info("  %-70s %11s edges, %s", triple, f"{kind.edges:,}", kind.role)
    for name in ("mirrored", "excluded"):
        if ledger[name]:
            logging.info("  %s rows %s", f"{ledger[name]:,}", name)
    for entry in ledger["relations"]:
        for reason, count in entry["dropped"].items():
            if count:
                logging.info("  %s rows dropped of %r: %s", f"{count:,}", entry["relation"], reason)
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
                edges=snakemake.input.get("edges") or snakemake.params.tables["edges"],
                nodes_table=snakemake.params.tables["nodes"],
                graph_out=GraphFiles.of(output),
                ledger_out=output.ledger,
                settings=GraphSettings(**snakemake.params.graph),
                target=Target(**snakemake.params.target),
            )
