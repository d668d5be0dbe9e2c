"""A page with its explorer, of a small planted graph whose nodes have names that try to break it."""

import base64
import gzip
import itertools
import json
from pathlib import Path

import candidate_lists
import numpy as np
import planted
import pyarrow as pa
import pyarrow.compute as pc
import report_examples

import write_summary
from repurpose.candidates import by_head, candidates, evidence, listed
from repurpose.candidates.additions import added
from repurpose.config.sections import AnnotationSettings, DatasetSettings
from repurpose.core import files
from repurpose.gate import projection
from repurpose.graph import graph, paths
from repurpose.graph.graph import GraphFiles
from repurpose.graph.sources import EdgeSources
from repurpose.ingest import annotations
from repurpose.pairs import pairs, repeats, reviews
from repurpose.report import packing, summary

BIN = {"predicted": 0.02, "observed": 0.03, "low": 0.02, "high": 0.05, "pairs": 900.0, "positives": 27}
RARE = {"predicted": 0.001, "observed": 0.002, "low": 0.001, "high": 0.004, "pairs": 9000.0, "positives": 18}
TREATED_BIN = BIN | {"observed": 0.4, "low": 0.3, "high": 0.5}
CALIBRATION = report_examples.CALIBRATION | {
    "reliability": {"bins": [RARE, BIN], "ece": 0.0005, "brier": 0.003},
    "treated": {"reliability": {"bins": [TREATED_BIN], "ece": 0.0005, "brier": 0.003}, "positives": 20},
}
HOSTILE = [
    "<script>window.broken = 1</script>",
    "</script><script>window.broken = 2</script>",
    "${window.broken = 3}",
    "line\u2028separator\u2029here",
    "right\u202eto left",
    "n" * 300,
    "=HYPERLINK(1)",
    '"><img src=x onerror="window.broken = 4">',
]
NAMED_ALIKE = "twin of two"
STATUS, ROUTE = ("approved", "withdrawn"), ("oral|nasal", "oral", "oral")


def example_graph():
    """Drugs, diseases and genes; the first names are HOSTILE, and two diseases have one name."""
    kg, vectors = planted.repurposing()
    for node_type in kg.node_types:
        kg.node_names[node_type][: len(HOSTILE)] = [f"{text} {node_type}" for text in HOSTILE]
    kg.node_names["disease"][20:22] = NAMED_ALIKE
    kg.node_names["disease"][22] = "Parkinson's disease"
    kg.node_ids["disease"][23] = "DOID:9352"
    return kg, vectors


def write(folder: Path, devices=("cpu",), failed=(), top=5, annotated=False) -> Path:
    """Write a page to the folder and return its path; `failed` devices did not pass their gate.

    annotated: the drugs have a status, a route and a price, some pairs are reviewed, some edges have sources.
    """
    kg, vectors = example_graph()
    written = {}
    for number, device in enumerate(devices):
        own = folder / "candidates" / device
        own.mkdir(parents=True)
        told = told_sources(kg) if annotated else None
        written[device] = {} if device in failed else _rank(kg, vectors, own, number, told)
        written[device]["map"] = own / "map.parquet"
        drawn = projection.table(vectors, ("drug", "disease"), "pca", 3, number)
        files.write_table(written[device]["map"], drawn, {"method": "pca"})
    about = annotate(folder, kg) if annotated else None
    if annotated:
        review(folder, kg, written)
    return summarise(folder, kg, planted.TARGET, written, top, about)


def annotate(folder: Path, kg) -> Path:
    """Annotations of all drugs but the last one; one value tries to break the page."""
    values = zip(kg.node_ids["drug"][:-1], itertools.cycle(STATUS), itertools.cycle(ROUTE), itertools.count())
    rows = [f"{node_id},{status},{route},{7 * place}" for node_id, status, route, place in values]
    rows[0] = f"{kg.node_ids['drug'][0]},{HOSTILE[1]},,"
    (folder / "about.csv").write_text("\n".join(["id,status,route,price", *rows, ""]))
    settings = AnnotationSettings("x", "id", "head", [], "|", [])
    table = annotations.read(folder / "about.csv", kg, planted.TARGET, settings)
    files.write_table(folder / "annotations.parquet", table)
    return folder / "annotations.parquet"


def told_sources(kg) -> EdgeSources:
    """Each edge of the first relation has a source that tries to break the page, and publications."""
    position = kg.of_role("message")[0]
    heads, tails = kg.heads[position], kg.tails[position]
    order = np.lexsort((heads, tails))
    texts = pa.table(
        {
            "source": [HOSTILE[0]] * len(order),
            "publications": [f"PMID:{n}|{HOSTILE[2]}" for n in order.tolist()],
        }
    )
    return EdgeSources(np.full(len(order), position), tails[order], heads[order], texts)


def review(folder: Path, kg, written) -> None:
    """Reviews of the two best new drugs of every disease, in the candidates of all devices."""
    for paths_of_device in written.values():
        for name in ("candidates", "by_head"):
            if name not in paths_of_device:
                continue
            table = files.read_table(paths_of_device[name])
            best = table.filter((pc.field("known") == "") & (pc.field("rank_of_drug_for_disease") <= 4))
            marks = pa.table(
                [
                    best["head_id"],
                    best["tail_id"],
                    pa.array(["plausible"] * len(best)),
                    pa.array(["(AB)"] * len(best)),
                ],
                schema=reviews.SCHEMA,
            )
            repeated = pa.table(
                [
                    best["head_id"],
                    best["tail_id"],
                    [HOSTILE[1]] * len(best),
                    pa.array([1] * len(best), pa.int8()),
                ],
                schema=repeats.SCHEMA,
            )
            # The page's other tests are about the lists of other diseases.
            repeated = repeated.filter(pc.equal(repeated["tail_id"], "disease:37")).slice(0, 1)
            more = [reviews.Reviews(marks), repeats.Repeats(repeated)]
            files.write_table(paths_of_device[name], added(table, more))


def summarise(folder: Path, kg, target, written, top, about=None) -> Path:
    """Write summary and page and return the page's path; training, metrics and verdicts are an example's.

    written: device -> its files by name, `map` and, if it passed, `candidates` and `evidence`; by_head and
    listed lie next to the candidates. about: file of annotations.
    """
    graph_files = GraphFiles.in_folder(folder / "graph")
    graph.save(kg, graph_files)
    labelled = pairs.label(kg, target)[["head_index", "tail_index", "label"]]
    labelled.to_parquet(folder / "pairs.parquet", index=False)
    content, histories, verdicts, ledger, certificate = report_examples.example(
        {device: "candidates" in paths_of_device for device, paths_of_device in written.items()}
    )
    ledger["nodes"] = {node_type: kg.count(node_type) for node_type in kg.node_types}
    ends = {"head_type": target.head_type, "tail_type": target.tail_type}
    certificate["removed"] = [{**row, **ends} for row in certificate["removed"]]
    inputs = {name: [] for name in ("outcomes", "verdicts", "histories", "maps")}
    for row in content["devices"]:
        device = row["device"]
        own, found = folder / "candidates" / device, written[device]
        if row["passed"]:
            tables = [files.read_table(found[name]) for name in ("candidates", "evidence")]
            row = {**row, "top": summary.top_pairs(*tables)}
        files.write_json(own / "outcome.json", row)
        files.write_json(own / "verdict.json", verdicts[device])
        files.write_table(own / "history.parquet", histories[device])
        names = (own / "outcome.json", own / "verdict.json", own / "history.parquet", found["map"])
        for kind, path in zip(inputs, names, strict=True):
            inputs[kind].append(path)
    for name, value in (("ledger", ledger), ("certificate", certificate)):
        files.write_json(folder / f"{name}.json", value)
    write_summary.main(
        **inputs,
        relations=graph_files.relations,
        ledger=folder / "ledger.json",
        certificate=folder / "certificate.json",
        agreement=None,
        pooled=None,
        about=about,
        chance=[],
        nodes=graph_files.nodes,
        pairs=folder / "pairs.parquet",
        results=folder,
        top=top,
        dataset=DatasetSettings(),
        summary_out=folder / "summary.json",
        report_out=folder / "report.html",
        card_out=folder / "README.md",
        methods_out=folder / "methods.md",
    )
    return folder / "report.html"


def _rank(kg, vectors, folder, number, told):
    """Candidates, lists of heads and explanations of scores that are the vectors' products, with noise."""
    noise = np.random.default_rng(number).normal(0, 0.3 * number, (60, 50))
    scores = (vectors["drug"] @ vectors["disease"].T + noise).astype(np.float32)
    cautions = tuple(np.full(kg.count(node_type), "", object) for node_type in ("drug", "disease"))
    cautions[1][:3] = "unlike any treated disease"
    annotator = candidate_lists.annotator(kg, cautions)
    of_heads, ranks = by_head.HeadCollector(60, 50), by_head.HeadRanks(annotator)
    tables = candidates.rank(
        candidate_lists.scorer(np.stack([scores, scores, scores + 0.1])),
        annotator,
        per_tail=30,
        collectors=[of_heads, ranks],
    )
    names = ("candidates", "by_head", "listed", "evidence")
    written = {name: folder / f"{name}.parquet" for name in names}
    candidates.save(
        tables, written["candidates"], folder / "c.csv", {"calibration": CALIBRATION}, ranks.complete
    )
    files.write_table(written["by_head"], of_heads.table(annotator))
    ends = vectors["drug"], vectors["disease"]
    treated = pairs.treated(pairs.label(kg, planted.TARGET))
    explainer = evidence.Explainer(kg, planted.TARGET, ends, treated, paths.network(kg), sources=told)
    table = files.read_table(written["candidates"])
    listed.write(written["listed"], explainer, table, 2, 3)
    rows = explainer.explain_rows(summary.best_new(table, 10), 3, 2)
    files.write_table(written["evidence"], evidence.pa.Table.from_pylist(rows, evidence.SCHEMA))
    return written


def unpacked(text):
    """What app/data.js makes of a packed text."""
    data = gzip.decompress(base64.b64decode(text))
    length = int.from_bytes(data[:4], "little")
    start = -(-(4 + length) // packing.ALIGNMENT) * packing.ALIGNMENT

    def whole(value):
        if isinstance(value, list):
            return [whole(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "array" not in value:
            return {key: whole(part) for key, part in value.items()}
        dtype = {name: dtype for dtype, name in packing.KINDS.items()}[value["array"]]
        assert (start + value["at"]) % np.dtype(dtype).itemsize == 0
        return np.frombuffer(data, dtype, value["length"], start + value["at"]).tolist()

    return whole(json.loads(data[4 : 4 + length]))
