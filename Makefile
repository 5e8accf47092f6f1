# Every task of the project; `make help` lists them. Needs Python 3.11 to 3.13, bash and make.
SHELL := bash
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
RUN_INSTALLED := .venv/.installed
DEV_INSTALLED := .venv/.installed-dev

.PHONY: help setup setup-dev run test check fmt bench train validate lock

help: ## List these targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

setup: $(RUN_INSTALLED) ## Make .venv and install what the dashboard needs

setup-dev: $(DEV_INSTALLED) ## The same with the tools for tests and checks

$(RUN_INSTALLED): requirements.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh run

$(DEV_INSTALLED): requirements-dev.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh dev

run: setup ## Serve the dashboard at 127.0.0.1:8050
	@echo "run: python app.py"
	@$(PYTHON) app.py

test: check ## Run every check and test, in a browser too (ARGS=... goes to pytest)
	@browser="$$(scripts/find_browser.sh)" || exit 1; \
	if [ -z "$$browser" ]; then leave_out=(-m "not browser"); fi; \
	echo "test: pytest"; \
	BIOTWIN_BROWSER="$$browser" $(PYTHON) -m pytest "$${leave_out[@]}" $(ARGS)

check: setup-dev ## Lint, format, types, and who may import whom
	@echo "check: ruff check"
	@.venv/bin/ruff check --quiet .
	@echo "check: ruff format"
	@.venv/bin/ruff format --quiet --check .
	@echo "check: mypy"
	@.venv/bin/mypy -p twin_core -p dashboard -m app
	@echo "check: lint-imports"
	@.venv/bin/lint-imports --no-logo

fmt: setup-dev ## Format the code and mend what ruff can mend
	@echo "fmt: ruff"
	@.venv/bin/ruff check --fix --exit-zero --quiet .
	@.venv/bin/ruff format .

bench: setup-dev ## Run the named benchmarks
	@$(PYTHON) -m benchmarks

train: setup ## Train the forecaster: make train DATA=folder
	@[ -n "$(DATA)" ] || { echo "train: name the folder with the data: make train DATA=folder" >&2; exit 2; }
	@echo "train: python -m twin_core train $(DATA)"
	@$(PYTHON) -m twin_core train $(DATA)

validate: setup-dev ## Measure forecaster and twin on real data and against peers: make validate DATA=folder
	@[ -n "$(DATA)" ] || { echo "validate: name the folder with the data: make validate DATA=folder" >&2; exit 2; }
	@echo "validate: python -m twin_core validate $(DATA)"
	@$(PYTHON) -m twin_core validate $(DATA)
	@echo "validate: python -m validation --data $(DATA)"
	@$(PYTHON) -m validation --data $(DATA)

lock: setup-dev ## Write the lock files again after a change of requirements in pyproject.toml
	@echo "lock: pip-compile"
	@scripts/lock.sh
	@touch $(RUN_INSTALLED)
