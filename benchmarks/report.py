"""Measure the report: its size, seconds until it can be used, and time per frame of its map, in Chromium.

    python benchmarks/report.py --json --results results
    python benchmarks/report.py --json --planted 1.0 --reasons --folder FOLDER

The first line measures the page of a finished run. The second one makes a page of the demo's planted graph;
1.0 has PrimeKG's size. Its vectors are those of a truncated SVD and its scores their products, because the
page depends on the sizes alone; ranking, paths, map and page are made by the code of the workflow. With
--reasons, the final models on metapaths and votes are fitted, and say the reasons of the listed pairs. The
output is one JSON object per line: seconds of each stage; then `bytes` of the page, `seconds_to_interactive`
(from the start of loading until a person can search, the median of --rounds), `seconds_to_list` and
`seconds_to_dossier` (after a key and a click), and of the map `seconds_to_paint`, `frame_ms` (median) and
`frame_ms_highest` while it is dragged and zoomed. Needs Chromium and envs/browser.txt.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import devices
import numpy as np
import page_examples

from repurpose.candidates import by_head, candidates, evidence, listed
from repurpose.candidates.candidates import Annotator
from repurpose.candidates.evidence import Explainer
from repurpose.candidates.reasons import Reasoner
from repurpose.classifier import metapath_fits
from repurpose.classifier.list_weights import ListWeights
from repurpose.config import settings
from repurpose.config.sections import Target
from repurpose.core import files, threads
from repurpose.gate import projection
from repurpose.graph import paths
from repurpose.graph.graph import Graph
from repurpose.pairs import pairs
from repurpose.report import explorer, summary
from repurpose.vectors import spectral

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = PROJECT / "config" / "config.yaml"
DEVICE = "cpu"
# A line through PrimeKG's share of treatments; the page shows its bins.
CALIBRATION = {
    "margins": [0.0, 1.0],
    "log_odds": [-9.0, -1.0],
    "reliability": {
        "bins": [
            {"predicted": p, "observed": p, "low": p / 2, "high": 2 * p, "pairs": 1000.0, "positives": 10}
            for p in (1e-4, 1e-3, 1e-2, 0.1)
        ]
    },
}
# Draws one frame after the other for a while, and returns the milliseconds of each.
FRAMES = """(count) => new Promise((done) => {
  const times = []; let last = performance.now();
  const step = () => {
    const now = performance.now(); times.push(now - last); last = now;
    if (times.length < count) requestAnimationFrame(step); else done(times.slice(1));
  };
  requestAnimationFrame(step);
})"""


@contextmanager
def timed(row: dict[str, Any], name: str) -> Iterator[None]:
    """Add the seconds of a stage to the row."""
    started = time.perf_counter()
    yield
    row[name] = time.perf_counter() - started


def make_page(folder: Path, scale: float, width: int, has_reasons: bool, method: str) -> dict[str, Any]:
    """Write a page of the planted graph to the folder; returns the seconds of its stages.

    width: of the vectors. method: of the map, pca or umap.
    """
    config = settings.load([CONFIG])
    target, row = Target(**config["target"]), {"scale": scale}
    with timed(row, "seconds_graph"):
        kg = devices.read(config, scale)
    labelled = pairs.label(kg, target)
    with timed(row, "seconds_vectors"):
        rows = spectral.rows(kg, kg.message_edges(), width, 0)
        vectors = {node_type: rows[kg.span(node_type)] for node_type in kg.node_types}
    own = folder / "candidates" / DEVICE
    own.mkdir(parents=True, exist_ok=True)
    names = ("candidates", "by_head", "listed", "evidence", "map")
    written = {name: own / f"{name}.parquet" for name in names}
    with timed(row, "seconds_ranking"):
        rank(kg, target, vectors, labelled, written, own / "candidates.csv")
    with timed(row, "seconds_map"):
        drawn = projection.table(vectors, target.types, method, 5, 0)
    files.write_table(written["map"], drawn, {"method": method})
    with timed(row, "seconds_reasons_fitted"):
        reasoner = fit_reasoner(kg, target, labelled) if has_reasons else None
    with timed(row, "seconds_listed"):
        ends = tuple(vectors[node_type] for node_type in target.types)
        treated = pairs.treated(labelled)
        explainer = Explainer(kg, target, ends, treated, paths.network(kg), None, reasoner)
        ranked = explorer.read_best(
            written["candidates"], "tail", listed.COLUMNS, config["evidence"]["per_tail"]
        )
        row["listed"] = listed.write(
            written["listed"],
            explainer,
            ranked,
            config["evidence"]["per_tail"],
            config["evidence"]["paths_each"],
        )
    best = summary.best_new(files.read_table(written["candidates"]), config["evidence"]["explained"])
    explained = explainer.explain_rows(best, config["evidence"]["paths_each"], config["evidence"]["similar"])
    files.write_table(written["evidence"], evidence.pa.Table.from_pylist(explained, evidence.SCHEMA))
    with timed(row, "seconds_page"):
        page_examples.summarise(folder, kg, target, {DEVICE: written}, config["candidates"]["in_report"])
    return row


def rank(
    kg: Graph,
    target: Target,
    vectors: Mapping[str, np.ndarray],
    labelled: Any,
    written: Mapping[str, Path],
    csv: Path,
) -> None:
    """Rank all pairs by the product of their vectors, with three models that differ a little."""
    heads, tails = (vectors[node_type] for node_type in target.types)
    none = [np.full(kg.count(node_type), "", object) for node_type in target.types]
    is_treated = np.zeros(len(tails), bool)
    is_treated[pairs.treated(labelled)[1]] = True
    support = np.zeros(len(tails), np.float32)
    known = pairs.known(kg, *target.types)
    annotator = Annotator(kg, target, known, CALIBRATION, is_treated, support, tuple(none))
    generator = np.random.default_rng(0)

    def score(block: np.ndarray) -> np.ndarray:
        product = tails[block] @ heads.T
        noise = [generator.normal(0, 0.02, product.shape).astype(np.float32) for _ in range(3)]
        return np.stack([product, product, *(product + each for each in noise)])

    of_heads, ranks = by_head.HeadCollector(len(heads), 50), by_head.HeadRanks(annotator)
    tables = candidates.rank(score, annotator, per_tail=100, collectors=[of_heads, ranks])
    candidates.save(tables, written["candidates"], csv, {"calibration": CALIBRATION}, ranks.complete)
    files.write_table(written["by_head"], of_heads.table(annotator))


def fit_reasoner(kg: Graph, target: Target, labelled: Any) -> Reasoner:
    """The final models on metapaths and votes, as the workflow fits them, and their reasons."""
    config = settings.load([CONFIG])["classifier"]
    options = {"longest": config["metapath_steps"], "kept": config["metapaths_kept"]}
    options |= {"seed": 0, "threads": threads.current()}
    known = pairs.known(kg, *target.types)
    features = metapath_fits.choose_features(kg, target.types, labelled, known, **options)
    fits = metapath_fits.fit_models(
        features, labelled, {"final": labelled["label"].to_numpy() >= 0}, known, 0, threads.current()
    )
    fitted = metapath_fits.FittedMetapaths(features, fits["final"])
    sizes = tuple(kg.count(node_type) for node_type in target.types)
    ones = np.ones(2, np.float32)
    return Reasoner(kg, target, fitted, ListWeights.of_lists(("metapaths", "specificity"), ones, ones, sizes))


def measure(page_path: Path, rounds: int) -> dict[str, Any]:
    """Open the page in Chromium and measure it."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        row = measured_in(browser, page_path, rounds)
        browser.close()
    return row


def measured_in(browser: Any, page_path: Path, rounds: int) -> dict[str, Any]:
    """What is measured of the page in a browser of Playwright."""
    ready, row = [], {"bytes": page_path.stat().st_size}
    for _ in range(rounds):
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(page_path.absolute().as_uri(), wait_until="commit")
        page.wait_for_selector("html[data-ready]", timeout=120_000)
        ready.append(float(page.get_attribute("html", "data-ready")) / 1000)
        if len(ready) < rounds:
            page.close()
    row["seconds_to_interactive"] = statistics.median(ready)
    page.fill("#query", page.get_attribute("#query", "placeholder"))
    with timed(row, "seconds_to_list"):
        page.keyboard.press("Enter")
        page.wait_for_selector("#list table")
    with timed(row, "seconds_to_dossier"):
        page.click("tr.pair button.link")
        page.wait_for_selector("#dossier-title")
    page.click("#map-draw")
    page.wait_for_selector("#map-canvas[data-painted]", timeout=120_000)
    row["seconds_to_paint"] = float(page.get_attribute("#map-canvas", "data-painted")) / 1000
    page.locator("#map-canvas").scroll_into_view_if_needed()
    row |= frames(page)
    page.close()
    return row


def frames(page: Any) -> dict[str, float]:
    """Milliseconds of each frame while the map is dragged, and while it is zoomed."""
    box = page.locator("#map-canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.wait_for_timeout(500)
    times: list[float] = []
    page.mouse.down()
    page.evaluate(f"() => {{ window.frames_seen = ({FRAMES})(40); }}")
    for step in range(40):
        page.mouse.move(x + 3 * step, y + 2 * step)
    times += page.evaluate("() => window.frames_seen")
    page.mouse.up()
    page.evaluate(f"() => {{ window.frames_seen = ({FRAMES})(40); }}")
    for _ in range(10):
        page.mouse.wheel(0, -120)
    times += page.evaluate("() => window.frames_seen")
    return {"frame_ms": statistics.median(times), "frame_ms_highest": max(times)}


def options() -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line (the only format)")
    parser.add_argument("--results", type=Path, help="folder of a finished run")
    parser.add_argument("--planted", type=float, help="scale of a planted graph; 1.0 has PrimeKG's size")
    parser.add_argument("--folder", type=Path, help="where the page of the planted graph is written")
    parser.add_argument("--reasons", action="store_true", help="also fit models on metapaths and votes")
    parser.add_argument("--map", choices=("pca", "umap"), default="pca", help="method of the map")
    parser.add_argument("--width", type=int, default=256, help="dimension of the vectors")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    if (chosen.results is None) == (chosen.planted is None):
        parser.error("give --results, or --planted with --folder")
    if chosen.planted is not None and chosen.folder is None:
        parser.error("--planted needs --folder")
    return chosen


def main() -> None:
    """Make a page, or take that of a run, and print what is measured."""
    chosen = options()
    threads.limit(chosen.threads)
    folder = chosen.results or chosen.folder
    if chosen.planted is not None:
        folder.mkdir(parents=True, exist_ok=True)
        row = make_page(folder, chosen.planted, chosen.width, chosen.reasons, chosen.map)
        print(json.dumps({"what": "stages", **row}), flush=True)
    print(json.dumps({"what": "page", **measure(folder / "report.html", chosen.rounds)}))


if __name__ == "__main__":
    main()
