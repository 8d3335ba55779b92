# The commands of this repository; `make` alone lists them. Each installs or finds what it needs and says so.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test faults soak newest lint fmt bench pieces regress fuzz

help: ## Lists these commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 14

demo: ## Starts three PostgreSQL servers, the example shop and the proxy; Ctrl-C stops all (ARGS="--port 7000" goes to "shardloom dev")
	@command -v cargo >/dev/null || { echo "cargo is missing; install Rust from https://rustup.rs" >&2; exit 1; }
	cargo run --locked -- dev $(ARGS)

test: ## Everything that must hold, against real PostgreSQL (ARGS="name" picks tests)
	scripts/test.sh $(ARGS)

faults: ## The whole fault matrix: every step of a write over several shards x every mode x who dies there (SHARDLOOM_FAULT_SEED, SHARDLOOM_FAULT_POINT)
	SHARDLOOM_FAULTS=all scripts/test.sh --test it -- chaos_ --nocapture --test-threads 1

soak: ## Hours of random faults: kills, pauses and broken connections (SOAK_MINUTES, 30 if not said; SHARDLOOM_FAULT_SEED repeats their order)
	SHARDLOOM_SOAK_MINUTES=$(or $(SOAK_MINUTES),30) scripts/test.sh --test it -- chaos_soak --ignored --nocapture

newest: ## What another version of PostgreSQL could break, against the newest one, fetched from Maven Central (ARGS="--test it NAME" picks others)
	scripts/test.sh --newest $(ARGS)

lint: ## Format, clippy, documentation, shell scripts, Dockerfile and YAML
	scripts/lint.sh

fmt: ## Formats the code
	cargo fmt

bench: ## pgbench through PostgreSQL, PgBouncer and Shardloom (BENCH_SECONDS, BENCH_ROUNDS); writes bench-results/
	scripts/prerequisites.sh postgresql pgbouncer python3
	cargo build --release --locked
	python3 -B benches/compare.py

pieces: ## Criterion on the pieces of the hot path (REV=v1 measures that revision first and compares; ARGS="route" picks)
	scripts/pieces.sh $(ARGS)

regress: ## PostgreSQL's regression files directly and through an unsharded database (ARGS="session" picks a pool mode); docs/compatibility.md
	scripts/regress.sh $(ARGS)

fuzz: ## libFuzzer on each target for FUZZ_SECONDS, 60 if not said (ARGS="scan splice" picks targets); docs/fuzzing.md
	scripts/fuzz.sh $(ARGS)
