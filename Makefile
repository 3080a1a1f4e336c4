# Two commands for a new user: `make demo` and `make test`. `make help` lists the others.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Compiled modules are kept: without them every command would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-long lint types unit simulate picture grafana
.PHONY: bench-status bench-sessions bench-restart bench-faults bench-dashboard bench-soak bench-gaps
.PHONY: bench-http bench-history lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: $(VENV)/installed  ## install, start a demo session in tmux, show what it does
	@sh scripts/need.sh tmux tmux
	@sh scripts/demo.sh $(BIN)/kline-ops

test: lint types unit  ## everything that must hold before a commit

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/installed-dev
	$(BIN)/mypy

unit: $(VENV)/installed-dev
	@sh scripts/need.sh tmux tmux
	$(BIN)/pytest -n 4 --dist worksteal

test-long: $(VENV)/installed-dev  ## what takes longer than a developer waits
	@sh scripts/need.sh tmux tmux
	@sh scripts/need.sh chromium chromium
	@sh scripts/need.sh chromedriver chromium-driver
	@sh scripts/need.sh promtool prometheus
	@sh scripts/need.sh prometheus-node-exporter prometheus-node-exporter
	@PATH="$$PATH:/usr/sbin" sh scripts/need.sh cron cron
	@sh scripts/need.sh systemd-analyze systemd
	$(BIN)/pytest -m long -o faulthandler_timeout=600

simulate: $(VENV)/installed-dev  ## months of trouble against the rules: SEEDS=1000, or SEED=12345 alone
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100) \
		$(if $(SOCKETS),--socket-seeds $(SOCKETS)))

picture: $(VENV)/installed-dev  ## draw the pictures in docs/ from real sessions (2 minutes)
	$(BIN)/python scripts/picture.py $(BIN)/kline-ops docs/demo.svg
	$(BIN)/python scripts/dashboard_picture.py $(BIN)/kline-ops docs/dashboard.svg
	@sh scripts/need.sh chromedriver chromium-driver
	$(BIN)/python scripts/web_picture.py $(BIN)/kline-ops docs/page.png

grafana: $(VENV)/installed-dev  ## write configs/grafana/kline-ops.json from its code
	$(BIN)/python scripts/grafana_dashboard.py configs/grafana/kline-ops.json

bench-status: $(VENV)/installed-dev  ## how long `status` takes, beside `python -c pass` and others
	$(BIN)/python -m tests.benchmarks.status

bench-sessions: $(VENV)/installed-dev  ## start, restart and stop: seconds, and candles lost
	@sh scripts/need.sh tmux tmux
	$(BIN)/python -m tests.benchmarks.sessions

bench-restart: $(VENV)/installed-dev  ## what a planned restart costs: dark time, lost candles, memory
	$(BIN)/python -m tests.benchmarks.restart

bench-faults: $(VENV)/installed-dev  ## what each fault of an exchange costs, beside others (3 minutes)
	$(BIN)/python -m tests.benchmarks.faults

bench-dashboard: $(VENV)/installed-dev  ## what the dashboard costs: CPU, memory, pauses (2 minutes)
	$(BIN)/python -m tests.benchmarks.dashboard

bench-soak: $(VENV)/installed-dev  ## does memory grow: 10,000 replacements, an hour of 200 streams (10 minutes)
	$(BIN)/python -m tests.benchmarks.soak

bench-http: $(VENV)/installed-dev  ## 200 requests a second while 1 s candles are recorded (3 minutes)
	$(BIN)/python -m tests.benchmarks.http

bench-history: $(VENV)/installed-dev  ## a day and a month of 1 s candles for the page: time, pauses, memory
	$(BIN)/python -m tests.benchmarks.history

bench-gaps: $(VENV)/installed-dev  ## analyze-gaps beside wc, polars, pandas and csv (3 minutes)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[bench]'
	$(BIN)/python -m tests.benchmarks.gaps

lock: $(VENV)/installed-dev  ## write down the versions that are installed now
	$(BIN)/pip freeze --exclude-editable > constraints.txt

clean:  ## remove the venv and all caches
	rm -rf $(VENV) .simulate .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@sh scripts/need.sh venv python3-venv $(PYTHON)
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@test -e $(VENV)/installed-dev || $(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@
