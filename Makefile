# Two commands: `make demo` and `make test`. Each makes .venv if it is missing and installs what it needs.
PYTHON ?= python3
INSTALLED := .venv/.installed

export TF_CPP_MIN_LOG_LEVEL ?= 2
export CUDA_VISIBLE_DEVICES ?= -1

.PHONY: demo test test-fast lint clean

demo: $(INSTALLED)
	.venv/bin/kseg demo

test: $(INSTALLED)
	.venv/bin/python -m pytest -n 2 --dist worksteal

test-fast: $(INSTALLED)
	.venv/bin/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(INSTALLED)
	.venv/bin/python -m flake8 kseg tests examples

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet --editable ".[dev,grpc]"
	touch $(INSTALLED)

clean:
	rm -rf .venv build dist *.egg-info demo
