# What a developer types. Each target makes the environment that it needs.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN = $(VENV)/bin
METADATA = setup.cfg setup.py pyproject.toml

PORT ?= 8000
BACKEND ?= sqlite

.PHONY: help demo pinboard screenshots test lint soak bench benchmark docs dist clean

help:
	@echo 'make demo [ARGS="--events FILE --check"]  replay a social network, print what a reader sees'
	@echo 'make pinboard [PORT=8000] [BACKEND=redis]  a small site like Pinterest, to click through'
	@echo 'make test [ARGS="-k flat"]                run the tests; starts the servers that they need'
	@echo 'make lint                                 ruff and mypy'
	@echo 'make soak                                 the tests that run for long'
	@echo 'make bench [ARGS=redis]                   ratios to the raw clients; starts the servers that it needs'
	@echo 'make docs                                 the documentation, in docs/_build/html'
	@echo 'make dist                                 an sdist and a wheel, in dist'

demo: $(VENV)/.installed
	@$(BIN)/python examples/newsfeed.py $(ARGS)

pinboard: $(VENV)/.pinboard
	@cd examples/pinboard && PINBOARD_BACKEND=$(BACKEND) $(abspath $(BIN))/python manage.py serve --port $(PORT) $(ARGS)

screenshots: $(VENV)/.test
	$(BIN)/python -m tests.browser.screenshots docs/images

# All tests run side by side, on as many cores as there are; some of them, as ARGS says, in one pytest.
test: $(VENV)/.test
	$(BIN)/python -m $(if $(strip $(ARGS)),pytest $(ARGS),tests.parts)

soak: $(VENV)/.test
	$(BIN)/python -m pytest -m soak $(ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(ARGS)

benchmark: bench

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

dist: $(VENV)/.test
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(METADATA) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[redis,cassandra,postgres]'
	touch $@

$(VENV)/.pinboard: $(METADATA) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[pinboard]'
	touch $@

$(VENV)/.test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[redis,cassandra,postgres,test,bench]'
	touch $@

$(VENV)/.lint: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[redis,cassandra,postgres,test,bench,lint]'
	touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[redis,cassandra,postgres,bench]'
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[redis,cassandra,postgres,docs]'
	touch $@
