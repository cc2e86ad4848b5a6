# Every target sets up what it needs. `make` alone lists them.
# Variables: SCALE SEEDS DEVICE PRECISION JOBS EXECUTOR (local, ray, slurm) DATA_DIR ARMS TREATMENT (2012, today) NETWORK (A, B, C) RESULTS_DIR SPOOL_DIR
# MLFLOW_TRACKING_URI OPTUNA_STORAGE
.DEFAULT_GOAL := help
.PHONY: help setup reproduce-relu-speedup search-relu-speedup ablate-lrn ablate-lrn-cifar ablate-overlap-pooling ablate-dropout ablate-weight-decay ablate-two-gpu ablate-augmentation ablate-depth ablate-bias-init ablate-views reproduce-tables reproduce-figure-3 reproduce-figure-4 ablate-interactions ablate-fidelity reproduce-all \
  quick data-imagenet plan report ui ui-picture bench test faults soak audit lock clean

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

setup: $(READY) ## .venv with the locked packages (about a minute, 6 GB with torch's CUDA libraries)

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "PYTHON: $(PYTHON) is not Python 3.11, 3.12 or 3.13" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --require-hashes --python $(VENV)/bin/python -r requirements.lock
	@touch $@

reproduce-relu-speedup: $(READY) ## figure 1, ReLU against tanh (2 cores: about 37 min, with AMX 22; TREATMENT=today 8 min)
	$(STUDY) run relu_sooner

search-relu-speedup: $(READY) ## its learning rates anew, into results/tuned.json (2 cores: about 50 min)
	$(STUDY) search relu_sooner

ablate-lrn: $(READY) ## section 3.3, with and without response normalization (17 min; ARMS=all: 41)
	$(STUDY) run response_norm

ablate-lrn-cifar: $(READY) ## section 3.3, the CIFAR-10 networks of 13% and 11% (about 7 h; not run yet)
	$(STUDY) run response_norm_cifar

ablate-overlap-pooling: $(READY) ## section 3.4, pooling windows of 3 or 2 (17 min)
	$(STUDY) run overlap_pooling overlap_overfits

ablate-dropout: $(READY) ## section 4.2, dropout (17 min)
	$(STUDY) run dropout_overfits dropout_slower dropout_error

ablate-weight-decay: $(READY) ## section 5, weight decay lowers the training error too (17 min)
	$(STUDY) run weight_decay

ablate-two-gpu: $(READY) ## section 3.2, two columns against half, and without crossing (26 min)
	$(STUDY) run two_columns column_crossing

ablate-augmentation: $(READY) ## section 4.1, crops and flips, colour noise (26 min)
	$(STUDY) run augmentation colour_noise

ablate-depth: $(READY) ## section 7, without one middle convolutional layer (33 min)
	$(STUDY) run depth

ablate-bias-init: $(READY) ## section 5, biases that start at one (17 min)
	$(STUDY) run bias_init

ablate-views: $(READY) ## section 4.1, ten views against the centre one (9 min)
	$(STUDY) run ten_views

reproduce-tables: $(READY) ## tables 1 and 2: one net, five averaged, ten views (14 min)
	$(STUDY) run averaged_nets

reproduce-figure-3: $(READY) ## figure 3: kernels, and whether the columns part in colour (14 min)
	$(STUDY) run column_colour

reproduce-figure-4: $(READY) ## figure 4: best labels and nearest training images (10 min)
	$(STUDY) run nearest_images

ablate-interactions: $(READY) ## beyond the paper: four parts in all 16 combinations (2 h)
	$(STUDY) run interactions

ablate-fidelity: $(READY) ## beyond the paper: as printed against as coded (17 min; ARMS=all, each difference: 75)
	$(STUDY) run fidelity

reproduce-all: $(READY) ## every claim above, cheapest first, each run once; stop and go on at any time (7 h on 2 cores)
	$(STUDY) run all

quick: export RESULTS_DIR ?= quick/results
quick: export SPOOL_DIR ?= quick/spool
quick: export MLFLOW_TRACKING_URI ?= sqlite:///$(CURDIR)/quick/mlflow.db
quick: export SCALE := smoke
quick: $(READY) ## the same way at SMOKE scale on shapes, into quick/: shows that everything runs (about 1 min)
	@mkdir -p quick
	$(STUDY) run relu_sooner

data-imagenet: $(READY) ## pack ILSVRC once, FROM=DIR with train/CLASS and val/CLASS (252 GB; killed, it goes on)
	$(STUDY) data pack imagenet $(if $(FROM),--from "$(FROM)")

plan: $(READY) ## runs and cost of every claim, before anything starts (seconds)
	$(STUDY) plan all

report: $(READY) ## results/REPORT.md, report.html and figures from the committed tables (under 10 s)
	$(STUDY) report

# HOST is taken from the command line alone: shells have a variable of this name of their own.
ui: HOST := 127.0.0.1
ui: $(READY) ## the MLflow UI on http://127.0.0.1:5000 (PORT= another; HOST=0.0.0.0 for other machines too)
	@case "$$MLFLOW_TRACKING_URI" in http*) echo "MLFLOW_TRACKING_URI is an MLflow server: open it in a browser"; exit;; esac; \
	echo "MLflow on http://$(HOST):$(or $(PORT),5000) ($(if $(filter 127.0.0.1 localhost,$(HOST)),this machine only,NOT this machine only: anyone who reaches this address can read and change runs); Ctrl-C ends it)"; \
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_BACKEND_STORE_URI="$${MLFLOW_TRACKING_URI:-sqlite:///$(CURDIR)/mlflow.db}" exec $(VENV)/bin/mlflow server --host $(HOST) --port $(or $(PORT),5000) --workers 1

ui-picture: $(READY) ## results/figures/mlflow.png, the MLflow UI as headless Chromium shows it (20 s; needs chromium)
	$(VENV)/bin/python -m tools.mlflow_picture

bench: $(READY) ## speed as ratios, side by side, into benchmarks/ (2 cores: about 9 min)
	$(VENV)/bin/python -m benchmarks

test: $(READY) ## lint, all tests and the quick faults (2 cores: about 13 min)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m pytest

faults: $(READY) ## every fault injected, with a table of what was lost and doubled (2 cores: about 14 min)
	FAULTS=all $(VENV)/bin/python -m pytest --durations=8 tests/faults tests/test_executors.py

soak: $(READY) ## a small plan under 200 random kills; prints runs, kills, losses (2 cores: about 40 min; KILLS= SEED=)
	PYTHONPATH=. $(VENV)/bin/python tests/faults/soak.py --kills $(or $(KILLS),200) --seed $(or $(SEED),2012)

audit: $(READY) ## locked packages against those installed and known advisories (seconds; without a network it says so and fails)
	$(VENV)/bin/python .ci/audit.py

lock: $(READY) ## requirements.lock anew from pyproject.toml (seconds)
	$(VENV)/bin/uv pip compile pyproject.toml --group dev --generate-hashes --universal --python-version 3.11 --quiet -o requirements.lock

clean: ## .venv and caches; never data, results, spool or mlflow.db
	rm -rf $(VENV) quick .pytest_cache .ruff_cache .hypothesis
