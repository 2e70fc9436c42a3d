# The four verbs are demo, ui, test and check; `make help` lists all.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := $(CURDIR)

.PHONY: help demo ui test check format bench-train bench-preprocess screenshots lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/installed ## run the whole workflow on drawn pictures in Airflow, end with accuracies and a report
	$(BIN)/python -m tools.demo demo

ui: $(VENV)/installed ## start Airflow with the workflow and its pages, and leave it running
	$(BIN)/python -m tools.demo ui

test: $(VENV)/installed-dev ## run all tests
	$(BIN)/python -m pytest

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

bench-preprocess: $(VENV)/installed ## print pictures per second of preprocessing beside the study's two steps
	$(BIN)/python -m benchmarks.preprocess

screenshots: $(VENV)/installed-dev ## make the README's pictures from a run in real Airflow (needs chromium)
	$(BIN)/python -m tools.screenshots

lock: $(VENV)/installed-dev ## write requirements.txt and requirements-dev.txt from pyproject.toml
	$(BIN)/uv pip compile -q pyproject.toml --generate-hashes --no-emit-index-url --python-version 3.11 \
	  --custom-compile-command "make lock" -o requirements.txt
	$(BIN)/uv pip compile -q pyproject.toml --group dev -c requirements.txt --generate-hashes --no-emit-index-url \
	  --python-version 3.11 --custom-compile-command "make lock" -o requirements-dev.txt

clean: ## remove the environment and what the demo left
	rm -rf $(VENV) .local

# uv installs the lock in seconds. It comes from the same package registry, in the version that the lock names.
$(VENV)/bin/uv: requirements-dev.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "python3 cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check \
	  "uv==$$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements-dev.txt)"
	touch $@

$(VENV)/installed: requirements.txt $(VENV)/bin/uv
	started=$$(date +%s.%N); \
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements.txt; \
	echo "$$(date +%s.%N) - $$started" | $(PYTHON) -c 'print(round(eval(input()), 1))' > $(VENV)/install_seconds; \
	echo "Installed in $$(cat $(VENV)/install_seconds) s"
	touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-dev.txt
	touch $@
