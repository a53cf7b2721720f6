# `make help` is the index. Needs python3 (3.11 or newer, with venv) and a package registry.
PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# pip says nothing but warnings and errors, asks nothing, and does not talk about its own versions.
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo screenshots test check-browser check-clients check-deploy sbom chaos soak fuzz simulate bench bench-ops lint format map lock clean $(VENV)

help: ## Show this list
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  ARGS=… is handed on: make demo ARGS=--once, make test ARGS='-k retry', make lock ARGS=--upgrade"

demo: $(VENV) ## Run everything here, Valkey and a stand-in for Klarna included; no credentials needed
	@$(BIN)/klarna-ack dev $(ARGS)

screenshots: $(VENV) ## Take the pictures in docs/images/ anew; needs Debian's package chromium
	@$(BIN)/python -m devtools.screenshots

test: $(VENV) ## Run every test but those of the targets check-…
	@$(BIN)/python -m pytest $(ARGS)

check-browser: $(VENV) ## Use the console in a browser; needs Debian's package chromium
	@$(BIN)/python -m pytest tests/browser $(ARGS)

check-clients: $(VENV) $(VENV)/node/installed ## Let a client from npm use the sandbox; needs node and npm
	@$(BIN)/python -m pytest tests/clients $(ARGS)

check-deploy: $(VENV) $(VENV)/deploy/installed ## Hold deploy/ against its tools, and run it; needs what .ci/run installs
	@$(BIN)/python -m pytest tests/deploy $(ARGS)

SBOM ?= build/sbom.json
sbom: $(VENV)/deploy/installed ## Write build/sbom.json: what runs, with versions and hashes, as CycloneDX
	@mkdir -p $(dir $(SBOM))
	@PYTHONWARNINGS=ignore $(VENV)/deploy/bin/cyclonedx-py requirements --pyproject pyproject.toml \
		--output-reproducible --mc-type application --output-file $(SBOM) requirements/notify.lock

chaos: $(VENV) ## Kill everything under load, write docs/reports/chaos.md; 10 minutes, ARGS='--only kills': 3
	@$(BIN)/python -m devtools.chaos --report docs/reports/chaos.md $(ARGS)

soak: $(VENV) ## Half an hour of load and trouble: does anything grow? Write docs/reports/soak.md; ARGS='--minutes 5'
	@$(BIN)/python -m devtools.soak $(or $(ARGS),--report docs/reports/soak.md)

simulate: $(VENV) ## Play days of trouble in minutes, write docs/reports/simulation.md; ARGS='--scale 0.01': a look, in 3
	@$(BIN)/python -m devtools.simulation $(or $(ARGS),--report docs/reports/simulation.md)

bench: $(VENV) ## Measure us beside our peers, write docs/reports/performance.md; 8 minutes, ARGS=--quick: 1
	@$(BIN)/python -m devtools.bench $(ARGS)

bench-ops: $(VENV) ## Read the console over 1.2 million orders, write docs/reports/console.md; 8 minutes, ARGS='--keep DIR' keeps the orders
	@$(BIN)/python -m devtools.bench.ops $(ARGS)

fuzz: $(VENV) $(VENV)/fuzz/installed ## Try requests, answers and records that reach new branches; ARGS='--minutes 60', 10 without
	@PYTHONPATH=$(VENV)/fuzz $(BIN)/python -m tests.fuzz $(ARGS)

lint: $(VENV) ## Check style, types and import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV) ## Fix what can be fixed: imports, simple findings, layout
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

map: $(VENV) ## Remake what is made from the code: CONTRIBUTING's map, Redis's users
	@$(BIN)/python -m devtools.code_map
	@$(BIN)/python -m devtools.redis_users

# async-timeout is redis-py's on Pythons before 3.11.3 (Debian 12 has 3.11.2): a lock made on a newer
# one would lack it, and pip refuses what has no hash.
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(ARGS)
LOCKS := run dev build sandbox notify telemetry deploy fuzz
lock: $(VENV) ## Remake requirements/*.lock; keeps versions, unless ARGS=--upgrade
	@echo async-timeout | $(LOCK) --output-file requirements/run.lock pyproject.toml -
	@echo 'hatchling>=1.27' | $(LOCK) --constraint requirements/run.lock --output-file requirements/build.lock -
	@echo async-timeout | $(LOCK) --extra dev --extra sandbox --extra notify --extra otel --extra sentry \
		--constraint requirements/run.lock \
		--constraint requirements/build.lock \
		--output-file requirements/dev.lock pyproject.toml -
	@echo async-timeout | $(LOCK) --extra sandbox --constraint requirements/dev.lock \
		--output-file requirements/sandbox.lock pyproject.toml -
	@echo async-timeout | $(LOCK) --extra notify --constraint requirements/dev.lock \
		--output-file requirements/notify.lock pyproject.toml -
	@echo async-timeout | $(LOCK) --extra notify --extra otel --extra sentry \
		--constraint requirements/dev.lock --output-file requirements/telemetry.lock pyproject.toml -
	@$(LOCK) --output-file requirements/deploy.lock requirements/deploy.in
	@$(LOCK) --output-file requirements/fuzz.lock requirements/fuzz.in
	@for lock in $(LOCKS); do \
		{ echo "# Made by \`make lock\`; not edited by hand."; cat requirements/$$lock.lock; } \
			> requirements/$$lock.new && mv requirements/$$lock.new requirements/$$lock.lock || exit 1; \
	done

clean: ## Remove .venv and every cache
	rm -rf $(VENV) devtools/bench/.venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv: $(VENV)/installed ## Build the environment from requirements/dev.lock (the others do it by themselves)

# Two stamps, so that an edit of pyproject.toml does not install everything anew.
$(VENV)/installed: $(VENV)/locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The tools of check-deploy and sbom, beside what the tests import and not in it.
$(VENV)/deploy/installed: requirements/deploy.lock $(VENV)/locked
	@$(PYTHON) -m venv --clear $(VENV)/deploy
	@$(VENV)/deploy/bin/python -m pip --quiet --disable-pip-version-check --no-input install \
		--require-hashes --requirement $<
	@touch $@

# libFuzzer, beside what the tests import.
$(VENV)/fuzz/installed: requirements/fuzz.lock $(VENV)/locked
	@$(PIP) install --require-hashes --no-deps --upgrade --target $(VENV)/fuzz --requirement $<
	@touch $@

# A client of Klarna's that others wrote, for check-clients alone.
$(VENV)/node/installed: tests/clients/package-lock.json $(VENV)/locked
	@mkdir -p $(@D) && cp tests/clients/package.json $< $(@D)
	@npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(VENV)/locked: requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "klarna-ack needs Python 3.11 or newer, and \`$(PYTHON)\` is not. Name another: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "\`$(PYTHON)\` has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Building $(VENV) from $< (once; less than a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --requirement $<
	@touch $@
