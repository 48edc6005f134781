# Every target works on a fresh checkout: the environment is made first where it is missing.
PYTHON ?= python3
VENV   ?= .venv
HOST   ?= 127.0.0.1
PORT   ?= 8000

BIN := $(VENV)/bin
PEERS := $(VENV)/peers
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help setup serve test test-all browser check lint types bench network gallery clean

help:
	@echo 'make serve     set up and open the atlas on http://$(HOST):$(PORT) (PORT= to change)'
	@echo 'make test      the tests, without a browser'
	@echo 'make test-all  all tests: slow ones and the browser too'
	@echo 'make check     lint, types and tests: what CI runs'
	@echo 'make bench     routing and the model beside their peers; times of all halts, findings, commands; the server under load'
	@echo 'make gallery   the pictures of docs/gallery and the tables of names in docs/python.md again'
	@echo 'make network   rebuild layers/network/ from the raw graphs'

# Stamp files: a second call finds them newer than what they came from and installs nothing.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'error: Python 3.11 or newer is needed (PYTHON= names another)' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.serve: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[report]'
	@touch $@

$(VENV)/.test: $(VENV)/.serve
	$(PIP) install -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/.bench: $(VENV)/.serve
	$(PIP) install -c constraints.txt -e '.[bench]'
	@touch $@

# An environment of their own: linopy and PyPSA bring libraries with which pandas sums and keeps texts in another way.
$(PEERS)/.made: $(VENV)/.made pyproject.toml constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install -c constraints.txt -e '.[peers]'
	@touch $@

$(VENV)/.build: $(VENV)/.serve
	$(PIP) install -c constraints.txt -e '.[build]'
	@touch $@

setup: $(VENV)/.serve

serve: $(VENV)/.serve
	$(BIN)/atlas serve --host $(HOST) --port $(PORT)

# Two workers, a file each at a time: what a file shares is made once.
WORKERS := -n 2 --dist loadfile

test: $(VENV)/.test
	$(BIN)/python -m pytest -q $(WORKERS) -m 'not browser and not slow'

test-all: $(VENV)/.test
	$(BIN)/python -m pytest -q $(WORKERS) -m 'not browser'
	$(BIN)/python -m pytest -q -m browser

browser: $(VENV)/.test
	$(BIN)/python -m pytest -q -m browser

lint: $(VENV)/.test
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

check: lint types test

# Every part runs, whatever became of those before it; in the end the target fails if any did.
bench: $(VENV)/.bench $(PEERS)/.made
	@failed=; part() { echo "$$*"; "$$@" || failed="$$failed; $$*"; }; \
	  part $(BIN)/python -m benchmarks.routing; \
	  part $(PEERS)/bin/python -m pytest -q tests/test_bench_model.py; \
	  part $(PEERS)/bin/python -m benchmarks.model peers; \
	  part $(BIN)/python -m benchmarks.model halts; \
	  part $(BIN)/python -m benchmarks.findings; \
	  part $(BIN)/python -m benchmarks.figures; \
	  part $(BIN)/python -m benchmarks.reports; \
	  part $(BIN)/python -m benchmarks.run; \
	  part $(BIN)/python -m benchmarks.exports; \
	  part $(BIN)/python -m benchmarks.ogc; \
	  part $(BIN)/python -m benchmarks.web; \
	  [ -z "$$failed" ] || { echo "error: failed or over a bound$$failed" >&2; exit 1; }

network: $(VENV)/.build
	$(BIN)/python -m atlas.build_network

gallery: $(VENV)/.serve
	$(BIN)/python docs/make_python_reference.py
	$(BIN)/python docs/gallery/make_gallery.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache
