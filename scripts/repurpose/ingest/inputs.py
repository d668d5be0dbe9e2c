"""The user's own tables that a config names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose.core.errors import InputError
from repurpose.ingest import download


def tables(config: Mapping[str, Any]) -> dict[str, str]:
    """The person's own files by config key; "" where the config names none, or the workflow makes it."""
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
    """Raise InputError where a table that the config names is not there, or its URL does not name a table.

    Snakemake does not look for them: to it they are parameters.
    """
    if download.is_url(config["edges"]):
        download.local_path(config["edges"])
    for key, path in tables(config).items():
        if path and not Path(path).exists():
            raise InputError(
                f"{path} does not exist: correct the key {key} in the config or put the table there"
            )
