"""Build the demo graph: a synthetic edges table with PrimeKG's columns and planted treatments."""

import logging
from pathlib import Path

from repurpose.core import files, logs
from repurpose.ingest import demo
from repurpose.provenance import jobs


def main(*, edges_out: str | Path, scale: float, seed: int) -> None:
    """Write the edges table; scale: size of the graph, 1 has PrimeKG's counts."""
    table = demo.plant_table(scale, seed)
    files.write_table(edges_out, table)
    logging.info("planted %s rows at scale %s, seed %s", f"{table.num_rows:,}", scale, seed)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                edges_out=output.edges,
                scale=snakemake.params.scale,
                seed=snakemake.params.seed,
            )
