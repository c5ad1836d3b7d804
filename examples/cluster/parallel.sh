#!/bin/bash
# Runs a sweep on one machine with GNU parallel, one run on each core. A killed sweep continues when
# it is started again.
#
#   target/release/examples/sweep plan --batch-sizes 4,32,256 --seeds 1,2,3 > plan.jsonl
#   examples/cluster/parallel.sh
#
# With --sshlogin the sweep uses several machines that share the folder of the runs.
set -euo pipefail
export RAYON_NUM_THREADS=1
plan=${PLAN:-plan.jsonl}
seq 0 $(($(wc -l < "$plan") - 1)) |
  parallel --bar "${SWEEP:-target/release/examples/sweep}" run --plan "$plan" --out "${RUNS:-runs/sweep}" --index {} '>' /dev/null
