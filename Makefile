# Every target does its own set-up. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help venv servers demo bench test cover check fmt torture fuzz audit clean
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

# The tests that judge by dates, once more after the last event that is known (tests/day.py)
LATER := 2027-01-15
DATED := $(patsubst %,tests/test_%.py,explain_cases explain_shapes diagnose knowledge_signs run send rehearse cli_causes) \
	tests/mock/test_proof.py tests/mock/test_says.py

define pytest
$(BIN)/python -m pytest -q -n 2 $(1) || { echo "Once more, what failed beside the others, alone:"; \
		$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none $(1); }
endef

test: check      ## everything that must hold before a change lands
	@tests/real/install-servers.sh --quiet
	@tests/real/install-node-clients.sh
	$(call pytest,)
	export TESTS_AS_OF=$(LATER); $(call pytest,$(DATED))

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

PURE := tenant state settings says store session talk world load dialogue_smtp dialogue_imap dialogue_pop \
	imap_args imap_fetch imap_mail
COMMA := ,
EMPTY :=
cover: $(STAMP)  ## are the gates and dialogues of the mock tried to the last branch?
	$(BIN)/python -m pytest -q -n 2 $(patsubst %,tests/mock/test_%.py,corners dialogues gates load says transcripts) \
		--cov=mailwhy.mock --cov-branch --cov-report=
	$(BIN)/python -m coverage report --show-missing --skip-covered --fail-under=100 \
		--include=$(subst $(EMPTY) $(EMPTY),$(COMMA),$(strip $(PURE:%=src/mailwhy/mock/%.py)))

bench: $(STAMP)  ## how fast, beside what else there is (the servers of `make servers`; root for the line with a delay)
	@cd tests && ../$(BIN)/python -m bench.bench $(BENCH)

clean:           ## take away what the targets made
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
