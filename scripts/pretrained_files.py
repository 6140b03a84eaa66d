#!/usr/bin/env python3
"""Writes tests/golden/vectors: the same four vectors as NumPy, safetensors and PyArrow save them. Needs these three packages."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).parent.parent / "tests" / "golden" / "vectors"
VECTORS = np.arange(12, dtype=np.float64).reshape(4, 3) / 8 - 0.5
TEXTS = ["a", "bä", "1.0", "c"]
NUMBERS = np.array([7, -1, 1, 300])


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(FOLDER / "text-f32-compressed.npz", key=np.array(TEXTS), value=VECTORS.astype(np.float32))
    np.savez(FOLDER / "int64-f64-fortran.npz", key=NUMBERS, value=np.asfortranarray(VECTORS))
    np.savez(FOLDER / "bytes-f16.npz", key=np.array([b"a", b"xyz", b"1.50", b"c"]), value=VECTORS.astype(np.float16))
    np.savez(FOLDER / "float-f32.npz", key=np.array([1.0, 2.5, -3.0, 0.0]), value=VECTORS.astype(np.float32))
    np.savez(FOLDER / "objects.npz", key=np.array(TEXTS, dtype=object), value=VECTORS)
    save_file({"key": NUMBERS, "value": VECTORS.astype(np.float16)}, FOLDER / "int64-f16.safetensors")
    padded = np.zeros((4, 3), np.uint8)
    for row, text in zip(padded, TEXTS):
        row[: len(text.encode())] = list(text.encode())
    save_file({"key": padded, "value": VECTORS}, FOLDER / "bytes-f64.safetensors")
    lists = VECTORS.tolist()
    pq.write_table(pa.table({"key": TEXTS, "value": pa.array(lists)}), FOLDER / "text-list.parquet")
    fixed = pa.array(lists, pa.list_(pa.float32(), 3))
    pq.write_table(pa.table({"key": NUMBERS, "value": fixed, "other": [1, 2, 3, 4]}), FOLDER / "int64-fixed.parquet")


if __name__ == "__main__":
    main()
