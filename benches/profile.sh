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
    printf '%s\n' \
        "- machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, load average $(cut -d' ' -f1 /proc/loadavg) at the start" \
        "- commit $(git describe --always --dirty --abbrev=12), $(date -u '+%Y-%m-%d %H:%M') UTC: \`make bench-profile\`, one thread"
    printf '\n%s\n%s\n%s\n\n' \
        'Calls and own milliseconds of every operator per step, without what it called. What has neither `aten::` nor' \
        '`Backward` in its name is a kernel of the bridge. To' \
        'profile costs about a microsecond a call, which the step is longer by. Read the shares on a busy machine.'
    for shape in "$@"; do
        cargo bench --quiet --profile dev --bench steps -- "$shape" --profile --threads 1 --repeats 10
    done
} >"$PART"
chmod 644 "$PART"
mv "$PART" "$RESULTS"
printf 'written to %s\n' "$RESULTS"
