# Thin: each target is a few commands that can also be typed. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
TARGET := $(or $(CARGO_TARGET_DIR),target)
CHART := charts/external-cloud-secrets
# Whatever is built for tests, checks and the demo is built with the features of the whole workspace, hence once.
BUILD := $(CARGO) build --workspace --examples

# Of the image: ARCH=arm64 makes the other one.
ARCH ?= $(if $(filter aarch64,$(shell uname -m)),arm64,amd64)
TRIPLE := $(if $(filter arm64,$(ARCH)),aarch64,x86_64)-unknown-linux-musl
IMAGE := $(TARGET)/image/external-cloud-secrets$(if $(filter arm64,$(ARCH)),-arm64).tar
# The most that the image may have, in bytes.
IMAGE_BYTES := 16000000
POD := $(CARGO) test -q --workspace --test pod --

.PHONY: help demo test check bench counters plots crds chart chart-files image image-twice test-pod rust lints deny valgrind musl

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 13

demo: rust ## Show the operator at work on this machine; KEEP=1 leaves everything running, PROGRAM=FILE is an operator that is there
	$(if $(PROGRAM),,$(CARGO) build --release --bin external-cloud-secrets)
	$(BUILD) --bin cloudsim --bin devcluster
	@exec $(TARGET)/debug/examples/demo $(if $(filter-out 0 no false,$(KEEP)),--keep) $(if $(PROGRAM),--program $(abspath $(PROGRAM)))

test: rust ## Everything that must pass
	$(BUILD) --bin devcluster
	$(TARGET)/debug/devcluster prepare
	@CARGO=$(CARGO) exec tests/run

check: rust lints deny ## Format, lints, generated files, links, dependencies, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --test pod -- -D warnings
	$(BUILD) --bin external-cloud-secrets
	@echo "crds/ must be what the code says:"
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; $(TARGET)/debug/external-cloud-secrets crds --dir "$$fresh" >/dev/null; \
		diff -r crds "$$fresh" && diff -r $(CHART)/files/crds "$$fresh" && echo "it is" || { echo "it is not: run make crds"; exit 1; }
	@echo "docs/api.md must be what they say:"
	@$(TARGET)/debug/examples/api-reference | diff docs/api.md - && echo "it is" || { echo "it is not: run make crds"; exit 1; }
	@echo "the chart's README must be what its values say:"
	@CARGO=$(CARGO) tests/named chart readme:: generated:: schema::the_schema
	@echo "no link may lead nowhere, and no command may be left out:"
	@CARGO=$(CARGO) tests/named docs links:: commands::
	$(CARGO) deny --workspace check bans licenses sources
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --no-deps --workspace

bench: rust musl ## What the image's operator costs, beside a bare client (docs/scale.md); N=10000, SCENARIOS=cold,steady, OPERATOR=CMD
	image/build.sh $(TRIPLE) $(TARGET)/image/$(ARCH)
	$(CARGO) build --release -p bench -p cloudsim
	@exec $(TARGET)/release/bench --n $(or $(N),1000) --out $(TARGET)/bench \
		$(if $(OPERATOR),,--program $(TARGET)/$(TRIPLE)/release/external-cloud-secrets) \
		$(if $(SCENARIOS),--scenarios $(SCENARIOS)) $(if $(OPERATOR),--operator '$(OPERATOR)')

counters: rust valgrind ## Instructions of the hot paths against bench/counters.json; WRITE=1 makes them the baseline
	$(CARGO) build --release -p bench -p cloudsim
	@exec $(TARGET)/release/bench counters $(if $(filter-out 0 no false,$(WRITE)),--write)

plots: rust ## Draw docs/scale/ from the reports of all sizes that were measured
	$(CARGO) build --release -p bench
	@exec $(TARGET)/release/bench plot --out docs/scale $(TARGET)/bench/report-*.json

crds: rust ## Write crds/ and docs/api.md anew
	$(BUILD) --bin external-cloud-secrets
	rm -f crds/*.yaml $(CHART)/files/crds/*.yaml
	$(TARGET)/debug/external-cloud-secrets crds --dir crds
	$(TARGET)/debug/external-cloud-secrets crds --dir $(CHART)/files/crds
	$(TARGET)/debug/examples/api-reference >docs/api.md

chart: rust ## Package the chart into target/chart/
	$(BUILD) --bin devcluster
	rm -rf $(TARGET)/chart && mkdir -p $(TARGET)/chart
	helm=$$($(TARGET)/debug/devcluster helm) && "$$helm" lint --strict $(CHART) && "$$helm" package $(CHART) --destination $(TARGET)/chart

chart-files: rust ## Write the chart's table of values and tests/chart/golden/ anew
	rm -f tests/chart/golden/*.yaml
	@CARGO=$(CARGO) WRITE=1 tests/named chart readme:: golden::

image: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
image: rust musl ## Build the container image as an OCI archive, without a container engine; ARCH=arm64 for the other processor
	image/build.sh $(TRIPLE) $(TARGET)/image/$(ARCH)
	@$(TARGET)/debug/image archive --root $(TARGET)/image/$(ARCH) --architecture $(ARCH) --out $(IMAGE) --most-bytes $(IMAGE_BYTES) \
		--label org.opencontainers.image.title=external-cloud-secrets --label org.opencontainers.image.licenses=Apache-2.0 \
		--label "org.opencontainers.image.description=A Kubernetes operator that keeps Secrets in step with a cloud's secret stores" \
		--label org.opencontainers.image.version=$$($(CARGO) pkgid | sed 's/.*[@#]//') \
		--label org.opencontainers.image.revision=$$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown)

image-twice: image ## Build the last commit's image once more, elsewhere, and compare: it must be the same, byte for byte
	image/twice.sh $(IMAGE)

test-pod: rust ## Run that image as a real Pod on a node of its own; needs Linux, root, containerd and runc
	$(CARGO) build --workspace --test pod
	@$(POD) check
	@$(MAKE) image
	rm -rf $(TARGET)/image/pause && mkdir -p $(TARGET)/image/pause
	rustc --edition 2024 -O -C strip=symbols -C linker=rust-lld --target $(TRIPLE) -o $(TARGET)/image/pause/pause tests/pod/pause.rs
	$(TARGET)/debug/image archive --root $(TARGET)/image/pause --architecture $(ARCH) --out $(TARGET)/image/pause.tar \
		--name pause:1 --entrypoint /pause --created 0
	@$(POD) run $(abspath $(IMAGE) $(TARGET)/image/pause.tar)

# Tools: found, or installed where that is safe, or one line that says how to get them.

rust:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer, https://rustup.rs"; exit 1; }
	@command -v $${CC:-cc} >/dev/null || { echo "a C compiler is missing: apt-get install gcc libc6-dev"; exit 1; }

lints:
	@$(CARGO) fmt --version >/dev/null 2>&1 || { echo "rustfmt is missing: rustup component add rustfmt"; rustup component add rustfmt; }
	@$(CARGO) clippy --version >/dev/null 2>&1 || { echo "clippy is missing: rustup component add clippy"; rustup component add clippy; }

deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || { set -x; $(CARGO) install cargo-deny --version $(CARGO_DENY_VERSION) --locked; }

musl:
	@ls $$(rustc --print target-libdir --target $(TRIPLE))/libstd-*.rlib >/dev/null 2>&1 || { set -x; rustup target add $(TRIPLE); }

valgrind:
	@command -v valgrind >/dev/null || { echo "valgrind is missing: apt-get install valgrind"; exit 1; }
