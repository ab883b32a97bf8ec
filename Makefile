# Leasehold. `make` alone prints this help.

SWIFT ?= swift
UP ?=
SEEDS ?= 2000
JOBS ?= 2
MINUTES ?= 10
BENCH ?=
CASES ?= 1000
SEED ?= 1
FUZZ_MINUTES ?= 30

.PHONY: help deps test-deps build release up test lint format deb model simulate mutants chaos fleet bench bench-build instructions contract fuzz clean

help: ## print this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

deps: ## install the Debian packages that running needs (or name them)
	@scripts/deps run

test-deps: ## the same for the tests
	@scripts/deps test

build: deps ## build everything for debugging
	$(SWIFT) build

release: deps ## build the programs for use
	$(SWIFT) build -c release --product leasehold
	$(SWIFT) build -c release --product leasehold-agent
	$(SWIFT) build -c release --product leasehold-coordinator
	$(SWIFT) build -c release --product leasehold-probe

up: release ## run it all on this machine: private Redis, agent, coordinator (UP="--listen 127.0.0.1:9090" for options)
	@exec .build/release/leasehold up $(UP)

model: test-deps ## check the protocol's model and its mutants
	scripts/model

chaos: test-deps ## break the real programs for MINUTES=10 and judge what their clients saw
	scripts/chaos $(MINUTES)

fleet: test-deps ## the same on six hosts in network namespaces, as root
	scripts/chaos fleet $(MINUTES)

test: test-deps ## build and pass all tests
	scripts/test

simulate: ## run SEEDS simulated pools and check what clients are told (SEEDS=10000 for the long form)
	$(SWIFT) build -c release --product simulate
	.build/release/simulate --seeds $(SEEDS) --jobs $(JOBS)

mutants: ## remove one rule of the protocol after the other; the simulation has to notice each
	$(SWIFT) build -c release --product simulate
	.build/release/simulate --mutants --seeds $(SEEDS)

bench-build: deps
	$(SWIFT) build -c release --product leasehold-coordinator
	$(SWIFT) build -c release --product leasehold-agent
	$(SWIFT) build -c release --product bench

bench: bench-build ## measure beside others, some 20 minutes (BENCH="--quick" for two; BENCH="--help" for options)
	@.build/release/bench $(BENCH)

instructions: bench-build ## count the instructions of fixed work against those kept
	@scripts/instructions

contract: build ## call the service as its openapi.json says and forbids, 10,000 times (CASES=20 for the short form; needs PyPI)
	CASES=$(CASES) SEED=$(SEED) scripts/contract

fuzz: ## throw made-up bytes at what reads bytes from outside, FUZZ_MINUTES=30, with sanitizers
	MINUTES=$(FUZZ_MINUTES) SWIFT=$(SWIFT) scripts/fuzz

lint: ## check the format, in seconds
	$(SWIFT) format lint -s -r Sources Tests examples

format: ## mend the format
	$(SWIFT) format -i -r Sources Tests

deb: ## build the Debian packages into .build/deb
	scripts/deb

clean: ## remove what was built
	$(SWIFT) package clean
