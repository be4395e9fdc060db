# The front door. Meson does the work; this file holds the few commands that a person types.
#
#   make            build the programs into build/bin
#   make demo       install what is missing, build, run the main job on real files
#   make test       install what is missing, build with sanitizers, run every test that fits into 15 minutes
#   make test-long  the same with more rounds, and the tests that need a virtual machine
#   make sim-long   play 2000 seeds of a simulated Granary, about 200 million events
#   make mutants    plant bugs in it one by one, and show the seed that finds each
#   make model      check the model of the give-back protocol with spin (MODEL_FLAGS=--quick: the smaller runs)
#   make fuzz       let every fuzz target search for FUZZ_SECONDS (600)
#   make bench      measure, beside other programs from Debian's packages
#   make study      compare the ways of giving memory back: tables and plots into docs/give-back
#   make lint       formatting, static analysis, layers, lengths
#   make install    DESTDIR= PREFIX=/usr/local
#   make deps       only install what building needs (deps-test, deps-bench: also what testing, measuring needs)
.PHONY: all deps study deps-test deps-lint deps-long deps-bench demo test test-long sim-long mutants model fuzz bench lint install clean
.DEFAULT_GOAL := all

BUILD ?= build
BUILD_TEST ?= build-test
PREFIX ?= /usr/local
DESTDIR ?=

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix=$(PREFIX)

deps:
	@tools/deps.sh build

deps-test:
	@tools/deps.sh build test

deps-lint:
	@tools/deps.sh build lint

deps-long:
	@tools/deps.sh build test long

deps-bench:
	@tools/deps.sh build test bench

demo:
	@tools/deps.sh build demo
	@$(MAKE) --no-print-directory all
	@demo/run.sh

test: deps-test
	@test/run-tests --build $(BUILD_TEST) --plain-build $(BUILD)

test-long: deps-long
	@test/run-tests --build $(BUILD_TEST) --plain-build $(BUILD) --long

sim-long: deps
	@$(MAKE) --no-print-directory all
	@sim/long --save

mutants: deps
	@sim/mutants/run

model:
	@tools/deps.sh model
	@tools/model.py $(MODEL_FLAGS)

fuzz: deps-test
	@test/fuzz/run

bench: deps-bench
	@$(MAKE) --no-print-directory all
	@bench/run

study: all
	@$(BUILD)/sim/granary-sim study --out docs/give-back
	@$(BUILD)/sim/granary-sim scale >docs/give-back/study-scale.md

lint: deps-lint
	@tools/lint.sh

install: all
	@meson configure $(BUILD) --prefix=$(PREFIX) >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) $(BUILD_TEST) build-fuzz
