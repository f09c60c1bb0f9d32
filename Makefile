# Two commands are all that a newcomer needs: `make demo` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.ready-run
DEV := $(VENV)/.ready-dev

.PHONY: demo run test check lock clean

demo: $(RUN)  ## a whole day in the terminal and as a web page, with no account and no key
	$(BIN)/python -m bot demo $(ARGS)

run: $(RUN)  ## the bot
	$(BIN)/python -m bot run

test: $(DEV)  ## all tests
	$(BIN)/python -m pytest -n auto --cov --cov-report=term $(ARGS)

check: $(DEV)  ## format, lint, types, import contracts, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n auto -m "not slow" $(ARGS)

lock:  ## exact versions with hashes; needs uv
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

$(RUN): requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

$(DEV): requirements-dev.lock $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache demo preview
