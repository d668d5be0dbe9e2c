"""The user's own tables that a config names."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repurpose.core.errors import InputError
from repurpose.ingest import download

DEMO = "results/demo/edges.parquet"


def listed(value: str | Sequence[str]) -> list[str]:
    """The tables of a key that holds a path, a list of paths, or "" for none."""
    return [value] * bool(value) if isinstance(value, str) else list(value)


def urls(config: Mapping[str, Any]) -> list[str]:
    """The web addresses among the tables of edges and nodes."""
    named = [*listed(config["edges"]), *listed(config["nodes"])]
    return [table for table in named if download.is_url(table)]


def local_paths(config: Mapping[str, Any], key: str) -> list[str]:
    """Where the tables of the key edges or nodes are, or will be, in the order of the config."""
    named = listed(config[key])
    if key == "edges" and named == ["demo"]:
        return [DEMO]
    return [download.local_path(table) if download.is_url(table) else table for table in named]


def made(config: Mapping[str, Any], key: str) -> list[str]:
    """Those of `local_paths` that the workflow itself makes or downloads."""
    own = set(listed(config[key])) - {"demo"}
    return [path for path in local_paths(config, key) if path not in own]


def tables(config: Mapping[str, Any]) -> dict[str, str]:
    """The user's own files by config key; "" if the config names none or the workflow makes the file.

    The tables of a list have their position in the key, as edges[0], and the files of a folder their name, as
    edges/train2id.txt.
    """
    result: dict[str, str] = {}
    for key in ("edges", "nodes"):
        result |= dict(_of_key(key, config[key]))
    return result | {
        "graph.features": config["graph"]["features"],
        "graph.identifiers": config["graph"]["identifiers"],
        "external.pairs": config["external"]["pairs"],
        "annotations.table": config["annotations"]["table"],
        "reviews.table": config["reviews"]["table"],
        "repeats.ingredients": config["repeats"]["ingredients"],
        "given": config["given"],
        "given (metadata)": metadata_of(config["given"]),
        "split.areas": config["split"]["areas"],
        "split.dates": config["split"]["dates"],
    }


def _of_key(key: str, value: str | Sequence[str]) -> Iterator[tuple[str, str]]:
    """Key and path of each file that the config names in a key."""
    yield key, ""
    for position, table in enumerate(listed(value)):
        if (key == "edges" and value == "demo") or download.is_url(table):
            continue
        name = key if isinstance(value, str) else f"{key}[{position}]"
        if Path(table).is_dir():
            for file in sorted(Path(table).rglob("*")):
                if file.is_file():
                    yield f"{name}/{file.relative_to(table)}", str(file)
        else:
            yield name, table


def metadata_of(vectors: str | Path) -> str:
    """The file that names the nodes of vectors in TensorBoard's format (.tsv); "" for other formats.

    It is next to vectors.tsv (or tensor.tsv, tensors.tsv) and has metadata in its name instead. Raises
    InputError if the file of vectors has another name.
    """
    if not str(vectors).lower().endswith(".tsv"):
        return ""
    name, count = re.subn(r"(vectors|tensors?)(?=\.tsv$)", "metadata", Path(vectors).name, flags=re.I)
    if not count:
        raise InputError(
            f"{vectors} does not end in vectors.tsv, so the file that names its nodes is not found: call the "
            "two files vectors.tsv and metadata.tsv"
        )
    return str(Path(vectors).with_name(name))


def require(config: Mapping[str, Any]) -> None:
    """Raise InputError if a table that the config names does not exist, or if a URL does not name a table.

    Snakemake does not check these files, because they are parameters and not inputs of the rules.
    """
    for url in urls(config):
        download.local_path(url)
    names_of_nodes = metadata_of(config["given"])
    for key, path in tables(config).items():
        if path and path == names_of_nodes and not Path(path).exists():
            raise InputError(f"{path} does not exist: it names the nodes of {config['given']}; put it there")
        if path:
            _require_readable(key, path)


def _require_readable(key: str, path: str) -> None:
    """Raise InputError if a table does not exist or cannot be opened."""
    try:
        if not Path(path).exists():
            raise InputError(_absent(key, path))
        if not Path(path).is_dir():
            Path(path).open("rb").close()
    except OSError as error:
        raise InputError(
            f"{path} of the key {key} cannot be opened ({error.strerror}): check its permissions and those "
            "of its folder"
        ) from error


def _absent(key: str, path: str) -> str:
    """What to do about a table that does not exist."""
    if path.startswith("~") or "$" in path:
        return f"{path} does not exist: ~ and $ are not expanded in the key {key}, so write the path in full"
    place = "" if Path(path).is_absolute() else f" in {Path.cwd()} (paths count from --directory)"
    return f"{path} does not exist{place}: correct the key {key} in the config or put the table there"
