#!/usr/bin/env python3
"""Measures how many rows a second FuxiCTR trains a model on a CPU, and the memory that takes; prints one line of JSON.

    python fuxictr_rate.py --work DIR --model NAME [--seconds S] [--steps N] [--warm-up N] [--batch N] [--dim N]
                           [--mlp N,N,N] [--embedding-regularizer R] [--threads N]

DIR holds `ids.train.npy`, `y.train.npy` and `meta.json`, as `encode.py` leaves them.

What is FuxiCTR's own, of the package as it is installed: `BaseModel` with its training step (Adam at 1e-3, binary
cross entropy, embedding regularizer, gradients clipped to a norm of 10, the loss read back at every step as its
`train_epoch` does), `FeatureMap`, `FeatureEmbedding` (one dense table a field), and every block of a model. The package
on PyPI lacks the model_zoo with the models themselves, so the blocks are put together here in the way of its classes:

| model | logit |
|---|---|
| FM | FactorizationMachine |
| DeepFM | FactorizationMachine + MLP_Block |
| DCNv2 | a linear layer over CrossNetV2 (2 layers) beside MLP_Block, "parallel" |
| NFM | LogisticRegression + MLP_Block of InnerProductInteraction's pooled products |
| AFM | LogisticRegression + attention of 16 over InnerProductInteraction's elementwise products |
| xDeepFM | LogisticRegression + CompressedInteractionNet ([32, 32]) + MLP_Block |

Numbers of layers and units are those of secn's configs/criteo; no dropout, no batch norm. The regularizer is 0 by
default, as in the templates of the model_zoo's configs; another one costs a pass over all tables at every step.

What is not FuxiCTR's: rows are cut from one array in memory, shuffled. Its own loader of .npz hands out the same
batches from a process of its own, which takes a share of the cores from training. Neither loading nor the first steps
are in the rate, which is that of the median step; cutting a batch is. Nothing else is left out, and nothing is
compiled, fused or made sparse.

PyTorch's threads wait for each other busily, so a process beside them costs far more than its share: FM fell from
50,000 to 1,500 rows a second. `others_cores` says how many cores anything else took during the measured steps (Linux).
"""

import argparse
import importlib.metadata
import itertools
import json
import os
import resource
import statistics
import sys
import time

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import (
    CompressedInteractionNet,
    CrossNetV2,
    FactorizationMachine,
    FeatureEmbedding,
    InnerProductInteraction,
    LogisticRegression,
    MLP_Block,
)
from fuxictr.pytorch.models import BaseModel
from fuxictr.pytorch.torch_utils import seed_everything
from torch import nn

LABEL = "label"
CROSS_LAYERS = 2
ATTENTION_DIM = 16
CIN_UNITS = [32, 32]
MAX_GRADIENT_NORM = 10.0  # the default of `BaseModel.fit`


class DeepFM(nn.Module):
    def __init__(self, feature_map, units):
        super().__init__()
        self.fm = FactorizationMachine(feature_map)
        self.mlp = MLP_Block(feature_map.sum_emb_out_dim(), units, output_dim=1)

    def forward(self, inputs, vectors):
        return self.fm(inputs, vectors) + self.mlp(vectors.flatten(start_dim=1))


class DCNv2(nn.Module):
    def __init__(self, feature_map, units):
        super().__init__()
        width = feature_map.sum_emb_out_dim()
        self.cross = CrossNetV2(width, CROSS_LAYERS)
        self.mlp = MLP_Block(width, units)
        self.head = nn.Linear(width + units[-1], 1)

    def forward(self, _, vectors):
        flat = vectors.flatten(start_dim=1)
        return self.head(torch.cat([self.cross(flat), self.mlp(flat)], dim=-1))


class NFM(nn.Module):
    def __init__(self, feature_map, units):
        super().__init__()
        self.linear = LogisticRegression(feature_map, use_bias=False)
        self.pooled = InnerProductInteraction(feature_map.num_fields, output="bi_interaction")
        self.mlp = MLP_Block(feature_map.default_emb_dim, units, output_dim=1)

    def forward(self, inputs, vectors):
        return self.linear(inputs) + self.mlp(self.pooled(vectors))


class AFM(nn.Module):
    def __init__(self, feature_map):
        super().__init__()
        dim = feature_map.default_emb_dim
        self.linear = LogisticRegression(feature_map)
        self.products = InnerProductInteraction(feature_map.num_fields, output="elementwise_product")
        hidden, score = nn.Linear(dim, ATTENTION_DIM), nn.Linear(ATTENTION_DIM, 1, bias=False)
        self.attention = nn.Sequential(hidden, nn.ReLU(), score, nn.Softmax(dim=1))
        self.head = nn.Linear(dim, 1, bias=False)

    def forward(self, inputs, vectors):
        products = self.products(vectors)
        return self.linear(inputs) + self.head((self.attention(products) * products).sum(dim=1))


class XDeepFM(nn.Module):
    def __init__(self, feature_map, units):
        super().__init__()
        self.linear = LogisticRegression(feature_map, use_bias=False)
        self.cin = CompressedInteractionNet(feature_map.num_fields, CIN_UNITS)
        self.mlp = MLP_Block(feature_map.sum_emb_out_dim(), units, output_dim=1)

    def forward(self, inputs, vectors):
        return self.linear(inputs) + self.cin(vectors) + self.mlp(vectors.flatten(start_dim=1))


WITH_MLP = {"DeepFM": DeepFM, "DCNv2": DCNv2, "NFM": NFM, "xDeepFM": XDeepFM}
WITHOUT_MLP = {"FM": FactorizationMachine, "AFM": AFM}


class Model(BaseModel):
    """The embedding and a network on top of it, as a model of the model_zoo is made."""

    def __init__(self, feature_map, network, regularizer):
        super().__init__(feature_map, embedding_regularizer=regularizer, verbose=0, model_root="", metrics=[])
        self.embedding_layer = FeatureEmbedding(feature_map, feature_map.default_emb_dim)
        self.network = network
        self.compile("adam", "binary_crossentropy", 1e-3)
        self.reset_parameters()
        self.model_to_device()
        self._max_gradient_norm = MAX_GRADIENT_NORM

    def forward(self, inputs):
        fields = self.get_inputs(inputs)
        return {"y_pred": self.output_activation(self.network(fields, self.embedding_layer(fields)))}


def describe(sizes, dim):
    """FuxiCTR's description of categorical fields with vocabularies of `sizes`."""
    feature_map = FeatureMap("criteo", "")
    for number, size in enumerate(sizes, start=1):
        feature_map.features[f"field{number}"] = {"type": "categorical", "source": "", "vocab_size": size}
    feature_map.labels = [LABEL]
    feature_map.num_fields = feature_map.get_num_fields()
    feature_map.default_emb_dim = dim
    feature_map.set_column_index()
    return feature_map


def load(work, sizes):
    """`[rows, fields + 1]`: ids that count from 0 in each field, then the label; the layout of FuxiCTR's loaders."""
    ids = np.load(f"{work}/ids.train.npy", mmap_mode="r")
    rows, fields = ids.shape
    table = np.empty((rows, fields + 1), np.int32)
    np.subtract(ids, np.cumsum([0, *sizes[:-1]]), out=table[:, :fields], casting="same_kind")
    table[:, fields] = np.load(f"{work}/y.train.npy")
    return torch.from_numpy(table)


def batches(table, columns, size):
    """Epoch after epoch without an end, each in an order of its own."""
    while True:
        for rows in torch.randperm(len(table)).split(size):
            batch = table[rows]
            yield {name: batch[:, column] for name, column in columns.items()}


def busy_seconds():
    """The time that all cores together have spent on anything but this process, since the machine started."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - time.process_time()


def measure(model, feed, seconds, steps):
    """Trains `steps`, or as many as begin within `seconds`: the rows and the seconds of each."""
    measured = []
    before = start = time.perf_counter()
    while len(measured) < steps if steps else before - start < seconds:
        batch = next(feed)
        model.train_step(batch).item()
        now = time.perf_counter()
        measured.append((len(batch[LABEL]), now - before))
        before = now
    return measured


def arguments():
    parser = argparse.ArgumentParser(description="Measures how many rows a second FuxiCTR trains.")
    parser.add_argument("--work", required=True, help="the folder of encoded rows")
    parser.add_argument("--model", required=True, choices=[*WITHOUT_MLP, *WITH_MLP])
    parser.add_argument("--seconds", type=float, default=15, help="how long the measured steps take (default 15)")
    parser.add_argument("--steps", type=int, default=0, help="measure so many steps, however long they take")
    parser.add_argument("--warm-up", type=int, default=3, help="steps that aren't measured (default 3)")
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--mlp", default="400,400,400", help="units of the hidden layers (default 400,400,400)")
    parser.add_argument("--embedding-regularizer", type=float, default=0.0, help="FuxiCTR's L2 (default 0)")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main():
    options = arguments()
    if not os.path.exists(f"{options.work}/meta.json"):
        sys.exit(f"--work: expected the folder in which encode.py left meta.json, found `{options.work}`")
    with open(f"{options.work}/meta.json") as file:
        sizes = json.load(file)["sizes"]
    torch.set_num_threads(options.threads)
    seed_everything(1)
    table = load(options.work, sizes)
    feature_map = describe(sizes, options.dim)
    if options.model in WITH_MLP:
        network = WITH_MLP[options.model](feature_map, [int(units) for units in options.mlp.split(",")])
    else:
        network = WITHOUT_MLP[options.model](feature_map)
    model = Model(feature_map, network, options.embedding_regularizer)
    model.train()
    feed = batches(table, feature_map.column_index, options.batch)
    for batch in itertools.islice(feed, options.warm_up):
        model.train_step(batch).item()
    others = busy_seconds()
    measured = measure(model, feed, options.seconds, options.steps)
    others = busy_seconds() - others
    seconds = sum(duration for _, duration in measured)
    result = {
        "peer": f"fuxictr {importlib.metadata.version('fuxictr')}, torch {torch.__version__}",
        "model": options.model,
        "batch": options.batch,
        "threads": options.threads,
        "parameters": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        "steps": len(measured),
        "rows": sum(rows for rows, _ in measured),
        "seconds": round(seconds, 2),
        "rows_s": round(statistics.median(rows / duration for rows, duration in measured)),
        "others_cores": round(max(0.0, others / seconds), 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
