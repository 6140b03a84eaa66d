#!/usr/bin/env python3
"""Makes seven small real data sets ready for configs: a folder each with the train and test file and the validation rows.

    python scripts/real_sets.py --data DATA --splits SPLITS --out OUT [--only NAME ...]

DATA holds a folder a set, as it was found (plain or gzipped); SPLITS the numbers of the training rows that validate,
`NAME.valid.txt`, counted from 0. The same sources give the same bytes. What becomes of each set:

| set | `data.format` | train, test | label | rows |
|---|---|---|---|---|
| criteo-kaggle-10k | criteo | train.txt, test.txt | | 8,000 + 2,000 |
| criteo-deeplight-20k | csv | train.csv, test.csv; test without the lines that stand in train | label | 10,000 + 9,905 |
| avazu-10k | csv | train.csv, test.csv; without `id` | click | 8,999 + 1,000 |
| amazon-employee-access | csv | train.csv, test.csv; the rows and the order of the published index files | ACTION | 26,215 + 6,554 |
| adult-uci | csv | train.csv, test.csv; an empty cell for `?` | income, `positive = ">50K"` | 32,561 + 16,281 |
| adult-arff | arff | train.arff, test.arff (UCI's test rows behind its header) | class, `positive = ">50K"` | 32,561 + 16,281 |
| frappe-valid-test | libsvm | train.libfm (the published validation part), test.libfm | | 57,722 + 28,860 |

Each folder but adult-arff also has `validation.txt`, for `validation = { rows = "OUT/NAME/validation.txt" }`.
"""
import argparse
import csv
import gzip
import io
import os

from make_data import ADULT_COLUMNS, adult_rows

ARFF_DATA = "@DATA\n"
WITHOUT_SPLIT = {"adult-arff"}
CRITEO_COLUMNS = ["label", *(f"I{number}" for number in range(1, 14)), *(f"C{number}" for number in range(1, 27))]


def read(path):
    """The text of a file that may be gzipped, under its name or with `.gz` behind it."""
    path = path if os.path.exists(path) else path + ".gz"
    with open(path, "rb") as file:
        content = file.read()
    return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode("utf-8")


def lines(path):
    return [line for line in read(path).splitlines() if line]


def table(header, rows):
    """CSV text; cells with commas or quotes are quoted."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def criteo_kaggle(folder):
    # a line that ends in a tab has an empty last cell, so nothing is stripped
    return {f"{part}.txt": read(f"{folder}/{part}.txt") for part in ("train", "test")}


def criteo_deeplight(folder):
    train = lines(f"{folder}/tiny_train_input.csv")
    known = set(train)
    test = [line for line in lines(f"{folder}/tiny_test_input.csv") if line not in known]
    header = ",".join(CRITEO_COLUMNS)
    return {f"{part}.csv": "\n".join([header, *rows]) + "\n" for part, rows in (("train", train), ("test", test))}


def avazu(folder):
    train = lines(f"{folder}/train.csv")
    test = [train[0], *lines(f"{folder}/test_noheader.csv")]

    def without_id(rows):
        return "\n".join(row.split(",", 1)[1] for row in rows) + "\n"

    return {"train.csv": without_id(train), "test.csv": without_id(test)}


def amazon(folder):
    header, *rows = lines(f"{folder}/train.csv")

    def part(name):
        indices = [int(line) for line in lines(f"{folder}/stratified_{name}_idx.txt")]
        return "\n".join([header, *(rows[index] for index in indices)]) + "\n"

    return {f"{name}.csv": part(name) for name in ("train", "test")}


def adult(folder):
    def part(name):
        path = f"{folder}/{name}"
        return table(ADULT_COLUMNS, adult_rows(path if os.path.exists(path) else path + ".gz"))

    return {"train.csv": part("adult.data"), "test.csv": part("adult.test")}


def adult_arff(folder):
    train = read(f"{folder}/adult.arff")
    header = train[: train.index(ARFF_DATA) + len(ARFF_DATA)]
    # the first line is a title, and labels end in a dot
    test = [line.removesuffix(".") for line in lines(f"{folder}/../adult-uci/adult.test") if not line.startswith("|")]
    return {"train.arff": train, "test.arff": header + "\n".join(test) + "\n"}


def frappe(folder):
    parts = (("train", "validation"), ("test", "test"))
    return {f"{part}.libfm": "\n".join(lines(f"{folder}/frappe.{name}.libfm")) + "\n" for part, name in parts}


# the function that gives the files, and the rows of train and test
SETS = {
    "criteo-kaggle-10k": (criteo_kaggle, 8_000, 2_000),
    "criteo-deeplight-20k": (criteo_deeplight, 10_000, 9_905),
    "avazu-10k": (avazu, 8_999, 1_000),
    "amazon-employee-access": (amazon, 26_215, 6_554),
    "adult-uci": (adult, 32_561, 16_281),
    "adult-arff": (adult_arff, 32_561, 16_281),
    "frappe-valid-test": (frappe, 57_722, 28_860),
}


def row_count(file, text):
    if file.endswith(".arff"):
        return sum(bool(line) for line in text[text.index(ARFF_DATA) + len(ARFF_DATA) :].splitlines())
    return text.count("\n") - file.endswith(".csv")


def make(name, data, splits, out):
    files_of, *expected = SETS[name]
    files = files_of(f"{data}/{name}")
    found = [row_count(file, text) for file, text in files.items()]
    if found != expected:
        raise SystemExit(f"{name}: expected {expected} rows, found {found}")
    validation = [] if name in WITHOUT_SPLIT else [int(line) for line in lines(f"{splits}/{name}.valid.txt")]
    if validation and max(validation) >= expected[0] or len(set(validation)) != len(validation):
        raise SystemExit(f"{name}: expected distinct row numbers below {expected[0]} in {splits}/{name}.valid.txt")
    if validation:
        files["validation.txt"] = "".join(f"{number}\n" for number in validation)
    os.makedirs(f"{out}/{name}", exist_ok=True)
    for file, text in files.items():
        with open(f"{out}/{name}/{file}", "w", encoding="utf-8", newline="") as output:
            output.write(text)
    print(f"{name}: {expected[0]} train rows, {len(validation)} of them for validation; {expected[1]} test rows")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder that holds a folder a set")
    parser.add_argument("--splits", required=True, help="the folder of the validation rows' numbers")
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), metavar="NAME")
    arguments = parser.parse_args()
    for name in arguments.only:
        make(name, arguments.data, arguments.splits, arguments.out)


if __name__ == "__main__":
    main()
