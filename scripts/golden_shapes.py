"""The names and shapes of the models' weights for `golden.py`, and how widely each is drawn.

The deviations are those of lively draws: logits below 5, attentions that are not uniform, ReLUs partly on.
"""


def weight_shapes(model, config, fields, dim):
    """name -> (shape, standard deviation), or (shape, standard deviation, mean)"""
    if model in OWN_SHAPES:
        return OWN_SHAPES[model](model, config, fields, dim)
    shapes = {}
    if model == "secn" and config.get("members", 1) > 1:
        for number in range(config["members"]):
            scope = f"members.{number}." if number else ""
            start, end = (dim * member // config["members"] for member in (number, number + 1))
            own = weight_shapes(model, config | {"members": 1}, fields, end - start)
            shapes |= {scope + name: shape for name, shape in own.items()}
        return shapes
    elif model == "secn":
        layers = config["layers"]
        inner = (layers, fields, fields) if config["weights"] == "shared" else (layers, dim, fields, fields)
        shapes["cross"] = (inner, fields**-0.5)
        if config["residual"] != "identity":
            shapes["residual"] = (inner, fields**-0.5)
        shapes["bias"] = ((layers, fields), 0.3)
        pooled = dim
        if "attention" in config:
            pooled = config["attention"]["heads"] * config["attention"]["dim"]
            for name in ("query", "key", "value", "residual"):
                shapes[f"attention.{name}"] = ((dim, pooled), dim**-0.5)
        shapes["head.weight"] = ((pooled,), 0.5)
        shapes["head.bias"] = ((1,), 0.3)
        pairs = fields * (fields - 1) // 2
        if config.get("pairs"):
            shapes["pairs"] = ((pairs, 1), 0.5)
        products = pairs * (2 if "partner_dim" in config else 1)
        read = {"vectors": fields * dim, "products": products, "both": fields * dim + products}
        return shapes | mlp_shapes(config, read[config.get("mlp_input", "vectors")])
    else:
        shapes["bias"] = ((1,), 0.3)
    return shapes | mlp_shapes(config, fields * dim)


def affine_shapes(path, width, outputs):
    return {f"{path}.weight": ((width, outputs), width**-0.5), f"{path}.bias": ((outputs,), 0.3)}


def norm_shapes(path, *shape):
    return {f"{path}.gamma": (shape, 0.3, 1.0), f"{path}.beta": (shape, 0.3)}


def hidden_shapes(path, sizes, width, batch_norm=False):
    shapes = {}
    for layer, units in enumerate(sizes):
        shapes |= affine_shapes(f"{path}.{layer}", width, units)
        if batch_norm:
            shapes |= norm_shapes(f"{path}.norm.{layer}", units)
        width = units
    return shapes


def mlp_shapes(config, width):
    if "mlp" not in config:
        return {}
    hidden = hidden_shapes("mlp", config["mlp"], width, config.get("batch_norm"))
    return hidden | affine_shapes("mlp.output", [width, *config["mlp"]][-1], 1)


def head_shapes(width):
    return {"head": ((width, 1), 2 * width**-0.5), "bias": ((1,), 0.3)}


def nfm_shapes(model, config, fields, dim):
    return {"bias": ((1,), 0.3)} | mlp_shapes(config, dim)


def afm_shapes(model, config, fields, dim):
    units = config["attention_dim"]
    attention = {"attention.weight": ((dim, units), 2.0), "attention.bias": ((units,), 0.3)}
    return attention | {"attention.head": ((units, 1), 2.0), "projection": ((dim, 1), 1.0), "bias": ((1,), 0.3)}


def xdeepfm_shapes(model, config, fields, dim):
    shapes, fed, pooled = {}, fields, 0
    for layer, maps in enumerate(config["cin"]):
        shapes[f"cin.{layer}"] = ((maps, fed, fields), fed**-0.5)
        is_split = config.get("split_half", False) and layer + 1 < len(config["cin"])
        fed = maps // 2 if is_split else maps
        pooled += maps - fed if is_split else maps
    return shapes | head_shapes(pooled) | mlp_shapes(config, fields * dim)


def ffm_shapes(model, config, fields, dim):
    return {"bias": ((1,), 0.3)} | mlp_shapes(config, fields * (fields - 1) // 2)


def fwfm_shapes(model, config, fields, dim):
    return {"pairs": ((fields, fields), 0.5, 1.0), "bias": ((1,), 0.3)}


def cross_shapes(model, config, fields, dim):
    width = fields * dim
    shapes = hidden_shapes("cross", [width] * config["layers"], width)
    for layer in range(config["layers"]) if config.get("rank") else ():
        rank = config["rank"]
        shapes[f"cross.{layer}.down"] = ((width, rank), 2 * width**-0.5)
        shapes[f"cross.{layer}.weight"] = ((rank, width), 2 * rank**-0.5)
    if model == "gdcn":
        shapes |= {f"cross.{layer}.gate": ((width, width), 2 * width**-0.5) for layer in range(config["layers"])}
    shapes |= hidden_shapes("mlp", config["mlp"], width, config.get("batch_norm"))
    is_parallel = not config["mlp"] or config["structure"] == "parallel"
    return shapes | head_shapes(sum(config["mlp"][-1:]) + (width if is_parallel else 0))


def autoint_shapes(model, config, fields, dim):
    shapes, inner, width = {}, dim, config["attention"]["heads"] * config["attention"]["dim"]
    for layer in range(config["layers"]):
        for name in ("query", "key", "value", "residual"):
            shapes[f"attention.{layer}.{name}"] = ((inner, width), inner**-0.5)
        inner = width
    return shapes | head_shapes(fields * width) | mlp_shapes(config, fields * dim)


def masknet_shapes(model, config, fields, dim):
    width, is_serial = fields * dim, config["structure"] == "serial"
    shapes, given, block_dim = norm_shapes("norm", fields, dim), width, config["block_dim"]
    for block in range(config["blocks"]):
        path, narrow = f"blocks.{block}", config["reduction"] * given
        shapes |= affine_shapes(f"{path}.aggregation", width, narrow)
        shapes |= affine_shapes(f"{path}.projection", narrow, given)
        shapes[f"{path}.weight"] = ((given, block_dim), given**-0.5)
        shapes |= norm_shapes(f"{path}.norm", block_dim)
        given = block_dim if is_serial else width
    return shapes | (head_shapes(block_dim) if is_serial else mlp_shapes(config, config["blocks"] * block_dim))


def finalmlp_shapes(model, config, fields, dim):
    shapes, heads = {}, config["heads"]
    if config.get("gate"):
        for gate in ("gate1", "gate2"):
            shapes |= {f"{gate}.context": ((dim,), 1.0)} | hidden_shapes(gate, config["gate"], dim)
            shapes |= affine_shapes(f"{gate}.output", config["gate"][-1], fields * dim)
    for stream in ("first", "second"):
        shapes |= hidden_shapes(stream, config[stream], fields * dim, config.get("batch_norm"))
        shapes[f"{stream}_head"] = ((config[stream][-1], 1), 1.0)
    parts = [config[stream][-1] // heads for stream in ("first", "second")]
    return shapes | {"bilinear": ((heads, *parts), 1.0), "bias": ((1,), 0.3)}


def dcnv3_shapes(model, config, fields, dim):
    shapes, width = {}, fields * dim
    for branch in ("deep", "shallow"):
        for layer in range(config[f"{branch}_layers"]):
            shapes |= affine_shapes(f"{branch}.{layer}", width, width // 2)
            if config.get("layer_norm", True):
                shapes |= norm_shapes(f"{branch}.{layer}.norm", width // 2)
        shapes |= {f"{branch}_head": ((width, 1), 2 * width**-0.5), f"{branch}_bias": ((1,), 0.3)}
    return shapes


OWN_SHAPES = {
    "nfm": nfm_shapes,
    "afm": afm_shapes,
    "xdeepfm": xdeepfm_shapes,
    "ffm": ffm_shapes,
    "fwfm": fwfm_shapes,
    "dcnv2": cross_shapes,
    "autoint": autoint_shapes,
    "masknet": masknet_shapes,
    "finalmlp": finalmlp_shapes,
    "gdcn": cross_shapes,
    "dcnv3": dcnv3_shapes,
}


def table_width(case):
    """FFM's rows have a vector for each partner field; SECN's may have such vectors behind their own."""
    partners = case["fields"] * case["config"].get("partner_dim", 0)
    return case["dim"] * (case["fields"] if case["model"] == "ffm" else 1) + partners
