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
Dense weights: torch.optim.Adam, eps 1e-8; where there is batch norm torch.optim.SGD.
The steps of a model with branches (DCNv3) follow its own sum of losses, `tri_bce`.
"""
import itertools
import math

import numpy as np
import torch
from torch.nn import functional

from golden_loops import LOOPS
from golden_shapes import table_width, weight_shapes

# ---- blocks


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


def attention(config, weights, x, relu, path="attention"):
    """AutoInt (arXiv 1810.11921), equations 5 to 8: heads side by side, plus X W_residual, then ReLU."""
    heads, dim = config["heads"], config["dim"]
    split = lambda name: (x @ weights[f"{path}.{name}"]).unflatten(-1, (heads, dim)).transpose(1, 2)
    query, key, value = split("query"), split("key"), split("value")  # [batch, heads, fields, dim]
    share = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(dim), dim=-1)
    joined = (share @ value).transpose(1, 2).flatten(2)
    return relu(joined + x @ weights[f"{path}.residual"])


def affine(weights, path, h):
    return h @ weights[f"{path}.weight"] + weights[f"{path}.bias"]


class BatchNorm:
    """Ioffe and Szegedy 2015, with the conventions of torch.nn.BatchNorm1d.

    In training `γ (h - mean) / √(variance + 1e-5) + β` on the batch's own statistics (variance over n). The running
    ones start from mean 0 and variance 1 and move a tenth of the way to the batch's (variance over n - 1); in
    evaluation they take the batch's place.
    """

    def __init__(self):
        self.training, self.running = True, {}

    def __call__(self, weights, path, h):
        mean, variance = h.mean(0), (h - h.mean(0)).square().mean(0)
        if self.training:
            rows = len(h)
            old_mean, old_variance = self.running.get(path, (torch.zeros_like(mean), torch.ones_like(variance)))
            unbiased = variance.detach() * rows / (rows - 1)
            self.running[path] = (0.9 * old_mean + 0.1 * mean.detach(), 0.9 * old_variance + 0.1 * unbiased)
        else:
            mean, variance = self.running[path]
        return weights[f"{path}.gamma"] * (h - mean) / (variance + 1e-5).sqrt() + weights[f"{path}.beta"]


def hidden_layers(sizes, weights, path, h, relu, norm):
    """An MLP without its output: linear, batch norm where there are weights for it, ReLU."""
    for layer in range(len(sizes)):
        h = affine(weights, f"{path}.{layer}", h)
        if f"{path}.norm.{layer}.gamma" in weights:
            h = norm(weights, f"{path}.norm.{layer}", h)
        h = relu(h)
    return h


def mlp(sizes, weights, x, relu, norm):
    h = hidden_layers(sizes, weights, "mlp", x.flatten(1), relu, norm)
    return affine(weights, "mlp.output", h)[:, 0]


def layer_norm(weights, path, h):
    """Over the last axis, variance over n, epsilon 1e-5."""
    centered = h - h.mean(-1, keepdim=True)
    deviation = (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return centered / deviation * weights[f"{path}.gamma"] + weights[f"{path}.beta"]


def head(weights, h):
    return (h @ weights["head"])[:, 0] + weights["bias"]


def first_order(weights, w):
    return weights["bias"] + w.sum(1)


def field_pairs(x):
    """(0, 1), (0, 2), ..., (1, 2), ..."""
    return list(itertools.combinations(range(x.shape[1]), 2))


def field_aware_products(x):
    """<v_i for j, v_j for i> of all pairs of fields."""
    for_partner = x.unflatten(2, (x.shape[1], -1))  # [batch, field, partner, dim]
    return torch.stack([(for_partner[:, i, j] * for_partner[:, j, i]).sum(1) for i, j in field_pairs(x)], 1)


def pairwise(x):
    """Σ_{i<j} <x_i, x_j> = ½ Σ_d [(Σ_i x_id)² - Σ_i x_id²] (Rendle 2010, lemma 3.1)."""
    return 0.5 * (x.sum(1).square() - x.square().sum(1)).sum(1)


# ---- the models: (config, weights, x [batch, fields, dim], w [batch, fields], ReLU, batch norm) -> logits [batch]


def secn(config, weights, x, w, relu, norm):
    """Of several members, each on its share of every vector, the mean logit and then each member's."""
    members = config.get("members", 1)
    width = x.shape[2] - x.shape[1] * config.get("partner_dim", 0)
    x, for_partners = x[:, :, :width], x[:, :, width:]
    logits = []
    for number, share in enumerate(x.tensor_split([x.shape[2] * member // members for member in range(1, members)], 2)):
        scope = f"members.{number}." if number else ""
        own = {name.removeprefix(scope): weight for name, weight in weights.items() if name.startswith(scope)}
        logits.append(secn_member(config, own, share, for_partners, relu, norm) + (w.sum(1) if config["linear"] else 0))
    return logits[0] if members == 1 else (sum(logits) / members, *logits)


def secn_member(config, weights, x, for_partners, relu, norm):
    h = x
    for layer in range(config["layers"]):
        h = cross_layer(config, weights, layer, h, x, relu)
    if "attention" in config:
        h = attention(config["attention"], weights, h, relu)
    logit = h.sum(1) @ weights["head.weight"] + weights["head.bias"]
    products = torch.stack([(x[:, i] * x[:, j]).sum(1) for i, j in field_pairs(x)], 1)
    all_products = [products]
    if "partner_dim" in config:
        all_products.append(field_aware_products(for_partners))
        logit = logit + all_products[1].sum(1)
    if "mlp" in config:
        read = config.get("mlp_input", "vectors")
        read = {"vectors": [x.flatten(1)], "products": all_products, "both": [x.flatten(1), *all_products]}[read]
        logit = logit + mlp(config["mlp"], weights, torch.cat(read, 1), relu, norm)
    if config.get("pairs"):
        logit = logit + products @ weights["pairs"][:, 0]
    return logit


def shallow(model):
    """LR: b + Σ w_i; FM: + the pairs; DeepFM: + the MLP on all vectors."""

    def forward(config, weights, x, w, relu, norm):
        logit = first_order(weights, w)
        if model != "lr":
            logit = logit + pairwise(x)
        return logit + mlp(config["mlp"], weights, x, relu, norm) if model == "deepfm" else logit

    return forward


def nfm(config, weights, x, w, relu, norm):
    """He and Chua 2017 (arXiv 1708.05027), equations 1 to 7: an MLP on the sum of all pairs' products."""
    pooled = sum(x[:, i] * x[:, j] for i, j in field_pairs(x))
    return first_order(weights, w) + mlp(config["mlp"], weights, pooled, relu, norm)


def afm(config, weights, x, w, relu, norm):
    """Xiao et al. 2017 (arXiv 1708.04617): the pairs' products under attention, a = softmax(h·relu(W p + b))."""
    products = torch.stack([x[:, i] * x[:, j] for i, j in field_pairs(x)], 1)  # [batch, pairs, dim]
    hidden = relu(affine(weights, "attention", products))
    share = torch.softmax(hidden @ weights["attention.head"], 1)
    return first_order(weights, w) + ((share * products).sum(1) @ weights["projection"])[:, 0]


def xdeepfm(config, weights, x, w, relu, norm):
    """Lian et al. 2018 (arXiv 1803.05170): X^k_h = Σ_ij W^k_hij X^(k-1)_i ⊙ X^0_j, every map summed over the dim.

    With `split_half` a layer but the last hands on its first half of the maps and pools the second.
    """
    fed, pooled = x, []
    for layer, count in enumerate(config["cin"]):
        maps = torch.einsum("hij,bid,bjd->bhd", weights[f"cin.{layer}"], fed, x)
        is_split = config.get("split_half", False) and layer + 1 < len(config["cin"])
        fed = maps[:, : count // 2] if is_split else maps
        pooled.append((maps[:, count // 2 :] if is_split else maps).sum(2))
    cin = (torch.cat(pooled, 1) @ weights["head"])[:, 0]
    return first_order(weights, w) + cin + mlp(config["mlp"], weights, x, relu, norm)


def ffm(config, weights, x, w, relu, norm):
    """Juan et al. 2016. A row of the table has one vector a partner field, side by side."""
    dots = field_aware_products(x)
    logit = first_order(weights, w) + dots.sum(1)
    return logit + mlp(config["mlp"], weights, dots, relu, norm) if config.get("mlp") else logit


def fwfm(config, weights, x, w, relu, norm):
    """Pan et al. 2018 (arXiv 1806.03514): each pair of fields has a weight; only `pairs[i, j]` with i < j counts."""
    pairs = weights["pairs"]
    return first_order(weights, w) + sum(pairs[i, j] * (x[:, i] * x[:, j]).sum(1) for i, j in field_pairs(x))


def cross_network(is_gated):
    """DCNv2 (arXiv 2008.13535): x_(l+1) = x_0 ⊙ (W x_l + b) + x_l, before or beside an MLP; with a rank W is U Vᵀ.

    GDCN (arXiv 2311.04635): the product has a gate more, ⊙ σ(V x_l).
    """

    def forward(config, weights, x, w, relu, norm):
        x_0 = x_l = x.flatten(1)
        for layer in range(config["layers"]):
            given = x_l @ weights[f"cross.{layer}.down"] if config.get("rank") else x_l
            product = x_0 * affine(weights, f"cross.{layer}", given)
            if is_gated:
                product = product * torch.sigmoid(x_l @ weights[f"cross.{layer}.gate"])
            x_l = product + x_l
        sizes = config["mlp"]
        if not sizes:
            return head(weights, x_l)
        if config["structure"] == "stacked":
            return head(weights, hidden_layers(sizes, weights, "mlp", x_l, relu, norm))
        return head(weights, torch.cat([x_l, hidden_layers(sizes, weights, "mlp", x_0, relu, norm)], 1))

    return forward


def autoint(config, weights, x, w, relu, norm):
    """Song et al. 2018 (arXiv 1810.11921): attention layers over the fields; AutoInt+ has an MLP beside them."""
    h = x
    for layer in range(config["layers"]):
        h = attention(config["attention"], weights, h, relu, f"attention.{layer}")
    logit = head(weights, h.flatten(1))
    return logit + mlp(config["mlp"], weights, x, relu, norm) if config.get("mlp") else logit


def masknet(config, weights, x, w, relu, norm):
    """Wang et al. 2021 (arXiv 2102.07619): relu(LN(W (mask ⊙ input))), the mask always from the raw vectors."""
    raw, normed = x.flatten(1), layer_norm(weights, "norm", x).flatten(1)
    is_serial, outputs = config["structure"] == "serial", []
    for block in range(config["blocks"]):
        path = f"blocks.{block}"
        given = outputs[-1] if is_serial and outputs else normed
        mask = affine(weights, f"{path}.projection", relu(affine(weights, f"{path}.aggregation", raw)))
        outputs.append(relu(layer_norm(weights, f"{path}.norm", (mask * given) @ weights[f"{path}.weight"])))
    return head(weights, outputs[-1]) if is_serial else mlp(config["mlp"], weights, torch.cat(outputs, 1), relu, norm)


def finalmlp(config, weights, x, w, relu, norm):
    """Mao et al. 2023 (arXiv 2304.00902): two MLPs on gated inputs, met in a bilinear form of several heads.

    A gate, 2σ(MLP), sees a learned vector of its own: the form without context fields.
    """
    streams = []
    for stream, sizes in (("first", config["first"]), ("second", config["second"])):
        e = x.flatten(1)
        if config.get("gate"):
            gate = f"gate{len(streams) + 1}"
            hidden = hidden_layers(config["gate"], weights, gate, weights[f"{gate}.context"], relu, norm)
            e = e * 2 * torch.sigmoid(affine(weights, f"{gate}.output", hidden))
        streams.append(hidden_layers(sizes, weights, stream, e, relu, norm))
    first, second = streams
    split = lambda h: h.unflatten(1, (config["heads"], -1))
    met = torch.einsum("bkp,kpq,bkq->b", split(first), weights["bilinear"], split(second))
    return weights["bias"] + (first @ weights["first_head"] + second @ weights["second_head"])[:, 0] + met


def dcnv3(config, weights, x, w, relu, norm):
    """Li et al. 2024 (arXiv 2407.13349): the mean of an exponential (deep) and a linear (shallow) cross network.

    c = W x_l + b of half the width, M(c) = c ⊙ relu(LN(c)); deep: x_(l+1) = x_l ⊙ [c, M(c)] + x_l; shallow: x_1 in
    the product. Returns the logits, then those of the branches.
    """
    branches = []
    for branch in ("deep", "shallow"):
        x_1 = x_l = x.flatten(1)
        for layer in range(config[f"{branch}_layers"]):
            path = f"{branch}.{layer}"
            c = affine(weights, path, x_l)
            masked = c * relu(layer_norm(weights, f"{path}.norm", c) if config.get("layer_norm", True) else c)
            x_l = (x_l if branch == "deep" else x_1) * torch.cat([c, masked], 1) + x_l
        branches.append((x_l @ weights[f"{branch}_head"])[:, 0] + weights[f"{branch}_bias"])
    return (branches[0] + branches[1]) / 2, *branches


def tri_bce(loss, branches):
    """DCNv3's L + Σ max(0, L_branch - L) L_branch, where the weights max(...) are held constant."""
    return loss + sum((branch - loss).detach().clamp(min=0) * branch for branch in branches)


MODELS = {
    "secn": secn,
    "lr": shallow("lr"),
    "fm": shallow("fm"),
    "deepfm": shallow("deepfm"),
    "nfm": nfm,
    "afm": afm,
    "xdeepfm": xdeepfm,
    "ffm": ffm,
    "fwfm": fwfm,
    "dcnv2": cross_network(is_gated=False),
    "autoint": autoint,
    "masknet": masknet,
    "finalmlp": finalmlp,
    "gdcn": cross_network(is_gated=True),
    "dcnv3": dcnv3,
}


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


def table_optimizer(name, parameter, rate, l2, initial_accumulator=0.0):
    if name == "dense-adam":
        return torch.optim.Adam([parameter], lr=rate, eps=1e-8, weight_decay=l2)
    if name == "adam":
        return torch.optim.SparseAdam([parameter], lr=rate, betas=(0.9, 0.999), eps=1e-8)
    if name == "adagrad":
        return torch.optim.Adagrad([parameter], lr=rate, initial_accumulator_value=initial_accumulator, eps=1e-10)
    return torch.optim.SGD([parameter], lr=rate) if name == "sgd" else Ftrl(parameter, rate)


@torch.no_grad()
def decay(name, optimizer, parameter, touched, rate, weight_decay):
    """What the rows that were ever touched do at the start of a step: w / (1 + r λ), r = η / (√s + ε) for Adagrad, else η."""
    if name == "adagrad":
        rate = rate / (optimizer.state[parameter]["sum"].sqrt() + 1e-10)
    shrunk = parameter / (1 + rate * weight_decay)
    parameter[touched] = shrunk[touched]


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

    weights = {"norm.gamma": real(4), "norm.beta": real(4)}
    close(layer_norm(weights, "norm", x), functional.layer_norm(x, [4], *weights.values(), eps=1e-5))
    ours, theirs = BatchNorm(), torch.nn.BatchNorm1d(4).double()
    theirs.load_state_dict(dict(zip(("weight", "bias"), weights.values())), strict=False)
    for i in range(5):
        close(ours(weights, "norm", x[:, i]), theirs(x[:, i]))
    ours.training = theirs.training = False
    close(ours(weights, "norm", x[:, 0]), theirs(x[:, 0]))
    mean, variance = ours.running["norm"]
    close(mean, theirs.running_mean)
    close(variance, theirs.running_var)

    # of the three branches one is worse than the whole, one is better, one is twice the whole
    at = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(tri_bce(at**2, [5 * at, at, 2 * at**2]), at)
    close(slope, 2 * at + (5 * at - at**2) * 5 + (2 * at**2 - at**2) * 4 * at)


def check_models(cases):
    """Every case of a model in `golden_loops.py` on other weights than the file's: both have the same logits."""
    random = np.random.default_rng(7)
    for name, case in cases:
        if case["model"] not in LOOPS:
            continue
        shapes = weight_shapes(case["model"], case["config"], case["fields"], case["dim"])
        weights = {path: random.standard_normal(shape) for path, (shape, *_) in shapes.items()}
        x = random.standard_normal((3, case["fields"], table_width(case)))
        w = random.standard_normal((3, case["fields"]))
        expected = LOOPS[case["model"]](case["config"], weights, x, w)
        tensors = {path: torch.tensor(weight) for path, weight in weights.items()}
        given = tensors, torch.tensor(x), torch.tensor(w), torch.relu, BatchNorm()
        logits = MODELS[case["model"]](case["config"], *given)
        logits = logits[0] if isinstance(logits, tuple) else logits
        assert np.allclose(logits, expected, rtol=1e-9, atol=1e-9), (name, logits, expected)


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
