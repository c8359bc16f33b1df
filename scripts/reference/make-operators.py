"""Makes cases of test/fixtures/operators with PyTorch: values and gradients in float64, stored as float32.

Run it by make-operators.sh, which brings the Python environment. Cases of other operators in the index stay as they are.
"""
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file

import recurrent

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "operators"
CASES = []


def case(op, name, attributes, inputs, function, outputs=("Y",)):
    CASES.append((op, name, attributes, inputs, function, outputs))


def normal(*shape, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, shape).astype(np.float32)


def away_from_zero(*shape, seed):
    x = normal(*shape, seed=seed)
    return (np.sign(x) * (0.1 + np.abs(x))).astype(np.float32)


def with_zeros(*shape, seed):
    """Lines without a zero, with one, and with two."""
    x = away_from_zero(*shape, seed=seed)
    x[0, 1, 0] = 0
    x[1, 0, 1] = x[1, 2, 1] = 0
    return x


x34 = {"X": away_from_zero(2, 3, 4, seed=1)}
case("Selu", "default", {}, x34, F.selu)
case("Celu", "alpha", {"alpha": 1.5}, x34, lambda x: F.celu(x, 1.5))
case("Softsign", "plain", {}, x34, F.softsign)
case("Mish", "plain", {}, x34, F.mish)
case("ThresholdedRelu", "alpha", {"alpha": 0.5}, x34, lambda x: F.threshold(x, 0.5, 0.0))
case("PRelu", "per-channel", {}, {"X": away_from_zero(2, 3, 4, seed=2), "slope": normal(3, 1, seed=3)},
     lambda x, slope: torch.where(x > 0, x, slope * x))
case("Sum", "three", {}, {"A": normal(2, 3, seed=4), "B": normal(3, seed=5), "C": normal(2, 1, seed=6)}, lambda a, b, c: a + b + c)
case("Mean", "three", {}, {"A": normal(2, 3, seed=7), "B": normal(3, seed=8), "C": normal(2, 1, seed=9)},
     lambda a, b, c: (a + b + c) / 3)
for keep in (0, 1):
    settings = {"axes": [1], "keepdims": keep}
    k = bool(keep)
    case("ReduceProd", f"zeros-keepdims{keep}", settings, {"data": with_zeros(2, 3, 4, seed=10)}, lambda x, k=k: x.prod(1, keepdim=k))
    case("ReduceSumSquare", f"keepdims{keep}", settings, {"data": normal(2, 3, 4, seed=11)}, lambda x, k=k: (x * x).sum(1, keepdim=k))
    case("ReduceLogSumExp", f"keepdims{keep}", settings, {"data": normal(2, 3, 4, seed=12)}, lambda x, k=k: x.logsumexp(1, keepdim=k))
    case("ReduceL1", f"keepdims{keep}", settings, {"data": away_from_zero(2, 3, 4, seed=13)}, lambda x, k=k: x.abs().sum(1, keepdim=k))
for p in (1, 2):
    case("LpNormalization", f"p{p}", {"axis": 1, "p": p}, {"X": away_from_zero(2, 3, 4, seed=14)},
         lambda x, p=p: x / x.norm(p, 1, keepdim=True))
image = {"X": away_from_zero(2, 3, 6, 5, seed=15)}
for p, kernel, stride in ((1, [2, 2], [2, 1]), (2, [3, 2], [1, 1]), (3, [2, 3], [2, 2])):
    case("LpPool", f"p{p}", {"kernel_shape": kernel, "strides": stride, "p": p}, image,
         lambda x, p=p, kernel=kernel, stride=stride: (F.avg_pool2d(x.abs() ** p, kernel, stride) * (kernel[0] * kernel[1])) ** (1 / p))
for size in (3, 5):
    case("LRN", f"size{size}", {"size": size, "alpha": 0.5, "beta": 0.75, "bias": 2.0}, {"X": normal(2, 6, 3, 4, seed=16)},
         lambda x, size=size: F.local_response_norm(x, size, 0.5, 0.75, 2.0))
case("DepthToSpace", "column-row-depth", {"blocksize": 2, "mode": "CRD"}, {"X": normal(2, 8, 2, 3, seed=17)}, lambda x: F.pixel_shuffle(x, 2))
case("SpaceToDepth", "block2", {"blocksize": 2}, {"X": normal(2, 3, 4, 6, seed=18)},
     lambda x: x.reshape(2, 3, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 12, 2, 3))

# Functions of one number, where they are defined.
inside, above = {"input": np.tanh(normal(3, 4, seed=20)).astype(np.float32)}, {"input": 1.1 + np.abs(normal(3, 4, seed=21))}
for op, x in (("Tan", inside), ("Asin", inside), ("Acos", inside), ("Atan", inside), ("Sinh", inside), ("Cosh", inside),
              ("Asinh", inside), ("Acosh", above), ("Atanh", inside)):
    case(op, "plain", {}, x, getattr(torch, op.lower()), ("output",))
case("Shrink", "soft", {"lambd": 0.5, "bias": 0.5}, x34, lambda x: F.softshrink(x, 0.5))
case("Shrink", "hard", {"lambd": 0.5}, x34, lambda x: F.hardshrink(x, 0.5))
case("Celu", "default", {}, x34, F.celu)
case("Dropout", "inference", {}, x34, lambda x: F.dropout(x, 0.5, training=False))
case("CastLike", "same", {}, {"X": x34["X"], "like": np.array([1], np.float32)}, lambda x, like: x.to(like.dtype))
case("ThresholdedRelu", "default", {}, x34, lambda x: F.threshold(x, 1.0, 0.0))
for name, shape in (("scalar", (1,)), ("row", (4,)), ("whole", (2, 3, 4)), ("outer", (2, 1, 1))):
    case("PRelu", name, {}, {"X": away_from_zero(2, 3, 4, seed=22), "slope": normal(*shape, seed=23)},
         lambda x, slope: torch.where(x > 0, x, slope * x))
for op, function in (("Sum", lambda x: x), ("Mean", lambda x: x)):
    case(op, "one", {}, x34, function)
for keep in (0, 1):
    positive = {"data": (0.2 + np.abs(normal(2, 3, 4, seed=24))).astype(np.float32)}
    case("ReduceLogSum", f"keepdims{keep}", {"axes": [0, 2], "keepdims": keep}, positive, lambda x, k=bool(keep): x.sum((0, 2), keepdim=k).log())
    case("ReduceProd", f"two-axes-keepdims{keep}", {"axes": [0, 2], "keepdims": keep}, {"data": away_from_zero(2, 3, 4, seed=25)},
         lambda x, k=bool(keep): x.prod(0, keepdim=True).prod(2, keepdim=True) if k else x.prod(0).prod(1))
all_zero = np.stack([np.array([0, 0, 0], np.float32), np.array([0, 2, 3], np.float32), np.array([1, 2, 3], np.float32)])
case("ReduceProd", "line-of-zeros", {"axes": [1], "keepdims": 0}, {"data": all_zero}, lambda x: x.prod(1))

# Pools that round their number of windows up; the last window is cut off.
odd = {"X": away_from_zero(2, 2, 5, 6, seed=26)}
for p in (1, 2, 3):
    case("LpPool", f"ceil-p{p}", {"kernel_shape": [2, 3], "strides": [2, 2], "p": p, "ceil_mode": 1}, odd,
         lambda x, p=p: F.unfold(F.pad(x.abs() ** p, (0, 1, 0, 1)).reshape(4, 1, 6, 7), (2, 3), stride=(2, 2)).sum(1).reshape(2, 2, 3, 3) ** (1 / p))
    case("GlobalLpPool", f"p{p}", {"p": p}, odd, lambda x, p=p: x.norm(p, (2, 3), keepdim=True))
case("LpPool", "ceil-pads", {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 1, 1, 0], "ceil_mode": 1}, odd,
     lambda x: F.unfold(F.pad(x**2, (1, 1, 1, 1)).reshape(4, 1, 7, 8), (3, 2), stride=(2, 2)).sum(1).reshape(2, 2, 3, 4) ** 0.5)

case("LRN", "wider-than-channels", {"size": 7, "alpha": 0.5, "beta": 0.6}, {"X": normal(2, 4, 3, 4, seed=27)},
     lambda x: F.local_response_norm(x, 7, 0.5, 0.6, 1.0))
case("DepthToSpace", "depth-column-row", {"blocksize": 2, "mode": "DCR"}, {"X": normal(2, 12, 2, 3, seed=29)},
     lambda x: x.reshape(2, 2, 2, 3, 2, 3).permute(0, 3, 4, 1, 5, 2).reshape(2, 3, 4, 6))
case("DepthToSpace", "block3", {"blocksize": 3, "mode": "CRD"}, {"X": normal(1, 18, 2, 1, seed=30)}, lambda x: F.pixel_shuffle(x, 3))
case("SpaceToDepth", "block3", {"blocksize": 3}, {"X": normal(1, 2, 6, 3, seed=31)},
     lambda x: x.reshape(1, 2, 2, 3, 1, 3).permute(0, 3, 5, 1, 2, 4).reshape(1, 18, 2, 1))

# Taking elements: what is not taken gets no cotangent.
for axis, k, largest in ((-1, 2, 1), (1, 1, 0), (0, 2, 1)):
    case("TopK", f"axis{axis}-largest{largest}", {"axis": axis, "largest": largest}, {"X": normal(2, 3, 4, seed=32), "k": np.array([k], np.int64)},
         lambda x, k, axis=axis, largest=largest: x.topk(int(k), axis, bool(largest)).values, ("values",))
keep = np.array([0, 1, 1], np.int64)
case("Compress", "axis1", {"axis": 1}, {"X": normal(2, 3, 4, seed=33), "condition": keep}, lambda x, keep: x[:, keep.bool()])
case("Compress", "flat", {}, {"X": normal(2, 3, seed=34), "condition": np.array([0, 1, 1, 0, 1], np.int64)}, lambda x, keep: x.flatten()[:5][keep.bool()])
for axis in (-1, 0, 1):
    case("OneHot", f"axis{axis}", {"axis": axis}, {"indices": np.array([[0, 2], [-1, 1], [3, 7]], np.int64), "depth": np.array([4], np.int64), "values": normal(2, seed=35)},
         lambda at, depth, values, axis=axis: values[((at % 4)[..., None] == torch.arange(4)).__and__((at < 4)[..., None]).long()].movedim(-1, axis))
scalar = lambda value: np.array(value, np.float32)
case("Range", "by-start-and-delta", {}, {"start": scalar(0.5), "limit": scalar(3.0), "delta": scalar(0.6)},
     lambda start, limit, delta: start + torch.arange(5) * delta)
for corners in (0, 1):
    case("AffineGrid", f"two-axes-corners{corners}", {"align_corners": corners}, {"theta": normal(2, 2, 3, seed=36), "sizes": np.array([2, 3, 4, 5], np.int64)},
         lambda theta, sizes, c=bool(corners): F.affine_grid(theta, sizes.tolist(), c), ("grid",))
    case("AffineGrid", f"three-axes-corners{corners}", {"align_corners": corners}, {"theta": normal(2, 3, 4, seed=37), "sizes": np.array([2, 1, 3, 2, 4], np.int64)},
         lambda theta, sizes, c=bool(corners): F.affine_grid(theta, sizes.tolist(), c), ("grid",))

EQUATIONS = [("bilinear", "bi,oij,bj->bo", (2, 3), (4, 3, 5), (2, 5)), ("trace", "ii->", (3, 3)), ("repeated-output-order", "abc->cab", (2, 3, 4)),
             ("diagonal-batch", "bii->bi", (2, 3, 3)), ("ellipsis-broadcast", "...ij,...jk->...ik", (2, 1, 3, 4), (2, 5, 4, 2)),
             ("sum-of-one-operand", "ij,k->i", (2, 3), (4,)), ("scalar-operand", ",ij->ij", (), (2, 3)), ("relative-positions", "bhid,ijd->bhij", (2, 2, 3, 4), (3, 5, 4)),
             ("four-operands", "ab,bc,cd,de->ae", (2, 3), (3, 4), (4, 2), (2, 3))]
for name, equation, *shapes in EQUATIONS:
    case("Einsum", name, {"equation": equation}, {f"operand{at}": normal(*shape, seed=40 + at) for at, shape in enumerate(shapes)},
         lambda *operands, equation=equation: torch.einsum(equation, *operands))


def straight_through(x, scale, zero, low, high):
    """A pair of QuantizeLinear and DequantizeLinear whose rounding has the derivative 1."""
    x = x / scale
    stored = x.detach().round() + zero
    kept = (stored >= low) & (stored <= high)
    return (torch.where(kept, x - x.detach(), 0.0) + stored.clamp(low, high) - zero) * scale


wide = 3 * normal(4, 3, 5, seed=60)
for dtype, low, high, zero in (("int8", -128, 127, -20), ("uint8", 0, 255, 100)):
    # Scales at which some elements leave the range.
    one, each = np.array(0.03, np.float32), np.array([0.02, 0.03, 0.05], np.float32)
    column = lambda t: t.reshape(3, 1)
    case("QuantizePair", f"tensor-{dtype}", {"stored": dtype}, {"X": wide, "scale": one, "zero": np.array(zero, np.int64)},
         lambda x, s, z, low=low, high=high: straight_through(x, s, z, low, high))
    case("QuantizePair", f"axis-{dtype}", {"stored": dtype, "axis": 1}, {"X": wide, "scale": each, "zero": np.array([zero, 0, zero // 2], np.int64)},
         lambda x, s, z, low=low, high=high: straight_through(x, column(s), column(z), low, high))


def check_straight_through():
    """PyTorch's own kernel has the same numbers; it is there in float32 only."""
    made = []
    for kernel in (lambda x, s: straight_through(x, s, 100, 0, 255),
                   lambda x, s: torch._fake_quantize_learnable_per_tensor_affine(x, s, torch.tensor([100.0]), 0, 255, 1.0)):
        x, s = torch.tensor(wide, requires_grad=True), torch.tensor([0.03], requires_grad=True)
        y = kernel(x, s)
        y.backward(torch.cos(torch.arange(60.0)).reshape(y.shape))
        made.append((y.detach(), x.grad, s.grad))
    for ours, theirs in zip(*made):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


check_straight_through()


def layer(op, name, attributes, wanted, outputs=None, lengths=None, written_out=None, **settings):
    """A recurrent layer of 5 steps, batch 3, 4 features, 2 hidden; `wanted` are its optional inputs."""
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    seed = len(CASES) + 100
    shapes = {"X": (5, 3, 4), "W": (directions, gates * 2, 4), "R": (directions, gates * 2, 2), "B": (directions, 2 * gates * 2),
              "initial_h": (directions, 3, 2), "initial_c": (directions, 3, 2)}
    inputs = {key: normal(*shapes[key], seed=seed + at) for at, key in enumerate(["X", "W", "R", *wanted])}
    if lengths:
        inputs["sequence_lens"] = np.array(lengths, np.int32)
    outputs = outputs or (("Y", "Y_h", "Y_c") if op == "LSTM" else ("Y", "Y_h"))
    make = recurrent.written_out if written_out else recurrent.kernel
    function = make(op, list(inputs), outputs, *([written_out] if written_out else []), **settings)
    case(op, name, {"hidden_size": 2, **attributes}, inputs, function, outputs)


states = {"RNN": ["initial_h"], "GRU": ["initial_h"], "LSTM": ["initial_h", "initial_c"]}
for op in ("LSTM", "GRU", "RNN"):
    # PyTorch's GRU resets after the product.
    after = {"linear_before_reset": 1} if op == "GRU" else {}
    for direction in ("forward", "reverse", "bidirectional"):
        layer(op, direction, {"direction": direction, **after}, ["B", *states[op]], direction=direction)
        layer(op, f"{direction}-lengths", {"direction": direction, **after}, ["B", *states[op]], lengths=[5, 2, 3], direction=direction)
    layer(op, "plain", after, [])
    layer(op, "last-state", after, ["B"], outputs=("Y_h",))
    layer(op, "all-states", {"direction": "bidirectional", **after}, ["B"], outputs=("Y",), direction="bidirectional")
layer("LSTM", "clip", {"clip": 1.5}, ["B", "initial_h", "initial_c"], written_out=["Sigmoid", "Tanh", "Tanh"], clip=1.5)
layer("LSTM", "activations", {"activations": ["Sigmoid", "Relu", "Tanh"]}, ["B"], written_out=["Sigmoid", "Relu", "Tanh"])
layer("GRU", "reset-before", {}, ["B", "initial_h"], written_out=["Sigmoid", "Tanh"])
layer("GRU", "reset-before-plain", {}, [], written_out=["Sigmoid", "Tanh"])
layer("GRU", "reset-before-clip", {"clip": 0.7}, ["B"], written_out=["Sigmoid", "Tanh"], clip=0.7)
layer("GRU", "activations", {"activations": ["Sigmoid", "Relu"], "linear_before_reset": 1}, ["B"], written_out=["Sigmoid", "Relu"],
      linear_before_reset=True)
layer("RNN", "relu", {"activations": ["Relu"]}, ["B"], nonlinearity="relu")


def computed(function, inputs, cotangents, dtype):
    leaves = [torch.tensor(x).to(dtype).requires_grad_() if x.dtype == np.float32 else torch.tensor(x) for x in inputs.values()]
    values = function(*leaves)
    values = values if isinstance(values, tuple) else (values,)
    if cotangents is None:
        rng = np.random.default_rng(99)
        cotangents = [rng.normal(0, 1, tuple(v.shape)).astype(np.float32) for v in values]
    torch.autograd.backward(values, [torch.tensor(c).to(dtype) for c in cotangents])
    return [v.detach().numpy() for v in values], [leaf.grad.numpy() if leaf.grad is not None else None for leaf in leaves], cotangents


def holds(path, tensors):
    """Whether the file has these numbers already: its bytes differ from run to run, in the order of the metadata."""
    held = load_file(path) if path.exists() else {}
    return held.keys() == tensors.keys() and all(np.array_equal(held[key], tensors[key]) for key in held)


def make(op, name, attributes, inputs, function, outputs):
    values, gradients, cotangents = computed(function, inputs, None, torch.float64)
    values32, gradients32, _ = computed(function, inputs, cotangents, torch.float32)
    real = [n for n, gradient in zip(inputs, gradients) if gradient is not None]
    gradients, gradients32 = ([g for g in made if g is not None] for made in (gradients, gradients32))
    exact = {f"output.{n}": v for n, v in zip(outputs, values)} | {f"gradient.{n}": g for n, g in zip(real, gradients)}
    rough = {f"output.{n}": v for n, v in zip(outputs, values32)} | {f"gradient.{n}": g for n, g in zip(real, gradients32)}
    errors = {}
    for key, value in exact.items():
        worst = float(np.abs(rough[key] - value.astype(np.float32)).max())
        errors[key] = {"max_abs": worst, "max_rel": worst / max(float(np.abs(value).max()), 1e-30)}
    tensors = {f"input.{n}": x for n, x in inputs.items()}
    tensors |= {f"cotangent.{n}": c for n, c in zip(outputs, cotangents)}
    tensors |= {key: np.asarray(value, np.float32, order="C") for key, value in exact.items()}
    file = f"{op}-{name}.safetensors"
    if not holds(FOLDER / file, tensors):
        save_file(tensors, FOLDER / file, metadata={"function": op, "torch": torch.__version__.split("+")[0], "computed": "float64", "dtype": "float32"})
    listed = lambda tensors: [{"name": n, "dtype": str(t.dtype).replace("float64", "float32"), "shape": list(t.shape)} for n, t in tensors]
    return {"op": op, "case": name, "file": file, "attributes": attributes, "inputs": listed(inputs.items()),
            "outputs": listed(zip(outputs, values)), "gradients": real, "float32_error": errors}


def main():
    path = FOLDER / "index.json"
    before = path.read_text()
    made = [make(*c) for c in CASES]
    files = {entry["file"] for entry in made}
    entries = [entry for entry in json.loads(before) if entry["file"] not in files] + made
    path.write_text(json.dumps(entries, indent=1) + ("\n" if before.endswith("\n") else ""))
    print(f"{len(made)} cases, {len(entries)} in the index", file=sys.stderr)


main()
