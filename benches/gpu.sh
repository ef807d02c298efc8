#!/usr/bin/env bash
# Proves and times the program on a machine with a GPU, in one call; writes one results file.
#
#   benches/gpu.sh [RESULTS.md]
#
# The machine's own torch 2.11 with CUDA is enough; no Rust is needed where the binaries are brought along:
#   SGAS=target/debug/sgas            the program; without it cargo builds it
#   SGAS_TESTS=target/debug/deps/it-… the integration tests' binary; without it cargo builds it, or they are skipped
#   TORCH_LIB=…/torch/lib             libtorch with CUDA; by default that of $PYTHON
#   PYTHON=python3  SGAS_GOLDEN_DIR=… golden files  SGAS_DATA=… real data (default: synthetic)
#   SGAS_REFERENCE=…                  a checkout of the published code, to time it beside
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RESULTS=${1:-benches/results/gpu-$(date -u +%Y%m%d-%H%M).md}
PYTHON=${PYTHON:-python3}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
FAILED=0

die() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

# Which libtorch runs, and which binaries.
find_libtorch() {
    TORCH_LIB=${TORCH_LIB:-$("$PYTHON" -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')} ||
        die "no torch in $PYTHON" "set PYTHON to a Python with torch 2.11, or TORCH_LIB to its lib folder"
    [[ -e $TORCH_LIB/libtorch_cuda.so ]] || die "$TORCH_LIB has no libtorch_cuda.so" "use a torch with CUDA"
    export LD_LIBRARY_PATH=$TORCH_LIB${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

find_binaries() {
    if [[ -z ${SGAS:-} ]]; then
        command -v cargo >/dev/null || die "no program" "set SGAS to a built one; this machine has no cargo"
        make build || exit 1
        SGAS=target/debug/sgas
    fi
    if [[ -z ${SGAS_TESTS:-} ]] && command -v cargo >/dev/null; then
        SGAS_TESTS=$(cargo test --test it --no-run --message-format=json 2>/dev/null |
            sed -n 's/.*"executable":"\([^"]*\/it-[^"]*\)".*/\1/p' | tail -1)
    fi
}

# section TITLE COMMAND...: runs it, and writes title, command, exit code, seconds and the end of its output.
section() {
    local title=$1 start code seconds
    shift
    printf '== %s\n' "$title" >&2
    start=$(date +%s.%N)
    "$@" >"$WORK/output" 2>&1 </dev/null
    code=$?
    seconds=$(awk -v from="$start" -v to="$(date +%s.%N)" 'BEGIN { printf "%.1f", to - from }')
    ((code == 0)) || FAILED=1
    {
        printf '\n## %s\n`%s`\n\nexit code %s, %s s\n```\n' "$title" "$*" "$code" "$seconds"
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
    printf -- '- CPU: %s, %s cores\n' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)" "$(nproc)"
    printf -- '- torch: %s (%s)\n' "$(sed -n "s/^__version__ = //p" "$TORCH_LIB/../version.py" 2>/dev/null)" "$TORCH_LIB"
    printf -- '- program: %s\n' "$("$SGAS" --version)"
    printf -- '- data: %s\n' "${SGAS_DATA:-synthetic}"
}

# Without real data the built-in shapes serve; timings are the same, accuracies say nothing.
data_flags() {
    [[ -n ${SGAS_DATA:-} ]] || echo --data synthetic
}

golden_tests() {
    if [[ -z ${SGAS_TESTS:-} ]]; then
        printf '\n## Tests on CUDA\nskipped: no test binary (SGAS_TESTS) and no cargo\n' >>"$RESULTS"
        return
    fi
    SGAS_TEST_DEVICE=cuda section "Tests on CUDA" "$SGAS_TESTS" --test-threads=1 --show-output
}

searches_and_trainings() {
    local flags
    read -ra flags <<<"$(data_flags) --device cuda"
    section "Search, fp32" "$SGAS" search --task modelnet10 --config configs/smoke/search-modelnet10.toml "${flags[@]}" --out "$WORK/search"
    section "Search, mixed precision" "$SGAS" search --task modelnet10 --config configs/smoke/search-modelnet10.toml "${flags[@]}" --amp --out "$WORK/search-amp"
    local kind
    for kind in "" fp16 bf16; do
        section "Training, ${kind:-fp32}" "$SGAS" train --genotype Cri2_ModelNet_Best --task modelnet40 \
            --config configs/smoke/train-modelnet40.toml "${flags[@]}" ${kind:+--amp "$kind"} --out "$WORK/train-${kind:-fp32}" &&
            section "Evaluation, ${kind:-fp32}" "$SGAS" eval --run "$WORK/train-${kind:-fp32}" --device cuda --json
    done
}

# The published sizes, cut short, beside the published code where it is at hand.
timings() {
    section "Our steps at the published sizes" "$SGAS" bench --device cuda --json
    [[ -n ${SGAS_REFERENCE:-} ]] || return
    local published=("$PYTHON" benches/reference/time_published.py --sgas "$SGAS_REFERENCE" --device cuda --warmup 5 --repeats 30)
    section "Published search step" "${published[@]}" --what search --batch 28
    section "Published training step" "${published[@]}" --what train --batch 32 --cells 9 --k 20
    section "Published training step, fp16" "${published[@]}" --what train --batch 32 --cells 9 --k 20 --amp
}

find_libtorch
find_binaries
mkdir -p "$(dirname "$RESULTS")"
conditions >"$RESULTS"
golden_tests
searches_and_trainings
timings
printf 'results: %s\n' "$RESULTS"
exit "$FAILED"
