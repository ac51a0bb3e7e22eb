# `make demo` audits the two shipped networks and writes a report of each; `make test` runs the tests.
# Both make .venv and install into it where there is none. The plain pip lines are in the README.

PYTHON ?= python3
export OMP_NUM_THREADS = 1

.PHONY: demo test lint types docs clean

demo: .venv/demo
	.venv/bin/stabtest demo --out out/demo --workers 2

test: .venv/test
	.venv/bin/python -m pytest -n 2

lint: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/dev
	.venv/bin/pyright

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/test: .venv/bin/python pyproject.toml constraints.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	@touch $@

.venv/docs: .venv/bin/python pyproject.toml constraints.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf .venv dist out .pytest_cache .ruff_cache
