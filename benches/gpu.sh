#!/usr/bin/env bash
# Proves and times the program on a machine with a GPU, in one call; writes one results file.
#
#   benches/gpu.sh [RESULTS.md]
#   benches/gpu.sh pack            on a machine with Rust: what one without needs, stripped, into target/gpu
#
# The machine's own torch 2.11 with CUDA is enough. Where it has no Rust, bring this checkout (its benches, configs
# and tests/fixtures/golden: 7 MB) and target/gpu as `pack` leaves it (25 MB: the program, the integration tests and
# the bench of whole steps); the binaries find libtorch by LD_LIBRARY_PATH, which is set here.
#   SGAS, SGAS_TESTS, SGAS_STEPS   the three binaries; by default cargo builds them, or without cargo target/gpu's
#   TORCH_LIB=…/torch/lib          libtorch with CUDA; by default that of LIBTORCH, of `make setup-cuda`, of $PYTHON
#   PYTHON=python3                 with numpy and sklearn too where the published code is to run
#   SGAS_GOLDEN_DIR=…              golden files; by default tests/fixtures/golden
#   SGAS_DATA=…                    real data; without it synthetic shapes serve
#   SGAS_REFERENCE=…               a checkout of the published code, to time it beside ours
#   SGAS_WARMUP=5 SGAS_REPEATS=30  steps of a timing
#   SGAS_DEVICE=cpu                tries this script without a GPU at small sizes; its numbers say nothing
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RESULTS=${1:-benches/results/gpu-$(date -u +%Y%m%d-%H%M).md}
PYTHON=${PYTHON:-python3}
DEVICE=${SGAS_DEVICE:-cuda}
PACK=target/gpu
export SGAS_GOLDEN_DIR=${SGAS_GOLDEN_DIR:-$PWD/tests/fixtures/golden}
# Steps before the clock counts, and steps that count.
COUNTS=(--warmup "${SGAS_WARMUP:-5}" --repeats "${SGAS_REPEATS:-30}")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
FAILED=0

die() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

# The first libtorch that can use the device.
find_libtorch() {
    local folder wanted=libtorch_cuda.so folders=("${TORCH_LIB:-}")
    [[ $DEVICE == cpu ]] && wanted=libtorch_cpu.so
    [[ -n ${TORCH_LIB:-} ]] || folders=("${LIBTORCH:-.libtorch/torch}/lib" .libtorch/torch/lib "$(torch_of_python)")
    for folder in "${folders[@]}"; do
        [[ -e $folder/$wanted ]] || continue
        TORCH_LIB=$(realpath "$folder")
        export LD_LIBRARY_PATH=$TORCH_LIB${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        return
    done
    die "no $wanted in ${folders[*]}" "run \`make setup-cuda\`, or set PYTHON to a Python with torch 2.11, or TORCH_LIB"
}

torch_of_python() {
    "$PYTHON" -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))' 2>/dev/null
}

# build TARGET...: the executable that cargo makes of it.
build() {
    cargo "$@" --message-format=json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1
}

# Everything in the profile of the program, so that libtorch's bindings are compiled once.
build_all() {
    make setup >&2 || exit 1
    SGAS=${SGAS:-$(build build --bin sgas)}
    SGAS_TESTS=${SGAS_TESTS:-$(build test --test it --no-run)}
    SGAS_STEPS=${SGAS_STEPS:-$(build bench --profile dev --bench steps --no-run)}
}

# A packed binary may be older than the sources, so cargo comes first.
find_binaries() {
    command -v cargo >/dev/null && build_all
    : "${SGAS:=$PWD/$PACK/sgas}" "${SGAS_TESTS:=$PWD/$PACK/it}" "${SGAS_STEPS:=$PWD/$PACK/steps}"
    local binary
    for binary in "$SGAS" "$SGAS_TESTS" "$SGAS_STEPS"; do
        [[ -x $binary ]] || die "no program $binary" "bring $PACK from \`benches/gpu.sh pack\` on a machine with Rust"
    done
}

# The binaries alone: libtorch is the other machine's own. `make dist` packs the program with a libtorch.
pack() {
    build_all
    "$PYTHON" scripts/dist.py programs "$PACK" sgas="$SGAS" it="$SGAS_TESTS" steps="$SGAS_STEPS" || exit 1
    du -h "$PACK"/*
}

# section TITLE COMMAND...: runs it, and writes title, command, exit code, seconds and the end of its output.
section() {
    local title=$1 start code seconds told
    shift
    told=$*
    told=${told//"$WORK"/\$WORK}
    printf '== %s\n' "$title" >&2
    start=$(date +%s.%N)
    "$@" >"$WORK/output" 2>&1 </dev/null
    code=$?
    seconds=$(awk -v from="$start" -v to="$(date +%s.%N)" 'BEGIN { printf "%.1f", to - from }')
    ((code == 0)) || FAILED=1
    {
        printf '\n## %s\n`%s`\n\nexit code %s, %s s\n```\n' "$title" "${told//"$PWD/"/}" "$code" "$seconds"
        tr '\r' '\n' <"$WORK/output" | tail -n 60
        printf '```\n'
    } >>"$RESULTS"
    tail -n 3 "$WORK/output" >&2
    return "$code"
}

conditions() {
    printf '# Results on a GPU\n\n'
    printf -- '- date: %s\n' "$(date -u +%FT%TZ)"
    printf -- '- commit: %s\n' "$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    printf -- '- GPU: %s\n' "$(nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>/dev/null || echo unknown)"
    printf -- '- CPU: %s, %s cores\n' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)" "$(nproc --all)"
    printf -- '- torch: %s (%s)\n' "$(sed -n "s/^__version__ = //p" "$TORCH_LIB/../version.py" 2>/dev/null)" "$TORCH_LIB"
    printf -- '- program: %s\n' "$("$SGAS" --version)"
    printf -- '- data: %s\n' "${SGAS_DATA:-synthetic}"
}

# A processor has no loss-scaled half precision.
half_types() {
    [[ $DEVICE == cpu ]] || echo fp16
    echo bf16
}

# Without real data the built-in shapes serve; timings are the same, accuracies say nothing.
data_flags() {
    [[ -n ${SGAS_DATA:-} ]] || echo --data synthetic
}

# The tests of the command line need the folder in which they were built; these need nothing but their files.
golden_tests() {
    section "Golden files on $DEVICE" env SGAS_TEST_DEVICE="$DEVICE" "$SGAS_TESTS" golden --test-threads=1 --show-output
}

searches_and_trainings() {
    local flags
    read -ra flags <<<"$(data_flags) --device $DEVICE"
    section "Search, fp32" "$SGAS" search --task modelnet10 --config configs/smoke/search-modelnet10.toml "${flags[@]}" --out "$WORK/search"
    section "Search, mixed precision" "$SGAS" search --task modelnet10 --config configs/smoke/search-modelnet10.toml "${flags[@]}" --amp --out "$WORK/search-amp"
    local kind
    for kind in "" $(half_types); do
        section "Training, ${kind:-fp32}" "$SGAS" train --genotype Cri2_ModelNet_Best --task modelnet40 \
            --config configs/smoke/train-modelnet40.toml "${flags[@]}" ${kind:+--amp "$kind"} --out "$WORK/train-${kind:-fp32}" &&
            section "Evaluation, ${kind:-fp32}" "$SGAS" eval --run "$WORK/train-${kind:-fp32}" --device "$DEVICE"
    done
}

# steps SHAPE TYPE: our step bench; its conditions are in the JSON.
steps() {
    section "A step of $1, $2" "$SGAS_STEPS" "$1" --device "$DEVICE" --precision "$2" --json "${COUNTS[@]}"
}

# beside SHAPE TYPE: ours and the published code in turn; the report is the section's text.
beside() {
    section "A step of $1 beside the published code, $2" "$PYTHON" benches/compare.py --sgas "$SGAS_REFERENCE" \
        --python "$PYTHON" --ours "$SGAS_STEPS" --device "$DEVICE" --precision "$2" --out "$WORK" --rounds 3 "${COUNTS[@]}" "$1"
}

# At the published sizes.
timings() {
    local shapes=(modelnet10-search-full modelnet40-train cifar10-search-full cifar10-train-full ppi-search ppi-train)
    local shape kind half=fp16
    if [[ $DEVICE == cpu ]]; then
        half=bf16 shapes=(modelnet10-search modelnet40-small-train cifar10-search cifar10-train ppi-search ppi-train)
    fi
    for kind in fp32 $(half_types); do
        for shape in "${shapes[@]}"; do
            steps "$shape" "$kind"
        done
    done
    [[ -n ${SGAS_REFERENCE:-} ]] || return
    for shape in "${shapes[@]}"; do
        beside "$shape" fp32
    done
    # The one published script with mixed precision trains on points.
    beside "${shapes[1]}" "$half"
}

if [[ ${1:-} == pack ]]; then
    pack
    exit
fi
find_libtorch
find_binaries
mkdir -p "$(dirname "$RESULTS")"
conditions >"$RESULTS"
golden_tests
searches_and_trainings
timings
printf 'results: %s\n' "$RESULTS"
exit "$FAILED"
