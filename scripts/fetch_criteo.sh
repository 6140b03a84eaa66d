#!/usr/bin/env bash
# Fetches Criteo's Kaggle display advertising data (4.3 GB packed) into data/criteo/train.txt and checks it.
#
# Terms: Criteo publishes the data for research under CC BY-NC-SA 4.0, see https://ailab.criteo.com/ressources/ .
# It may not be used commercially, and what is made of it must be shared under the same terms.
set -euo pipefail
cd "$(dirname "$0")/.."

url="${CRITEO_URL:-https://go.criteo.net/criteo-research-kaggle-display-advertising-challenge-dataset.tar.gz}"
rows=45840617
target=data/criteo

mkdir -p "$target"
echo "Criteo's data comes under CC BY-NC-SA 4.0: research only, no commercial use." >&2
curl --fail --location --continue-at - --output "$target/criteo.tar.gz" "$url"
gzip --test "$target/criteo.tar.gz" || { echo "error: $target/criteo.tar.gz is damaged: remove it and run this again" >&2; exit 1; }
tar --extract --gzip --file "$target/criteo.tar.gz" --directory "$target" train.txt

found=$(wc -l < "$target/train.txt")
columns=$(head -n 1 "$target/train.txt" | awk -F '\t' '{ print NF }')
if [ "$found" -ne "$rows" ] || [ "$columns" -ne 40 ]; then
  echo "error: $target/train.txt: expected $rows rows of 40 columns, found $found of $columns" >&2
  exit 1
fi
echo "$target/train.txt is whole: $rows rows. Train with: secn train --config configs/criteo/secn.toml" >&2
