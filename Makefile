# Palaver: every command of this repository. `make` alone explains them.

ARGS =
VENV = .venv/bin
REACT = e2e/react
CLIENTS = e2e/gateway

.PHONY: help run mcp semantic test check fix bench lock screenshots
.DELETE_ON_ERROR:

help: ## Show this
	@echo "Palaver, a self-hosted AI chat server. It needs make and Python 3.11 or newer; its tests also need Node 18."
	@echo
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

run: .venv/installed ## Install what is missing, then start the server: make run ARGS="--port 9000"
	@exec $(VENV)/python -m app serve $(ARGS)

bench: .venv/installed-dev ## Measure what it costs on this machine
	@$(VENV)/python -m bench $(ARGS)

test: .venv/installed-dev $(REACT)/dist/built $(CLIENTS)/node_modules/installed ## Run every test, those in a real browser included
	@$(VENV)/python -m scripts.test

mcp: .venv/installed ## Install what servers of the Model Context Protocol need
	@sh scripts/install.sh requirements-mcp.lock

semantic: .venv/installed ## Install what search by meaning needs
	@sh scripts/install.sh requirements-semantic.lock

check: .venv/installed-dev ## Check style, types, imports and sizes
	$(VENV)/python -m ruff check
	$(VENV)/python -m ruff format --check
	$(VENV)/python -m mypy
	$(VENV)/python -m pytest -q tests/test_architecture.py

fix: .venv/installed-dev ## Mend the style where a program can
	$(VENV)/python -m ruff check --fix
	$(VENV)/python -m ruff format

screenshots: .venv/installed-dev ## Make the pictures in docs/screenshots anew
	@$(VENV)/python -m scripts.screenshots

lock: .venv/installed-dev ## Pin the newest allowed packages in requirements*.lock
	@sh scripts/lock.sh

# What is installed already is not looked at again until a file on the right changes.

$(VENV)/python:
	@sh scripts/create_venv.sh

.venv/installed: $(VENV)/python requirements.lock pyproject.toml
	@sh scripts/install.sh requirements.lock
	@touch $@

.venv/installed-dev: $(VENV)/python requirements-dev.lock pyproject.toml
	@sh scripts/install.sh requirements-dev.lock
	@touch $@ .venv/installed

$(REACT)/dist/built: $(wildcard $(REACT)/*.json $(REACT)/src/*)
	@sh scripts/build_react.sh
	@touch $@

$(CLIENTS)/node_modules/installed: $(CLIENTS)/package-lock.json | $(REACT)/dist/built
	@cd $(CLIENTS) && npm ci --loglevel=error >/dev/null
	@touch $@
