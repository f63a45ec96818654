PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup lint test soak train sweep exercises report setup-backends ui bench-epoch bench-sweep bench-search bench-exact clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## a virtual environment in .venv with the tested versions
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(READY)  ## all tests
	$(BIN)/python -m pytest $(ARGS)

soak: $(READY)  ## the long tests: searches of 200 trials killed ten times, and more
	$(BIN)/python -m pytest -m soak $(ARGS)

train: $(READY)  ## the first fit: house prices, tracked in mlflow.db
	$(BIN)/noiseworks $(ARGS)

sweep: $(READY)  ## a search with Optuna: learning rate, batch size and noise model for house prices
	$(BIN)/noiseworks -m hydra/sweeper=optuna experiment=houses_search hydra.sweeper.n_trials=128 $(ARGS)

exercises: $(READY)  ## the chapter answered by experiment: report/index.html; EX=5 one exercise, SMOKE=1 small
	$(BIN)/python -m noiseworks.exercises $(if $(EX),--only $(EX)) $(if $(SMOKE),--smoke) $(ARGS)

report: $(READY)  ## the report, from runs that exist
	$(BIN)/python -m noiseworks.exercises --from-runs $(if $(EX),--only $(EX)) $(if $(SMOKE),--smoke) $(ARGS)

setup-backends: $(READY)  ## JAX, TensorFlow and MXNet for exercise T7, in .venv-backends (2.5 GB)
	$(BIN)/python scripts/setup_backends.py $(ARGS)

ui: $(READY)  ## the MLflow UI on http://127.0.0.1:5000
	$(BIN)/mlflow ui --backend-store-uri $${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db} --host 127.0.0.1 --port 5000

bench-epoch: $(READY)  ## one epoch against stock Lightning
	$(BIN)/python scripts/bench_epoch.py $(ARGS)

bench-sweep: $(READY)  ## sweeps against the stock stack
	$(BIN)/python scripts/bench_sweep.py $(ARGS)

bench-search: $(READY)  ## what a search with Optuna costs, and what it finds
	$(BIN)/python scripts/bench_search.py $(ARGS)

bench-exact: $(READY)  ## exact fits against R, statsmodels and scikit-learn
	$(BIN)/python scripts/bench_exact.py $(ARGS)

clean:  ## what runs made, not the environment
	rm -rf outputs multirun report mlflow.db mlflow.db.lock optuna.log mlartifacts build dist .pytest_cache .mypy_cache .ruff_cache
