# Shortcuts over CMake. `make help` lists them.
BUILD ?= build
JOBS  ?= $(shell nproc 2>/dev/null || echo 2)
TYPE  ?= Release
PREFIX ?= /usr/local
MAKEFLAGS += --no-print-directory

.PHONY: all setup demo test test-kernels bench bench-ops test-gpu bench-gpu dist install clean help tool

all: setup $(BUILD)/CMakeCache.txt
	@cmake --build $(BUILD) -j $(JOBS)

tool: setup $(BUILD)/CMakeCache.txt
	@cmake --build $(BUILD) -j $(JOBS) --target tenon_tool

setup:
	@scripts/setup

# By the environment: a folder that was made for another generator keeps it.
$(BUILD)/CMakeCache.txt: CMakeLists.txt
	@command -v ninja >/dev/null && export CMAKE_GENERATOR=$${CMAKE_GENERATOR:-Ninja}; cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=$(TYPE) -DCMAKE_INSTALL_PREFIX=$(PREFIX) >$(BUILD).log 2>&1 \
	  || { cat $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

demo: tool
	@examples/demo $(BUILD)/tenon

# The five workflows: make example-sentiment and so on, one for each folder of examples/.
example-%: tool
	@examples/$*/run $(BUILD)/tenon

test:
	@scripts/test

# On any machine that has CUDA's run-time compiler.
test-kernels:
	@scripts/test cuda-kernels

# ARGS: options of bench/cpu.py and bench/ops.py, as in make bench ARGS="--only W1 --seconds 0.2".
bench: tool
	@cmake --build $(BUILD) -j $(JOBS) --target tenon
	@scripts/bench $(BUILD) $(ARGS)

bench-ops: tool
	@cmake --build $(BUILD) -j $(JOBS) --target op_suite
	@scripts/bench --ops $(BUILD) $(ARGS)

# On a machine with an NVIDIA card.
test-gpu: all
	@scripts/test_gpu $(BUILD)

bench-gpu: tool
	@python3 bench/gpu.py $(BUILD)/tenon $(ARGS)

dist:
	@scripts/dist

install: all
	@cmake --install $(BUILD)

clean:
	rm -rf build build-* dist

help:
	@echo "make          build the library, the command and the tests into build/"
	@echo "make demo     build, then import, check, run and time the example models"
	@echo "make example-NAME  one of the workflows in examples/, from its files to its results"
	@echo "make test     every test, sanitizers and fuzzers included"
	@echo "make test-kernels  compile the kernels for NVIDIA cards for every architecture, without a card"
	@echo "make bench    time the workloads beside ONNX Runtime, OpenVINO and PyTorch, results under bench/results/"
	@echo "make bench-ops  time single operators against what the machine can do"
	@echo "make test-gpu   every kernel and the example models on the NVIDIA card of this machine"
	@echo "make bench-gpu  the benchmark beside PyTorch on that card, results under bench/results/"
	@echo "make dist     dist/tenon-VERSION-ARCH.tar.gz: static command, shared library, header"
	@echo "make install  into PREFIX (default /usr/local)"
