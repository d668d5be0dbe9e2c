# "make run" and "make test" are all that most people need; "make" lists the rest.
# Needs: a POSIX shell, Python 3.11 with venv, and the network once, for the packages.

PYTHON ?= python3.11
CORES ?= 8
WORKERS ?= 2

VENV := .venv
LOCK := envs/requirements.txt

# Nothing from outside may leak into .venv or out of it.
unexport PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

IN_VENV = PATH="$$(pwd)/$(VENV)/bin:$$PATH"
REQUIRE_PYTHON = "$(PYTHON)" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' \
	2>/dev/null || { \
		echo 'Python 3.11 with venv is needed, and "$(PYTHON)" is not one here: install it' \
			'(Debian: apt-get install python3.11-venv) or name yours: make env PYTHON=/path/to/python3.11' >&2; \
		exit 1; \
	}

# Snakemake 9 does not quote the path of its own Python when it runs a script.
REQUIRE_PLAIN_PATH = case "$$(pwd)" in *[[:space:]]*) \
	echo "Snakemake cannot run from a folder with a blank in its path ($$(pwd)): move or rename it" >&2; \
	exit 1 ;; esac

.PHONY: help env run test lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

# Complete is what has a stamp: its name is the lock's digest, it holds the folder's path (a moved .venv does not
# work) and the digest of the library, whose kernels are compiled into .venv, and of the script that compiles them,
# and it is written last. Times of files do not matter.
env: ## make .venv from envs/requirements.txt and compile the kernels, unless both are there and complete
	@set -e; \
	$(REQUIRE_PLAIN_PATH); \
	digest=$$({ sha256sum $(LOCK) 2>/dev/null || shasum -a 256 $(LOCK); } | cut -c 1-64); \
	stamp="$(VENV)/lock-$$digest"; \
	code=$$(find scripts/repurpose scripts/compile_kernels.py -name '*.py' | LC_ALL=C sort | xargs cat | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c 1-64); \
	if [ -x $(VENV)/bin/python ] && [ "$$(cat "$$stamp" 2>/dev/null)" = "$$(pwd) $$code" ]; then exit 0; fi; \
	if [ -x $(VENV)/bin/python ] && [ "$$(cut -d ' ' -f 1 "$$stamp" 2>/dev/null)" = "$$(pwd)" ]; then \
		$(VENV)/bin/python scripts/compile_kernels.py; \
		echo "$$(pwd) $$code" >"$$stamp"; \
		exit 0; \
	fi; \
	$(REQUIRE_PYTHON); \
	echo "Making $(VENV) from $(LOCK); this takes some minutes, once."; \
	rm -f $(VENV)/lock-*; \
	"$(PYTHON)" -m venv --clear $(VENV); \
	$(VENV)/bin/python -m pip install --quiet "$$(grep '^torch==' $(LOCK))"; \
	$(VENV)/bin/python -m pip install --quiet -r $(LOCK); \
	$(VENV)/bin/python scripts/compile_kernels.py; \
	echo "$$(pwd) $$code" >"$$stamp"

run: env ## run the workflow (options: ARGS="--configfile my.yaml", CORES=4)
	@$(IN_VENV) snakemake --cores $(CORES) $(ARGS)

# Tests that compare seconds run before the others and without workers. The others come last, so that the closing line,
# which continuous integration reads, counts nearly all tests, also where ARGS choose none that is timed (status 5).
test: env ## run the tests (options: ARGS="-k graph", WORKERS=1)
	@trap 'exit 130' INT; \
	$(IN_VENV) python -m pytest --timed=only $(ARGS) -n 0; timed=$$?; \
	$(IN_VENV) python -m pytest --timed=none -n $(WORKERS) $(ARGS); others=$$?; \
	case "$$timed $$others" in "0 0" | "0 5" | "5 0") ;; *) exit 1 ;; esac

# PyTorch's own CUDA packages stay out: torch pins them, and a CPU build does not want them.
# Lines with a marker are taken over as they stand, for here only one side of them is installed.
lock: ## write envs/requirements.txt anew from envs/requirements.in
	@set -e; \
	$(REQUIRE_PYTHON); \
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	"$(PYTHON)" -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet "$$(grep '^torch==' envs/requirements.in)"; \
	"$$folder/venv/bin/python" -m pip install --quiet -r envs/requirements.in; \
	"$$folder/venv/bin/python" -m pip check; \
	"$$folder/venv/bin/python" -m pip freeze --all --exclude pip >"$$folder/frozen"; \
	{ \
		echo "# All packages of the environment, written by: make lock (from envs/requirements.in)."; \
		awk -F '==' 'NR == FNR { if (/^[^#]*;/) { marked[$$1] = 1; print }; next } \
			$$1 in marked || /^(cuda|nvidia|triton)/ { next } \
			{ sub(/\+[a-z0-9.]+$$/, ""); print }' envs/requirements.in "$$folder/frozen"; \
	} >"$$folder/lock"; \
	mv "$$folder/lock" $(LOCK)

clean: ## remove all results and Snakemake's records; data/ and .venv stay
	@for folder in results .snakemake .pytest_cache .ruff_cache .hypothesis; do \
		if [ -e "$$folder" ]; then echo "removing $$folder"; rm -rf "$$folder"; fi; \
	done
