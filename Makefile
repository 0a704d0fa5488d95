# Two commands do everything on a fresh clone: `make demo` and `make test`. `make check` adds lint, format and types,
# `make docs` the site.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PHOTO ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check docs install clean

demo: $(VENV)/.installed
	$(BIN)/retouchgpt demo $(if $(PHOTO),"$(PHOTO)")

test: $(VENV)/.installed
	$(BIN)/python -m pytest

check: $(VENV)/.installed
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

# the theme's makers print a notice of their own at every build; what the build itself warns of is an error
docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

install: $(VENV)/.installed

# torch first and by its pin: pip then takes the CPU build where one is at hand, and nothing later asks for another
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "torch~=2.13.0"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) out
