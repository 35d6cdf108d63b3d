# One command each. Everything is installed into .venv; nothing outside this folder is touched.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow lint types check format docs bench clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv || { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: .venv/installed  ## a three-party call, recorded through the official SDK, in under a minute
	$(BIN)/mixminus demo

test: .venv/installed  ## the default tests
	$(BIN)/pytest -n auto

slow: .venv/installed  ## real peers, chaos and soak; needs the packages that .ci/run installs
	$(BIN)/pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

check: lint types test

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/installed  ## makes the tables of docs/ anew, and the site in site/
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet

bench: .venv/installed  ## figures for docs/benchmarks.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[quality]' || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m bench

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
