# Each target makes its own virtual environment from a bare clone; a second run reuses it.
#
#   make demo                 sample pictures -> out/demo/index.html
#   make test                 the tests
#   make lint                 ruff and mypy
#   make clean                remove outputs and caches; `make distclean` the environment, too
#
# PYTHON=python3.12 chooses the interpreter, VENV=DIR the place, PIP_ARGS="..." adds pip options
# (pip's own configuration files and variables count as always).

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=

BIN := $(VENV)/bin
KEY := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
BASE := $(VENV)/.dense-base-$(KEY)
FULL := $(VENV)/.dense-full-$(KEY)
INSTALL := $(BIN)/python -m pip install -qq $(PIP_ARGS) -c constraints.txt

.PHONY: help demo test lint clean distclean
.DELETE_ON_ERROR:

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//;p' Makefile

demo: $(BASE)
	@$(BIN)/python -m dense.cli.main demo --out out/demo

test: $(FULL)
	@$(BIN)/python -m pytest $(TESTS)

lint: $(FULL)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "dense needs Python 3.10 or newer, and $(PYTHON) is not; set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "$(PYTHON) -m venv failed; install its venv package" >&2; exit 1; }

$(BASE): | $(BIN)/python
	@echo "installing into $(VENV) (a few minutes, once) ..."
	@rm -f $(VENV)/.dense-base-* $(VENV)/.dense-full-*
	@$(INSTALL) -e .
	@touch $@

$(FULL): | $(BASE)
	@echo "installing what tests and checks need ..."
	@rm -f $(VENV)/.dense-full-*
	@$(INSTALL) -e ".[test,lint,detection]"
	@touch $@

clean:
	@rm -rf out work_dirs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV)
