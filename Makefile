# Everything that a developer or a first user needs, one word each. `make env` is the only step that reaches the network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A second MPI beside Open MPI, for the tests that run under both.
MPICH := $(VENV)/mpich

.PHONY: help env spark demo test chaos fuzz lint format docs gold bench growth clean

help: ## these lines
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 10

env: $(VENV)/.ready ## make .venv with everything in it

$(VENV)/.ready: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; give another with make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	$(BIN)/pip install --quiet --disable-pip-version-check --ignore-installed --prefix $(MPICH) mpich
	$(BIN)/grt-batch warm
	@touch $@

spark: env ## PySpark too, for the one test that reads the lake with it (450 MB)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[spark]'

demo: env ## sample uploads, all modules, several ranks, the embedded database: see what comes out
	$(BIN)/grt-batch demo

test: env ## the whole suite, with a real PostgreSQL and a real mpirun
	GRT_BATCH_TEST_MPICH=$(abspath $(MPICH)) $(BIN)/python -m pytest -n 2 --dist loadfile

# So many kills; another seed, other kills.
chaos: COUNT ?= 60
chaos: SEED ?= 1
chaos: env ## kill, end or stop ranks, mpirun and launcher at random points of runs; COUNT=200 SEED=2 for others
	CHAOS_COUNT=$(COUNT) CHAOS_SEED=$(SEED) $(BIN)/python -m pytest tests/ranks/test_chaos.py

# For each of the decoder and the readers of documents so many seconds; what was found is given to the compiled kernels.
fuzz: SECONDS ?= 60
fuzz: env ## a fuzzer that is guided by coverage looks for inputs that break something; SECONDS=600 for longer
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	for target in decoder documents; do \
		$(BIN)/python tests/fuzz/fuzz.py $$target $(SECONDS) && $(BIN)/python tests/fuzz/fuzz.py $$target again || exit 1; \
	done

lint: env ## ruff, mypy, shellcheck where there is one
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if command -v shellcheck >/dev/null; then shellcheck cron.sh .ci/run; else echo "shellcheck is not here: cron.sh was not checked"; fi

format: env ## put the code into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: env ## write the references in docs/ anew from the code
	$(BIN)/python docs/generate.py

gold: env ## bless what the modules give now as the gold files (look at the difference before you commit it)
	$(BIN)/python -m pytest tests/modules/test_gold.py --bless

# So many jobs, so many rounds.
bench: JOBS ?= 500000
bench: REPEATS ?= 3
bench: env ## this program beside DuckDB, polars and plain gunzip; JOBS=2000000 REPEATS=5 for more
	$(BIN)/python -m bench --jobs $(JOBS) --repeats $(REPEATS)

growth: JOBS ?= 250000
growth: REPEATS ?= 3
growth: env ## how the time grows with the data and with ranks, and where one instance has nearly all jobs
	$(BIN)/python -m bench.growth --jobs $(JOBS) --repeats $(REPEATS)

clean: ## remove the environment and all that was made
	rm -rf $(VENV) demo work reports build bench/data bench/results.json *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
