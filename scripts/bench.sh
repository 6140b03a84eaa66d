#!/usr/bin/env bash
# Measures how the time of a training step grows with the vocabulary, the batch, the fields, the dim and the threads, and draws a
# curve of each. About 4 GB of memory, five minutes behind the build.
#
# usage: scripts/bench.sh [FOLDER [SECONDS]]   where to (docs/growth), and how long each point is measured (2)
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --bench growth -- "${1:-docs/growth}" "${2:-2}"
