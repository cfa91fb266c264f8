# Everything runs in .venv, which is built from the lock files and rebuilt when they change.
# PYTHON and TORCH_INDEX are options of that build; .venv is also rebuilt when one of them changes.
PYTHON ?= python3
TORCH_INDEX ?=

# On Linux the default build of torch includes gigabytes of CUDA, which a machine without an NVIDIA driver cannot use.
CPU_INDEX := https://download.pytorch.org/whl/cpu
TORCH := $(shell sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.lock)
WITHOUT_GPU := $(shell [ "$$(uname)" = Linux ] && [ ! -e /proc/driver/nvidia/version ] && [ ! -e /dev/dxg ] && echo yes)

INSTALLED := .venv/.installed
IN_VENV := .venv/bin/python

# Not empty if .venv must be rebuilt although its stamp is newer than the lock files.
STALE := $(shell $(IN_VENV) -c "" 2>/dev/null || echo stale) \
    $(foreach choice,PYTHON TORCH_INDEX,$(if $(filter-out file,$(firstword $(origin $(choice)))), \
        $(shell grep -qsxF '$(choice)=$($(choice))' $(INSTALLED) || echo stale)))

stop = { echo "$(1)" >&2; exit 1; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check drill oldest clean stale

help:
	@echo "make demo    the main job on synthetic data: prepare, train and evaluate every method over five seeds, report"
	@echo "make test    run the tests except the slow ones"
	@echo "make check   static checks: ruff, its formatter, mypy"
	@echo "make drill   inject faults (kill -9, signals, full disks, garbage) for half an hour; writes results/drill.json"
	@echo "make oldest  test reading, commands and reports with the oldest packages that pyproject.toml allows"
	@echo "make clean   remove .venv, caches and the output of the demo; data and real results stay"
	@echo
	@echo "PYTHON=python3.12    the interpreter to use, 3.11 or newer"
	@echo "TORCH_INDEX=URL      the package index for torch; by default, a machine without an NVIDIA driver gets the CPU build"

demo: $(INSTALLED)
	@$(IN_VENV) run_all.py --dataset synthetic --profile quick --experiments main
	@echo "The report is in reports/synthetic_profile-quick_experiments-main: index.html, tables and figures; run records are in results/synthetic."

test: $(INSTALLED)
	@$(IN_VENV) -m pytest -n 2 --dist loadfile

check: $(INSTALLED)
	@$(IN_VENV) -m ruff check .
	@$(IN_VENV) -m ruff format --check .
	@$(IN_VENV) -m mypy

drill: $(INSTALLED)
	@$(IN_VENV) -m tests.drill

# Turn every `name>=version` of the dependencies into `name==version`.
OLDEST := sed -n '/^dependencies/,/^]/s/^ *"\(.*\)>=\(.*\)",/\1==\2/p' pyproject.toml

oldest:
	@"$(PYTHON)" -m venv --clear .venv-oldest
	@.venv-oldest/bin/python -m pip install -qq --disable-pip-version-check --no-input \
	    $(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)") pytest hypothesis $$($(OLDEST)) \
	    || $(call stop,The installation failed; the lines above say why.)
	@.venv-oldest/bin/python -m pytest tests/datasets tests/benchmark/cli tests/benchmark/store tests/benchmark/report

# The stamp is removed first and written last, so that an interrupted build never counts.
$(INSTALLED): requirements.lock requirements-dev.lock $(if $(strip $(STALE)),stale)
	@"$(PYTHON)" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null \
	    || $(call stop,$(PYTHON) does not run or is older than Python 3.11: choose another with PYTHON=python3.12)
	@"$(PYTHON)" -c "import ensurepip" 2>/dev/null \
	    || $(call stop,$(PYTHON) lacks venv: install it (on Debian and Ubuntu: apt install python3-venv) or choose another with PYTHON=)
	@echo "Installing the pinned packages into .venv; this happens once and takes a few minutes."
	@rm -f $@
	@"$(PYTHON)" -m venv --clear .venv
	@[ -n "$(TORCH_INDEX)" ] || [ -z "$(WITHOUT_GPU)" ] || { \
	    echo "There is no NVIDIA driver here, so torch is installed without CUDA, from $(CPU_INDEX) (TORCH_INDEX=URL overrides this)."; \
	    $(IN_VENV) -m pip install -qq --disable-pip-version-check --no-input --no-deps --retries 0 --timeout 10 \
	        --index-url $(CPU_INDEX) "$(TORCH)" 2>/dev/null \
	        || echo "That index cannot be reached; torch is installed from the default one."; }
	@$(IN_VENV) -m pip install -qq --disable-pip-version-check --no-input \
	    $(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)") -r requirements-dev.lock \
	    || $(call stop,The installation failed; the lines above say why.)
	@printf '%s\n' 'PYTHON=$(PYTHON)' 'TORCH_INDEX=$(TORCH_INDEX)' > $@

clean:
	@rm -rf .venv .venv-oldest .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@rm -rf results/synthetic tables/synthetic figures/synthetic reports
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
