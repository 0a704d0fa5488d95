# Two commands do everything on a fresh clone: `make demo` and `make test`. `make check` adds lint, format and types.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PHOTO ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check install clean

demo: $(VENV)/.installed
	$(BIN)/retouchgpt demo $(if $(PHOTO),"$(PHOTO)")

test: $(VENV)/.installed
	$(BIN)/python -m pytest

check: $(VENV)/.installed
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy

install: $(VENV)/.installed

# torch first and by its pin: pip then takes the CPU build where one is at hand, and nothing later asks for another
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "torch~=2.13.0"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) out
