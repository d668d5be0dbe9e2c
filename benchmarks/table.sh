#!/usr/bin/env bash
# The table and the figure of docs/recipe.md, from an edges and a nodes table of Hetionet:
#     benchmarks/table.sh edges.csv.gz nodes.csv.gz
# Hours; a rerun goes on where the last one stopped, with a file of rows per seed. SEEDS, METHODS, SCHEMES: what to
# do, all if not given. Seconds of methods can be compared where all ran on as many cores: the rows here are of one
# (taskset -c 0), with MINUTES=10 for what has no end of its own. DeepWalk and the models of PyKEEN need
# pip install -c envs/requirements.txt -r envs/benchmarks.txt
# The method hgt is of benchmarks/recipe.yaml, default of config/config.yaml.
set -euo pipefail

benchmarks=$(dirname "${BASH_SOURCE[0]}")
rows=${ROWS:-$benchmarks/table}

quality() {
	python "$benchmarks/quality.py" --edges "$edges" --nodes "$nodes" --schemes ${SCHEMES:-random disease drug} \
		--minutes "${MINUTES:-10}" "$@"
}

edges=$1 nodes=$2
for seed in ${SEEDS:-0 1 2 3 4}; do
	for method in ${METHODS:-svd hgt default no-layers degree replaced deepwalk distmult complex rotate}; do
		config=("$benchmarks/hetionet.yaml") trained=$method
		case $method in hgt | no-layers) config+=("$benchmarks/recipe.yaml") ;; default) trained=hgt ;; esac
		quality --methods "$trained" --label "$method" --seeds 1 --first-seed "$seed" --rows "$rows/$seed.jsonl" \
			--config "${config[@]}" >/dev/null
	done
done
quality --methods --rows "$rows"/*.jsonl --config "$benchmarks/hetionet.yaml" --figure "$benchmarks/../docs/table.png"
