#!/bin/bash
# A sweep as an array job of Slurm: one task a line of the plan, in whatever order.
#
#   cargo build --release --example sweep
#   target/release/examples/sweep plan --batch-sizes 4,32,256 --seeds 1,2,3 > plan.jsonl
#   sbatch --array=0-$(($(wc -l < plan.jsonl) - 1)) examples/cluster/slurm.sh
#   target/release/examples/sweep merge --plan plan.jsonl --results results.jsonl
#
# Submit the same line again to go on with what was killed, timed out or failed; what is done is left alone.
# The folder of the runs must be on a disk that all nodes share, or merge is given each node's with --out.
#SBATCH --job-name=heavytail
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=01:00:00
#SBATCH --requeue
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail
export RAYON_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
# The index is SLURM_ARRAY_TASK_ID.
exec "${SWEEP:-target/release/examples/sweep}" run --plan "${PLAN:-plan.jsonl}" --out "${RUNS:-runs/sweep}"
