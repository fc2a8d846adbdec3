# Every target sets up what it needs; a second start needs no network.
.DEFAULT_GOAL := help
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

help:       ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

setup: $(STAMP)  ## create .venv and install everything (done by the other targets too)

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PY) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(STAMP)    ## start router and services, stay up, print what to try
	@$(BIN)/python -m prediction_services demo --stay

demo: $(STAMP)   ## watch a canary promoted and a broken one taken back (under two minutes)
	@$(BIN)/python -m prediction_services demo

test: $(STAMP)   ## run the tests
	@$(BIN)/python -m pytest -n 3 --dist loadgroup -q

test-nightly: $(STAMP)  ## the long versions: 1,000 kills, 10,000 idle connections, overload (hours)
	@$(BIN)/python -m pytest -m nightly -s

MLFLOW := .cache/mlflow
$(MLFLOW)/.ready: pyproject.toml
	@$(PY) -m venv $(MLFLOW)
	@echo "installing an MLflow server into $(MLFLOW) ..."
	@$(MLFLOW)/bin/python -m pip install --quiet --disable-pip-version-check 'mlflow>=3.1'
	@touch $@

test-registry: $(STAMP) $(MLFLOW)/.ready  ## registry write-back, against a real MLflow server of its own
	@RAMPWAY_TEST_MLFLOW_PYTHON=$(abspath $(MLFLOW))/bin/python $(BIN)/python -m pytest tests/registry -m registry -q

measure-reliability: $(STAMP)  ## the promised times themselves, printed; wants two idle cores
	@$(BIN)/python -m pytest tests/reliability --strict-times -s -v

check: $(STAMP)  ## format, lint, types, import floors
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(STAMP)    ## format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP)  ## CPU and latency beside the peers, as ratios; installs those it can
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python -m tests.bench

bench-decisions: $(STAMP)  ## the statistics' claims, by seeded simulation
	@$(BIN)/python -m router.simulation.bench_decisions
	@$(BIN)/python -m tests.bench.evidence

docs: $(STAMP)   ## write the generated pages (schema, state diagram, feature table)
	@$(BIN)/python tests/tidy/generate.py

clean:      ## remove what these targets made
	@rm -rf $(VENV) .cache demo-run demo-report.html .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help setup run demo test test-nightly test-registry measure-reliability check fix bench bench-decisions docs clean
