# The few commands there are. Each installs what is missing first; each works from a clean clone and twice in a row.
SHELL := /bin/bash
JOBS ?= $(shell nproc)

.PHONY: run build test check torture bench golden setup clean

## make run      build, then start the demo mesh in the foreground (Ctrl-C ends everything it started)
run: build
	@build/lateen demo $(ARGS)

## make build    the program at build/lateen
build: setup
	@cmake --preset release > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS) --target lateen
	@ln -sfn release/lateen build/lateen
	@echo "built: build/lateen"

## make test     set-up, build, and all tests (what .ci/run runs)
test: build
	@tools/test.sh

## make check    the quick half of the tests, for every day
check: setup
	@./check

## make torture  adversarial HTTP, misbehaving upstreams, configuration churn: against build/lateen
torture: build
	@tests/torture/run.sh $(ARGS)

## make bench    Lateen beside Envoy, HAProxy, nginx and a bare L4 relay in one run
bench: build
	@tools/bench/bench.sh $(ARGS)

## make golden   our xDS against istiod's, case by case (CASES=DIR for another corpus of the same layout)
golden: build
	@tools/golden.sh $(CASES)

setup:
	@mkdir -p build
	@tools/setup.sh

clean:
	rm -rf build
