# Two commands: `make demo` and `make test`. Each makes .venv if it is missing and installs what it needs.
PYTHON ?= python3
INSTALLED := .venv/.installed
WITHOUT_ONEDNN := tests/layers tests/models/test_deeplab.py \
    $(addprefix tests/export/test_,graphs.py onnx.py saved_model.py tflite.py)

export TF_CPP_MIN_LOG_LEVEL ?= 2
export CUDA_VISIBLE_DEVICES ?= -1

.PHONY: demo test test-fast test-backends test-versions docs wheel lint clean

demo: $(INSTALLED)
	.venv/bin/kseg demo

# TensorFlow has oneDNN on by itself on some processors only: the suite runs with it, and a share without.
test: $(INSTALLED)
	TF_ENABLE_ONEDNN_OPTS=0 .venv/bin/python -m pytest -n 2 --dist worksteal -m "not slow" $(WITHOUT_ONEDNN)
	TF_ENABLE_ONEDNN_OPTS=1 .venv/bin/python -m pytest -n 2 --dist worksteal -m "not many_minutes"

test-fast: $(INSTALLED)
	.venv/bin/python -m pytest -n 2 --dist worksteal -m "not slow and not many_minutes"

# JAX comes with the installation; PyTorch's tests are skipped where it is not installed.
test-backends: $(INSTALLED)
	.venv/bin/python -m pytest -n 2 --dist worksteal tests/test_backends.py

# The site, strict, in site/; and every block of the documents, of which the tests run the Python.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --quiet
	.venv/bin/python -m pytest -n 2 --dist worksteal tests/documents

# What is published, in dist/, and whether it works in an empty environment, away from the checkout.
wheel:
	rm -rf dist .wheel
	$(PYTHON) -m venv .wheel/tools
	.wheel/tools/bin/python -m pip install --quiet build twine
	.wheel/tools/bin/python -m build --outdir dist
	.wheel/tools/bin/python -m twine check --strict dist/*
	$(PYTHON) -m venv .wheel/empty
	.wheel/empty/bin/python -m pip install --quiet dist/*.whl
	cd .wheel/empty && bin/kseg demo --output demo && bin/kseg export demo/shapes.tflite page --web

# The lowest versions that pyproject.toml allows and the newest, each in an environment of its own: an hour.
test-versions:
	$(PYTHON) -m tests.campaigns.versions

lint: $(INSTALLED)
	.venv/bin/ruff check kseg tests examples

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet --editable ".[dev,grpc]"
	touch $(INSTALLED)

.venv/.docs: $(INSTALLED)
	.venv/bin/python -m pip install --quiet --editable ".[docs]"
	touch .venv/.docs

clean:
	rm -rf .venv .wheel build dist site *.egg-info demo
