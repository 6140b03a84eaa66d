"""The models of `golden_models.py` from NFM on a second time, a number at a time, to check its formulas against.

A model maps (config, weights, x [batch, fields, dim], w [batch, fields]) to a list of logits, in numpy loops on `f64`.
It shares no code with the first. Batch norm is that of training, on the batch's own statistics.
"""
import math

import numpy as np


def relu(v):
    return v if v > 0 else 0.0


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def softmax(scores):
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


def dot(a, b):
    assert len(a) == len(b)
    return sum(a[i] * b[i] for i in range(len(a)))


def matvec(v, weight, bias=None):
    """Vᵀ W + b."""
    result = [dot(v, weight[:, out]) for out in range(weight.shape[1])]
    return result if bias is None else [result[out] + bias[out] for out in range(len(result))]


def layer_norm(v, gamma, beta):
    mean = sum(v) / len(v)
    variance = sum((value - mean) ** 2 for value in v) / len(v)
    return [(v[i] - mean) / math.sqrt(variance + 1e-5) * gamma[i] + beta[i] for i in range(len(v))]


def batch_norm(rows, gamma, beta):
    """Each unit over the rows, as `layer_norm` is each row over the units."""
    columns = [[row[unit] for row in rows] for unit in range(len(rows[0]))]
    ones = lambda value: [value] * len(rows)
    normed = [layer_norm(column, ones(gamma[unit]), ones(beta[unit])) for unit, column in enumerate(columns)]
    return [[column[row] for column in normed] for row in range(len(rows))]


def hidden(weights, path, count, rows):
    for layer in range(count):
        name = f"{path}.{layer}"
        rows = [matvec(row, weights[f"{name}.weight"], weights[f"{name}.bias"]) for row in rows]
        norm = f"{path}.norm.{layer}"
        if f"{norm}.gamma" in weights:
            rows = batch_norm(rows, weights[f"{norm}.gamma"], weights[f"{norm}.beta"])
        rows = [[relu(value) for value in row] for row in rows]
    return rows


def mlp(weights, config, rows):
    rows = hidden(weights, "mlp", len(config["mlp"]), rows)
    return [matvec(row, weights["mlp.output.weight"], weights["mlp.output.bias"])[0] for row in rows]


def flat(x):
    return [[value for vector in row for value in vector] for row in x]


def first_order(weights, w):
    return [sum(row) + weights["bias"][0] for row in w]


def head(weights, rows):
    return [matvec(row, weights["head"], weights["bias"])[0] for row in rows]


def plus(*parts):
    return [sum(values) for values in zip(*parts, strict=True)]


def nfm(config, weights, x, w):
    """By the paper's linear-time form, ½[(Σx)² - Σx²]."""
    _, fields, dim = x.shape
    column = lambda row, d: [row[i, d] for i in range(fields)]
    pool = lambda v: (sum(v) ** 2 - sum(value**2 for value in v)) / 2
    pooled = [[pool(column(row, d)) for d in range(dim)] for row in x]
    return plus(first_order(weights, w), mlp(weights, config, pooled))


def afm(config, weights, x, w):
    _, fields, dim = x.shape
    logits = []
    for row in x:
        products, scores = [], []
        for i in range(fields):
            for j in range(i + 1, fields):
                p = [row[i, d] * row[j, d] for d in range(dim)]
                units = matvec(p, weights["attention.weight"], weights["attention.bias"])
                products.append(p)
                scores.append(sum(relu(units[a]) * weights["attention.head"][a, 0] for a in range(len(units))))
        share = softmax(scores)
        pooled = [sum(share[k] * products[k][d] for k in range(len(share))) for d in range(dim)]
        logits.append(dot(pooled, weights["projection"][:, 0]))
    return plus(first_order(weights, w), logits)


def xdeepfm(config, weights, x, w):
    _, fields, dim = x.shape
    pooled = []
    for row in x:
        previous, sums = row, []
        for layer, count in enumerate(config["cin"]):
            maps = np.zeros((count, dim))
            for h in range(count):
                for i in range(len(previous)):
                    for j in range(fields):
                        for d in range(dim):
                            maps[h, d] += weights[f"cin.{layer}"][h, i, j] * previous[i, d] * row[j, d]
            previous, own = maps, list(range(count))
            if config.get("split_half") and layer != len(config["cin"]) - 1:
                previous, own = np.array(maps[: count // 2]), own[count // 2 :]
            sums += [sum(maps[h, d] for d in range(dim)) for h in own]
        pooled.append(dot(sums, weights["head"][:, 0]))
    return plus(first_order(weights, w), pooled, mlp(weights, config, flat(x)))


def ffm(config, weights, x, w):
    _, fields, width = x.shape
    dim = width // fields
    dots = []
    for row in x:
        dots.append([])
        for i in range(fields):
            for j in range(i + 1, fields):
                dots[-1].append(sum(row[i, j * dim + d] * row[j, i * dim + d] for d in range(dim)))
    logits = plus(first_order(weights, w), [sum(row) for row in dots])
    return plus(logits, mlp(weights, config, dots)) if "mlp" in config else logits


def fwfm(config, weights, x, w):
    _, fields, dim = x.shape
    logits = first_order(weights, w)
    for b, row in enumerate(x):
        for j in range(fields):
            for i in range(j):
                logits[b] += sum(weights["pairs"][i, j] * row[i, d] * row[j, d] for d in range(dim))
    return logits


def cross_network(config, weights, x, w):
    """DCNv2 and GDCN: the second has gates."""
    crossed = []
    for start in flat(x):
        current = start
        for layer in range(config["layers"]):
            name = f"cross.{layer}"
            down = weights.get(f"{name}.down")
            given = current if down is None else matvec(current, down)
            inner = matvec(given, weights[f"{name}.weight"], weights[f"{name}.bias"])
            gate = [1.0] * len(start)
            if f"{name}.gate" in weights:
                gate = [sigmoid(value) for value in matvec(current, weights[f"{name}.gate"])]
            current = [start[k] * inner[k] * gate[k] + current[k] for k in range(len(start))]
        crossed.append(current)
    count = len(config["mlp"])
    if count == 0:
        return head(weights, crossed)
    if config["structure"] == "stacked":
        return head(weights, hidden(weights, "mlp", count, crossed))
    deep = hidden(weights, "mlp", count, flat(x))
    return head(weights, [crossed[b] + deep[b] for b in range(len(deep))])


def attention_layer(weights, path, heads, dim, rows):
    """For one impression: the fields' vectors → the fields' vectors."""
    part = lambda name: [matvec(vector, weights[f"{path}.{name}"]) for vector in rows]
    query, key, value, residual = part("query"), part("key"), part("value"), part("residual")
    result = []
    for i in range(len(rows)):
        result.append([])
        for k in range(heads):
            own = range(k * dim, (k + 1) * dim)
            score = lambda j: sum(query[i][d] * key[j][d] for d in own) / math.sqrt(dim)
            share = softmax([score(j) for j in range(len(rows))])
            for d in own:
                result[-1].append(relu(sum(share[j] * value[j][d] for j in range(len(rows))) + residual[i][d]))
    return result


def autoint(config, weights, x, w):
    rows = []
    for vectors in x:
        for layer in range(config["layers"]):
            sizes = config["attention"]["heads"], config["attention"]["dim"]
            vectors = attention_layer(weights, f"attention.{layer}", *sizes, vectors)
        rows.append([value for vector in vectors for value in vector])
    logits = head(weights, rows)
    return plus(logits, mlp(weights, config, flat(x))) if "mlp" in config else logits


def masknet(config, weights, x, w):
    last, joined = [], []
    for row in x:
        raw = [value for vector in row for value in vector]
        gamma, beta = weights["norm.gamma"], weights["norm.beta"]
        normed = []
        for i, vector in enumerate(row):
            normed += layer_norm(vector, gamma[i], beta[i])
        joined.append([])
        output = None
        for k in range(config["blocks"]):
            of = lambda name: weights[f"blocks.{k}.{name}"]
            given = output if config["structure"] == "serial" and k > 0 else normed
            narrow = [relu(value) for value in matvec(raw, of("aggregation.weight"), of("aggregation.bias"))]
            mask = matvec(narrow, of("projection.weight"), of("projection.bias"))
            product = matvec([mask[m] * given[m] for m in range(len(given))], of("weight"))
            output = [relu(value) for value in layer_norm(product, of("norm.gamma"), of("norm.beta"))]
            joined[-1] += output
        last.append(output)
    return head(weights, last) if config["structure"] == "serial" else mlp(weights, config, joined)


def finalmlp(config, weights, x, w):
    inputs = {"1": flat(x), "2": flat(x)}
    if "gate" in config:
        for number, rows in inputs.items():
            units = hidden(weights, f"gate{number}", len(config["gate"]), [weights[f"gate{number}.context"]])[0]
            of = lambda name: weights[f"gate{number}.output.{name}"]
            gate = [2 * sigmoid(value) for value in matvec(units, of("weight"), of("bias"))]
            inputs[number] = [[gate[k] * row[k] for k in range(len(row))] for row in rows]
    first = hidden(weights, "first", len(config["first"]), inputs["1"])
    second = hidden(weights, "second", len(config["second"]), inputs["2"])
    logits = []
    for one, two in zip(first, second, strict=True):
        logit = weights["bias"][0] + dot(one, weights["first_head"][:, 0]) + dot(two, weights["second_head"][:, 0])
        a, b = len(one) // config["heads"], len(two) // config["heads"]
        for k in range(config["heads"]):
            for p in range(a):
                for q in range(b):
                    logit += one[k * a + p] * weights["bilinear"][k, p, q] * two[k * b + q]
        logits.append(logit)
    return logits


def dcnv3(config, weights, x, w):
    logits = []
    for start in flat(x):
        half, logit = len(start) // 2, 0.0
        for branch in ("deep", "shallow"):
            current = start
            for layer in range(config[f"{branch}_layers"]):
                of = lambda name: weights[f"{branch}.{layer}.{name}"]
                c = matvec(current, of("weight"), of("bias"))
                normed = c
                if config.get("layer_norm", True):
                    normed = layer_norm(c, of("norm.gamma"), of("norm.beta"))
                factor = current if branch == "deep" else start
                both = [c[k] if k < half else c[k - half] * relu(normed[k - half]) for k in range(2 * half)]
                current = [factor[k] * both[k] + current[k] for k in range(2 * half)]
            logit += matvec(current, weights[f"{branch}_head"], weights[f"{branch}_bias"])[0] / 2
        logits.append(logit)
    return logits


LOOPS = {
    "nfm": nfm,
    "afm": afm,
    "xdeepfm": xdeepfm,
    "ffm": ffm,
    "fwfm": fwfm,
    "dcnv2": cross_network,
    "autoint": autoint,
    "masknet": masknet,
    "finalmlp": finalmlp,
    "gdcn": cross_network,
    "dcnv3": dcnv3,
}
