#!/usr/bin/env bash
# What searches find in a space with a published table, held against that table.
#
#     benches/regret.sh SET DATA TABLE OUT [SEEDS] [sgas]
#
# SET is cora or citeseer (NAS-Bench-Graph) or cifar10 (NAS-Bench-201, of a size for a processor), DATA its folder, OUT gets
# a run folder for every strategy and seed (1 to SEEDS, 10 by default). Of a set of NAS-Bench-Graph three trainings of the
# published protocol follow, whose seconds say how many trainings a search costs. Runs that are there are not made again;
# the last lines are those of `sgas regret`.
set -euo pipefail
[[ $# -ge 4 ]] || { sed -n '4,9p' "$0" >&2; exit 2; }
set_=$1 data=$2 table=$3 out=$4 seeds=${5:-10} sgas=${6:-target/debug/sgas}
mkdir -p "$out"
case $set_ in
    cifar10) config=cifar10-nas-bench-201-cpu trainings='' ;;
    *) config=nas-bench-graph-$set_ trainings='1 2 3' ;;
esac

search() { # NAME SEED FLAG...
    local run=$out/$1-$2
    [[ -f $run/genotype.json ]] || "$sgas" search -q --config "$config" --data "$data" --threads 1 --seed "$2" --out "$run" "${@:3}" >/dev/null
}

for ((seed = 1; seed <= seeds; seed++)); do
    search sgas1 "$seed"
    search sgas2 "$seed" --criterion 2
    search darts "$seed" --strategy darts
    if [[ $set_ == cifar10 ]]; then
        # As published: without greedy decisions.
        search beta "$seed" --strategy darts --regularizer beta
        search dirichlet "$seed" --strategy darts --mixture dirichlet
    else
        search perturbation "$seed" --selection perturbation
        search beta "$seed" --regularizer beta
        search one-shot "$seed" --strategy one-shot --set search.epochs=40 --set search.steps=1600 --set weights.optimizer=adam --set weights.learning_rate=0.01
    fi
done
for seed in $trainings; do
    run=$out/training-$seed
    [[ -d $run ]] || "$sgas" train -q --config "$config" --genotype "$out/sgas1-$seed" --data "$data" --threads 1 --seed "$seed" --out "$run" >/dev/null
done
words=()
for run in "$out"/{sgas1,sgas2,darts,perturbation,beta,dirichlet,one-shot}-[0-9]*; do
    [[ ! -d $run ]] || words+=("$run")
done
for seed in $trainings; do
    words+=(--training "$out/training-$seed")
done
"$sgas" regret "${words[@]}" --table "$table" --on "$set_"
