# What people type. `make test` is the same as the last stage of `.ci/run`.

CARGO ?= cargo

.PHONY: test setup build bench chaos conformance fuzz lint fmt docs

## Sets up the real servers that the tests need, then passes the tests.
test: setup build
	$(CARGO) test --workspace --quiet

## Installs nats-server, kubectl, etcd and kube-apiserver into a cache folder outside the repository.
setup:
	scripts/test-servers

## The program that the end-to-end tests start.
build:
	$(CARGO) build --bin tiphys

## Starts the real servers, measures raw baselines and our path in the same run, prints ratios.
## `make bench ARGS="--only sensor --json"`; `ARGS=--check` fails where a budget is missed.
bench: setup
	$(CARGO) build --release --bin tiphys
	$(CARGO) run --release -p tiphys-tests --features bench --bin bench -- $(ARGS)
	scripts/bench-dialects

## A hundred thousand events through each shape while everything on their way is killed, paused and filled up; prints counts.
## `make chaos ARGS="--shape cluster --events 20000 --seed 7"`. The short form is in `make test`.
chaos: setup build
	$(CARGO) run -p tiphys-tests --features chaos --bin chaos -- $(ARGS)

## Asks the Go libraries again: are the committed expectations theirs, and do we answer random cases alike? Needs Go.
## `make conformance SEED=7 COUNT=20000` makes other random cases; it shows each difference, and fails above 2 % of a dialect.
conformance:
	$(CARGO) build -p tiphys-lang --example conformance
	cd tests/conformance && go run . check && go run . random -seed $(or $(SEED),1) -count $(or $(COUNT),2000)

## Fuzzes every parser of foreign text: `make fuzz ARGS="120 gjson sjson"`. Needs `cargo install cargo-fuzz`.
fuzz:
	scripts/fuzz $(ARGS)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	scripts/check-dependencies

fmt:
	$(CARGO) fmt --all

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
