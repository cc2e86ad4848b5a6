# Every target sets up what it needs. `make` alone lists them.
# Variables: SCALE SEEDS DEVICE PRECISION JOBS DATA_DIR ARMS TREATMENT (2012, today) NETWORK (A, B, C) RESULTS_DIR SPOOL_DIR
.DEFAULT_GOAL := help
.PHONY: help setup reproduce-relu-speedup search-relu-speedup ablate-lrn quick plan report ui bench test lock clean

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
STUDY := $(VENV)/bin/python -m study

export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 17179869184
export MALLOC_TOP_PAD_ := 1073741824
export THP_MEM_ALLOC_ENABLE := 1

ifneq ($(TREATMENT)$(NETWORK),)
NET := $(or $(NETWORK),A)
export BASE ?= $(if $(TREATMENT),$(NET)-$(TREATMENT),$(NET)-today $(NET)-2012)
endif

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 26

setup: $(READY) ## .venv with the locked packages (half a minute, 6 GB with torch's CUDA libraries)

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "PYTHON: $(PYTHON) is not Python 3.11, 3.12 or 3.13" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip install --quiet --require-hashes --python $(VENV)/bin/python -r requirements.lock
	@touch $@

reproduce-relu-speedup: $(READY) ## figure 1, ReLU against tanh (2 cores: about 43 min, with AMX 22; TREATMENT=today 8 min)
	$(STUDY) run relu_sooner

search-relu-speedup: $(READY) ## its learning rates anew, into results/tuned.json (2 cores: about 50 min)
	$(STUDY) search relu_sooner

ablate-lrn: $(READY) ## section 3.3, with and without response normalization (2 cores: about 50 min; not yet run to its end)
	$(STUDY) run response_norm

quick: export RESULTS_DIR ?= quick/results
quick: export SPOOL_DIR ?= quick/spool
quick: export MLFLOW_TRACKING_URI ?= sqlite:///$(CURDIR)/quick/mlflow.db
quick: export SCALE := smoke
quick: $(READY) ## the same way at SMOKE scale on shapes, into quick/: shows that everything runs (about 1 min)
	@mkdir -p quick
	$(STUDY) run relu_sooner

plan: $(READY) ## runs and cost of every claim, before anything starts (seconds)
	$(STUDY) plan relu_sooner
	$(STUDY) plan response_norm

report: $(READY) ## results/REPORT.md, report.html and figures from the committed tables (under 10 s)
	$(STUDY) report

ui: $(READY) ## the MLflow UI on http://127.0.0.1:5000 (PORT= another)
	@echo "MLflow on http://127.0.0.1:$(or $(PORT),5000) (this machine only; Ctrl-C ends it)"
	$(VENV)/bin/mlflow server --backend-store-uri "$(or $(MLFLOW_TRACKING_URI),sqlite:///$(CURDIR)/mlflow.db)" --host 127.0.0.1 --port $(or $(PORT),5000)

bench: $(READY) ## speed as ratios, side by side, into benchmarks/ (2 cores: 1 min)
	$(VENV)/bin/python -m benchmarks

test: $(READY) ## lint and all tests (2 cores: about 7 min)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m pytest

lock: $(READY) ## requirements.lock anew from pyproject.toml (seconds)
	$(VENV)/bin/uv pip compile pyproject.toml --group dev --generate-hashes --universal --python-version 3.11 --quiet -o requirements.lock

clean: ## .venv and caches; never data, results, spool or mlflow.db
	rm -rf $(VENV) quick .pytest_cache .ruff_cache .hypothesis
