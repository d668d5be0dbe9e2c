"""A reader of the report's HTML, and example results of a small run, for the tests of the report."""

import json
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa

from repurpose.report import summary

VOID = {"meta", "link", "img", "br", "hr", "wbr", "input"}
BREAKOUT = "\"><img src='https://evil.example/x' onerror=alert(1)>"
COLUMNS = ["link", "ranking", "contrastive", "total", "gradient_norm", "valid_auroc", "seconds"]


class Page(HTMLParser):
    """Tags in order, attributes and text of a page; fails if tags are not nested correctly."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, text):
        if not {"style", "script"} & set(self.open):
            self.words.append(text)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag, css=None):
        return [
            attributes
            for name, attributes in self.tags
            if name == tag and css in (None, attributes.get("class"))
        ]


def history(steps, contrastive=True):
    step = np.arange(1, steps + 1)
    link = 0.5 + 0.8 / np.maximum(step, 1)
    contrastive_loss = 2.0 + 3.0 / np.maximum(step, 1)
    auroc = [0.6 + 0.001 * value if value % 5 == 0 else None for value in step.tolist()]
    gaps = [None] * steps
    values = [
        link,
        gaps,
        contrastive_loss if contrastive else gaps,
        link + 0.5 * contrastive_loss,
        1 / step,
        auroc,
        step * 0.5,
    ]
    table = pa.table([pa.array(list(column), pa.float64()) for column in values], names=COLUMNS)
    for name in ("edges_seen", "epoch", "step"):
        table = table.add_column(0, name, pa.array(step, pa.int64()))
    return table


def interval(value):
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def measures(ap):
    """Metrics of a method whose AP is `ap`; all other metrics are 0.8, and undefined if `ap` is None."""
    names = ("auroc", "auprc", "mrr_of_first", "first_in_10", "recall_at_10", "recall_at_50", "ndcg_at_10")
    estimates = {name: None if ap is None else interval(0.8) for name in names}
    counts = {"positives": 312, "negatives": 1204331, "prevalence": 0.000259, "tails": 40}
    return {**estimates, "ap": None if ap is None else interval(ap), **counts}


def metrics(hgt=0.2, svd=0.15, degree=0.03):
    scheme = {"degree": measures(degree), "hgt": measures(hgt), "svd": measures(svd)}
    return {"schemes": {"random": scheme, "disease": scheme}, "rounds": {}, "calibration": None}


def check(name, passed):
    texts = ("", "") if passed else ("the value is 0.51", "raise training.epochs")
    row = {"name": name, "value": 0.51, "null": None, "threshold": 0.53, "passed": passed}
    return {**row, "reason": texts[0], "remedy": texts[1]}


def verdict(device, passed):
    classic = {"final_loss": 0.447, "mean_cosine": 0.12, "components_at_90": None}
    checks = [check("finite_vectors", True), check("link_auroc_uniform", passed)]
    common = {"device": device, "passed": passed, "checks": checks, "classic": classic}
    return {**common, "clusters": [cluster("shared <genes>")], "notes": ["a note"]}


def cluster(name, overlap=0.04):
    null = {"null": 0.015, "null_low": 0.014, "null_high": 0.016}
    return {"name": name, "overlap": overlap, **null, "ratio": overlap / 0.015, "untrained": 0.0155}


BEST = {"predicted": 0.0417, "found": 0.0526, "low": 0.0335, "high": 0.0817, "count": 342, "positives": 18}
BIN = {"predicted": 0.03, "observed": 0.04, "low": 0.03, "high": 0.05, "pairs": 500.0, "positives": 20}
CALIBRATION = {
    "held_out": "tail",
    "folds": 4,
    "positives": 188,
    "share": 0.0,
    "measured_share": 0.0,
    "reliability": {"bins": [BIN], "ece": 0.00056, "brier": 0.00335},
    "best": {"all": BEST, "treated": BEST | {"count": 109}},
}


def candidates(name, calibration=None):
    row = {"head_id": "D1", "head_name": name, "tail_id": "3091", "tail_name": BREAKOUT, "score": 2.5}
    further_columns = {"caution": f"no <{name}>", "rank_low": 5, "rank_high": 11}
    table = pa.Table.from_pylist(
        [{**row, "probability": 0.1234567, "rank_of_drug_for_disease": 7, "known": "", **further_columns}]
    )
    return table.replace_schema_metadata({"calibration": json.dumps(calibration)}) if calibration else table


def example(passed, status="completed", name="Metformin", device_metrics=None, steps=20):
    """Summary, histories, verdicts, ledger and certificate of a run; `passed`: device -> passed the gate.

    The metrics of each device are `device_metrics`, if given.
    """
    verdicts = {device: verdict(device, has_passed) for device, has_passed in passed.items()}
    record = {"status": status, "reason": "too little memory", "remedy": "use a smaller model"}
    record |= {
        "floor": 1.386,
        "batching": "full",
        "steps": steps,
        "seconds": 97.0,
        "peak_rss_bytes": 3 * 2**30,
    }
    paths = [[{"text": f"{name} -[binds]-> {BREAKOUT}", "change": -0.625}]]
    reasons = [[{"text": f"votes of {name}", "share": 0.5, "voters": [f"{name} for gout"]}]]
    evidence = pa.table({"head_id": ["D1"], "tail_id": ["3091"], "paths": paths, "reasons": reasons})
    popular = {"head_name": name, "head_id": "D1", "listed": 812, "share": 0.31, "known_tails": 9}
    negatives = {"scheme": "disease", "reason": "", "model": "trees", "digest": "0"}
    negatives |= {"auroc": {"unknown": interval(0.881), "treatments": None}}
    untreated = {"lists": 59, "places": 590, "heads": 79, "share": 0.915, "unlike": 4}
    untreated |= {"most_common": {"id": "D1", "name": name}}
    ends = [{"similarity": 0.1, "overlap": 0.456}, {"similarity": 0.9, "overlap": 0.789}]
    untreated["overlap"] = dict(zip(("least_similar", "most_similar"), ends, strict=True))
    treated = {"lists": 1, "places": 0, "heads": 0, "share": None, "unlike": 0}
    treated |= {"most_common": None, "overlap": None}
    lists = {"places_per_list": 10, "treated": treated, "untreated": untreated}
    stable = {"members": 3, "lists": [{"n": 1000, "commonality": 0.912, "spearman": 0.934}]}
    ranked = summary.Ranked(
        device_metrics or metrics(),
        candidates(name),
        evidence,
        pa.Table.from_pylist([popular]),
        stable,
        lists,
        negatives,
    )
    rows = [
        summary.outcome(verdicts[device], record, ranked if has_passed else None, 128)
        for device, has_passed in passed.items()
    ]
    counts = {"rows": 50, "kept": 20, "mirrored": 20, "excluded": 7}
    ledger = {"file": f"{name}.csv", **counts, "dropped": {name: 3}}
    ledger |= {"nodes": {"compound": 1234, "disease": 5}}
    ledger |= {"relations": [{"relation": "", **counts, "dropped": {"empty_relation": 2, "self_loop": 1}}]}
    removed = {"head_type": "compound", "relation": name, "tail_type": "disease", "edges": 20}
    removed |= {"role": "target"}
    checks = [{"name": "no pair occurs twice", "passed": True, "count": 0}]
    certificate = {"removed": [removed], "checks": checks, "positives": 15, "negatives": 5, "conflicts": 0}
    content = summary.summary(rows, [{"relation": "indication", "edges": 20}], ledger, certificate)
    return content, {device: history(steps) for device in passed}, verdicts, ledger, certificate
