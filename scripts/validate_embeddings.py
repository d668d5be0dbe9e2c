"""Check one embedding against the gate: a rule of the workflow, and a command for any embedding file.

    python scripts/validate_embeddings.py FILE [--graph results/graph] [--config config/config.yaml ...]

As a command it measures the file, prints the verdict and exits with 1 if the file fails. A file that has
vectors of the target's two node types only is judged by the checks that these allow; the verdict says what is
left out.
"""

import argparse
import logging
import sys
from pathlib import Path

from repurpose.config import settings
from repurpose.config.sections import ContrastiveSettings, EncoderSettings, GateSettings
from repurpose.core import files, logs
from repurpose.gate import gate
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import jobs
from repurpose.vectors import embeddings

RECORD_OF_A_FILE = {"status": "completed", "reason": "", "remedy": "", "notes": []}


def main(*, measures, record, verdict_out, device, thresholds):
    content = files.read_json(measures)
    verdict = gate.judge(
        device, content["measured"], content["null"], files.read_json(record), thresholds, content["layers"]
    )
    files.write_json(verdict_out, verdict)
    logging.info("%s %s the gate", device, "passes" if verdict["passed"] else "does not pass")
    logging.info("\n%s", gate.table(verdict))


def command(arguments):
    """Check the file on the command line, print the table of checks, and return the exit status."""
    import measure_embeddings  # imports PyTorch, which the rule does not need

    parser = argparse.ArgumentParser(description="Check an embedding file against the gate.")
    parser.add_argument("file", type=Path, help="vectors, in a format of docs/exports.md")
    parser.add_argument(
        "--graph", type=Path, default=Path("results/graph"), help="folder of the graph's files"
    )
    default = Path(__file__).parent.parent / "config" / "config.yaml"
    parser.add_argument(
        "--config", type=Path, nargs="+", default=[], help="overlays, as for snakemake --configfile"
    )
    chosen = parser.parse_args(arguments)
    config = settings.load([default, *chosen.config])
    kg = graph.load(GraphFiles.in_folder(chosen.graph))
    embedded = embeddings.read(chosen.file, is_result=False)
    origin = embedded.metadata
    content = measure_embeddings.measures(
        kg,
        embedded,
        chosen.file,
        encoder=EncoderSettings(**config["hgt"]),
        target_types=(config["target"]["head_type"], config["target"]["tail_type"]),
        contrastive=ContrastiveSettings(**config["training"]["contrastive"]),
        # Our own files say which edges training left out; of other files all edges may have been seen.
        valid_share=float(origin.get("valid_share", config["training"]["valid_share"])),
        seed=int(origin.get("seed", config["seed"])),
    )
    verdict = gate.judge(
        str(chosen.file),
        content["measured"],
        content["null"],
        RECORD_OF_A_FILE,
        GateSettings(**config["gate"]),
        content["layers"],
    )
    print(gate.table(verdict))
    return 0 if verdict["passed"] else 1


if __name__ == "__main__":
    if "snakemake" in globals():
        logs.configure(snakemake.log[0])
        job = jobs.Job(snakemake)
        if not job.restore_previous():
            with job.replacing() as output:
                main(
                    measures=snakemake.input.measures,
                    record=snakemake.input.record,
                    verdict_out=output.verdict,
                    device=snakemake.wildcards.device,
                    thresholds=GateSettings(**snakemake.params.gate),
                )
    else:
        logs.configure()
        sys.exit(command(sys.argv[1:]))
