# One command each; every target makes its own .venv first. Keeps to GNU make 3.81 (macOS).
.PHONY: install demo test scenarios lint bench chaos renewals mutants clean

BIN := .venv/bin

install: .venv/.runtime

demo: .venv/.runtime
	$(BIN)/avtalsmotor demo

test: .venv/.dev
	$(BIN)/python -m pytest -n 4 --dist worksteal $(PYTEST)

# Every scenario on each ledger with each answer to createinvoice, of which `test` takes two pairs of the four.
scenarios: .venv/.dev
	$(BIN)/python -m pytest -n 4 --dist worksteal tests/scenarios --every-pair $(PYTEST)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.bench
	$(BIN)/python -m bench $(ONLY) $(BENCH)

SEED ?= 7
FAULTS ?= 1000
LEDGER ?= sqlite

chaos: .venv/.dev
	$(BIN)/python -m tests.chaos --seed $(SEED) --faults $(FAULTS) --ledger $(LEDGER) $(CHAOS)

TIMES ?= 1000

renewals: .venv/.dev
	$(BIN)/python -m tests.chaos.renewals --times $(TIMES) --ledger $(LEDGER) $(CHAOS)

mutants: .venv/.dev
	$(BIN)/python -m tests.mutants $(MUTANTS)

.venv/.python: Makefile
	@sh deploy/make-venv
	@touch $@

.venv/.runtime: .venv/.python pyproject.toml constraints.txt
	@echo "installing Avtalsmotor into .venv"
	@sh deploy/install
	@touch $@

# Celery is only measured beside the product: where it is not to be had, its column stays empty.
.venv/.bench: .venv/.python pyproject.toml constraints.txt
	@echo "installing Avtalsmotor, and Celery to measure beside it, into .venv"
	@sh deploy/install bench || sh deploy/install
	@touch $@ .venv/.runtime

.venv/.dev: .venv/.python pyproject.toml constraints.txt
	@echo "installing Avtalsmotor and its test tools into .venv"
	@sh deploy/install dev
	@touch $@ .venv/.runtime

clean:
	rm -rf .venv .avtalsmotor
