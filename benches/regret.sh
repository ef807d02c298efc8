#!/usr/bin/env bash
# What searches find in the space of NAS-Bench-Graph, held against its table.
#
#     benches/regret.sh SET DATA TABLE OUT [SEEDS] [sgas]
#
# SET is cora or citeseer, DATA its folder, OUT gets a run folder for every strategy and seed (1 to SEEDS, 10 by default)
# and three trainings of the published protocol, whose seconds say how many trainings a search costs. Runs that are there
# are not made again; the last lines are those of `sgas regret`.
set -euo pipefail
[[ $# -ge 4 ]] || { sed -n '4,8p' "$0" >&2; exit 2; }
set_=$1 data=$2 table=$3 out=$4 seeds=${5:-10} sgas=${6:-target/debug/sgas}
mkdir -p "$out"

search() { # NAME SEED FLAG...
    local run=$out/$1-$2
    [[ -f $run/genotype.json ]] || "$sgas" search -q --config "nas-bench-graph-$set_" --data "$data" --threads 1 --seed "$2" --out "$run" "${@:3}" >/dev/null
}

for ((seed = 1; seed <= seeds; seed++)); do
    search sgas1 "$seed"
    search sgas2 "$seed" --criterion 2
    search perturbation "$seed" --selection perturbation
    search beta "$seed" --regularizer beta
    search darts "$seed" --strategy darts
    search one-shot "$seed" --strategy one-shot --set search.epochs=40 --set search.steps=1600 --set weights.optimizer=adam --set weights.learning_rate=0.01
done
for seed in 1 2 3; do
    run=$out/training-$seed
    [[ -d $run ]] || "$sgas" train -q --config "nas-bench-graph-$set_" --genotype "$out/sgas1-$seed" --data "$data" --threads 1 --seed "$seed" --out "$run" >/dev/null
done
"$sgas" regret "$out"/{sgas1,sgas2,perturbation,beta,darts,one-shot}-* --table "$table" --on "$set_" --training "$out"/training-*
