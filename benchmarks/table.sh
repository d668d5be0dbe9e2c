#!/usr/bin/env bash
# Measures the rows of the table in docs/recipe.md, from an edges and a nodes table of Hetionet:
#     benchmarks/table.sh edges.csv.gz nodes.csv.gz FOLDER
# This takes hours. FOLDER gets a file of rows per seed; a rerun continues where the last run stopped. The variables
# SEEDS, METHODS and SCHEMES choose a part; without them all is measured. Seconds of methods can be compared only if all
# ran on the same number of cores: the published rows are of one core (taskset -c 0), with MINUTES=10 for methods that
# train until the time is over. DeepWalk and the models of PyKEEN need
# pip install -c envs/requirements.txt -r envs/benchmarks.txt
# The method hgt has the config benchmarks/recipe.yaml; the method default has config/config.yaml.
# To keep the rows, and to print the table and draw the figure from the kept rows:
#     python benchmarks/row_files.py FOLDER/*.jsonl benchmarks/rows/hetionet.parquet
#     python benchmarks/quality.py --methods --rows benchmarks/rows/hetionet.parquet --figure docs/table.png
set -euo pipefail

benchmarks=$(dirname "${BASH_SOURCE[0]}")
edges=$1 nodes=$2 rows=$3

for seed in ${SEEDS:-0 1 2 3 4}; do
	for method in ${METHODS:-svd hgt default no-layers degree replaced deepwalk distmult complex rotate}; do
		config=("$benchmarks/hetionet.yaml") trained=$method
		case $method in hgt | no-layers) config+=("$benchmarks/recipe.yaml") ;; default) trained=hgt ;; esac
		python "$benchmarks/quality.py" --edges "$edges" --nodes "$nodes" --schemes ${SCHEMES:-random disease drug} \
			--minutes "${MINUTES:-10}" --methods "$trained" --label "$method" --seeds 1 --first-seed "$seed" \
			--rows "$rows/$seed.jsonl" --config "${config[@]}" >/dev/null
	done
done
python "$benchmarks/quality.py" --methods --rows "$rows"/*.jsonl
