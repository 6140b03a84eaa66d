#!/usr/bin/env bash
# Trains SECN in the form of its paper with PyTorch and with secn, by turns on the same rows, and prints the ratio of each pair
# and its spread, so that the machine's changes from hour to hour fall on both. It wants an idle machine: PyTorch's threads wait for
# each other busily and lose far more beside other work.
#
# usage: scripts/compare_peers.sh --bench DIR [--work DIR] [--rounds N] [--threads N] [--batch N] [--compile]
#   --bench    the folder of secn_torch.py, encode.py, common.py, make_criteo.py and requirements.txt
#   --work     where rows, encoded data and the virtual environment are kept (default target/peers); some GB
#   --compile  PyTorch with torch.compile
set -euo pipefail

bench="" work=target/peers rounds=5 threads=2 batch=4096 compile=()
while [ $# -gt 0 ]; do
  case $1 in
    --bench | --work | --rounds | --threads | --batch)
      [ $# -ge 2 ] || { echo "$1: expected a value, found the end of the line" >&2; exit 2; }
      declare "${1#--}=$2"
      shift 2
      ;;
    --compile) compile=(--compile); shift ;;
    *) echo "expected --bench, --work, --rounds, --threads, --batch or --compile, found $1" >&2; exit 2 ;;
  esac
done
[ -f "$bench/secn_torch.py" ] || { echo "--bench: expected the folder of secn_torch.py, found \`$bench\`" >&2; exit 2; }
bench=$(realpath "$bench")
mkdir -p "$work"
work=$(realpath "$work")
cd "$(dirname "$0")/.."

cargo build --release
[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --requirement "$bench/requirements.txt"
python=$work/venv/bin/python
[ -f "$work/rows/synth.test.txt" ] || "$python" "$bench/make_criteo.py" --out "$work/rows"
train=$work/rows/synth.train.txt test=$work/rows/synth.test.txt

# secn's own kernel choice and PyTorch's see the same number of threads
peer() {
  "$python" "$bench/secn_torch.py" --train "$train" --test "$test" --work "$work" --variant dense --fused "${compile[@]}" \
    --batch "$batch" --threads "$threads" "$@" --out "$work/peer.jsonl" >&2
  "$python" -c 'import json, sys
result = json.loads(open(sys.argv[1]).readlines()[-1])
print(result["epochs"][0]["rows_s"], result["peak_rss_mb"])' "$work/peer.jsonl"
}
own() {
  rm -rf "$work/run"
  target/release/secn train --config configs/criteo/secn-paper.toml --device cpu --threads "$threads" --run "$work/run" --json \
    --set data.train="[\"$train\"]" --set data.test="[\"$test\"]" --set data.validation=none --set data.cache="$work/cache" \
    --set training.batch_size="$batch" --set embedding.optimizer=adam --set embedding.learning_rate=1e-3 >"$work/own.json" 2>>"$work/own.log"
  "$python" -c 'import json, sys
result = json.load(open(sys.argv[1]))
print(round(result["epochs"][0]["rows_per_second"]), round(result["peak_memory_bytes"] / 1e6))' "$work/own.json"
}

echo "encoding for both" >&2
peer --max-steps 20 >/dev/null
own >/dev/null
: >"$work/ratios.txt"
printf '%5s  %16s  %12s  %14s  %10s  %s\n' round 'PyTorch rows/s' 'peak MB' 'secn rows/s' 'peak MB' ratio
for round in $(seq "$rounds"); do
  read -r peer_rate peer_mb < <(peer --cached)
  read -r own_rate own_mb < <(own)
  ratio=$(awk "BEGIN { printf \"%.2f\", $own_rate / $peer_rate }")
  echo "$ratio" >>"$work/ratios.txt"
  printf '%5s  %16s  %12s  %14s  %10s  %s\n' "$round" "$peer_rate" "$peer_mb" "$own_rate" "$own_mb" "$ratio"
done
sort -n "$work/ratios.txt" | awk '{ ratio[NR] = $1 } END {
  middle = NR % 2 ? ratio[(NR + 1) / 2] : (ratio[NR / 2] + ratio[NR / 2 + 1]) / 2
  printf "ratio: median %.2f, from %.2f to %.2f in %d rounds\n", middle, ratio[1], ratio[NR], NR }'
