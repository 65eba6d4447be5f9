# Everything lives in .venv and is deleted by `make clean`; only livekit-server goes elsewhere, into
# the user's cache. Variables: SFU=livekit (demo), ARGS="…" (demo, tests), JOBS=3 (tests at a time),
# PYTHON=… (3.11 or newer).

.DEFAULT_GOAL := help
.PHONY: help demo test test-realtime check livekit-server clean

# The first that is new enough: a machine's python3 may be older than another one beside it.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo "$$python"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SFU ?= embedded
JOBS ?= 3
ARGS ?=

help:
	@echo 'make demo                an audio room end to end; leaves WAV, report and picture in demo-out/'
	@echo 'make demo SFU=livekit    the same on the real livekit-server'
	@echo 'make test                every test but those bound to real time; what the machine lacks is skipped by name'
	@echo 'make test-realtime       the others, one at a time: devices, clocks, and what has to happen in time'
	@echo 'make check               format, lint, types, import layers'
	@echo 'make livekit-server      install the pinned livekit-server into the cache folder'
	@echo 'make clean               delete .venv and everything generated'

demo: $(VENV)/.demo
ifeq ($(SFU),livekit)
demo: livekit-server
endif
demo:
	$(BIN)/utd-rx demo --sfu $(SFU) $(ARGS)

test: $(VENV)/.dev tests/browser/node_modules/.package-lock.json
	$(BIN)/python -m pytest -n $(JOBS) -m 'not realtime' $(ARGS)

test-realtime: $(VENV)/.dev
	$(BIN)/python -m pytest -m realtime $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

livekit-server: $(VENV)/pyvenv.cfg
	@$(BIN)/python scripts/install_livekit_server.py

# Editable, so that only a changed pyproject.toml asks for another install.
$(VENV)/.demo: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo 'Installing utd_rx and what the demo needs (about a minute) ...'
	@$(PIP) install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo 'Installing utd_rx and what its tests need (about a minute) ...'
	@$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/pyvenv.cfg:
	@test -n '$(PYTHON)' || { \
		echo 'No Python 3.11 or newer on the PATH; name one: make PYTHON=/path/to/python3.11 …' >&2; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip --version >/dev/null || { \
		rm -rf $(VENV); \
		echo '$(PYTHON) cannot create a virtual environment. On Debian and Ubuntu: apt install python3-venv' >&2; \
		exit 1; }

# Without npm, or without a registry, the browser test says why it is skipped.
tests/browser/node_modules/.package-lock.json: tests/browser/package-lock.json
	@if command -v npm >/dev/null; then \
		echo 'Installing livekit-client for the browser test ...'; \
		npm ci --prefix tests/browser --no-audit --no-fund --loglevel=error \
			&& touch $@ || echo 'npm failed: the browser test will be skipped' >&2; \
	fi

clean:
	rm -rf $(VENV) build dist demo-out tests/browser/node_modules
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
