# The two commands of a newcomer are `make demo` and `make test`. Each sets up all it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test chaos stress lint bench lock clean

demo: .venv/.demo
	$(BIN)/pgstream demo

test: .venv/.dev
	$(BIN)/pytest

# The crash test in full, about ten minutes: make chaos SEED=7 KILLS=100 CHAOS='--nats-version 2.12.8' (or --cluster).
SEED ?= 1
KILLS ?= 100
chaos: .venv/.dev
	$(BIN)/python -m tests.faults.chaos --seed $(SEED) --kills $(KILLS) $(CHAOS)

# The stress test of snapshots, at least SECONDS and 300,000 rows: make stress STRESS='--standby on' (or --sabotage watermark).
SECONDS ?= 300
stress: .venv/.dev
	$(BIN)/python -m tests.faults.snapshots --seed $(SEED) --seconds $(SECONDS) $(STRESS)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.dev
	$(BIN)/python -m bench

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.demo: requirements/demo.lock pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements/demo.lock
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/.dev: requirements/dev.lock .venv/.demo
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements/dev.lock
	touch $@

# Locks hold names, versions and hashes only. Needs uv on the PATH.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	    --extra demo -o requirements/demo.lock pyproject.toml requirements/build.in
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	    --extra demo --extra dev -c requirements/demo.lock -o requirements/dev.lock pyproject.toml

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
