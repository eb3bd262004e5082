# Every target does its own set-up. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help venv servers demo bench test check fmt clean
help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

venv: $(STAMP)   ## the virtual environment, with everything that development needs
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

servers:         ## install the real servers and programs that the tests use (Debian; root or sudo)
	tests/real/install-servers.sh
	tests/real/install-node-clients.sh

demo: $(STAMP)   ## sign in to a few look-alike tenants, and read why it fails
	@$(BIN)/python -m mailwhy demo

check: $(STAMP)  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fmt: $(STAMP)    ## format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: check      ## everything that must hold before a change lands
	@tests/real/install-servers.sh --quiet
	@tests/real/install-node-clients.sh
	$(BIN)/python -m pytest -q -n 2

bench: $(STAMP)  ## how fast, beside what else there is (the servers of `make servers`; root for the line with a delay)
	@cd tests && ../$(BIN)/python -m bench.bench

clean:           ## take away what the targets made
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
