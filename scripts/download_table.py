"""Download a table for which the config gives a URL."""

import logging
from pathlib import Path

from repurpose.core import logs
from repurpose.ingest import download
from repurpose.provenance import jobs


def main(*, table_out: str | Path, url: str, keep: str | Path) -> None:
    """Write the table behind the URL; `keep` is the folder of what later runs need (see `download.fetch`).

    Raises InputError if the download is not a complete table, or not the one that was asked for.
    """
    logging.info("downloading %s", url)
    download.fetch(url, table_out, keep)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                table_out=output.table,
                url=snakemake.params.url,
                keep=Path(snakemake.output.table).parent,
            )
