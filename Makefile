# Every target does its own set-up. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help venv servers demo test check fmt torture fuzz audit clean
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
	$(BIN)/python -m pytest -q -n 2

FIGURES := .cache/torture-figures
torture: $(STAMP) ## the hostile tests in full, with their figures; some minutes
	@mkdir -p .cache && rm -f $(FIGURES) && touch $(FIGURES)
	TORTURE_FIGURES=$(CURDIR)/$(FIGURES) FUZZ_SECONDS=10 $(BIN)/python -m pytest -q -n 2 -m "long or not long" \
		tests/torture tests/fuzz tests/test_canaries.py tests/test_hostile_wire.py tests/test_ledger.py
	@$(BIN)/python tests/torture/figures.py $(FIGURES)

FUZZ ?= 60
fuzz: $(STAMP)   ## fuzz every parser, FUZZ=60 seconds each; coverage-guided where atheris can be installed
	@$(BIN)/python -m pip install -q --disable-pip-version-check atheris || echo "Without atheris: random changes only."
	@for target in $$($(BIN)/python tests/fuzz/targets.py --list); do \
		echo "== $$target"; $(BIN)/python tests/fuzz/targets.py $$target $(FUZZ) || exit 1; done

audit: $(STAMP)  ## ask pip-audit for known holes in what we depend on; says so where its database cannot be reached
	@$(BIN)/python .ci/audit.py

clean:           ## take away what the targets made
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
