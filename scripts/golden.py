#!/usr/bin/env python3
"""Writes the golden files of `tests/golden`: the models once more, in PyTorch, from the papers' equations alone.

    python scripts/golden.py --out tests/golden        needs torch (CPU) and numpy; takes about a minute
    python scripts/golden.py --only dcnv               only the cases whose names start so

A case holds weights, inputs, logits, loss (mean logloss), the gradient of that loss by every weight, and ten optimizer
steps; `golden_models.py` has the equations and the optimizers' rules, `golden_loops.py` the newer equations once more,
`golden_shapes.py` the weights' names and sizes. DCNv3's gradients and steps are those of its own sum of losses, while
its `loss` and `losses` are the logloss; those of SECN's members are of the sum of their losses, divided by their number
for the first-order weights, which all of them share. A case with batch norm is in training mode; it also holds the
running statistics after the ten steps, and the first batch's logits then, in evaluation mode.

Weights are exact `f32` numbers; everything computed from them is computed in `f64`. The same case is computed in `f32`
as well and must agree (`float32_error` keeps by how much); a draw is thrown away where it doesn't, where a ReLU's input
lies within 1e-4 of zero in any step, or where a layer's ReLUs are nearly all on or all off.
"""
import argparse
import itertools
import json
import os

import numpy as np
import torch
from torch.nn import functional

from golden_models import (
    MODELS,
    BatchNorm,
    check_formulas,
    check_models,
    check_optimizers,
    decay,
    make_sparse,
    recorder,
    table_optimizer,
    tri_bce,
)
from golden_shapes import table_width, weight_shapes

SEED = 2019
BATCH = 6
STEPS = 10
DENSE_RATES = {"adam": 1e-2, "sgd": 0.1}
TABLE_RATES = {"adagrad": 0.05, "adam": 0.01, "dense-adam": 0.01, "sgd": 0.1, "ftrl": 0.1}
MARGIN = 1e-4  # no ReLU's input is nearer to zero, in any of the ten steps
FLOAT32_ERROR = 1.05e-6  # what f32 may differ from f64, relative to max(1, |value|)
NO_LINEAR = ("dcnv2", "autoint", "masknet", "finalmlp", "gdcn", "dcnv3")


# ---- one case


class Run:
    """A case's weights in one precision, its logits, gradients and steps."""

    def __init__(self, case, draw, dtype):
        self.case, self.dtype = case, dtype
        leaf = lambda array: torch.tensor(array, dtype=dtype, requires_grad=True)
        self.tables = {name: leaf(draw[name]) for name in ("vectors", "linear") if draw[name] is not None}
        self.weights = {name: leaf(array) for name, array in draw["weights"].items()}
        self.relu_inputs = []
        self.norm = BatchNorm()

    def forward(self, batch):
        ids = torch.tensor(batch["ids"])
        x, w = (self.tables[name][ids] if name in self.tables else None for name in ("vectors", "linear"))
        if batch["values"] is not None:
            values = torch.tensor(batch["values"], dtype=self.dtype)
            x, w = None if x is None else x * values[:, :, None], None if w is None else w * values
        self.relu_inputs.append([])
        relu = recorder(self.relu_inputs[-1])
        logits = MODELS[self.case["model"]](self.case["config"], self.weights, x, w, relu, self.norm)
        logits, *branches = logits if isinstance(logits, tuple) else (logits,)
        labels = torch.tensor(batch["labels"], dtype=self.dtype)
        loss, *losses = (functional.binary_cross_entropy_with_logits(each, labels) for each in (logits, *branches))
        if self.case["config"].get("members", 1) > 1:
            return logits, loss, sum(losses)
        return logits, loss, tri_bce(loss, losses)

    def gradients(self, objective):
        """Of all weights, by name."""
        parameters = self.tables | self.weights
        gradients = dict(zip(parameters, torch.autograd.grad(objective, parameters.values())))
        if "linear" in gradients:
            gradients["linear"] = gradients["linear"] / self.case["config"].get("members", 1)
        return gradients

    def compute(self, batches):
        parameters = self.tables | self.weights
        logits, loss, objective = self.forward(batches[0])
        gradients = self.gradients(objective)
        self.norm = BatchNorm()  # the running statistics are those of the steps alone
        result = {"logits": logits, "loss": loss, "gradients": gradients, "losses": []}
        name, l2 = self.case["table_optimizer"], self.case["table_l2"]
        start = self.case.get("initial_accumulator", 0.0) / BATCH**2
        rate, weight_decay = TABLE_RATES[name], self.case.get("weight_decay", 0.0)
        optimizers = [table_optimizer(name, table, rate, l2, start) for table in self.tables.values()]
        touched = torch.zeros(max(map(len, self.tables.values())), dtype=torch.bool)
        dense_rate = DENSE_RATES[self.case["dense_optimizer"]]
        if self.case["dense_optimizer"] == "adam":
            optimizers.append(torch.optim.Adam(self.weights.values(), lr=dense_rate, eps=1e-8))
        else:
            optimizers.append(torch.optim.SGD(self.weights.values(), lr=dense_rate))
        for step in range(STEPS):
            batch = batches[step % len(batches)]
            for table, optimizer in zip(self.tables.values(), optimizers) if weight_decay else ():
                decay(name, optimizer, table, touched, rate, weight_decay)
            touched[torch.tensor(batch["ids"])] = True
            _, loss, objective = self.forward(batch)
            for weight, gradient in self.gradients(objective).items():
                parameters[weight].grad = gradient
            result["losses"].append(loss.detach())
            if name != "dense-adam":
                for table in self.tables.values():
                    make_sparse(table, torch.tensor(batch["ids"]), l2)
            for optimizer in optimizers:
                optimizer.step()
        result["final"] = {name: parameter.detach() for name, parameter in parameters.items()}
        result["running"], result["eval_logits"] = self.norm.running, None
        if self.norm.running:
            self.norm.training = False
            result["eval_logits"] = self.forward(batches[0])[0]
        return result


def draw_case(case, random):
    fields, dim = case["fields"], case["dim"]
    field_rows = random.integers(4, 8, fields)
    starts = np.cumsum(field_rows) - field_rows
    rows = int(field_rows.sum())
    normal = lambda shape, deviation, mean=0: (random.standard_normal(shape) * deviation + mean).astype(np.float32)
    batches = []
    for _ in range(3):
        ids = starts + (random.random((BATCH, fields)) * field_rows).astype(np.int64)
        values = None
        if case["values"]:  # every second field is numeric, the others are categories with x = 1
            values = np.where(np.arange(fields) % 2 == 0, normal((BATCH, fields), 1.0), np.float32(1))
        batches.append({"ids": ids, "values": values, "labels": random.integers(0, 2, BATCH)})
    shapes = weight_shapes(case["model"], case["config"], fields, dim)
    has_linear = case["config"].get("linear", case["model"] not in NO_LINEAR)
    return {
        "field_rows": field_rows,
        "batches": batches,
        "vectors": None if case["model"] == "lr" else normal((rows, table_width(case)), 0.5),
        "linear": normal(rows, 0.3) if has_linear else None,
        "weights": {name: normal(*shape) for name, shape in shapes.items()},
    }


def is_lively(draw, run, result):
    """Repeats and untouched rows, both labels, no saturated row, ReLUs partly on and never near zero."""
    for batch in draw["batches"]:
        repeated = all(len(set(column)) < BATCH for column in batch["ids"].T)
        if not repeated or not 1 < batch["labels"].sum() < BATCH - 1:
            return False
    if len(set(np.concatenate([b["ids"].ravel() for b in draw["batches"]]))) == draw["field_rows"].sum():
        return False
    active = [(inputs > 0).double().mean().item() for inputs in run.relu_inputs[0]]
    nearest = min((inputs.abs().min().item() for inputs in sum(run.relu_inputs, [])), default=1.0)
    return all(0.15 < share < 0.85 for share in active) and nearest > MARGIN and result["logits"].abs().max() < 5


def float32_error(exact, rounded):
    """The largest |f32 - f64| / max(1, |f64|) of each part."""
    parts = lambda result: {
        "logits": [result["logits"]],
        "gradients": result["gradients"].values(),
        "losses": result["losses"],
        "final": result["final"].values(),
        **({"running": sum(result["running"].values(), ())} if result["running"] else {}),
        **({"eval_logits": [result["eval_logits"]]} if result["running"] else {}),
    }
    error = lambda a, b: ((b - a).abs() / a.abs().clamp(min=1)).max().item()
    return {name: max(map(error, tensors, parts(rounded)[name])) for name, tensors in parts(exact).items()}


def numbers(values):
    """Nested lists with 9 significant digits, which every f32 survives."""
    if values is None:
        return None
    if isinstance(values, torch.Tensor):
        values = values.detach().numpy()
    if np.issubdtype(values.dtype, np.integer):
        return values.tolist()
    exact = values.astype(np.float64)
    return np.array([float(f"{v:.9g}") for v in exact.ravel()]).reshape(exact.shape).tolist()


def flat(weights):
    return {name: numbers(weight.reshape(-1)) for name, weight in weights.items()}


def make_case(name, case, seed):
    for attempt in range(100_000):
        random = np.random.default_rng([seed, *name.encode(), attempt])
        draw = draw_case(case, random)
        run = Run(case, draw, torch.float64)
        exact = run.compute(draw["batches"])
        if not is_lively(draw, run, exact):
            continue
        errors = float32_error(exact, Run(case, draw, torch.float32).compute(draw["batches"]))
        if max(errors.values()) < FLOAT32_ERROR:
            return as_json(case, seed, draw, exact, errors)
    raise SystemExit(f"{name}: no draw was lively enough")


def batch_norm_results(exact):
    if not exact["running"]:
        return {}
    statistics = lambda mean, variance: {"mean": numbers(mean), "var": numbers(variance)}
    running = {name: statistics(*both) for name, both in exact["running"].items()}
    return {"running": running, "eval_logits": numbers(exact["eval_logits"])}


def as_json(case, seed, draw, exact, errors):
    batches = [{key: numbers(batch[key]) for key in ("ids", "values", "labels")} for batch in draw["batches"]]
    gradients, final = exact["gradients"], exact["final"]
    is_weight = lambda tensors: {name: tensors[name] for name in draw["weights"]}
    return {
        "model": case["model"],
        "config": case["config"],
        "torch": torch.__version__,
        "seed": seed,
        "fields": case["fields"],
        "dim": case["dim"],
        "field_rows": numbers(draw["field_rows"]),
        **batches[0],
        "vectors": numbers(draw["vectors"]),
        "linear": numbers(draw["linear"]),
        "weights": {n: {"shape": list(w.shape), "data": numbers(w.reshape(-1))} for n, w in draw["weights"].items()},
        "logits": numbers(exact["logits"]),
        "loss": float(f"{exact['loss'].item():.9g}"),
        "gradients": {
            "vectors": numbers(gradients.get("vectors")),
            "linear": numbers(gradients.get("linear")),
            **flat(is_weight(gradients)),
        },
        "steps": {
            "table_optimizer": case["table_optimizer"],
            "table_learning_rate": TABLE_RATES[case["table_optimizer"]],
            "table_l2": case["table_l2"],
            "table_weight_decay": case.get("weight_decay", 0.0),
            "table_initial_accumulator": case.get("initial_accumulator", 0.0),
            "dense_optimizer": case["dense_optimizer"],
            "dense_learning_rate": DENSE_RATES[case["dense_optimizer"]],
            "batches": batches,
            "losses": numbers(torch.stack(exact["losses"])),
            "final_vectors": numbers(final.get("vectors")),
            "final_linear": numbers(final.get("linear")),
            "final_weights": flat(is_weight(final)),
        },
        **batch_norm_results(exact),
        "float32_error": {part: float(f"{error:.2g}") for part, error in errors.items()},
    }


# ---- the list of cases


def cases():
    optimizers = itertools.cycle(itertools.product((0.0, 0.01), ("adagrad", "adam", "sgd", "ftrl", "dense-adam")))

    def case(model, config, values=False, fields=5, dim=4, optimizer=None, dense_optimizer="adam", **table):
        l2, name = optimizer or next(optimizers)
        return {"model": model, "config": config, "values": values, "fields": fields, "dim": dim,
                "table_optimizer": name, "table_l2": l2, "dense_optimizer": dense_optimizer, **table}  # fmt: skip

    def secn_config(**changes):
        paper = {"layers": 3, "weights": "shared", "product": "square", "residual": "weighted", "activation": "relu"}
        return {**paper, "linear": False, **changes}

    attention = {"heads": 2, "dim": 3}
    for optimizer, l2 in itertools.product(("dense-adam", "adagrad", "adam"), (0.0, 0.01)):
        suffix = ("" if optimizer == "dense-adam" else f"-{optimizer}") + ("-l2" if l2 else "")
        yield f"secn-paper{suffix}", case("secn", secn_config(), optimizer=(l2, optimizer))
    residuals, activations = ("weighted", "identity", "both"), ("relu", "gate-relu", "none")
    forms = itertools.product(("square", "gate", "base"), residuals, activations)
    for product, residual, activation in itertools.islice(forms, 1, None):  # the first is the paper's
        config = secn_config(product=product, residual=residual, activation=activation)
        yield f"secn-{product}-{residual}-{activation}", case("secn", config)
    for product in ("square", "gate"):
        config = secn_config(weights="per-dimension", product=product)
        yield f"secn-per-dimension-{product}", case("secn", config)
    yield "secn-one-layer", case("secn", secn_config(layers=1))
    yield "secn-seven-fields", case("secn", secn_config(), fields=7, dim=3)
    yield "secn-values", case("secn", secn_config(linear=True), values=True)
    yield "secn-linear", case("secn", secn_config(linear=True))
    yield "secn-attention", case("secn", secn_config(attention=attention))
    yield "secn-mlp", case("secn", secn_config(mlp=[8, 6]))
    everything = {"weights": "per-dimension", "product": "gate", "residual": "both", "activation": "gate-relu"}
    config = secn_config(**everything, linear=True, attention=attention, mlp=[8, 6])
    yield "secn-everything", case("secn", config)
    for model, config in (("lr", {}), ("fm", {}), ("deepfm", {"mlp": [8, 6]})):
        yield model, case(model, config)
        yield f"{model}-values", case(model, config, values=True)
    # New cases go to the end: the optimizers are dealt out in turn.
    yield from cases_with_first_order(case)
    yield from cases_without_first_order(case, attention)
    # Batch norm takes the bias before it out again, whose gradient is then rounding alone: Adam would make steps of it.
    batch_norm = {"batch_norm": True}
    yield "deepfm-batch-norm", case("deepfm", {"mlp": [8, 6], **batch_norm}, dense_optimizer="sgd")
    config = {"layers": 2, "structure": "parallel", "mlp": [8, 6], **batch_norm}
    yield "dcnv2-batch-norm", case("dcnv2", config, fields=4, dim=3, dense_optimizer="sgd")
    config = {"first": [8, 6], "second": [4], "heads": 2, **batch_norm}
    yield "finalmlp-batch-norm", case("finalmlp", config, dense_optimizer="sgd")
    plain = {"optimizer": (0.0, "adagrad")}
    yield "secn-pairs", case("secn", secn_config(linear=True, pairs=True), **plain)
    for read in ("products", "both"):
        yield f"secn-mlp-{read}", case("secn", secn_config(mlp=[8, 6], mlp_input=read), **plain)
    for name in ("adagrad", "adam", "sgd"):
        yield f"fm-{name}-decay", case("fm", {}, optimizer=(0.0, name), weight_decay=0.3)
    yield "fm-adagrad-start", case("fm", {}, **plain, initial_accumulator=2.0)
    yield "fm-adagrad-start-decay", case("fm", {}, **plain, initial_accumulator=2.0, weight_decay=0.3)
    config = secn_config(linear=True, mlp=[8, 6], mlp_input="products", members=2)
    yield "secn-members", case("secn", config, dim=7, **plain)
    config = {"layers": 2, "rank": 3, "structure": "parallel", "mlp": [8, 6]}
    yield "dcnv2-low-rank", case("dcnv2", config, optimizer=(0.01, "sgd"), fields=4, dim=3)
    config = secn_config(linear=True, mlp=[8, 6], mlp_input="products", partner_dim=3)
    yield "secn-partners", case("secn", config, values=True, fields=4, **plain)


def cases_with_first_order(case):
    mlp = {"mlp": [8, 6]}
    yield "nfm", case("nfm", mlp)
    yield "nfm-values", case("nfm", mlp, values=True)
    yield "afm", case("afm", {"attention_dim": 3})
    yield "afm-values", case("afm", {"attention_dim": 3}, values=True)
    yield "xdeepfm", case("xdeepfm", {"cin": [4, 3], **mlp})
    yield "xdeepfm-split-half", case("xdeepfm", {"cin": [4, 6, 4], "split_half": True, **mlp})
    yield "ffm", case("ffm", {}, dim=3)
    yield "ffm-mlp", case("ffm", mlp, dim=3)
    yield "ffm-values", case("ffm", {}, values=True, dim=3)
    yield "fwfm", case("fwfm", {})


def cases_without_first_order(case, attention):
    small = {"fields": 4, "dim": 3}
    mlp = {"mlp": [8, 6]}
    for model in ("dcnv2", "gdcn"):
        yield model, case(model, {"layers": 3, "structure": "parallel", **mlp}, **small)
        yield f"{model}-stacked", case(model, {"layers": 2, "structure": "stacked", **mlp}, **small)
        yield f"{model}-cross", case(model, {"layers": 2, "structure": "parallel", "mlp": []}, **small)
    yield "autoint", case("autoint", {"layers": 3, "attention": attention})
    yield "autoint-mlp", case("autoint", {"layers": 2, "attention": attention, **mlp})
    blocks = {"blocks": 2, "block_dim": 4, "reduction": 2}
    yield "masknet", case("masknet", {"structure": "parallel", **blocks, **mlp}, fields=3, dim=3)
    yield "masknet-serial", case("masknet", {"structure": "serial", **blocks, "blocks": 3}, fields=3, dim=3)
    streams = {"first": [8, 6], "second": [4], "heads": 2}
    yield "finalmlp", case("finalmlp", streams)
    yield "finalmlp-gate", case("finalmlp", {**streams, "gate": [4]}, **small)
    layers = {"deep_layers": 2, "shallow_layers": 3}
    yield "dcnv3", case("dcnv3", layers, **small)
    yield "dcnv3-plain", case("dcnv3", {**layers, "layer_norm": False}, **small)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="tests/golden")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", metavar="PREFIX", help="write only the cases whose names start so")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.sparse.check_sparse_tensor_invariants.enable()
    check_formulas()
    check_optimizers()
    check_models(cases())
    os.makedirs(arguments.out, exist_ok=True)
    for name, case in cases():
        if not name.startswith(arguments.only):
            continue
        text = json.dumps(make_case(name, case, arguments.seed), separators=(",", ":"))
        with open(os.path.join(arguments.out, f"{name}.json"), "w", encoding="utf-8") as file:
            file.write(text + "\n")
        print(f"{name}: {case['table_optimizer']}, l2 {case['table_l2']}, {len(text) / 1000:.1f} kB", flush=True)


if __name__ == "__main__":
    main()
