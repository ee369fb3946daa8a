# Every chore has its verb here; `make` alone lists them.  A fresh machine needs Python >= 3.11 and
# make, nothing else: each verb makes or renews .venv first.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first interpreter that is new enough; PYTHON=/path/to/python chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# What checks read: those of the folders that exist.
CODE := $(wildcard schemas events handlers orchestrator tests bench)
# Kafka's tests are long and mostly wait: whoever is through takes from the other's share.
PYTEST_ARGS ?= -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-kafka test-e2e planted chaos check format bench lock clean

help:  ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP)  ## simulated hospitals and the care teams' pages, until Ctrl-C
	@$(BIN)/care-orchestrator demo $(DEMO_ARGS)

test: $(STAMP)  ## all tests, those on Kafka too (PYTEST_ARGS="tests/core -x" for some)
	$(BIN)/pytest $(PYTEST_ARGS)

test-kafka: $(STAMP)  ## those on a real Apache Kafka (Java 17 and Maven, or KAFKA_BOOTSTRAP_SERVERS)
	$(BIN)/pytest tests/kafka $(PYTEST_ARGS)

test-e2e: $(STAMP)  ## the compose file's processes and docs/operate.md, by hand on a broker (10 min)
	E2E_TESTS=1 $(BIN)/pytest tests/e2e $(E2E_ARGS)

planted: $(STAMP)  ## plant every known bug, see who catches it, write docs/planted-bugs.md
	$(BIN)/python -m tests.planted

chaos: $(STAMP)  ## the long chaos run (50 min): every kind of fault, an independent checker, docs/chaos/
	$(BIN)/python -m tests.kafka.chaos.run --long --out docs/chaos $(CHAOS_ARGS)

check: $(STAMP)  ## exactly what must hold before a commit: format, lint, types, tests
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/pytest $(PYTEST_ARGS)

format: $(STAMP)  ## put the code into the house format
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(STAMP)  ## events per CPU-second, growth, bytes of state
	$(BIN)/python -m bench

lock:  ## resolve the dependencies anew (needs the network); commit the result
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile $(LOCK_ARGS) pyproject.toml --extra oidc -o requirements.lock
	$(VENV)-lock/bin/uv pip compile $(LOCK_ARGS) pyproject.toml --extra dev -c requirements.lock \
		-o requirements-dev.lock
	rm -rf $(VENV)-lock

# Universal: one lock serves every platform and each Python from 3.11 on.
LOCK_ARGS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --custom-compile-command "make lock" $(UPGRADE)

$(STAMP): requirements-dev.lock
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: needs Python 3.11 or newer (PYTHON=/path/to/python)" >&2; exit 2; }
	@echo "making $(VENV) with $(PYTHON) (once; again when the locks change)"
	@echo "  $$(grep -c '^[a-z]' requirements-dev.lock) packages are fetched and installed: 1 to 3 minutes, with nothing to see"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:  ## remove the environment, caches and the demo's data
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis care-demo build *.egg-info
