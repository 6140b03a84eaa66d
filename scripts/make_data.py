#!/usr/bin/env python3
"""Makes the files of `data/` from their sources; the same sources give the same bytes.

    python scripts/make_data.py --generator make_criteo.py --adult-data adult.data --adult-test adult.test --out data

`make_criteo.py` generates synthetic click data in Criteo's layout (needs numpy), `adult.data` and `adult.test`
are UCI's files, plain or gzipped.
"""
import argparse
import csv
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile

ROWS = {"train": 10_000, "test": 2_500}
SEED = 7
ADULT_COLUMNS = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex "
    "capital-gain capital-loss hours-per-week native-country income"
).split()


def write_gzip(path, content):
    """gzip -9n: no name and no time in the header, so that the bytes depend on the content alone."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(content)


def read(path):
    with open(path, "rb") as file:
        content = file.read()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def make_criteo_sample(generator, out):
    with tempfile.TemporaryDirectory() as folder:
        sizes = [f"--{part}={rows}" for part, rows in ROWS.items()]
        command = [sys.executable, generator, "--out", folder, "--seed", str(SEED), *sizes]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for part in ROWS:
            write_gzip(f"{out}/criteo-sample/{part}.txt.gz", read(f"{folder}/synth.{part}.txt"))
        truth = json.loads(read(f"{folder}/synth.truth.json"))
    for part in ROWS:
        print(f"criteo-sample {part}: {truth[part]}")


def adult_rows(path):
    """UCI's rows without the spaces, the test labels' last dot, the `|` comment, empty lines and `?` (missing)."""
    for line in read(path).decode("ascii").splitlines():
        if line and not line.startswith("|"):
            cells = [cell.strip() for cell in line.split(",")]
            if len(cells) != len(ADULT_COLUMNS):
                raise SystemExit(f"{path}: expected {len(ADULT_COLUMNS)} cells, found `{line}`")
            cells[-1] = cells[-1].removesuffix(".")
            yield ["" if cell == "?" else cell for cell in cells]


def make_adult(sources, out):
    for part, path in sources.items():
        rows = list(adult_rows(path))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([ADULT_COLUMNS, *rows])
        write_gzip(f"{out}/adult/{part}.csv.gz", text.getvalue().encode("ascii"))
        positives = sum(row[-1] == ">50K" for row in rows)
        print(f"adult {part}: {len(rows)} rows, {positives} of them >50K, {sum(row.count('') for row in rows)} missing")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", required=True, help="path of make_criteo.py")
    parser.add_argument("--adult-data", required=True, help="path of UCI's adult.data, or adult.data.gz")
    parser.add_argument("--adult-test", required=True, help="path of UCI's adult.test, or adult.test.gz")
    parser.add_argument("--out", default="data")
    arguments = parser.parse_args()
    make_criteo_sample(arguments.generator, arguments.out)
    make_adult({"train": arguments.adult_data, "test": arguments.adult_test}, arguments.out)


if __name__ == "__main__":
    main()
