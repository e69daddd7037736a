# The two commands: `make repro` runs the whole loop, `make test` runs every check and test.
PYTHON ?= python3
# DVC runs each stage as `python -m pipeline.<stage>`: the environment's python must come first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# One process a core, a file's tests in one of them: they share what they set up. One that dies is not begun again.
PYTEST = pytest --numprocesses auto --dist loadfile --max-worker-restart 0

.PHONY: repro test setup check lock clean
.DEFAULT_GOAL := repro

repro: setup
	@lal params check   # DVC clears a stage's outputs before it runs: a typo must stop it earlier.
	@dvc repro
	@lal summary

test: check
	$(PYTEST) -m slow

# What a change must pass before it is shown to anyone; under two minutes.
check: setup
	ruff check .
	ruff format --check .
	mypy
	$(PYTEST) -m "not slow"

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Lal needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": try make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@echo "Installing 190 packages, torch and mlflow among them (2 GB on disk): some minutes."
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Pins what is installed now; run it after changing pyproject.toml and installing the new packages by hand.
lock:
	(echo '# Every package Lal runs and is tested with (Python 3.11 to 3.13). `make lock` writes it anew.'; \
	 .venv/bin/pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+cpu//') > requirements.lock

# Frees the disk: the environment and scratch files. What the pipeline made stays in DVC's cache.
clean:
	rm -rf .venv .lal .mypy_cache .pytest_cache .ruff_cache
