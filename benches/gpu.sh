#!/usr/bin/env bash
# Proves and times the program on a machine with a GPU, in two calls of minutes, and leaves a readable report, its
# numbers as JSON and an archive of all results and full logs. A part that fails is recorded, runs again at once with
# every kernel waited for, and does not stop the rest; the exit code is 0 where all passed. What the budget did not
# suffice for is recorded as not reached.
#
#   benches/gpu.sh [--device cpu] [REPORT.md]        at most seven minutes: what the machine is, proofs, throughput,
#                                                    traced steps, what single operators cost
#   benches/gpu.sh more [--device cpu] [REPORT.md]   at most eight: whole searches, memory, the published code beside
#                                                    ours, threads of the processor, golden files in full
#   benches/gpu.sh pack                              on a machine with Rust: what one without needs, as
#                                                    dist/sgas-VERSION-gpu-kit.tar.xz
#
# The machine's own torch 2.11 with CUDA is enough: the programs find its libtorch by LD_LIBRARY_PATH, which is set
# here. Where there is no Rust, bring the kit of `make gpu-kit`: unpacked (`tar xf`, or `python3 -m tarfile -e`), or in
# the dist/ of a checkout, where this script unpacks it. The program of a `make dist` folder serves too, without its lib/.
#   OUT=…                          a folder for report, JSON and archive: at most 8 files of at most 15 MiB. By default
#                                  REPORT.md is benches/results/gpu-DATE.md, and the others lie beside it
#   SGAS_DIST=…                    such a folder
#   SGAS, SGAS_TESTS, SGAS_ENGINE, SGAS_CUDA_TESTS, SGAS_STEPS   the programs; by default cargo builds them, or without
#                                  cargo target/gpu's
#   TORCH_LIB=…/torch/lib          libtorch with CUDA; by default where LD_LIBRARY_PATH has one, that of LIBTORCH, of
#                                  `make setup-cuda`, of $PYTHON
#   PYTHON=…                       3.9 or newer; with torch for the costs of single operators; with numpy, sklearn and
#                                  torch_geometric too where the published code is to run; by default the first python3
#                                  that is found with torch
#   SGAS_GOLDEN_DIR=…              golden files; by default the kit's or tests/fixtures/golden; `pack` takes them along
#   SGAS_DATA=…                    real data for the whole searches, ModelNet10/ and ppi/; synthetic samples stand for a
#                                  set that is not there
#   SGAS_REFERENCE=…, SGAS_DEEP_GCNS=…   checkouts of the published code (lightaime/sgas, lightaime/deep_gcns_torch)
#   SGAS_BUDGET=420                seconds in all, of `more` 480; SGAS_LIMIT=90 of one part (whole searches and golden files in
#                                  full may take longer)
#   SGAS_WARMUP=3 SGAS_REPEATS=10 SGAS_ROUNDS=2  steps of a timing, and rounds of one beside the published code
#   SGAS_GROUPS=proofs,throughput  groups of parts to run instead of a call's own (the end of gpu_parts.py names all)
#   SGAS_RECIPES='CIFAR-10 search' names of recipes in gpu_parts.py to time instead of all
#   SGAS_SHAPES='ppi-train ...'    shapes of benches/shapes.json to time beside the published code
#   SGAS_SIDE_BY_SIDE=5            proofs that run at a time; by default one for every three cores, at most six
#   SGAS_SIZES=small               sizes to try the script with, also on a GPU; SGAS_MICRO_DIVISOR=64 is then the
#                                  divisor of batches of single operators
# --device cpu (or SGAS_DEVICE=cpu) tries this script without a GPU, at small sizes; its numbers say nothing.
set -uo pipefail
STARTED=$(date +%s.%N)
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

CALL=first
DEVICE=${SGAS_DEVICE:-cuda}
RESULTS=
PACK=target/gpu

die() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

# torch_of PYTHON: the folder of its torch, without importing it: that would take seconds.
torch_of() {
    "$1" -c 'import importlib.util as i; s = i.find_spec("torch"); s and print(s.submodule_search_locations[0])' 2>/dev/null
}

# A Python that was named, the first with torch, or any.
find_python() {
    local python
    [[ -z ${PYTHON:-} ]] || return
    for python in python3 python /usr/local/bin/python3 /opt/*/bin/python3 "$HOME"/*/bin/python3; do
        PYTHON=$(command -v "$python") && [[ -n $(torch_of "$PYTHON") ]] && return
    done
    PYTHON=python3
}

# first_with FILE FOLDER...: the first folder that holds the file.
first_with() {
    local file=$1 folder
    shift
    for folder in "$@"; do
        [[ -n $folder && -e $folder/$file ]] && realpath "$folder" && return
    done
    return 1
}

# The first libtorch that can use the device goes first. CUDA's other libraries lie beside torch.
find_libtorch() {
    local of_python wanted=libtorch_cuda.so others lib folders=("${TORCH_LIB:-}")
    [[ $DEVICE == cpu ]] && wanted=libtorch_cpu.so
    of_python=$(torch_of "$PYTHON")
    [[ -n $of_python ]] && export SGAS_PYTHON_HAS_TORCH=1
    IFS=: read -ra others <<<"${LD_LIBRARY_PATH:-}"
    others+=("${LIBTORCH:-.libtorch/torch}/lib" .libtorch/torch/lib "${of_python:+$of_python/lib}")
    [[ -n ${TORCH_LIB:-} ]] || folders=("${others[@]}")
    TORCH_LIB=$(first_with "$wanted" "${folders[@]}") ||
        die "no $wanted in ${folders[*]}" "run \`make setup-cuda\`, or set PYTHON to a Python with torch 2.11, or TORCH_LIB"
    # CUDA's part may lie alone.
    CPU_LIB=$(first_with libtorch_cpu.so "$TORCH_LIB" "${others[@]}") ||
        die "no libtorch_cpu.so in $TORCH_LIB ${others[*]}" "set LD_LIBRARY_PATH to the folder of libtorch 2.11"
    local path=$TORCH_LIB
    TORCH_VERSION=$(sed -n "s/^__version__ = '\(.*\)'.*/\1/p" "$CPU_LIB/../version.py" 2>/dev/null)
    [[ ${TORCH_VERSION:-2.11.} == 2.11.* ]] || die "torch $TORCH_VERSION in $CPU_LIB" "the programs need torch 2.11"
    export SGAS_LIBRARY_PATH_BEFORE=${LD_LIBRARY_PATH:-}
    [[ $CPU_LIB == "$TORCH_LIB" ]] || path+=:$CPU_LIB
    for lib in "$CPU_LIB"/../../nvidia/*/lib; do
        [[ -d $lib ]] && path+=:$(realpath "$lib")
    done
    export LD_LIBRARY_PATH=$path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

# build NAME WORD...: the executable that cargo makes of the target of this name; with tests it makes the program too.
build() {
    local name=$1
    shift
    cargo "$@" --message-format=json-render-diagnostics | grep -F "\"name\":\"$name\"" |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1
}

# Everything in the profile of the program, so that libtorch's bindings are compiled once.
build_all() {
    make setup >&2 || exit 1
    SGAS=${SGAS:-$(build sgas build --bin sgas)}
    SGAS_TESTS=${SGAS_TESTS:-$(build it test --test it --no-run)}
    SGAS_ENGINE=${SGAS_ENGINE:-$(build engine test --test engine --no-run)}
    SGAS_CUDA_TESTS=${SGAS_CUDA_TESTS:-$(build cuda test --test cuda --no-run)}
    SGAS_STEPS=${SGAS_STEPS:-$(build steps bench --profile dev --bench steps --no-run)}
}

are_named() {
    [[ -n ${SGAS:-} && -n ${SGAS_TESTS:-} && -n ${SGAS_ENGINE:-} && -n ${SGAS_CUDA_TESTS:-} && -n ${SGAS_STEPS:-} ]]
}

# What a kit that lies in dist/ has and the checkout has not.
unpack_kit() {
    local kit folder
    kit=$(find dist -maxdepth 1 -name 'sgas-*-gpu-kit.tar.xz' 2>/dev/null | sort | tail -1)
    [[ -n $kit ]] || return
    folder=$(mktemp -d)
    "$PYTHON" -m tarfile -e "$kit" "$folder" && mkdir -p target && rm -rf "$PACK" && mv "$folder"/*/"$PACK" "$PACK"
    rm -rf "$folder"
}

# A packed binary may be older than the sources, so cargo comes first.
find_binaries() {
    [[ -n ${SGAS_DIST:-} ]] && SGAS=${SGAS:-$SGAS_DIST/bin/sgas}
    if ! are_named && [[ -e Cargo.toml ]] && command -v cargo >/dev/null; then
        build_all
    elif ! are_named && [[ ! -x $PACK/sgas ]]; then
        unpack_kit
    fi
    : "${SGAS:=$PWD/$PACK/sgas}" "${SGAS_TESTS:=$PWD/$PACK/it}" "${SGAS_ENGINE:=$PWD/$PACK/engine}"
    : "${SGAS_CUDA_TESTS:=$PWD/$PACK/cuda}" "${SGAS_STEPS:=$PWD/$PACK/steps}"
    local binary
    for binary in "$SGAS" "$SGAS_TESTS" "$SGAS_ENGINE" "$SGAS_CUDA_TESTS" "$SGAS_STEPS"; do
        [[ -x $binary ]] || die "no program $binary" "bring the kit of \`make gpu-kit\` from a machine with Rust"
    done
    export SGAS SGAS_TESTS SGAS_ENGINE SGAS_CUDA_TESTS SGAS_STEPS
    # The kit's library for NCCL; the stand-in for CUDA has its own.
    [[ -e $PACK/libsgas_nccl.so ]] && export LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$PWD/$PACK
}

# The programs bare, with what they read, laid out as the checkout is: libtorch is the other machine's own.
pack() {
    build_all
    rm -rf "$PACK"
    mkdir -p "$PACK/golden"
    cp "${SGAS_GOLDEN_DIR:-tests/fixtures/golden}"/*.safetensors "$PACK/golden" || exit 1
    git describe --always --dirty --abbrev=12 >"$PACK/commit"
    cp target/lib/libsgas_nccl.so "$PACK" || exit 1
    "$PYTHON" scripts/dist.py kit "$PACK" sgas="$SGAS" it="$SGAS_TESTS" engine="$SGAS_ENGINE" \
        cuda="$SGAS_CUDA_TESTS" steps="$SGAS_STEPS"
}

# ask SECONDS COMMAND...: what it says first, or that it says nothing.
ask() {
    local said
    said=$(timeout -k 2 "$@" 2>/dev/null | head -1)
    echo "${said:-unknown}"
}

# Of the programs: that of the kit where they are its own, for the checkout beside it may be another.
commit() {
    [[ $SGAS == "$PWD/$PACK/sgas" ]] && cat "$PACK/commit" 2>/dev/null && return
    git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown
}

conditions() {
    printf -- '- date: %s\n' "$(date -u +%FT%TZ)"
    printf -- '- commit: %s\n' "$(commit)"
    printf -- '- GPU: %s\n' "$(ask 10 nvidia-smi --query-gpu=name,memory.total,driver_version,clocks.max.sm,power.limit --format=csv,noheader)"
    printf -- '- CPU: %s, %s cores, %s of memory\n' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)" "$(nproc)" \
        "$(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
    printf -- '- torch: %s (%s)\n' "$TORCH_VERSION" "$TORCH_LIB"
    printf -- '- program: %s\n' "$(ask 60 "$SGAS" --version)"
    printf -- '- real data: %s\n' "$(cd "${SGAS_DATA:-/nowhere}" 2>/dev/null && echo * || echo none)"
}

find_python
while (($#)); do
    case $1 in
    --device) DEVICE=${2:?--device cpu or cuda} && shift ;;
    more) CALL='more' ;;
    pack)
        pack
        exit
        ;;
    -*) die "no option $1" "the head of benches/gpu.sh says what there is" ;;
    *) RESULTS=$1 ;;
    esac
    shift
done
[[ $DEVICE == cpu || $DEVICE == cuda ]] || die "--device $DEVICE" "cpu or cuda"
find_libtorch
find_binaries
[[ -d $PACK/golden ]] && : "${SGAS_GOLDEN_DIR:=$PWD/$PACK/golden}"
export PYTHON SGAS_GOLDEN_DIR=${SGAS_GOLDEN_DIR:-$PWD/tests/fixtures/golden}
SGAS_CONDITIONS=$(conditions)
export SGAS_CONDITIONS
: "${RESULTS:=${OUT:-benches/results}/gpu-$([[ $CALL == more ]] && echo more-)$(date -u +%Y%m%d-%H%M).md}"
exec "$PYTHON" -B benches/gpu_parts.py "$CALL" --report "$RESULTS" --device "$DEVICE" --started "$STARTED"
