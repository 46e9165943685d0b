# The entry points a person needs. Each sets up what it needs by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for programs more than they compute: more workers than cores, up to eight.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n + 1 > 8 ? 8 : n + 1)))
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: help run test check docs bench

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/	/' | expand -t 12

run: $(STAMP) ## start a throw-away organisation on loopback (ARGS="--json --port-base 9000" are passed on)
	@exec $(BIN)/postern demo $(ARGS)

test: $(DEV_STAMP) ## every test: unit, integration, crash and real mail programs (ARGS="-k imap" selects, ARGS=-n0 runs one after the other)
	@scripts/install-test-parts
	@$(BIN)/python -c 'import gssapi' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[kerberos]'
	@$(BIN)/python -m compileall -q -j 0 src
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(ARGS)

check: $(DEV_STAMP) ## lint, types, import contracts, the catalogue's rules
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/postern ports --edition all --json > /dev/null

docs: $(STAMP) ## write the pages that are made from code: docs/datapaths, docs/settings.md
	$(BIN)/python -m postern.cli.port_pages docs/datapaths
	$(BIN)/python -m postern.cli.picture_pages
	$(BIN)/postern settings --reference > docs/settings.md

bench: $(DEV_STAMP) ## measure against Postfix and Dovecot in one run (needs the load generator, see docs/performance.md)
	@scripts/install-test-parts
	@$(BIN)/python -m benchmarks.run $(ARGS)

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Postern needs Python 3.11 or newer: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Postern needs Python 3.11 or newer; $(PYTHON) is older. Name another one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(STAMP): $(VENV)/bin/python pyproject.toml
	@echo "Setting up (once) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@$(BIN)/python -m compileall -q -j 0 src # where PYTHONDONTWRITEBYTECODE is set each start would compile everything
	@touch $@

$(DEV_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@
