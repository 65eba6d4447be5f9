# Everything lives in .venv and is deleted by `make clean`; only livekit-server goes elsewhere, into
# the user's cache. Variables: SFU=livekit (demos), ARGS="…" (demos, tests), JOBS=… (tests at a time),
# MINUTES=… SEED=… (fuzz), PYTHON=… (3.11 or newer), NEWEST=… (the Python of `make test-newest`).

.DEFAULT_GOAL := help
.PHONY: help demo demo-call demo-live demo-agent test test-long test-waiting test-realtime test-newest newest test-livekit-range test-process test-process-waiting test-process-realtime fuzz check docs page-client livekit-server go-client clean

# The first that is new enough: a machine's python3 may be older than another one beside it.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo "$$python"; break; }; done)
# The newest one, on the PATH or by pyenv; no line but its path is to be printed.
NEWEST ?= $(shell for python in python3 python3.15 python3.14 python3.13 python3.12 \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.*/bin/python3; do \
	"$$python" -c 'import platform, sys; v = sys.version_info; \
	v >= (3, 11) and v.releaselevel == "final" and print(platform.python_version(), sys.executable)' \
	2>/dev/null; done | sort -V | tail -n 1 | cut -d ' ' -f 2-)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SFU ?= embedded
# Half of the time of tests is waiting for a media server and its client; of some, all of it.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
JOBS ?= $(shell expr 2 '*' $(CORES))
ARGS ?=
MINUTES ?= 1
SEED ?= 17
# Each of these processes would compile everything again, where the machine's owner forbids bytecode.
unexport PYTHONDONTWRITEBYTECODE
SHARED = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not realtime and not long'
# They compute more, and wait for less.
MORE = $(shell expr 1 + $(CORES))
LONG = $(BIN)/python -m pytest -n $(MORE) --dist worksteal -m long
WAITS := realtime(waits=True)
ALONE = $(BIN)/python -m pytest -m 'realtime and not $(WAITS)'
WAITING = $(BIN)/python -m pytest -n $(shell expr 2 '*' $(JOBS)) --dist worksteal -m '$(WAITS)'
# Unless ARGS names some, only files that have any are collected: all of them is 6 s of each worker.
MARKED = $(if $(filter tests/%,$(ARGS)),,$$(grep -rlF --include='test_*.py' 'mark.$(1)' tests))
OTHER_END := $(abspath $(VENV))/livekit
LIVEKIT_VERSION = $(BIN)/python -c 'import importlib.metadata as m; print(m.version("livekit"))'

help:
	@echo 'make demo                an audio room end to end; leaves WAV, report and picture in demo-out/'
	@echo 'make demo-call           a call of two, likewise'
	@echo 'make demo-live           a live stream with a stage, cameras and all, likewise'
	@echo 'make demo-agent          a talk with a voice agent, likewise'
	@echo 'make demo SFU=livekit    the same on the real livekit-server; demo-call and demo-live, too'
	@echo 'make test                every test but long ones and those bound to real time; what the machine lacks is skipped by name'
	@echo 'make test-long           random plays on FakeWorld and on real engines, minutes of sound, rooms behind a pipe, recordings, layers of video, bugs that examples find, types that users see: minutes'
	@echo 'make test-realtime       the others, one at a time: devices, browsers, clocks, and what has to happen in time'
	@echo 'make test-waiting        of those bound to real time, what waits for other programs: many at a time'
	@echo 'make test-newest         what depends on Python alone, on the newest Python of this machine; NEWEST=…'
	@echo 'make test-process        sessions and plays that meet a media server, with every room in a process of its own;'
	@echo '                         test-process-waiting and test-process-realtime, those bound to real time'
	@echo 'make test-livekit-range  what meets LiveKit, on the end of the accepted range that .venv has not'
	@echo 'make fuzz MINUTES=10     lies of engines, media servers and participants, beside two whose sound is measured; SEED=…'
	@echo 'make check               format, lint, types, import layers, types of the examples of the docs'
	@echo 'make docs                the docs as a site, build/docs/index.html; a link that leads nowhere fails it'
	@echo 'make page-client         livekit-client as one file for the page of the engine; needs Node'
	@echo 'make livekit-server      install the pinned livekit-server into the cache folder'
	@echo 'make go-client           build the client on LiveKit'\''s Go SDK that a test needs; without Go it is skipped'
	@echo 'make clean               delete .venv and everything generated'

demo demo-call demo-live demo-agent: $(VENV)/.demo
ifeq ($(SFU),livekit)
demo demo-call demo-live: livekit-server
endif
demo:
	$(BIN)/utd-rx demo room --sfu $(SFU) $(ARGS)
demo-call:
	$(BIN)/utd-rx demo call --sfu $(SFU) $(ARGS)
demo-live:
	$(BIN)/utd-rx demo live --sfu $(SFU) $(ARGS)
demo-agent:
	$(BIN)/utd-rx demo agent $(ARGS)

test: $(VENV)/.dev
	$(SHARED) $(ARGS)

test-long: $(VENV)/.dev
	$(LONG) $(ARGS) $(call MARKED,long)

test-waiting: $(VENV)/.dev
	$(WAITING) $(ARGS) $(call MARKED,$(WAITS))

test-realtime: $(VENV)/.dev tests/browser/node_modules/.package-lock.json
	$(ALONE) $(ARGS) $(call MARKED,realtime)

# On one of the two media servers, since what differs is on this side of the wire. What cannot be
# there is in tests/e2e/apart.py. The contracts of ports in a process are among the long tests.
test-process test-process-waiting test-process-realtime: export UTD_RX_MEDIA = process
# A cache of its own, as these may run beside others.
APART = -o cache_dir=.pytest_cache/$@ $(ARGS) tests/e2e
test-process: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(MORE) --dist worksteal -m 'not realtime and not livekit' $(APART) tests/differential
test-process-waiting: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m '$(WAITS) and not livekit' $(APART)
test-process-realtime: $(VENV)/.dev
	$(BIN)/python -m pytest -m 'realtime and not $(WAITS) and not livekit' $(APART)

# Whatever meets no media server, and so waits for nobody; `make test VENV=.venv/newest PYTHON=…` is
# everything. It may run beside others, likewise.
test-newest:
	@$(NEWEST) --version
	@$(MAKE) --no-print-directory test VENV=$(VENV)/newest PYTHON=$(NEWEST) \
		JOBS=$(if $(filter command,$(firstword $(origin JOBS))),$(JOBS),$(CORES)) \
		ARGS="-m 'not realtime and not long and not embedded and not livekit' -o cache_dir=.pytest_cache/newest $(ARGS)"

# Its path; nothing where .venv has that one.
newest:
	@test '$(NEWEST)' -ef "$$($(PYTHON) -c 'import sys; print(sys.executable)')" || echo '$(NEWEST)'

# The end of the range that is in .venv is left out: `make test` runs on it. The other one lies
# beside it and is found first, so nothing but LiveKit's own package is installed twice.
test-livekit-range: $(VENV)/.dev
	@set -e; range="$$(sed -n 's/^ *"livekit\(>=[^"]*\)",$$/\1/p' pyproject.toml)"; \
	oldest="$${range%%,*}"; \
	for release in "==$${oldest#>=}" "$$range"; do \
		rm -rf $(OTHER_END); \
		$(PIP) install --quiet --no-deps --target $(OTHER_END) "livekit$$release"; \
		version="$$(PYTHONPATH=$(OTHER_END) $(LIVEKIT_VERSION))"; \
		echo "=== livekit $$version"; \
		if [ "$$version" = "$$($(LIVEKIT_VERSION))" ]; then echo 'as in $(VENV)'; continue; fi; \
		PYTHONPATH=$(OTHER_END) $(SHARED) $(ARGS) tests/rtc tests/e2e; \
		PYTHONPATH=$(OTHER_END) $(BIN)/python -m pytest -m realtime $(ARGS) tests/rtc; \
	done

# Chance with a seed: what is found is found again.
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.hostile.fuzz --minutes $(MINUTES) --seed $(SEED)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check_examples.py

# The front page is the README, as it is in the repository.
docs: $(VENV)/.docs
	$(BIN)/sphinx-build -q -W --keep-going -c docs -d build/doctrees . build/docs
	@cp build/docs/README.html build/docs/index.html
	@echo 'build/docs/index.html'

# What is committed is what this makes; FOLDER=… writes it elsewhere.
page-client:
	npm ci --prefix scripts/page_client --no-audit --no-fund --loglevel=error
	node scripts/page_client/build.mjs $(FOLDER)

livekit-server: $(VENV)/pyvenv.cfg
	@$(BIN)/python scripts/install_livekit_server.py

# Editable, so that only a changed pyproject.toml asks for another install.
$(VENV)/.demo: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo 'Installing utd_rx and what the demo needs (about a minute) ...'
	@$(PIP) install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.docs: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo 'Installing utd_rx and what its docs need (about a minute) ...'
	@$(PIP) install --quiet --editable '.[docs]'
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

# What of it is built before is kept in Go's own cache.
go-client:
	@cd tests/go && go build -o $(abspath build/go-client) .

# Without npm, or without a registry, the browser test says why it is skipped.
tests/browser/node_modules/.package-lock.json: tests/browser/package-lock.json
	@if command -v npm >/dev/null; then \
		echo 'Installing livekit-client for the browser test ...'; \
		npm ci --prefix tests/browser --no-audit --no-fund --loglevel=error \
			&& touch $@ || echo 'npm failed: the browser test will be skipped' >&2; \
	fi

clean:
	rm -rf $(VENV) build dist demo-out tests/browser/node_modules scripts/page_client/node_modules
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
