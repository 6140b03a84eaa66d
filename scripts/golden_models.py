"""The equations of the models and the rules of the table's optimizers for `golden.py`, in PyTorch.

The gradient is that of the MEAN logloss of the batch, summed over equal ids; no clipping. `l2` adds `l2 * w` to the
gradient of vectors and linear weights (never of dense weights), and doesn't count in the losses. The rules of the
table ("touched" rows are those whose id is in the batch):
- adagrad      torch.optim.Adagrad, touched rows: s += g²;  w -= rate g / (√s + 1e-10)
- adam         torch.optim.SparseAdam, touched rows: m, v by 0.9, 0.999;
               w -= rate √(1-0.999^t) / (1-0.9^t) m / (√v + 1e-8);  t counts all steps, also those without the row
- dense-adam   torch.optim.Adam, every row, weight_decay = l2, eps 1e-8
- sgd          touched rows: w -= rate g
- ftrl         McMahan et al. 2013, algorithm 1, touched rows, alpha = rate, beta = 1, lambda1 = lambda2 = 0,
               from n = 0 and z = -w beta / alpha:
               s = (√(n + g²) - √n) / alpha;  z += g - s w;  n += g²;  w = -z alpha / (beta + √n)
Dense weights: torch.optim.Adam, eps 1e-8.
"""
import itertools
import math

import torch
from torch.nn import functional

# ---- the models: (config, weights, x [batch, fields, dim], w [batch, fields]) -> logits [batch]


def recorder(inputs):
    """ReLU that keeps its inputs in a list, so that a draw near a kink can be thrown away."""
    return lambda x: (inputs.append(x.detach()), torch.relu(x))[1]


def on_fields(weight, h):
    """W H on the field axis: `[F, F]` for all dimensions, or `[D, F, F]`, one for each."""
    return torch.einsum("ij,bjd->bid" if weight.dim() == 2 else "dij,bjd->bid", weight, h)


def cross_layer(config, weights, layer, h, h0, relu):
    """H(i) = f(P + R + b), the paper's with P = W_C (H ⊙ H) and R = W_R H; or f inside the product."""
    cross, bias = weights["cross"][layer], weights["bias"][layer][None, :, None]
    gated = relu if config["activation"] == "gate-relu" else None
    inner = on_fields(cross, h * h if config["product"] == "square" else h)
    if gated:
        inner = gated(inner + bias)
    product = {"square": inner, "gate": h * inner, "base": h0 * inner}[config["product"]]
    residual = torch.zeros_like(h)
    if config["residual"] in ("weighted", "both"):
        residual = residual + on_fields(weights["residual"][layer], h)
    if config["residual"] in ("identity", "both"):
        residual = residual + h
    if gated:
        return product + residual
    total = product + residual + bias
    return relu(total) if config["activation"] == "relu" else total


def attention(config, weights, x, relu):
    """AutoInt (arXiv 1810.11921), equations 5 to 8: heads side by side, plus X W_residual, then ReLU."""
    heads, dim = config["heads"], config["dim"]
    split = lambda name: (x @ weights[f"attention.{name}"]).unflatten(-1, (heads, dim)).transpose(1, 2)
    query, key, value = split("query"), split("key"), split("value")  # [batch, heads, fields, dim]
    share = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(dim), dim=-1)
    joined = (share @ value).transpose(1, 2).flatten(2)
    return relu(joined + x @ weights["attention.residual"])


def mlp(sizes, weights, x, relu):
    h = x.flatten(1)
    for layer in range(len(sizes)):
        h = relu(h @ weights[f"mlp.{layer}.weight"] + weights[f"mlp.{layer}.bias"])
    return (h @ weights["mlp.output.weight"] + weights["mlp.output.bias"])[:, 0]


def pairwise(x):
    """Σ_{i<j} <x_i, x_j> = ½ Σ_d [(Σ_i x_id)² - Σ_i x_id²] (Rendle 2010, lemma 3.1)."""
    return 0.5 * (x.sum(1).square() - x.square().sum(1)).sum(1)


def secn(config, weights, x, w, relu):
    h = x
    for layer in range(config["layers"]):
        h = cross_layer(config, weights, layer, h, x, relu)
    if "attention" in config:
        h = attention(config["attention"], weights, h, relu)
    logit = h.sum(1) @ weights["head.weight"] + weights["head.bias"]
    if config["linear"]:
        logit = logit + w.sum(1)
    if "mlp" in config:
        logit = logit + mlp(config["mlp"], weights, x, relu)
    return logit


def shallow(model):
    """LR: b + Σ w_i; FM: + the pairs; DeepFM: + the MLP on all vectors."""

    def forward(config, weights, x, w, relu):
        logit = weights["bias"] + w.sum(1)
        if model != "lr":
            logit = logit + pairwise(x)
        return logit + mlp(config["mlp"], weights, x, relu) if model == "deepfm" else logit

    return forward


MODELS = {"secn": secn, "lr": shallow("lr"), "fm": shallow("fm"), "deepfm": shallow("deepfm")}


# ---- the optimizers of the table


class Ftrl:
    """FTRL-proximal on touched rows, see the head of this file."""

    def __init__(self, parameter, rate, beta=1.0):
        self.parameter, self.rate, self.beta = parameter, rate, beta
        self.n = torch.zeros_like(parameter)
        self.z = -parameter.detach() * beta / rate

    @torch.no_grad()
    def step(self):
        ids, g = self.parameter.grad.indices()[0], self.parameter.grad.values()
        n, w = self.n[ids], self.parameter[ids]
        sigma = ((n + g * g).sqrt() - n.sqrt()) / self.rate
        self.z[ids] += g - sigma * w
        self.n[ids] += g * g
        self.parameter[ids] = -self.z[ids] * self.rate / (self.beta + self.n[ids].sqrt())


RULES = ("adagrad", "adam", "dense-adam", "sgd", "ftrl")


def table_optimizer(name, parameter, rate, l2):
    if name == "dense-adam":
        return torch.optim.Adam([parameter], lr=rate, eps=1e-8, weight_decay=l2)
    if name == "adam":
        return torch.optim.SparseAdam([parameter], lr=rate, betas=(0.9, 0.999), eps=1e-8)
    if name == "adagrad":
        return torch.optim.Adagrad([parameter], lr=rate, initial_accumulator_value=0, eps=1e-10)
    return torch.optim.SGD([parameter], lr=rate) if name == "sgd" else Ftrl(parameter, rate)


def make_sparse(parameter, ids, l2):
    """Leaves the touched rows alone in the gradient, and adds their l2."""
    rows = torch.unique(ids)
    values = parameter.grad[rows] + l2 * parameter.detach()[rows]
    parameter.grad = torch.sparse_coo_tensor(rows[None], values, parameter.shape, is_coalesced=True)


# ---- self-checks: each formula once more, in the plainest way


def close(a, b):
    assert torch.allclose(a, b, rtol=1e-12, atol=1e-12), (a, b)


def check_formulas():
    torch.manual_seed(7)
    real = lambda *shape: torch.randn(*shape, dtype=torch.float64)
    x = real(6, 5, 4)
    close(pairwise(x), sum((x[:, i] * x[:, j]).sum(1) for i in range(5) for j in range(i)))

    weights = {"cross": real(1, 5, 5), "residual": real(1, 5, 5), "bias": real(1, 5)}
    c, r, bias = weights["cross"][0], weights["residual"][0], weights["bias"][0]
    paper = {"product": "square", "residual": "weighted", "activation": "relu"}
    expected = torch.zeros_like(x)
    for b, i, d in itertools.product(range(6), range(5), range(4)):
        total = sum(c[i, j] * x[b, j, d] ** 2 + r[i, j] * x[b, j, d] for j in range(5)) + bias[i]
        expected[b, i, d] = max(total.item(), 0.0)
    close(cross_layer(paper, weights, 0, x, x, torch.relu), expected)
    repeated = {n: w if n == "bias" else w[:, None].expand(1, 4, 5, 5) for n, w in weights.items()}
    close(cross_layer(paper, repeated, 0, x, x, torch.relu), expected)
    own = real(4, 5, 5)
    close(on_fields(own, x), torch.stack([x[:, :, d] @ own[d].T for d in range(4)], 2))
    base = {"product": "base", "residual": "both", "activation": "gate-relu"}
    h0 = real(6, 5, 4)
    inner = torch.stack([(x[b].T @ c.T).T + bias[:, None] for b in range(6)]).clamp(min=0)
    close(cross_layer(base, weights, 0, x, h0, torch.relu), h0 * inner + x + torch.stack([r @ h for h in x]))

    names = [f"attention.{name}" for name in ("query", "key", "value", "residual")]
    weights = {name: real(4, 6) for name in names}
    heads = [[x @ weights[name][:, 3 * k : 3 * k + 3] for name in names[:3]] for k in range(2)]
    joined = torch.cat([functional.scaled_dot_product_attention(*head) for head in heads], 2)
    close(attention({"heads": 2, "dim": 3}, weights, x, torch.relu), torch.relu(joined + x @ weights[names[3]]))


def check_optimizers():
    """Every rule of the head by hand; FTRL without lambdas is descent at the rate alpha / (beta + √n)."""
    torch.manual_seed(7)
    for name, l2 in itertools.product(RULES, (0.0, 0.01)):
        table = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
        start, ids = table.detach().clone(), torch.tensor([2, 0, 2])
        expected, (squares, m, v) = start.clone(), torch.zeros(3, 4, 3, dtype=torch.float64)
        optimizer = table_optimizer(name, table, 0.1, l2)
        rows = [0, 1, 2, 3] if name == "dense-adam" else [0, 2]
        for step in range(1, 4):
            table.grad = None
            table[ids].sin().sum().backward()
            g = torch.zeros_like(start)
            for i in ids.tolist():
                g[i] += expected[i].cos()
            g = (g + l2 * expected)[rows]
            if name != "dense-adam":
                make_sparse(table, ids, l2)
            optimizer.step()
            squares[rows] += g * g
            m[rows], v[rows] = 0.9 * m[rows] + 0.1 * g, 0.999 * v[rows] + 0.001 * g * g
            first, second = 1 - 0.9**step, 1 - 0.999**step
            expected[rows] -= 0.1 * {
                "adagrad": lambda: g / (squares[rows].sqrt() + 1e-10),
                "adam": lambda: math.sqrt(second) / first * m[rows] / (v[rows].sqrt() + 1e-8),
                "dense-adam": lambda: m[rows] / first / ((v[rows] / second).sqrt() + 1e-8),
                "sgd": lambda: g,
                "ftrl": lambda: g / (1 + squares[rows].sqrt()),
            }[name]()
        close(table.detach(), expected)
