"""Download the edges table if the config gives a URL."""

import logging
from pathlib import Path

from repurpose.core import logs
from repurpose.ingest import download
from repurpose.provenance import jobs


def main(*, edges_out: str | Path, url: str) -> None:
    """Write the table behind the URL; raises InputError if the download is not a complete table."""
    logging.info("downloading %s", url)
    count = download.fetch(url, edges_out)
    logging.info("downloaded %.1f MB", count / 1e6)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(edges_out=output.edges, url=snakemake.params.url)
