#!/bin/bash
# Runs a sweep as an array job of Slurm, with one task for each line of the plan, in any order.
#
#   cargo build --release --example sweep
#   target/release/examples/sweep plan --batch-sizes 4,32,256 --seeds 1,2,3 > plan.jsonl
#   sbatch --array=0-$(($(wc -l < plan.jsonl) - 1)) examples/cluster/slurm.sh
#   target/release/examples/sweep merge --plan plan.jsonl --results results.jsonl
#
# To continue runs that were killed, timed out or failed, submit the same command again. Finished
# runs are not repeated. The folder of the runs must be on a disk that all nodes share. Otherwise
# give `merge` the folder of each node with --out.
#SBATCH --job-name=heavytail
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=01:00:00
#SBATCH --requeue
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail
export RAYON_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
# The sweep reads its index from SLURM_ARRAY_TASK_ID.
exec "${SWEEP:-target/release/examples/sweep}" run --plan "${PLAN:-plan.jsonl}" --out "${RUNS:-runs/sweep}"
