# Every target makes its own virtual environment first, from the lock file with hashes, and again only when the lock changes.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## the whole of prod on a local Scaleway: created, released onto, changed, destroyed
	@$(BIN)/python -m starters.demo

test: lint ## lint, types and tests, as continuous integration runs them
	@$(BIN)/python -m pytest

lint: $(READY) ## style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: $(READY) ## measurements; FULL=1 for the long forms, half an hour
	@$(BIN)/python -m bench $(if $(FULL),--full)

lock: $(READY) ## resolve the dependencies of pyproject.toml anew
	@deploy/lock $(BIN)/pip-compile

clean: ## remove the virtual environment, caches and the state of `scaleway-infra dev`
	@rm -rf $(VENV) .dev build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements-dev.lock pyproject.toml deploy/virtualenv
	@deploy/virtualenv $(PYTHON) $(VENV)
	@touch $@
