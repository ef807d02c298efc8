#!/usr/bin/env bash
# Where the time of whole steps goes, by operator: writes benches/results/profile.md.
#
#   benches/profile.sh SHAPE...    names of benches/shapes.json
#
# With one thread, because then an operator's time is its work: with more, waking and waiting come into it, most of
# it on a machine that does something else besides.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RESULTS=benches/results/profile.md
PART=$(mktemp "$RESULTS.XXXXXX")
trap 'rm -f "$PART"' EXIT
{
    printf '# Where the time of a step goes\n'
    printf '`make bench-profile` on %s, %s cores, one thread; commit %s, %s UTC. ' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" \
        "$(git describe --always --dirty --abbrev=12)" "$(date -u '+%Y-%m-%d %H:%M')"
    printf 'Own time of every operator, without what it called, and calls, per step; `gather_max` and others without\n'
    printf '`aten::` are the kernels of the bridge. To profile costs about a microsecond a call, which the step is longer by.\n\n'
    for shape in "$@"; do
        cargo bench --quiet --profile dev --bench steps -- "$shape" --profile --threads 1 --repeats 10
    done
} >"$PART"
chmod 644 "$PART"
mv "$PART" "$RESULTS"
printf 'written to %s\n' "$RESULTS"
