"""Test all combinations of a rule, a bad ending of its job, and the next command: are the results correct?

    python benchmarks/endings.py --rows benchmarks/endings.jsonl --work /tmp/endings
    python benchmarks/endings.py --rows benchmarks/endings.jsonl --work /tmp/endings --only rank_candidates

A cell is one combination. It starts with a folder that has all results of config A. Then a run, with A or
with a config B that changes the results of the rule, gets a planted fault that ends the job of the rule. Then
the same command is run again, or that of A. At the end all results must have the bytes of a run without a
fault (except times and memory), and a dry run must find nothing to do. Cells with a row are skipped, so the
program can be stopped and started again. `--part 0/2` takes every second cell.
"""

import argparse
import contextlib
import functools
import http.server
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import row_files
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from repurpose.config import settings

PROJECT = Path(__file__).resolve().parents[1]
PLANTED = PROJECT / "tests" / "planted_faults"

SMALL = {
    "demo": {"scale": 0.006},
    "hgt": {"hidden_dim": 16, "embedding_dim": 24, "heads": 2, "svd_dim": 4, "profile_dim": 4},
    "split": {"schemes": ["random"]},
    "training": {"epochs": 8, "learning_rate": 0.02, "valid_every": 4, "checkpoint_seconds": 0.0},
    "gate": {
        "min_auroc_margin": -1.0,
        "min_agreement_margin": -1.0,
        "min_gain_over_inputs": -1.0,
        "min_nearer_share": 0.0,
        "min_enrichment": 0.0,
        "min_effective_rank": 1.0,
        "min_distinct_share": 0.0,
    },
    "classifier": {
        "draws": 1,
        "trees": 5,
        "svd_dim": 4,
        "parts": ["trees", "kernel", "metapaths", "specificity"],
    },
    "evidence": {"explained": 10},
}
ENDINGS = (
    "failed",
    "out_of_memory",
    "killed_before",
    "killed_in_the_middle",
    "killed_between_files",
    "killed_after",
    "left_behind",
)
NEXT = ("same", "changed", "back")
# For each rule: the name of the base config A, and the change that makes config B of it.
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "build_demo": ("one", {"demo": {"seed": 8}}),
    "build_graph": ("one", {"graph": {"exclude_relations": ["anatomy_anatomy"]}}),
    "split_pairs": ("one", {"split": {"test_share": 0.25}}),
    "read_annotations": ("one", {"annotations": {"columns": ["status"]}}),
    "read_reviews": ("one", {"reviews": {"exclude": ["wrong"]}}),
    "read_external": ("one", {"external": {"positive": ["positive", "maybe"]}}),
    "train_embeddings": ("one", {"training": {"epochs": 9}}),
    "measure_embeddings": ("one", {"training": {"valid_share": 0.06}}),
    "project_embeddings": ("one", {"map": {"nearest": 4}}),
    "encode_untrained": ("one", {"training": {"valid_share": 0.06}}),
    "validate_embeddings": ("one", {"gate": {"min_effective_rank": 1.01}}),
    "train_metapaths": ("one", {"classifier": {"metapaths_kept": 12}}),
    "train_baselines": ("one", {"classifier": {"trees": 6}}),
    "train_classifier": ("one", {"classifier": {"trees": 6}}),
    "train_contraindications": ("one", {"classifier": {"trees": 6}}),
    "check_names": ("one", {"training": {"contrastive": {"relations": ["disease_disease"]}}}),
    "find_repeats": ("one", {"repeats": {"ingredients": "@other_salts"}}),
    "find_chosen": ("one", {"candidates": {"tails": ["@tail"]}}),
    "rank_candidates": ("one", {"candidates": {"per_head": 3}}),
    "explain_candidates": ("one", {"evidence": {"similar": 2}}),
    "answer_question": ("one", {"candidates": {"per_tail": 7}}),
    "permute_labels": ("chance", {"split": {"test_share": 0.25}}),
    "write_outcome": ("one", {"evidence": {"similar": 2}}),
    "write_summary": ("one", {"gate": {"min_effective_rank": 1.01}}),
    "require_pass": ("one", {"training": {"epochs": 9}}),
    "write_agreement": ("two", {"agreement": {"top": 7}}),
    "pool_candidates": ("seeds", {"candidates": {"per_tail": 7}}),
    "download_table": ("url", {"edges": "@other_url"}),
    "import_embeddings": ("url", {"given": "@other_given"}),
}
TIMES = ("seconds", "peak_rss_bytes", "predicted_peak_rss_bytes")


@dataclass(frozen=True)
class Cell:
    """One combination of a rule, the ending of its job, and the next command."""

    rule: str
    ending: str
    then: str

    @property
    def name(self) -> str:
        return f"{self.rule} {self.ending} {self.then}"


def cells() -> list[Cell]:
    """All cells."""
    return [Cell(*combination) for combination in itertools.product(CHANGES, ENDINGS, NEXT)]


class Bench:
    """Folders with all results, one per base and change; each is made once."""

    def __init__(self, work: Path, project: Path = PROJECT) -> None:
        self.work, self.project = work, project
        work.mkdir(parents=True, exist_ok=True)
        self.names: dict[str, str] = {}
        handler = functools.partial(SilentHandler, directory=work)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{server.server_port}"

    def config(self, base: str, change: dict[str, Any]) -> dict[str, Any]:
        """The overlay of a base config, with a change over it."""
        imported = {
            "devices": ["given"],
            "given": str(self.work / "given.parquet"),
            "edges": f"{self.address}/kg.parquet",
        }
        overlay = {
            "one": {
                "external": {"pairs": str(self.work / "pairs.csv")},
                "candidates": {"heads": ["@head"]},
                "annotations": {"table": str(self.work / "about.csv"), "of": "head"},
                "reviews": {"table": str(self.work / "reviews.csv")},
                "repeats": {"ingredients": str(self.work / "salts.csv")},
            },
            "two": {"devices": ["cpu", "cpu-full"]},
            "seeds": {"seeds": [1, 2]},
            "url": imported,
            "plain": {},
            "chance": {},
        }[base]
        return replace_names(settings.merged(settings.merged(SMALL, overlay), change), self.names)

    def prepare(self) -> None:
        """Make the plain run, and from its results the user's files for the other bases."""
        folder = self.made("plain", {})
        results = folder / "results"
        table = pq.read_table(results / "demo" / "edges.parquet")
        pq.write_table(table, self.work / "kg.parquet")
        pq.write_table(table.slice(0, table.num_rows - 200), self.work / "other.parquet")
        vectors = pq.read_table(results / "embeddings" / "cpu" / "embeddings.parquet")
        pq.write_table(vectors, self.work / "given.parquet")
        pq.write_table(vectors.take(list(range(vectors.num_rows))[::-1]), self.work / "given2.parquet")
        nodes = pq.read_table(results / "graph" / "nodes.parquet").to_pandas()
        heads, tails = (nodes[nodes.node_type == t].node_id.tolist() for t in ("drug", "disease"))
        rows = [
            f"{head},{tail},{'maybe' if number % 3 else 'positive'}"
            for number, (head, tail) in enumerate(itertools.product(heads[:12], tails[:6]))
        ]
        (self.work / "pairs.csv").write_text("\n".join(["head_id,tail_id,label", *rows, ""]))
        about = [f"{head},approved,{number}" for number, head in enumerate(heads)]
        marks = [
            f"{head},{tails[0]},{('plausible', 'wrong')[number % 2]}" for number, head in enumerate(heads)
        ]
        (self.work / "reviews.csv").write_text("\n".join(["head_id,tail_id,verdict", *marks, ""]))
        for name, number in (("salts.csv", 12), ("other_salts.csv", 8)):
            salts = [f"{head},{heads[0]}" for head in heads[1:number]]
            (self.work / name).write_text("\n".join(["id,ingredient", *salts, ""]))
        self.names["@other_salts"] = str(self.work / "other_salts.csv")
        (self.work / "about.csv").write_text("\n".join(["id,status,price", *about, ""]))
        self.names |= {"@tail": tails[0], "@other_url": f"{self.address}/other.parquet"}
        self.names |= {"@other_given": str(self.work / "given2.parquet"), "@heads": ",".join(heads[:15])}

    def made(self, base: str, change: dict[str, Any]) -> Path:
        """The folder with all results of this config, made by a run without a fault."""
        key = re.sub(r"[^a-z0-9]+", "-", f"{base} {json.dumps(change)}".lower()).strip("-")
        folder = self.work / "made" / key
        if not folder.exists():
            building = folder.with_name(f"{key}.part")
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(parents=True)
            done = self.run(building, self.config(base, change), self.targets(base, building))
            if done.returncode:
                raise RuntimeError(f"{key}: {done.stdout}")
            building.rename(folder)
        return folder

    def targets(self, base: str, folder: Path) -> list[str]:
        """The targets of a run: all results, and one answer if the base ranks candidates on the CPU."""
        if base == "chance":
            return ["permuted_labels"]
        if base != "one" or "@tail" not in self.names:
            return []
        return ["all", f"results/answers/cpu/{self.names['@tail']}.json"]

    def command(self, folder: Path, config: dict[str, Any], arguments: list[str]) -> list[str]:
        overlay = folder / "overlay.yaml"
        overlay.write_text(yaml.safe_dump(config))
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--retries", "0"]
        command += ["--snakefile", str(self.project / "Snakefile"), "--directory", str(folder), *arguments]
        return [*command, "--configfile", str(overlay)]

    def run(
        self, folder: Path, config: dict[str, Any], arguments: list[str], fault: str = ""
    ) -> subprocess.CompletedProcess:
        """Call Snakemake and wait for its end."""
        return subprocess.run(
            self.command(folder, config, arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(fault),
            check=False,
        )

    def run_and_kill(
        self, folder: Path, config: dict[str, Any], arguments: list[str], fault: str, fault_folder: Path
    ) -> int:
        """Call Snakemake, kill it while the job with the fault waits, and return that job's process id."""
        with (folder / "screen").open("w") as screen:
            process = subprocess.Popen(
                self.command(folder, config, arguments), stdout=screen, stderr=screen, env=environment(fault)
            )
        while not (fault_folder / "waiting").exists():
            if process.poll() is not None:
                raise RuntimeError((folder / "screen").read_text())
            time.sleep(0.05)
        process.kill()
        process.wait()
        return int((fault_folder / "waiting").read_text())

    def cell(self, cell: Cell) -> dict[str, Any]:
        """Run one cell; the row says whether the results are correct, and lists the faults if not."""
        base, change = CHANGES[cell.rule]
        started = time.perf_counter()
        config_a, config_b = self.config(base, {}), self.config(base, change)
        base_folder = self.made(base, {})
        expected_folder = self.made(base, {} if cell.then != "changed" else change)
        with tempfile.TemporaryDirectory(dir=self.work) as temporary:
            folder, fault_folder = Path(temporary) / "run", Path(temporary) / "mark"
            fault_folder.mkdir()
            shutil.copytree(base_folder, folder)
            if cell.then == "same":
                forget(folder, cell.rule)
            fault = f"{cell.rule}:{cell.ending}:{fault_folder}"
            first, last = (
                (config_a if cell.then == "same" else config_b),
                (config_b if cell.then == "changed" else config_a),
            )
            targets = self.targets(base, folder)
            orphan = 0
            if cell.ending == "left_behind":
                orphan = self.run_and_kill(folder, first, targets, fault, fault_folder)
                done_first = None
            else:
                done_first = self.run(folder, first, targets, fault)
            faults = [] if (fault_folder / "fired").exists() else ["the fault did not fire"]
            if done_first and cell.ending != "killed_after" and done_first.returncode == 0:
                faults.append("the disturbed run ended with 0")
            done = self.run(folder, last, targets)
            if orphan:
                (fault_folder / "go").touch()
                wait_for_end(orphan)
            faults += (
                []
                if done.returncode == 0
                else [f"the next run ended with {done.returncode}: {last_words(done)}"]
            )
            faults += differences(expected_folder / "results", folder / "results")
            dry = self.run(folder, last, ["--dry-run", *targets])
            faults += [] if "Nothing to be done" in dry.stdout else ["a dry run finds something to do"]
            hidden = [path.name for path in (folder / "results").rglob(".*") if path.name != ".run"]
            faults += [f"left behind: {hidden[:3]}"] if hidden else []
            jobs = re.findall(r"^\d\d:\d\d:\d\d (?!INFO|WARNING|ERROR).+$", done.stdout, re.MULTILINE)
            taken = done.stdout.count("taken back from results/previous")
        return {
            "rule": cell.rule,
            "ending": cell.ending,
            "then": cell.then,
            "key": json.dumps(change),
            "ok": not faults,
            "faults": faults,
            "jobs_of_next_run": len(jobs),
            "of_these_taken_back": taken,
            "seconds": round(time.perf_counter() - started, 1),
        }


class SilentHandler(http.server.SimpleHTTPRequestHandler):
    """A file server without log output."""

    def log_message(self, *_: Any) -> None:
        pass


def environment(fault: str) -> dict[str, str]:
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    variables.pop("REPURPOSE_RUN", None)
    return {**variables, "PYTHONPATH": str(PLANTED), "PLANTED_FAULT": fault} if fault else variables


def replace_names(content: Any, names: dict[str, str]) -> Any:
    """The content with names instead of @words.

    ["@head"] becomes the heads of the plain run, or an empty list if that run is not yet made.
    """
    if isinstance(content, dict):
        return {key: replace_names(value, names) for key, value in content.items()}
    if content == ["@head"]:
        return names.get("@heads", "").split(",") if names.get("@heads") else []
    if isinstance(content, list):
        return [replace_names(value, names) for value in content]
    return names.get(content, content) if isinstance(content, str) else content


def forget(folder: Path, rule: str) -> None:
    """Remove the results of a rule, so that its jobs run again."""
    for path in (folder / "results" / "records").rglob("*.json"):
        record = json.loads(path.read_text())
        if record.get("rule") == rule:
            for output in record["outputs"]:
                (folder / output).unlink()


def wait_for_end(process: int, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, os.WNOHANG)
        time.sleep(0.05)
    os.kill(process, signal.SIGKILL)
    raise RuntimeError("the job that was left behind does not end")


def last_words(done: subprocess.CompletedProcess) -> str:
    return " ".join(done.stdout.split())[-300:]


def differences(expected_folder: Path, actual_folder: Path) -> list[str]:
    """Result files that are missing, unexpected, or of other content except for times and memory."""
    expected, actual = comparable(expected_folder), comparable(actual_folder)
    faults = [f"missing: {path}" for path in sorted(expected.keys() - actual.keys())]
    faults += [f"too many: {path}" for path in sorted(actual.keys() - expected.keys())]
    return faults + [
        f"other content: {path}"
        for path in sorted(expected.keys() & actual.keys())
        if expected[path] != actual[path]
    ]


def comparable(results: Path) -> dict[str, bytes]:
    """The content of every result, without values that differ between two runs of the same config."""
    ignored = {"records", "previous", ".run", "logs", "benchmarks", "checkpoints", "config.yaml"}
    paths = (path for path in results.rglob("*") if path.is_file())
    inside = ((path.relative_to(results), path) for path in paths)
    return {str(name): comparable_content(path) for name, path in inside if name.parts[0] not in ignored}


def comparable_content(path: Path) -> bytes:
    if path.name == "history.parquet":
        return (
            pq.read_table(io.BytesIO(path.read_bytes()))
            .drop_columns(["seconds"])
            .to_pandas()
            .to_csv()
            .encode()
        )
    if path.suffix == ".json":
        return json.dumps(without_times(json.loads(path.read_text())), sort_keys=True).encode()
    if path.suffix == ".html":
        # This section has the seconds of jobs, also of those whose results are not used any more.
        section = rb'<section class="card" id="made">.*?</section>'
        return re.sub(rb"[0-9.]+", b"", re.sub(section, b"", path.read_bytes(), flags=re.DOTALL))
    return path.read_bytes()


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in TIMES}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def finished_cells(path: Path) -> set[str]:
    """Names of the cells that have a row."""
    if not path.exists():
        return set()
    rows = (json.loads(line) for line in path.read_text().splitlines())
    return {Cell(row["rule"], row["ending"], row["then"]).name for row in rows}


def chosen_cells(only: str, part: str) -> Iterator[Cell]:
    number, step = map(int, part.split("/"))
    wanted = [cell for cell in cells() if re.search(only, cell.name)]
    yield from wanted[number::step]


def main() -> None:
    """Run the cells that have no row yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, one a cell; added to")
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--only", default="", help="a pattern of 'rule ending next'")
    parser.add_argument("--part", default="0/1", help="this share of the cells")
    options = parser.parse_args()
    bench = Bench(options.work.resolve())
    bench.prepare()
    for cell in chosen_cells(options.only, options.part):
        if cell.name in finished_cells(options.rows):
            continue
        row = bench.cell(cell)
        row_files.append(options.rows, row)
        print(
            f"{'ok  ' if row['ok'] else 'FAIL'} {cell.name} {row['seconds']} s {row['faults'] or ''}",
            flush=True,
        )


if __name__ == "__main__":
    main()
