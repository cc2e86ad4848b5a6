# Every target sets up what it needs. `make` alone lists them; docs/costs.md says how long each takes.
# Variables (docs/data-and-scales.md): SCALE SEEDS DEVICE PRECISION JOBS EXECUTOR (local, ray, slurm) DATA_DIR ARMS
# TREATMENT (2012, today) NETWORK (A, B, C) RESULTS_DIR SPOOL_DIR MLFLOW_TRACKING_URI OPTUNA_STORAGE
.DEFAULT_GOAL := help
.PHONY: help setup reproduce-relu-speedup search-relu-speedup ablate-lrn ablate-lrn-cifar ablate-overlap-pooling ablate-dropout ablate-weight-decay ablate-two-gpu ablate-augmentation ablate-depth ablate-bias-init ablate-views reproduce-tables reproduce-figure-3 reproduce-figure-4 ablate-interactions ablate-interactions-folded ablate-interactions-of-four ablate-editions ablate-batch-norm ablate-validation ablate-rate-drops ablate-fidelity ablate-fidelity-data reproduce-top5 reproduce-all \
  settle replicate quick data-imagenet plan report ui ui-tables ui-picture bench check lint test faults soak digests recompute audit lock docs-map findings clean

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
STUDY := $(VENV)/bin/python -m study

# A misspelled variable would be ignored. Those of other programs have one of the beginnings; SEED and KILLS are of `soak` alone.
VARIABLES := SCALE SEEDS DEVICE PRECISION JOBS EXECUTOR DATA_DIR ARMS BASE TREATMENT NETWORK RESULTS_DIR SPOOL_DIR \
  MLFLOW_TRACKING_URI OPTUNA_STORAGE CLAIMS_DIR IMAGES IMAGES_NAME SIDE TEST_PERCENT SPLITS DAMAGED LINKS CLAIM CLAIMS PAIRS NEW \
  HOURS RUNS FROM HOST PORT PROCESSES $(if $(filter soak,$(MAKECMDGOALS)),SEED KILLS)
OTHERS := PYTHON% VENV READY PYTEST% FAULTS SHELL MAKE% CC CFLAGS ALEXNET_% OMP_% MKL_% MALLOC_% CUDA_% TORCH% MLFLOW_% \
  SLURM_% RAY_% XDG_% PIP_% UV_% SSL_% HTTP% HTTPS_% NO_PROXY http% https_% no_proxy PATH HOME TMPDIR LANG LC_% TZ .%
ODD := $(filter-out $(VARIABLES) $(OTHERS),$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name))))
ifneq ($(ODD),)
NEAR := $(shell $(PYTHON) -c 'import difflib, sys; print(*difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], 1))' '$(firstword $(ODD))' $(VARIABLES))
$(error $(firstword $(ODD)): no such variable$(if $(NEAR),; did you mean $(NEAR)?,; the first lines of the Makefile list them))
endif

export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 17179869184
export MALLOC_TOP_PAD_ := 1073741824
export THP_MEM_ALLOC_ENABLE := 1

ifneq ($(TREATMENT)$(NETWORK),)
NET := $(or $(NETWORK),A)
BASE ?= $(if $(TREATMENT),$(NET)-$(TREATMENT),$(NET)-today $(NET)-2012)
export BASE
endif

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-30s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## .venv with the locked packages, every extra and the tools

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "PYTHON: $(PYTHON) is not Python 3.11, 3.12 or 3.13" >&2; exit 2; }
	@$(PYTHON) -c 'import platform, sys; sys.exit((sys.platform, platform.machine()) == ("darwin", "x86_64"))' || { echo "PYTHON: $(PYTHON) is for Intel Macs, for which torch has had no packages since 2.2; on Apple silicon take a Python for arm64" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --require-hashes --python $(VENV)/bin/python -r requirements.lock
	$(VENV)/bin/uv pip install --quiet --no-deps --no-build-isolation --python $(VENV)/bin/python --editable .
	@touch $@

reproduce-relu-speedup: $(READY) ## figure 1, ReLU against tanh (TREATMENT=today: the quick half)
	$(STUDY) run relu_sooner

search-relu-speedup: $(READY) ## search for its learning rates again, into results/tuned.json
	$(STUDY) search relu_sooner

ablate-lrn: $(READY) ## section 3.3, with and without response normalization (ARMS=all: all its forms)
	$(STUDY) run response_norm

ablate-lrn-cifar: $(READY) ## section 3.3, the CIFAR-10 networks of 13% and 11%
	$(STUDY) run response_norm_cifar

ablate-overlap-pooling: $(READY) ## section 3.4, pooling windows of 3 or 2
	$(STUDY) run overlap_pooling overlap_overfits

ablate-dropout: $(READY) ## section 4.2, dropout
	$(STUDY) run dropout_overfits dropout_slower dropout_error

ablate-weight-decay: $(READY) ## section 5, weight decay lowers the training error too
	$(STUDY) run weight_decay

ablate-two-gpu: $(READY) ## section 3.2, two columns against half, and without crossing
	$(STUDY) run two_columns column_crossing

ablate-augmentation: $(READY) ## section 4.1, crops and flips, colour noise
	$(STUDY) run augmentation colour_noise

ablate-depth: $(READY) ## section 7, without one middle convolutional layer
	$(STUDY) run depth

ablate-bias-init: $(READY) ## section 5, biases that start at one
	$(STUDY) run bias_init

ablate-views: $(READY) ## section 4.1, ten views against the centre one
	$(STUDY) run ten_views

ablate-fidelity-data: $(READY) ## beyond the paper: images, crops and epochs as printed, on ILSVRC (SCALE=imagenet)
	$(STUDY) run fidelity_data

reproduce-top5: $(READY) ## the top-5 halves of sections 3.2 to 4.1, at 64 pixels and larger (SCALE=tiny-imagenet-100)
	$(STUDY) run response_norm_top5 overlap_pooling_top5 two_columns_top5 ten_views_top5

reproduce-tables: $(READY) ## tables 1 and 2: one net, five averaged, ten views
	$(STUDY) run averaged_nets

reproduce-figure-3: $(READY) ## figure 3: kernels, and whether one column specializes in colour
	$(STUDY) run column_colour

reproduce-figure-4: $(READY) ## figure 4: best labels and nearest training images
	$(STUDY) run nearest_images

ablate-interactions: $(READY) ## beyond the paper: eight parts at once, in 16 of their 256 combinations
	$(STUDY) run interactions

ablate-interactions-folded: $(READY) ## and 16 more combinations, which separate normalization's pairs
	$(STUDY) run interactions_folded

ablate-interactions-of-four: $(READY) ## beyond the paper: four parts in all 16 combinations
	$(STUDY) run interactions_of_four

ablate-editions: $(READY) ## beyond the paper: sixteen differences between editions at once (not run yet)
	$(STUDY) run editions

ablate-batch-norm: $(READY) ## beyond the paper: batch normalization instead, and what dropout is worth with it
	$(STUDY) run batch_norm batch_norm_dropout

ablate-validation: $(READY) ## section 6: does the validation error differ from the test error? (few images)
	$(STUDY) run validation_error

ablate-rate-drops: $(READY) ## section 5: the rate divided when the error stops improving, against fixed epochs (SCALE=cifar10-2500)
	$(STUDY) run rate_drops

ablate-fidelity: $(READY) ## beyond the paper: as printed against as coded (ARMS=all: each difference)
	$(STUDY) run fidelity

reproduce-all: $(READY) ## every claim except the designs, cheapest first, each run once; stop and continue at any time
	$(STUDY) run all

# HOURS, SCALE and the like may stand in the environment; CLAIMS are names, none means all.
settle: $(READY) ## all claims (CLAIMS=), one look after the other, until they are decided or HOURS= are over
	$(STUDY) settle $(CLAIMS) $(if $(HOURS),--hours $(HOURS)) $(if $(RUNS),--runs $(RUNS)) $(if $(HOURS)$(RUNS),,--plan)

replicate: $(READY) ## a finding once more on fresh seeds: CLAIM=batch_norm SCALE=cifar10-jpeg-2500 (PAIRS=10, NEW=1)
	$(STUDY) replicate $(CLAIM) $(if $(PAIRS),--pairs $(PAIRS)) $(if $(NEW),--new)

quick: $(READY) ## everything once on small synthetic images, into quick/: shows that it works here
	$(STUDY) quick

data-imagenet: $(READY) ## pack ILSVRC once, FROM=DIR with train/CLASS and val/CLASS; if killed, run it again to continue
	$(STUDY) data pack imagenet $(if $(FROM),--from "$(FROM)")

plan: $(READY) ## runs and cost of every claim, before anything starts
	$(STUDY) plan all

report: $(READY) ## results/REPORT.md, report.html and figures from the committed tables
	$(STUDY) report

# HOST is taken from the command line alone: shells have a variable of this name of their own.
ui: HOST := 127.0.0.1
ui: $(READY) ## the MLflow UI on http://127.0.0.1:5000 (PORT= another; HOST=0.0.0.0 to allow other machines)
	@case "$$MLFLOW_TRACKING_URI" in http*) echo "MLFLOW_TRACKING_URI is an MLflow server: open it in a browser"; exit;; esac; \
	store="$${MLFLOW_TRACKING_URI:-sqlite:///$(CURDIR)/mlflow.db}"; file="$${store#sqlite:///}"; \
	[ "$$file" = "$$store" ] || [ -e "$$file" ] || echo "$$file is not there yet, so MLflow has no runs: \`make ui-tables\` puts those of the committed tables in (with CLAIMS=response_norm SCALE=cifar10-jpeg-2500 only these, which is fast)"; \
	echo "MLflow on http://$(HOST):$(or $(PORT),5000)/#/experiments?workflowType=machine_learning ($(if $(filter 127.0.0.1 localhost,$(HOST)),this machine only,NOT this machine only: anyone who reaches this address can read and change runs); Ctrl-C ends it)"; \
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_BACKEND_STORE_URI="$$store" exec $(VENV)/bin/mlflow server --host $(HOST) --port $(or $(PORT),5000) --workers 1

ui-tables: $(READY) ## put the runs of the committed tables into MLflow; CLAIMS=response_norm SCALE=cifar10-jpeg-2500: only these
	$(STUDY) record --tables $(CLAIMS)

ui-picture: $(READY) ## results/figures/mlflow.png, the MLflow UI as headless Chromium shows it (needs chromium)
	$(VENV)/bin/python -m tools.mlflow_picture

bench: $(READY) ## speed as ratios, side by side, into benchmarks/
	$(VENV)/bin/python -m benchmarks

# Tests share the cores: PROCESSES of them (0: one process, as a debugger wants it), each with one thread of torch's own.
PROCESSES ?= auto
PYTEST = OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses $(PROCESSES) --dist worksteal

check: lint ## format, lint, types, layers and the fast tests: before every commit
	$(PYTEST) -m "not slow"

lint: $(READY) ## the first half of check: format, lint, types (.pre-commit-config.yaml calls it)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/basedpyright

test: lint ## check and every slow test, including the quick faults and the installed wheel
	$(PYTEST)

faults: $(READY) ## inject every fault and print a table of what was lost or doubled; `quick` from the installed wheel
	FAULTS=all $(VENV)/bin/python -m pytest --durations=8 tests/faults tests/study/run/test_executors.py tests/test_package.py

soak: $(READY) ## a small plan under 200 random kills; prints runs, kills, losses (KILLS= SEED=)
	PYTHONPATH=.:tests $(VENV)/bin/python tests/faults/soak.py --kills $(or $(KILLS),200) --seed $(or $(SEED),2012)

audit: $(READY) ## compare locked packages with the installed ones and with known advisories; fails without a network
	$(VENV)/bin/python .ci/audit.py

digests: $(READY) ## check that run keys, tables, golden losses and verdicts are as before a change
	$(VENV)/bin/python -m tools.digests

recompute: $(READY) ## compute every verdict again from the tables, with a second program; names each number that differs
	$(VENV)/bin/python -m tools.recompute

findings: $(READY) ## write the tables of README.md and docs/findings.md again, from what is found in results/
	$(VENV)/bin/python -m tools.findings_tables

docs-map: $(READY) ## write the tables of modules in docs/modules.md again, from their docstrings
	$(VENV)/bin/python -m tools.file_map

# Not uv.lock: it writes the address of the package registry, and of each file there, into the repository (3,206 addresses, tried on
# 2026-11-25); this file holds versions and hashes alone, and pip and conda read it too.
lock: $(READY) ## write requirements.lock again from pyproject.toml
	$(VENV)/bin/uv pip compile pyproject.toml --all-extras --group dev --generate-hashes --universal --python-version 3.11 --quiet -o requirements.lock

clean: ## .venv and caches; never data, results, unfinished runs or mlflow.db
	rm -rf $(VENV) quick .pytest_cache .ruff_cache .hypothesis
