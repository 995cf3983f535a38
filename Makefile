# Thin: each target is a few commands that can also be typed. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo test check crds

help: ## List the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 10

demo: rust ## Show the operator at work on this machine; KEEP=1 leaves everything running
	$(CARGO) build --release --bin external-cloud-secrets
	$(CARGO) build -p external-cloud-secrets -p cloudsim -p devcluster --bin cloudsim --bin devcluster --example demo
	@exec $(TARGET)/debug/examples/demo $(if $(KEEP),--keep)

test: rust ## Everything that must pass
	$(CARGO) test --workspace

check: rust ## Format, lints, generated files, licences, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@echo "the definitions under crds/ are what the code says:"
	d=$$(mktemp -d); trap 'rm -rf "$$d"' EXIT; $(CARGO) run --quiet -- crds --dir "$$d"; diff -r crds "$$d" || { echo "run: make crds"; exit 1; }
	$(CARGO) deny --workspace check bans licenses sources
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --no-deps --workspace

crds: rust ## Write crds/ anew
	rm -rf crds
	$(CARGO) run --quiet -- crds --dir crds

.PHONY: rust
rust:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer, see rustup.rs"; exit 1; }
