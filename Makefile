# Every target does its own set-up: it needs Python 3.11 and make, nothing else. A second run installs nothing.

PYTHON  ?= $(shell command -v python3.11 || command -v python3)
VENV    := .venv
VENV15  := .venv-duckdb15
SNORKEL := .venv-snorkel
CROWDKIT := .venv-crowdkit
DATA    ?= ../shared/data
BIN     := $(VENV)/bin
PIP     := python -m pip --disable-pip-version-check --quiet
NEEDS   := pyproject.toml constraints.txt
DOCS     = $(wildcard README.md ARCHITECTURE.md) $(shell find docs -name '*.md' 2>/dev/null | sort)
BENCHES  = $(notdir $(basename $(wildcard bench/bench_*.py bench/quality*.py)))
FAST    := -n 2 -m "not slow"

.PHONY: help demo test test-slow test-duckdb15 compat check format format-check lint types imports docs docs-check \
        bench install clean
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: $(VENV)/.installed  ## install, then label, train and predict on examples/phishing
	$(BIN)/wsdb run examples/phishing/labels.sql

test: $(VENV)/.installed  ## install, then run the fast tests (PYTEST="tests/sql -k task" to choose)
	$(BIN)/python -m pytest $(FAST) $(PYTEST)

test-slow: $(VENV)/.installed  ## run the slow tests (none to run is no failure)
	$(BIN)/python -m pytest -n 2 -m slow $(PYTEST) || [ $$? -eq 5 ]

test-duckdb15: $(VENV15)/.installed  ## run the fast tests on duckdb 1.5.6, in an environment of its own
	$(VENV15)/bin/python -m pytest $(FAST) $(PYTEST)

compat: $(VENV)/.installed $(VENV15)/.installed  ## open files of one DuckDB version in the other
	WSDB_OTHER_PYTHON="$(CURDIR)/$(VENV15)/bin/python" $(BIN)/python -m pytest tests/compat

check: format-check lint types imports docs-check test  ## everything that a change has to pass

format: $(VENV)/.installed  ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(VENV)/.installed
	$(BIN)/ruff format --check .

lint: $(VENV)/.installed
	$(BIN)/ruff check .

types: $(VENV)/.installed
	$(BIN)/python -m mypy

imports: $(VENV)/.installed
	$(BIN)/lint-imports

docs: $(VENV)/.installed  ## rewrite the generated parts of the documentation
	$(if $(DOCS),$(BIN)/cog -r $(DOCS))

docs-check: $(VENV)/.installed
	$(if $(DOCS),$(BIN)/cog --check --diff $(DOCS))

bench: $(VENV)/.installed-bench $(SNORKEL)/.installed $(CROWDKIT)/.installed  ## run every benchmark; results in bench/results/
	@mkdir -p bench/results
	@set -e; for name in $(BENCHES); do \
	    case $$name in \
	        bench_label_matrix|bench_label_model|quality_labels) more="--snorkel $(SNORKEL)/bin/python";; \
	        bench_crowd) more="--crowdkit $(CROWDKIT)/bin/python";; \
	        quality_sequence|quality_task_graph) more="--data $(DATA)";; *) more=;; esac; \
	    echo "== $$name"; $(BIN)/python -m bench.$$name --out bench/results/$$name.json $$more; \
	done

install: $(VENV)/.installed  ## make the environment only

$(VENV)/.installed: $(NEEDS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP) install -c constraints.txt -e '.[torch,test,docs]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/$(PIP) install -c constraints.txt -e '.[torch,test,docs,bench]'
	@touch $@

$(VENV15)/.installed: $(NEEDS)
	$(PYTHON) -m venv $(VENV15)
	sed 's/^duckdb==.*/duckdb==1.5.6/' constraints.txt > $(VENV15)/constraints.txt
	$(VENV15)/bin/$(PIP) install -c $(VENV15)/constraints.txt -e '.[torch,test]'
	@touch $@

# The peers that benchmarks compare with, each in an environment of its own.
$(SNORKEL)/.installed: constraints.txt
	$(PYTHON) -m venv $(SNORKEL)
	$(SNORKEL)/bin/$(PIP) install -c constraints.txt snorkel torch==2.13.0
	@touch $@

$(CROWDKIT)/.installed: constraints.txt
	$(PYTHON) -m venv $(CROWDKIT)
	$(CROWDKIT)/bin/$(PIP) install -c constraints.txt crowd-kit
	@touch $@

clean:  ## remove environments and caches
	rm -rf $(VENV) $(VENV15) $(SNORKEL) $(CROWDKIT) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
