# Commands of the project; `make help` lists them. `make demo` and `make test` need only
# Python 3.11+ and make: they build .venv themselves, with uv if it is installed, else pip.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The packages of other tools' formats that `make nightly` reads our exports with.
REFERENCES := $(foreach name,dotprompt prompty-1 prompty-2,$(VENV)/references/$(name)/.installed)

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-browser check format nightly bench migrate migrate-create migrate-rollback wheel clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

setup: $(STAMP) ## make the virtual environment with everything in it

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" $(VENV) && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[postgres,parquet]' --group dev; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' && \
		$(BIN)/python -m pip install --quiet --editable '.[postgres,parquet]' --group dev; \
	fi
	@touch $(STAMP)

demo: setup ## compare sample prompts on two simulated models, in the folder .demo
	@$(BIN)/workbench demo --folder .demo

serve: setup ## serve the dashboard and the API of the demo workspace on loopback
	@$(BIN)/workbench demo --folder .demo --prepare-only && cd .demo && ../$(BIN)/workbench serve

test: setup ## run the tests on SQLite and PostgreSQL (those of the architecture: make check)
	@$(BIN)/python -m pytest -q -n 2 -m "not nightly and not benchmark" --ignore=tests/architecture --ignore=tests/browser

test-browser: setup ## click through the dashboard in a real browser (Debian's package chromium)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not nightly" --timeout 300 tests/browser

check: setup ## lint, types, import contracts, architecture
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -q tests/architecture

format: setup ## format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

nightly: setup $(REFERENCES) ## the tests that are too slow for every change
	@$(BIN)/python -m pytest -q -m "nightly or hypothesis" --hypothesis-profile=nightly --timeout 3600

$(VENV)/references/%/.installed: pyproject.toml
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(@D)/bin/python -m pip install --quiet --group reference-$*
	@touch $@

bench: setup ## measure: throughput, CPU, memory, start-up, faults; prints a table
	@$(BIN)/python -m pytest -q -s -m benchmark --timeout 3600 tests/benchmarks

migrate: setup ## bring the database of the workspace in this folder to the newest schema
	@$(BIN)/workbench db upgrade

migrate-create: setup ## write a migration: make migrate-create m="what changes"
	@$(BIN)/python -m app.database create "$(m)"

migrate-rollback: setup ## undo the last migration of the workspace in this folder
	@$(BIN)/workbench db downgrade -- -1

wheel: setup ## build the wheel into dist/
	@$(BIN)/python -m build --wheel

clean: ## remove the virtual environment, the demo folder and build output
	rm -rf $(VENV) .demo dist build
