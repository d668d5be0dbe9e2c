"""Every rule, every way for its job to end badly, every next command: does the folder come out right?

    python benchmarks/endings.py --rows benchmarks/endings.jsonl --work /tmp/endings
    python benchmarks/endings.py --rows benchmarks/endings.jsonl --work /tmp/endings --only rank_candidates

One cell: a folder in which everything is made (config A); a run in which the job of one rule ends as planted,
of A or of a config B that changes what the rule makes; then the same command again, or A's. At the end all
results must have the bytes of an undisturbed run, but for times and memory, and a dry run must find nothing
to do. Cells that have a row are left out, so a stopped program goes on; `--part 0/2` takes every other cell.
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
    "classifier": {"draws": 1, "trees": 5, "svd_dim": 4, "kernel_weights": [0, 2]},
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
# The key that config B changes, for each rule; the base on which it is tried.
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "build_demo": ("one", {"demo": {"seed": 8}}),
    "build_graph": ("one", {"graph": {"exclude_relations": ["anatomy_anatomy"]}}),
    "split_pairs": ("one", {"split": {"test_share": 0.25}}),
    "read_external": ("one", {"external": {"positive": ["positive", "maybe"]}}),
    "train_embeddings": ("one", {"training": {"epochs": 9}}),
    "measure_embeddings": ("one", {"training": {"valid_share": 0.06}}),
    "encode_untrained": ("one", {"training": {"valid_share": 0.06}}),
    "validate_embeddings": ("one", {"gate": {"min_effective_rank": 1.01}}),
    "train_baselines": ("one", {"classifier": {"trees": 6}}),
    "train_classifier": ("one", {"classifier": {"trees": 6}}),
    "train_contraindications": ("one", {"classifier": {"trees": 6}}),
    "check_names": ("one", {"training": {"contrastive": {"relations": ["disease_disease"]}}}),
    "find_chosen": ("one", {"candidates": {"tails": ["@tail"]}}),
    "rank_candidates": ("one", {"candidates": {"per_head": 3}}),
    "explain_candidates": ("one", {"evidence": {"similar": 2}}),
    "answer_question": ("one", {"candidates": {"per_tail": 7}}),
    "write_outcome": ("one", {"evidence": {"similar": 2}}),
    "write_summary": ("one", {"evidence": {"similar": 2}}),
    "require_pass": ("one", {"evidence": {"similar": 2}}),
    "write_agreement": ("two", {"agreement": {"top": 7}}),
    "download_edges": ("url", {"edges": "@other_url"}),
    "import_embeddings": ("url", {"given": "@other_given"}),
}
TIMES = ("seconds", "peak_rss_bytes", "predicted_peak_rss_bytes")


@dataclass(frozen=True)
class Cell:
    """One sequence of commands."""

    rule: str
    ending: str
    then: str

    @property
    def name(self) -> str:
        return f"{self.rule} {self.ending} {self.then}"


def cells() -> list[Cell]:
    """All of them."""
    return [Cell(*each) for each in itertools.product(CHANGES, ENDINGS, NEXT)]


class Bench:
    """Folders in which everything is made, by base and config, each made once."""

    def __init__(self, work: Path, project: Path = PROJECT) -> None:
        self.work, self.project = work, project
        work.mkdir(parents=True, exist_ok=True)
        self.names: dict[str, str] = {}
        handler = functools.partial(Quiet, directory=work)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{server.server_port}"

    def config(self, base: str, change: dict[str, Any]) -> dict[str, Any]:
        """The overlay of a base with a change over it."""
        given = {
            "devices": ["given"],
            "given": str(self.work / "given.parquet"),
            "edges": f"{self.address}/kg.parquet",
        }
        own = {
            "one": {"external": {"pairs": str(self.work / "pairs.csv")}, "candidates": {"heads": ["@head"]}},
            "two": {"devices": ["cpu", "cpu-full"]},
            "url": given,
            "plain": {},
        }[base]
        return named(settings.merged(settings.merged(SMALL, own), change), self.names)

    def prepare(self) -> None:
        """A plain run, and the user's files for the others."""
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
            f"{head},{tail},{'maybe' if at % 3 else 'positive'}"
            for at, (head, tail) in enumerate(itertools.product(heads[:12], tails[:6]))
        ]
        (self.work / "pairs.csv").write_text("\n".join(["head_id,tail_id,label", *rows, ""]))
        self.names |= {"@tail": tails[0], "@other_url": f"{self.address}/other.parquet"}
        self.names |= {"@other_given": str(self.work / "given2.parquet"), "@heads": ",".join(heads[:15])}

    def made(self, base: str, change: dict[str, Any]) -> Path:
        """A folder in which an undisturbed run has made everything of this config."""
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
        """Everything, and one answer where the base has candidates of the CPU."""
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
        """Call Snakemake to its end."""
        return subprocess.run(
            self.command(folder, config, arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(fault),
            check=False,
        )

    def run_and_kill(
        self, folder: Path, config: dict[str, Any], arguments: list[str], fault: str, mark: Path
    ) -> int:
        """Call Snakemake, kill it when its planted job waits, and return that job's process."""
        with (folder / "screen").open("w") as screen:
            process = subprocess.Popen(
                self.command(folder, config, arguments), stdout=screen, stderr=screen, env=environment(fault)
            )
        while not (mark / "waiting").exists():
            if process.poll() is not None:
                raise RuntimeError((folder / "screen").read_text())
            time.sleep(0.05)
        process.kill()
        process.wait()
        return int((mark / "waiting").read_text())

    def cell(self, cell: Cell) -> dict[str, Any]:
        """Play one sequence; the row says whether it came out right, and if not, how."""
        base, change = CHANGES[cell.rule]
        started = time.perf_counter()
        a, b = self.config(base, {}), self.config(base, change)
        source = self.made(base, {})
        wanted = self.made(base, {} if cell.then != "changed" else change)
        with tempfile.TemporaryDirectory(dir=self.work) as place:
            folder, mark = Path(place) / "run", Path(place) / "mark"
            mark.mkdir()
            shutil.copytree(source, folder)
            if cell.then == "same":
                forget(folder, cell.rule)
            fault = f"{cell.rule}:{cell.ending}:{mark}"
            first, last = (a if cell.then == "same" else b), (b if cell.then == "changed" else a)
            targets = self.targets(base, folder)
            orphan = 0
            if cell.ending == "left_behind":
                orphan = self.run_and_kill(folder, first, targets, fault, mark)
                done_first = None
            else:
                done_first = self.run(folder, first, targets, fault)
            faults = [] if (mark / "fired").exists() else ["the fault did not fire"]
            if done_first and cell.ending != "killed_after" and done_first.returncode == 0:
                faults.append("the disturbed run ended with 0")
            done = self.run(folder, last, targets)
            if orphan:
                (mark / "go").touch()
                wait_for_end(orphan)
            faults += (
                []
                if done.returncode == 0
                else [f"the next run ended with {done.returncode}: {last_words(done)}"]
            )
            faults += differences(wanted / "results", folder / "results")
            dry = self.run(folder, last, ["--dry-run", *targets])
            faults += [] if "Nothing to be done" in dry.stdout else ["a dry run finds something to do"]
            left = [path.name for path in (folder / "results").rglob(".*") if path.name != ".run"]
            faults += [f"left behind: {left[:3]}"] if left else []
            jobs = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", done.stdout, re.MULTILINE)
            taken = done.stdout.count("taken back from results/previous")
        return {
            "rule": cell.rule,
            "ending": cell.ending,
            "then": cell.then,
            "key": json.dumps(change),
            "ok": not faults,
            "faults": faults,
            "jobs_of_next_run": len([job for job in jobs if job != "all"]),
            "of_these_taken_back": taken,
            "commit": commit(),
            "seconds": round(time.perf_counter() - started, 1),
        }


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        pass


@functools.cache
def commit() -> str:
    """The commit that is tried."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip()


def environment(fault: str) -> dict[str, str]:
    found = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    found.pop("REPURPOSE_RUN", None)
    return {**found, "PYTHONPATH": str(PLANTED), "PLANTED_FAULT": fault} if fault else found


def named(content: Any, names: dict[str, str]) -> Any:
    """The same with names in the place of @words; a list of heads where the plain run has not said which."""
    if isinstance(content, dict):
        return {key: named(value, names) for key, value in content.items()}
    if content == ["@head"]:
        return names.get("@heads", "").split(",") if names.get("@heads") else []
    if isinstance(content, list):
        return [named(each, names) for each in content]
    return names.get(content, content) if isinstance(content, str) else content


def forget(folder: Path, rule: str) -> None:
    """Remove what a rule made: its jobs are to be run."""
    for path in (folder / "results" / "records").rglob("*.json"):
        content = json.loads(path.read_text())
        if content.get("rule") == rule:
            for output in content["outputs"]:
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


def differences(wanted: Path, found: Path) -> list[str]:
    """Result files that are missing, too many or of other content; times and memory do not count."""
    left, right = comparable(wanted), comparable(found)
    faults = [f"missing: {path}" for path in sorted(left.keys() - right.keys())]
    faults += [f"too many: {path}" for path in sorted(right.keys() - left.keys())]
    return faults + [
        f"other content: {path}" for path in sorted(left.keys() & right.keys()) if left[path] != right[path]
    ]


def comparable(results: Path) -> dict[str, bytes]:
    """The content of every result, without what differs between two runs of the same."""
    apart = {"records", "previous", ".run", "logs", "benchmarks", "checkpoints", "config.yaml"}
    paths = (path for path in results.rglob("*") if path.is_file())
    inside = ((path.relative_to(results), path) for path in paths)
    return {str(name): content(path) for name, path in inside if name.parts[0] not in apart}


def content(path: Path) -> bytes:
    if path.name == "history.parquet":
        return (
            pq.read_table(io.BytesIO(path.read_bytes()))
            .drop_columns(["seconds"])
            .to_pandas()
            .to_csv()
            .encode()
        )
    if path.suffix == ".json":
        return json.dumps(timeless(json.loads(path.read_text())), sort_keys=True).encode()
    if path.suffix == ".html":
        return re.sub(rb"[0-9.]+", b"", path.read_bytes())
    return path.read_bytes()


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key not in TIMES}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def known(path: Path) -> set[str]:
    """The cells that have a row."""
    if not path.exists():
        return set()
    rows = (json.loads(line) for line in path.read_text().splitlines())
    return {Cell(row["rule"], row["ending"], row["then"]).name for row in rows}


def chosen(only: str, part: str) -> Iterator[Cell]:
    number, of = map(int, part.split("/"))
    wanted = [cell for cell in cells() if re.search(only, cell.name)]
    yield from wanted[number::of]


def main() -> None:
    """Play the cells that have no row yet."""
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
    for cell in chosen(options.only, options.part):
        if cell.name in known(options.rows):
            continue
        row = bench.cell(cell)
        with options.rows.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"{'ok  ' if row['ok'] else 'FAIL'} {cell.name} {row['seconds']} s {row['faults'] or ''}",
            flush=True,
        )


if __name__ == "__main__":
    main()
