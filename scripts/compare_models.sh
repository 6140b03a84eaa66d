#!/usr/bin/env bash
# Trains models with FuxiCTR and with secn, by turns on the same rows, both with Adam and the same layers, and prints the ratio of
# each pair and its spread. FuxiCTR trains for a while (scripts/peers/fuxictr_rate.py says what of it), secn for an epoch. PyTorch's
# threads wait for each other busily: whatever runs beside them slows them down far more than secn, so such rounds don't count.
#
# usage: scripts/compare_models.sh --bench DIR [--work DIR] [--rounds N] [--threads N] [--batch N] [--mlp N,N,N] [--seconds N] MODEL…
#   MODEL      fm, deepfm, dcnv2, nfm, afm or xdeepfm
#   --bench    the folder of encode.py, common.py, make_criteo.py and requirements.txt
#   --work     where rows, encoded data and the virtual environment are kept (default target/peers); some GB
#   --mlp      units of the hidden layers of both (default 400,400,400)
#   --seconds  how long FuxiCTR's steps are measured in each round (default 15)
# SECN_BINARY  the binary to measure, instead of building target/release/secn
set -euo pipefail
shopt -s inherit_errexit

bench="" work=target/peers rounds=5 threads=2 batch=4096 mlp=400,400,400 seconds=15 models=()
while [ $# -gt 0 ]; do
  case $1 in
    --bench | --work | --rounds | --threads | --batch | --mlp | --seconds)
      [ $# -ge 2 ] || { echo "$1: expected a value, found the end of the line" >&2; exit 2; }
      declare "${1#--}=$2"
      shift 2
      ;;
    fm | deepfm | dcnv2 | nfm | afm | xdeepfm) models+=("$1"); shift ;;
    *)
      echo "expected --bench, --work, --rounds, --threads, --batch, --mlp, --seconds," \
        "or fm, deepfm, dcnv2, nfm, afm or xdeepfm, found $1" >&2
      exit 2
      ;;
  esac
done
[ -f "$bench/encode.py" ] || { echo "--bench: expected the folder of encode.py, found \`$bench\`" >&2; exit 2; }
[ ${#models[@]} -gt 0 ] || { echo "expected fm, deepfm, dcnv2, nfm, afm or xdeepfm, found the end of the line" >&2; exit 2; }
bench=$(realpath "$bench")
mkdir -p "$work"
work=$(realpath "$work")
secn=${SECN_BINARY:-}
if [ -n "$secn" ]; then
  [ -x "$secn" ] || { echo "SECN_BINARY: expected a binary, found \`$secn\`" >&2; exit 2; }
  secn=$(realpath "$secn")
fi
cd "$(dirname "$0")/.."

if [ -z "$secn" ]; then
  cargo build --release
  secn=target/release/secn
fi
[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --requirement "$bench/requirements.txt" fuxictr==2.3.10
python=$work/venv/bin/python
[ -f "$work/rows/synth.test.txt" ] || "$python" "$bench/make_criteo.py" --out "$work/rows"
train=$work/rows/synth.train.txt test=$work/rows/synth.test.txt

# FuxiCTR's name of a model
name_of() {
  case $1 in
    fm | nfm | afm) echo "${1^^}" ;;
    deepfm) echo DeepFM ;;
    dcnv2) echo DCNv2 ;;
    xdeepfm) echo xDeepFM ;;
  esac
}
peer() {
  "$python" scripts/peers/fuxictr_rate.py --work "$work" --model "$(name_of "$1")" --seconds "$seconds" --batch "$batch" \
    --mlp "$mlp" --threads "$threads" >"$work/fuxictr.json"
  "$python" -c 'import json, sys
result = json.load(open(sys.argv[1]))
print(result["rows_s"], result["peak_rss_mb"], result["others_cores"])' "$work/fuxictr.json"
}
# a command of secn on the rows; its messages go to a file, of which the end is shown should it fail
own() {
  "$secn" "$1" --config "configs/criteo/$2.toml" --threads "$threads" --json --set data.train="[\"$train\"]" \
    --set data.test="[\"$test\"]" --set data.validation=none --set data.cache="$work/cache" --set training.batch_size="$batch" \
    --set embedding.optimizer=adam --set embedding.learning_rate=1e-3 "${@:3}" >"$work/own.json" 2>"$work/own.log" || {
    tail -n 5 "$work/own.log" >&2
    return 1
  }
}
own_rate() {
  local layers=()
  case $1 in deepfm | dcnv2 | nfm | xdeepfm) layers=(--set "model.$1.mlp=[$mlp]") ;; esac
  rm -rf "$work/run"
  own train "$1" --device cpu --run "$work/run" "${layers[@]}"
  "$python" -c 'import json, sys
result = json.load(open(sys.argv[1]))
print(round(result["epochs"][0]["rows_per_second"]), round(result["peak_memory_bytes"] / 1e6))' "$work/own.json"
}

echo "encoding for both" >&2
[ "$work/meta.json" -nt "$train" ] || "$python" "$bench/encode.py" --train "$train" --test "$test" --work "$work" >&2
own prepare "${models[0]}"
printf '%8s  %5s  %16s  %12s  %14s  %10s  %s\n' model round 'FuxiCTR rows/s' 'peak MB' 'secn rows/s' 'peak MB' ratio
for model in "${models[@]}"; do
  : >"$work/ratios.txt"
  for round in $(seq "$rounds"); do
    measured=$(peer "$model")
    read -r peer_rate peer_mb others <<<"$measured"
    measured=$(own_rate "$model")
    read -r own_rate own_mb <<<"$measured"
    ratio=$(awk "BEGIN { printf \"%.2f\", $own_rate / $peer_rate }")
    disturbed=$(awk "BEGIN { if ($others > 0.1) print \"  disturbed: others took $others cores beside FuxiCTR\" }")
    [ -n "$disturbed" ] || echo "$ratio" >>"$work/ratios.txt"
    printf '%8s  %5s  %16s  %12s  %14s  %10s  %s%s\n' "$model" "$round" "$peer_rate" "$peer_mb" "$own_rate" "$own_mb" "$ratio" \
      "$disturbed"
  done
  sort -n "$work/ratios.txt" | awk -v model="$model" -v rounds="$rounds" '{ ratio[NR] = $1 } END {
    if (!NR) { printf "%8s  ratio: none, all of %d rounds were disturbed\n", model, rounds; exit }
    middle = NR % 2 ? ratio[(NR + 1) / 2] : (ratio[NR / 2] + ratio[NR / 2 + 1]) / 2
    printf "%8s  ratio: median %.2f, from %.2f to %.2f in %d of %d rounds\n", model, middle, ratio[1], ratio[NR], NR, rounds }'
done
