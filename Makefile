# `make fourier`, `make explain` and `make test` build .venv on first use, then do their job; a second call installs
# nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2
ARGS ?=

.PHONY: fourier explain gallery docs docs-serve test check format slow clean

fourier: $(READY)
	@$(BIN)/python analyses/fourier.py $(ARGS)

explain: $(READY)
	@$(BIN)/python analyses/explain.py --draw-only $(ARGS)

# The page of all figures, from kept tables.
gallery: $(READY)
	@$(BIN)/python docs/make_gallery.py $(ARGS)

test: $(READY)
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

slow: $(READY)
	$(BIN)/python -m pytest -q -m slow $(ARGS)

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(READY)
	@$(BIN)/python -m mkdocs build --quiet --strict
	@echo "open site/index.html"

# Rebuilds what is edited, at http://127.0.0.1:8000.
docs-serve: $(READY)
	@$(BIN)/python -m mkdocs serve

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "grokscope needs Python 3.11 or newer, this is %s; use make PYTHON=python3.11" % sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (some minutes, once)"
	@# The pip that Python 3.11 brings needs twice the time to resolve.
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile -c constraints.txt --upgrade pip
	@# Most of 19,000 modules are never imported: compiling them all takes as long as all the rest.
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile -c constraints.txt -e ".[dev]"
	@touch $(READY)

clean:
	rm -rf $(VENV) figures build site *.egg-info
