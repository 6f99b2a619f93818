# Voxgate on a fresh machine: `make serve`. Everything it needs beyond Python 3.11 it fetches itself.

SHELL   := /bin/bash
PYTHON  ?= python3
VENV    ?= .venv
MODELS  ?= default
BIN     := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help serve test check bench format clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

serve: $(VENV)/.installed  ## Install, fetch the default models and start the server (MODELS=none: without models)
	@[ "$(MODELS)" = none ] || $(BIN)/voxgate models pull $(MODELS) || echo "Starting without what is missing." >&2
	@$(BIN)/voxgate serve $(ARGS)

test: $(VENV)/.installed-dev  ## Everything: lint, types, unit, conformance and end-to-end tests with real models
	@$(BIN)/voxgate models pull default
	@scripts/test-tools
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -n auto --dist loadfile --ignore tests/e2e $(ARGS)
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

check: $(VENV)/.installed-dev lint  ## The fast half: lint, types, import floors, unit tests
	@VOXGATE_QUICK=1 $(BIN)/python -m pytest -q -n auto --dist loadfile -m "not slow" $(ARGS)

.PHONY: lint
lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format --check -q .
	@told=$$($(BIN)/lint-imports --no-cache) || { echo "$$told"; exit 1; }
	@$(BIN)/mypy

.PHONY: livekit-server
livekit-server:  ## LiveKit's own server for the tests, built once with Go (two minutes)
	@scripts/livekit-server

bench: $(VENV)/.installed-dev  ## The benchmarks (PROTOTYPES=folder compares with the research code)
	@$(BIN)/python -m benchmarks $(ARGS)

format: $(VENV)/.installed-dev  ## Format the code
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

clean:  ## Remove what was installed or built here; data and models stay
	rm -rf $(VENV) dist node_modules tests/e2e/node/node_modules .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@scripts/make-venv $(PYTHON) $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing Voxgate into $(VENV) …"
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[espeak]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[espeak,postgres,tracing,dev]'
	@touch $@
