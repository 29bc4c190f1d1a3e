# Everything lands in .venv in this checkout; nothing is installed by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait most of the time, so there may be more of them than cores.
WORKERS ?= 4

.DEFAULT_GOAL := help
.PHONY: help install demo examples test check format bench attack soak way autobahn fuzz noise churn clean

help: ## what can be made here
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

install: $(VENV)/.installed ## set up .venv with everything pinned in constraints.txt

$(VENV)/.installed: pyproject.toml setup.py constraints.txt src/hubbub/_accelerator.c
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable '.[all]'
	touch $@

demo: install ## run the showcase on three workers: http://127.0.0.1:8000; what was said is kept in .hubbub
	$(BIN)/hubbub serve --dev --workers 3 $(if $(HUBBUB_BROKER),,--data .hubbub)

examples: install ## the tutorials' applications, each before and after its migration; EXAMPLE=client_id for one
	$(BIN)/python -m examples $(EXAMPLE)

# Servers start, and workers collect, twice as fast from kept bytecode; the first line makes it, and counts.
test: export PYTHONDONTWRITEBYTECODE :=
test: install ## run all tests, then hold the pure modules to 100 % branch coverage
	$(BIN)/python -m pytest --collect-only -q $(PYTEST_ARGS) | tail -n 1
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/python -m coverage report

check: install ## format, lint, types of code and examples, contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.docs.typed
	$(BIN)/lint-imports

format: install ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## measure beside other servers, on two cores; BENCH=fanout for one work, BENCH=--help for more
	$(BIN)/python -m benchmarks $(BENCH)

attack: install ## attackers beside users, on two cores; ATTACK=pong for one, ATTACK=--help for more
	$(BIN)/python -m tests.hostile.attack $(ATTACK)

soak: install ## ten minutes of everything going wrong, nothing may be lost; SECONDS=60 for less, SEED=7 to do one again
	LEDGER_SECONDS=$(or $(SECONDS),600) LEDGER_KILLS=20 $(if $(SEED),LEDGER_SEED=$(SEED)) \
		$(BIN)/python -m pytest tests/soak -rP -k 'everything or killed'

way: install ## trace a room message through the rooms, and put its way into docs/explain/architecture.md
	$(BIN)/python -m tests.architecture.way --write

autobahn: install ## Autobahn's 517 cases against the transports; PYTHON2=… where Python 2.7 is, CASES='6.4.* 7.1.5' for some, PAGE=1
	$(BIN)/python -m tests.autobahn $(CASES) $(if $(PAGE),--page)

fuzz: install ## ten minutes of each target, led by what it reaches; FUZZ=codec for one, SECONDS=60 for less, KEEP=1
	$(BIN)/python -m tests.fuzz $(FUZZ) --seconds $(or $(SECONDS),600) $(if $(KEEP),--keep)

noise: install ## a million random frames and envelopes at a running server; FRAMES=20000 for fewer, SEED=7 to do one again
	$(BIN)/python -m tests.hostile.noise --frames $(or $(FRAMES),1000000) $(if $(SEED),--seed $(SEED))

churn: install ## a million come, join, talk, leave and go, on uvloop and on asyncio; CYCLES=50000 for fewer, LOOPS=uvloop, VALKEY=1
	$(BIN)/python -m tests.churn --cycles $(or $(CYCLES),1000000) $(if $(LOOPS),--loops $(LOOPS)) $(if $(VALKEY),--valkey)

clean: ## remove what was built here
	rm -rf $(VENV) src/*.egg-info src/hubbub/*.so .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
