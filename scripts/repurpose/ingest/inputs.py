"""The user's own tables that a config names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose.core.errors import InputError
from repurpose.ingest import download


def tables(config: Mapping[str, Any]) -> dict[str, str]:
    """The user's own files by config key; "" if the config names none or the workflow makes the file."""
    edges = config["edges"]
    return {
        "edges": "" if edges == "demo" or download.is_url(edges) else edges,
        "nodes": config["nodes"],
        "graph.features": config["graph"]["features"],
        "external.pairs": config["external"]["pairs"],
        "given": config["given"],
        "split.areas": config["split"]["areas"],
    }


def require(config: Mapping[str, Any]) -> None:
    """Raise InputError if a table that the config names does not exist, or if a URL does not name a table.

    Snakemake does not check these files, because they are parameters and not inputs of the rules.
    """
    if download.is_url(config["edges"]):
        download.local_path(config["edges"])
    for key, path in tables(config).items():
        if path and not Path(path).exists():
            raise InputError(
                f"{path} does not exist: correct the key {key} in the config or put the table there"
            )
