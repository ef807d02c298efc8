#!/usr/bin/env bash
# Proves and times the program on a machine with a GPU, in one call, and leaves one report. A part that fails is
# recorded and does not stop the rest; the exit code is 0 where all passed.
#
#   benches/gpu.sh [--device cpu] [REPORT.md]
#   benches/gpu.sh pack            on a machine with Rust: what one without needs, as dist/sgas-VERSION-gpu-kit.tar.gz
#
# The machine's own torch 2.11 with CUDA is enough: the programs find its libtorch by LD_LIBRARY_PATH, which is set
# here. Where there is no Rust, unpack the kit of `make gpu-kit` and call its benches/gpu.sh; the program of a
# `make dist` folder serves too, without its lib/.
#   SGAS_DIST=…                    such a folder
#   SGAS, SGAS_TESTS, SGAS_ENGINE, SGAS_STEPS   the programs; by default cargo builds them, or without cargo target/gpu's
#   TORCH_LIB=…/torch/lib          libtorch with CUDA; by default that of LIBTORCH, of `make setup-cuda`, of $PYTHON
#   PYTHON=python3                 with numpy, sklearn and torch_geometric too where the published code is to run
#   SGAS_GOLDEN_DIR=…              golden files; by default tests/fixtures/golden
#   SGAS_DATA=…                    real data; without it synthetic samples serve
#   SGAS_REFERENCE=…, SGAS_DEEP_GCNS=…   checkouts of the published code (lightaime/sgas, lightaime/deep_gcns_torch),
#                                  to time it beside ours
#   SGAS_WARMUP=5 SGAS_REPEATS=30  steps of a timing
#   SGAS_LIMIT=3600                seconds after which a step of it counts as failed
#   SGAS_PARTS="machine golden mixed runs throughput comparison"   which parts, in this order
#   SGAS_BENCH=--all               the words of `sgas bench` for the throughput, such as "--task ppi --search"
# --device cpu (or SGAS_DEVICE=cpu) tries this script without a GPU at small sizes; its numbers say nothing.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

DEVICE=${SGAS_DEVICE:-cuda}
if [[ ${1:-} == --device ]]; then
    DEVICE=${2:?--device cpu or cuda}
    shift 2
fi
RESULTS=${1:-benches/results/gpu-$(date -u +%Y%m%d-%H%M).md}
PYTHON=${PYTHON:-python3}
PACK=target/gpu
LIMIT=${SGAS_LIMIT:-3600}
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
    SGAS_ENGINE=${SGAS_ENGINE:-$(build test --test engine --no-run)}
    SGAS_STEPS=${SGAS_STEPS:-$(build bench --profile dev --bench steps --no-run)}
}

# A packed binary may be older than the sources, so cargo comes first.
find_binaries() {
    [[ -n ${SGAS_DIST:-} ]] && SGAS=${SGAS:-$SGAS_DIST/bin/sgas}
    [[ -e Cargo.toml ]] && command -v cargo >/dev/null && build_all
    : "${SGAS:=$PWD/$PACK/sgas}" "${SGAS_TESTS:=$PWD/$PACK/it}" "${SGAS_ENGINE:=$PWD/$PACK/engine}"
    : "${SGAS_STEPS:=$PWD/$PACK/steps}"
    local binary
    for binary in "$SGAS" "$SGAS_TESTS" "$SGAS_ENGINE" "$SGAS_STEPS"; do
        [[ -x $binary ]] || die "no program $binary" "bring the kit of \`make gpu-kit\` from a machine with Rust"
    done
}

# The binaries alone, with what they read, laid out as the checkout is: libtorch is the other machine's own.
pack() {
    build_all
    "$PYTHON" scripts/dist.py programs "$PACK" sgas="$SGAS" it="$SGAS_TESTS" engine="$SGAS_ENGINE" \
        steps="$SGAS_STEPS" || exit 1
    git describe --always --dirty --abbrev=12 >"$PACK/commit"
    local name
    name=sgas-$("$SGAS" --version | cut -d' ' -f2)-gpu-kit
    mkdir -p dist
    tar --transform "s,^,$name/," --owner=0 --group=0 -czf "dist/$name.tar.gz" benches/gpu.sh benches/compare.py \
        benches/shapes.json benches/reference configs tests/fixtures/golden "$PACK" || exit 1
    du -h "dist/$name.tar.gz"
}

# section TITLE COMMAND...: runs it, and writes title, command, exit code, seconds and the end of its output.
section() {
    local title=$1 start code seconds told
    shift
    told=$*
    told=${told//"$WORK"/\$WORK}
    printf '== %s\n' "$title" >&2
    start=$(date +%s.%N)
    timeout "$LIMIT" "$@" >"$WORK/output" 2>&1 </dev/null
    code=$?
    seconds=$(awk -v from="$start" -v to="$(date +%s.%N)" 'BEGIN { printf "%.1f", to - from }')
    ((code == 0)) || FAILED=1
    printf '| %s | %s | %s |\n' "$title" "$( ((code == 0)) && echo passed || echo "**failed** ($code)")" "$seconds" >>"$WORK/parts"
    {
        printf '\n## %s\n`%s`\n\nexit code %s, %s s\n```\n' "$title" "${told//"$PWD/"/}" "$code" "$seconds"
        tr '\r' '\n' <"$WORK/output" | tail -n "${LINES_KEPT:-60}"
        printf '```\n'
    } >>"$WORK/sections"
    assemble
    tail -n 3 "$WORK/output" >&2
    return "$code"
}

# The report as far as it has come: conditions, what passed, every part.
assemble() {
    {
        cat "$WORK/conditions"
        printf '\n| part | outcome | s |\n|---|---|---|\n'
        cat "$WORK/parts" "$WORK/sections"
    } >"$RESULTS.part"
    mv "$RESULTS.part" "$RESULTS"
}

conditions() {
    printf '# Results on a %s\n\n' "$([[ $DEVICE == cpu ]] && echo 'processor: a try of the script, whose numbers say nothing' || echo GPU)"
    printf -- '- date: %s\n' "$(date -u +%FT%TZ)"
    printf -- '- commit: %s\n' "$(git describe --always --dirty --abbrev=12 2>/dev/null || cat "$PACK/commit" 2>/dev/null || echo unknown)"
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

# The types that arrive, what scaling and fp32 weights keep, and how half precision learns, on the device; then the
# whole engine, which is of a processor but for those.
mixed_precision_tests() {
    section "Mixed precision on $DEVICE" env SGAS_TEST_DEVICE="$DEVICE" "$SGAS_ENGINE" amp:: --test-threads=1 --show-output
    section "Optimizers, networks and steps" env SGAS_TEST_DEVICE=cpu "$SGAS_ENGINE" --test-threads=1
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
        section "ResGCN, ${kind:-fp32}" "$SGAS" train --config smoke/train-s3dis --data synthetic --device "$DEVICE" \
            ${kind:+--amp "$kind"} --out "$WORK/resgcn-${kind:-fp32}"
    done
}

# steps SHAPE TYPE: our step bench; its conditions are in the JSON.
steps() {
    section "A step of $1, $2" "$SGAS_STEPS" "$1" --device "$DEVICE" --precision "$2" --json "${COUNTS[@]}"
}

# The published row's recipe, then every one; the numbers lie beside the report as JSON too.
throughput() {
    local flags=("${COUNTS[@]}" --device "$DEVICE")
    if [[ $DEVICE == cpu ]]; then
        section "Throughput of a training" "$SGAS" bench --config smoke/train-points "${flags[@]}" --output "${RESULTS%.md}.json"
        section "Throughput of a search" "$SGAS" bench --config smoke/search-points --search "${flags[@]}"
        return
    fi
    section "Throughput of ResGCN-28, batch 4" "$SGAS" bench --task s3dis --model resgcn --batch 4 "${flags[@]}"
    local words
    read -ra words <<<"${SGAS_BENCH:---all}"
    LINES_KEPT=1000 section "Throughput of recipes" "$SGAS" bench "${words[@]}" "${flags[@]}" --output "${RESULTS%.md}.json"
}

# beside SHAPE TYPE [FLAG...]: ours and the published code in turn; the report is the section's text.
beside() {
    local checkouts=()
    [[ -n ${SGAS_REFERENCE:-} ]] && checkouts+=(--sgas "$SGAS_REFERENCE")
    [[ -n ${SGAS_DEEP_GCNS:-} ]] && checkouts+=(--deep-gcns "$SGAS_DEEP_GCNS")
    section "A step of $1 beside the published code, $2" "$PYTHON" benches/compare.py "${checkouts[@]}" \
        --python "$PYTHON" --ours "$SGAS_STEPS" --device "$DEVICE" --precision "$2" --out "$WORK" --rounds 3 "${COUNTS[@]}" "${@:3}" "$1"
}

# At the published sizes, where the published code is there.
comparisons() {
    local shapes=(modelnet10-search-full modelnet40-train cifar10-search-full cifar10-train-full ppi-search ppi-train)
    local shape half=fp16
    if [[ $DEVICE == cpu ]]; then
        half=bf16 shapes=(modelnet10-search modelnet40-small-train cifar10-search cifar10-train ppi-search ppi-train)
    fi
    if [[ -n ${SGAS_REFERENCE:-} ]]; then
        for shape in "${shapes[@]}"; do
            beside "$shape" fp32
        done
        # The one published script with mixed precision trains on points.
        beside "${shapes[1]}" "$half"
    fi
    [[ -n ${SGAS_DEEP_GCNS:-} ]] || return
    # The batch of the published table.
    if [[ $DEVICE == cpu ]]; then beside resgcn28-train fp32; else beside resgcn28-train fp32 --batch 4; fi
}

if [[ ${1:-} == pack ]]; then
    pack
    exit
fi
find_libtorch
find_binaries
mkdir -p "$(dirname "$RESULTS")"
conditions >"$WORK/conditions"
: >"$WORK/parts"
: >"$WORK/sections"
for part in ${SGAS_PARTS:-machine golden mixed runs throughput comparison}; do
    case $part in
    machine) section "What the machine is" "$SGAS" doctor --device "$DEVICE" ;;
    golden) golden_tests ;;
    mixed) mixed_precision_tests ;;
    runs) searches_and_trainings ;;
    throughput) throughput ;;
    comparison) comparisons ;;
    *) die "SGAS_PARTS: no part $part" "the parts are machine, golden, mixed, runs, throughput and comparison" ;;
    esac
done
printf 'report: %s\n' "$RESULTS"
exit "$FAILED"
