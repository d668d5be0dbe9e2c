"""Write summary.json, report.html and the dataset card, whether or not a device passed its gate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from repurpose.config.sections import DatasetSettings
from repurpose.core import files, logs
from repurpose.gate import verdict
from repurpose.graph import annotations, graph
from repurpose.graph.names import shown
from repurpose.provenance import jobs
from repurpose.report import card, explorer, made, methods, metric_tables, page, summary

PACKED = "pooled"


def main(
    *,
    outcomes: Sequence[str | Path],
    verdicts: Sequence[str | Path],
    histories: Sequence[str | Path],
    maps: Sequence[str | Path],
    relations: str | Path,
    ledger: str | Path,
    certificate: str | Path,
    agreement: str | Path | None,
    pooled: str | Path | None,
    about: str | Path | None,
    chance: Sequence[str | Path],
    nodes: str | Path,
    pairs: str | Path,
    results: str | Path,
    top: int,
    dataset: DatasetSettings,
    summary_out: str | Path,
    report_out: str | Path,
    card_out: str | Path,
    methods_out: str | Path,
) -> None:
    """Summarise the run; outcomes, verdicts, histories, maps: one file per device, in the same order.

    agreement: None if there is only one trained run. pooled: the pooled candidates, None without `seeds`.
    about: the annotations of heads and tails, None for none. chance: what `chance.run` gave for devices,
    which the files are named after. top: how many new pairs of each list the page holds. dataset: what the
    graph is called and how it is cited. results: the folder, for what is not an input: the lists of devices
    that passed, whose digests are in their outcomes, config, seconds and memory.
    """
    rows = [verdict.read(path) for path in outcomes]
    devices = [row["device"] for row in rows]
    counts, removed = files.read_json(ledger), files.read_json(certificate)
    compared = files.read_json(agreement) if agreement else None
    candidates = files.read_table(pooled, summary.POOLED_COLUMNS) if pooled else None
    of_pooled = summary.pooled(rows, candidates) if candidates is not None else None
    by_chance = {Path(path).stem: files.read_json(path) for path in chance}
    content = summary.summary(
        rows, files.read_json(relations), counts, removed, compared, of_pooled, by_chance
    )
    sources = Sources(Path(results), nodes, pairs, relations, pooled, about)
    packed, drawn = _packed(content, sources, maps, page.target_types(removed), top)
    made_of, types = made.describe(results), page.target_types(removed)
    config = yaml.safe_load(made_of["config"]) if made_of["config"] else {}
    paragraph = methods.text(content, config, types, dataset, made_of)
    html = page.render(
        content,
        {device: files.read_table(path) for device, path in zip(devices, histories, strict=True)},
        {device: verdict.read(path) for device, path in zip(devices, verdicts, strict=True)},
        counts,
        removed,
        packed=packed,
        maps=drawn,
        made=made_of,
        methods=paragraph,
    )
    files.write_json(summary_out, content)
    texts = {
        report_out: html,
        card_out: card.render(content, types, dataset.licence),
        methods_out: paragraph,
    }
    for path, text in texts.items():
        files.write_text(path, text)


class Sources(NamedTuple):
    """Where the data of the explorer lie: the results folder, and files that are inputs of the job."""

    results: Path
    nodes: str | Path
    pairs: str | Path
    relations: str | Path
    pooled: str | Path | None
    about: str | Path | None

    def of(self, device: str, name: str) -> Path:
        """A file of a device that passed."""
        return self.results / "candidates" / device / f"{name}.parquet"


def _packed(
    content: Mapping[str, Any],
    sources: Sources,
    maps: Sequence[str | Path],
    target_types: tuple[str, str],
    top: int,
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The data of explorer and maps, and which maps there are; nothing if no device passed."""
    if not content["passed"]:
        return {}, []
    nodes = explorer.Nodes(*graph.load_nodes(sources.nodes))
    treated = files.read_table(sources.pairs, ["head_index", "tail_index", "label"]).filter(
        explorer.IS_TREATMENT
    )
    sides = tuple(
        explorer.side(nodes, node_type, treated[f"{end}_index"].to_numpy())
        for node_type, end in zip(target_types, ("head", "tail"), strict=True)
    )
    first, *others = content["passed"]
    if sources.pooled and content["pooled"]["runs"]:
        ranked = PACKED, Path(sources.pooled), []
    else:
        candidates = [sources.of(device, "candidates") for device in (first, *others)]
        ranked = first, candidates[0], candidates[1:]
    ranking = explorer.Ranking(
        *ranked, first, *(sources.of(first, name) for name in ("by_head", "listed", "evidence"))
    )
    names = [shown(relation.relation) for relation in graph.load_relations(sources.relations)]
    lists = next(row["lists"] for row in content["devices"] if row["passed"])
    about = annotations.load(sources.about, nodes.ids, target_types) if sources.about else None
    beaten = metric_tables.beaten_by(next(row["metrics"] for row in content["devices"] if row["passed"]))
    packed = explorer.packs(ranking, nodes, names, sides, top, _repeated(lists), about, beaten)
    described = []
    for row, path in zip(content["devices"], maps, strict=True):
        drawn = files.read_table(path)
        if drawn.num_rows and drawn["x"].null_count < drawn.num_rows:
            packed[f"map-{len(described)}"] = explorer.packed_map(drawn, nodes, sides)
            method = (drawn.schema.metadata or {}).get(b"method", b"").decode()
            described.append({"device": row["device"], "method": method})
    return packed, described


def _repeated(lists: Mapping[str, Any]) -> dict[str, Any] | None:
    """The head that most lists of untreated tails share, as the explorer needs it."""
    repeated = page.repeated_head(lists)
    if not repeated:
        return None
    head = repeated["most_common"]
    return {
        "id": head["id"],
        "name": head["name"] or head["id"],
        "share": repeated["share"],
        "places": lists["places_per_list"],
    }


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                outcomes=snakemake.input.outcomes,
                verdicts=snakemake.input.verdicts,
                histories=snakemake.input.histories,
                maps=snakemake.input.maps,
                relations=snakemake.input.relations,
                ledger=snakemake.input.ledger,
                certificate=snakemake.input.certificate,
                agreement=snakemake.input.get("agreement"),
                pooled=snakemake.input.get("pooled"),
                about=snakemake.input.get("annotations"),
                chance=snakemake.input.get("chance", []),
                nodes=snakemake.input.nodes,
                pairs=snakemake.input.pairs,
                results="results",
                top=snakemake.params.top,
                dataset=DatasetSettings(**snakemake.params.dataset),
                summary_out=output.summary,
                report_out=output.report,
                card_out=output.card,
                methods_out=output.methods,
            )
