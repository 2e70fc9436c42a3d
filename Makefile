# The four verbs are demo, ui, test and check; `make help` lists all.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := $(CURDIR)

.PHONY: help demo ui test test-fast coverage test-cluster test-hostile check format bench-train bench-stream bench-preprocess bench-download bench-overhead bench-reruns bench-scale screenshots lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/installed ## run the whole workflow on drawn pictures in Airflow, end with accuracies and a report
	$(BIN)/python -m tools.demo demo

ui: $(VENV)/installed ## start Airflow with the workflow and its pages, and leave it running
	$(BIN)/python -m tools.demo ui

# tests/conftest.py says which tests stay in one process, and in which order they come.
IN_ORDER := --no-loadscope-reorder

test: $(VENV)/installed-dev ## run all tests, in three processes: one works while the others wait for servers
	$(BIN)/python -m pytest -n 3 $(IN_ORDER)

coverage: $(VENV)/installed-dev ## run all tests, and print which lines and branches none of them takes; twice as long
	$(BIN)/python -m pytest -n 3 $(IN_ORDER) --cov

test-fast: $(VENV)/installed-dev ## run the tests that neither train nor start servers, in less than a minute
	$(BIN)/python -m pytest -q -n 2 $(IN_ORDER) -m "not slow and not cluster"

test-cluster: $(VENV)/installed-dev ## run the workflow on Celery, PostgreSQL, Redis and an object store, and kill each of them
	$(BIN)/python -m pytest -m cluster tests/cluster

test-hostile: $(VENV)/installed-dev ## try thousands of inputs made to do harm, and kill runs at random moments; half an hour
	HOSTILE=full $(BIN)/python -m pytest -m hostile --timeout=3600

check: $(VENV)/installed-dev ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev ## put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-train: $(VENV)/installed ## print pictures per second by model and precision
	$(BIN)/python -m benchmarks.train

bench-stream: $(VENV)/installed ## print pictures per second and memory of training from memory and from shards
	$(BIN)/python -m benchmarks.stream

bench-preprocess: $(VENV)/installed ## print pictures per second of preprocessing beside the study's two steps
	$(BIN)/python -m benchmarks.preprocess

bench-download: $(VENV)/installed ## print pictures per second and CPU of downloading beside img2dataset and a plain loop
	@$(UV_INDEX); $(BIN)/python -m benchmarks.download

bench-overhead: $(VENV)/installed ## print what Airflow adds to the work, beside an empty workflow of the same graph
	$(BIN)/python -m benchmarks.overhead

bench-reruns: $(VENV)/installed ## print a first run beside reruns with nothing new and with 50 new pictures
	$(BIN)/python -m benchmarks.reruns

bench-scale: $(VENV)/installed ## print how a run grows with its classes: 20, 200, 2,000
	$(BIN)/python -m benchmarks.scale --chart docs/pictures/scale.svg

screenshots: $(VENV)/installed-dev ## make the README's pictures from a run in real Airflow (needs chromium)
	$(BIN)/python -m tools.screenshots

# One lock for every Python of pyproject.toml: --universal, from the oldest on.
COMPILE := $(BIN)/uv pip compile -q pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --custom-compile-command "make lock"
lock: $(VENV)/installed-dev ## write requirements.txt and requirements-dev.txt from pyproject.toml
	$(UV_INDEX); $(COMPILE) -o requirements.txt
	$(UV_INDEX); $(COMPILE) --group dev -c requirements.txt -o requirements-dev.txt

clean: ## remove the environment and what the demo left
	rm -rf $(VENV) .local

# uv installs the lock in seconds. It comes from the same package registry, in the version that the lock names. Debian's
# python3 has no ensurepip without its package python3-venv: there, python3's own pip does.
$(VENV)/bin/uv: requirements-dev.txt
	@if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	  $(PYTHON) -m venv $(VENV); pip="$(BIN)/python -m pip"; \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --without-pip $(VENV); pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	else \
	  echo "$(PYTHON) has neither venv nor pip; on Debian: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	$$pip install -q --disable-pip-version-check "uv==$$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements-dev.txt)"
	touch $@

# uv does not read pip's settings: an index that they name is passed on, unless uv has one of its own.
UV_INDEX = index=$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$( \
  $(PYTHON) -m pip config get global.index-url 2>/dev/null || true)}}}; \
  [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"

$(VENV)/installed: requirements.txt $(VENV)/bin/uv
	@$(UV_INDEX); started=$$(date +%s.%N); \
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements.txt; \
	echo "$$(date +%s.%N) - $$started" | $(PYTHON) -c 'print(round(eval(input()), 1))' > $(VENV)/install_seconds; \
	echo "Installed in $$(cat $(VENV)/install_seconds) s"
	touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@$(UV_INDEX); $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-dev.txt
	touch $@
