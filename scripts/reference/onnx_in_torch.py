"""Runs an ONNX file in PyTorch, operator by operator, and differentiates it by PyTorch's autograd: a reference that shares
nothing with our reader, rules and runtime.

    python.sh onnx_in_torch.py model.onnx feeds.safetensors results.safetensors --dtype float64 --of y --wrt x w

`feeds` holds every input, and `cotangent.<output>` for each output of --of. `results` gets the outputs, and
`gradient.<name>` for each name of --wrt (inputs or initializers).
"""
import argparse

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

OPERATORS = {}


def operator(*names):
    def register(function):
        for name in names:
            OPERATORS[name] = function
        return function

    return register


def elementwise(**functions):
    for name, function in functions.items():
        OPERATORS[name] = lambda attributes, *inputs, function=function: function(*inputs)


def folded(function):
    def all_inputs(first, *others):
        for other in others:
            first = function(first, other)
        return first

    return all_inputs


def divide(a, b):
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


elementwise(
    Add=torch.add, Sub=torch.sub, Mul=torch.mul, Div=divide, Exp=torch.exp, Sqrt=torch.sqrt, Tanh=torch.tanh,
    Sigmoid=torch.sigmoid, Relu=F.relu, Erf=torch.erf, Log=torch.log, Where=torch.where, Reciprocal=torch.reciprocal, Identity=lambda x: x, MatMul=torch.matmul,
    Max=folded(torch.maximum), Equal=torch.eq, Not=torch.logical_not, Pow=lambda x, y: x ** y.to(x.dtype),
    Shape=lambda x: torch.tensor(x.shape), Size=lambda x: torch.tensor(x.numel()),
    GlobalAveragePool=lambda x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    GlobalMaxPool=lambda x: x.amax(tuple(range(2, x.ndim)), keepdim=True),
    Reshape=lambda x, shape: x.reshape([x.shape[at] if n == 0 else n for at, n in enumerate(shape.tolist())]),
    Expand=lambda x, shape: x.expand(torch.broadcast_shapes(x.shape, shape.tolist())),
    Clip=lambda x, low=None, high=None: torch.clamp(x, low, high),
)


@operator("LeakyRelu")
def leaky_relu(attributes, x):
    return F.leaky_relu(x, attributes.get("alpha", 0.01))


@operator("LayerNormalization")
def layer_normalization(attributes, x, scale, bias=None):
    axis = attributes.get("axis", -1) % x.ndim
    return F.layer_norm(x, x.shape[axis:], scale, bias, attributes.get("epsilon", 1e-5))


@operator("HardSigmoid")
def hard_sigmoid(attributes, x):
    return torch.clamp(attributes.get("alpha", 0.2) * x + attributes.get("beta", 0.5), 0, 1)


@operator("Constant")
def constant(attributes):
    if "value" in attributes:
        return to_torch(attributes["value"])
    (value,) = attributes.values()
    return torch.tensor(value, dtype=torch.int64 if isinstance(np.ravel(value)[0].item(), int) else torch.float32)


@operator("ConstantOfShape")
def constant_of_shape(attributes, shape):
    value = to_torch(attributes["value"]) if "value" in attributes else torch.zeros(1)
    return value.expand(shape.tolist())


TYPES = {1: torch.float32, 10: torch.float16, 11: torch.float64, 6: torch.int32, 7: torch.int64, 9: torch.bool}


@operator("Cast")
def cast(attributes, x):
    return x.to(WIDE.get(TYPES[attributes["to"]], TYPES[attributes["to"]]))


@operator("Transpose")
def transpose(attributes, x):
    return x.permute(attributes.get("perm", list(range(x.ndim))[::-1]))


@operator("Concat")
def concat(attributes, *inputs):
    return torch.cat(inputs, attributes["axis"])


@operator("Split")
def split(attributes, x, sizes=None):
    axis, count = attributes.get("axis", 0), attributes["outputs"]
    return x.split(attributes.get("split") or (sizes.tolist() if sizes is not None else -(-x.shape[axis] // count)), axis)


@operator("Gather")
def gather(attributes, x, indices):
    axis = attributes.get("axis", 0) % x.ndim
    wrapped = torch.where(indices < 0, indices + x.shape[axis], indices)
    taken = x.index_select(axis, wrapped.reshape(-1))
    return taken.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1:])


@operator("Slice")
def slices(attributes, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    for start, end, axis, step in zip(starts.tolist(), ends.tolist(), axes, steps):
        places = range(x.shape[axis])[slice(start, None if step < 0 and end < -x.shape[axis] else end, step)]
        x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64))
    return x


@operator("Squeeze")
def squeeze(attributes, x, axes=None):
    axes = attributes.get("axes") or (axes.tolist() if axes is not None else [at for at, n in enumerate(x.shape) if n == 1])
    return x.squeeze(tuple(axes))


@operator("Unsqueeze")
def unsqueeze(attributes, x, axes=None):
    axes = attributes.get("axes") or axes.tolist()
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def reduction(reduce):
    def along(attributes, x, axes=None):
        axes = attributes.get("axes") or (axes.tolist() if axes is not None else list(range(x.ndim)))
        return reduce(x, axes, keepdim=bool(attributes.get("keepdims", 1)))

    return along


OPERATORS["ReduceMean"] = reduction(torch.mean)
OPERATORS["ReduceSum"] = reduction(torch.sum)
OPERATORS["ReduceMax"] = reduction(torch.amax)


@operator("Softmax")
def softmax(attributes, x):
    axis = attributes.get("axis", -1 if attributes["opset"] >= 13 else 1) % x.ndim
    if attributes["opset"] >= 13:
        return x.softmax(axis)
    return x.flatten(axis).softmax(-1).reshape(x.shape)


@operator("Gemm")
def gemm(attributes, a, b, c=None):
    a, b = (a.T if attributes.get("transA") else a), (b.T if attributes.get("transB") else b)
    product = attributes.get("alpha", 1.0) * (a @ b)
    return product if c is None else product + attributes.get("beta", 1.0) * c


@operator("BatchNormalization")
def batch_normalization(attributes, x, scale, bias, mean, variance):
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, attributes.get("epsilon", 1e-5))


def padded(x, pads, value=0.0):
    """`pads` as ONNX orders them, of the last axes."""
    half = len(pads) // 2
    pairs = [pad for axis in reversed(range(half)) for pad in (pads[axis], pads[axis + half])]
    return F.pad(x, pairs, value=value) if any(pads) else x


def window_pads(attributes, x, kernel):
    auto = attributes.get("auto_pad", b"NOTSET").decode()
    if auto in ("NOTSET", ""):
        return attributes.get("pads", [0] * 2 * len(kernel))
    if auto == "VALID":
        return [0] * 2 * len(kernel)
    strides, dilations = attributes.get("strides", [1] * len(kernel)), attributes.get("dilations", [1] * len(kernel))
    totals = [max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n) for n, s, k, d in zip(x.shape[2:], strides, kernel, dilations)]
    less = [total // 2 for total in totals]
    more = [total - small for total, small in zip(totals, less)]
    return less + more if auto == "SAME_UPPER" else more + less


@operator("Conv")
def conv(attributes, x, w, bias=None):
    spatial = w.ndim - 2
    x = padded(x, window_pads(attributes, x, w.shape[2:]))
    function = (F.conv1d, F.conv2d, F.conv3d)[spatial - 1]
    ones = [1] * spatial
    strides, dilations = attributes.get("strides", ones), attributes.get("dilations", ones)
    return function(x, w, bias, strides, 0, dilations, attributes.get("group", 1))


@operator("ConvTranspose")
def conv_transpose(attributes, x, w, bias=None):
    spatial = w.ndim - 2
    ones, pads = [1] * spatial, attributes.get("pads", [0] * 2 * spatial)
    assert pads[:spatial] == pads[spatial:] and "output_shape" not in attributes
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial - 1]
    more = attributes.get("output_padding", [0] * spatial)
    group, dilations = attributes.get("group", 1), attributes.get("dilations", ones)
    return function(x, w, bias, attributes.get("strides", ones), pads[:spatial], more, group, dilations)


@operator("MaxPool")
def max_pool(attributes, x):
    kernel = attributes["kernel_shape"]
    assert not attributes.get("ceil_mode") and len(kernel) == 2
    x = padded(x, window_pads(attributes, x, kernel), -torch.inf)
    return F.max_pool2d(x, kernel, attributes.get("strides", [1, 1]))


@operator("AveragePool")
def average_pool(attributes, x):
    kernel, pads = attributes["kernel_shape"], attributes.get("pads", [0] * 4)
    assert not attributes.get("ceil_mode") and len(kernel) == 2 and not any(pads)
    return F.avg_pool2d(x, kernel, attributes.get("strides", [1, 1]))


@operator("Pad")
def pad(attributes, x, pads, value=None):
    mode, pads = attributes.get("mode", b"constant").decode(), pads.tolist()
    if mode == "constant":
        return padded(x, pads, 0.0 if value is None else float(value))
    assert mode == "reflect" and len(pads) == 2 * x.ndim
    for axis in range(x.ndim):
        before, after = pads[axis], pads[axis + x.ndim]
        if before or after:
            places = [abs(at) for at in range(-before, x.shape[axis] + after)]
            last = x.shape[axis] - 1
            x = x.index_select(axis, torch.tensor([min(at, 2 * last - at) for at in places]))
    return x


@operator("Resize")
def resize(attributes, x, roi=None, scales=None, sizes=None):
    mode, places = attributes.get("mode", b"nearest"), attributes.get("coordinate_transformation_mode", b"half_pixel")
    assert mode == b"nearest" and places == b"asymmetric" and attributes.get("nearest_mode") == b"floor"
    for axis, scale in enumerate(scales.tolist()):
        if scale != 1:
            count = int(x.shape[axis] * scale)
            x = x.index_select(axis, torch.tensor([int(at / scale) for at in range(count)]))
    return x


@operator("LSTM")
def lstm(attributes, x, w, r, bias=None, lengths=None, h=None, c=None):
    assert lengths is None and "activations" not in attributes
    direction = attributes.get("direction", b"forward")
    made = []
    for at in range(2 if direction == b"bidirectional" else 1):
        is_backward = direction == b"reverse" or at == 1
        start = [None if state is None else state[at] for state in (h, c)]
        ways = one_way(x.flip(0) if is_backward else x, w[at], r[at], None if bias is None else bias[at], *start)
        made.append((ways[0].flip(0) if is_backward else ways[0], *ways[1:]))
    steps, hidden, cells = zip(*made)
    return torch.stack(steps, 1), torch.stack(hidden), torch.stack(cells)


def one_way(x, w, r, bias, h, c):
    hidden = r.shape[1]
    zeros = x.new_zeros(x.shape[1], hidden)
    h, c = zeros if h is None else h, zeros if c is None else c
    shift = 0 if bias is None else bias[:4 * hidden] + bias[4 * hidden:]
    steps = []
    for row in x:
        i, o, f, g = (row @ w.T + h @ r.T + shift).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        steps.append(h)
    return torch.stack(steps), h, c


# Real numbers of the file -> those that are computed with.
WIDE = {}


def to_torch(tensor):
    value = torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
    return value.to(WIDE.get(value.dtype, value.dtype))


def run_graph(graph, values, opset):
    """Adds what the nodes make to `values`; branches see the values around them."""
    for tensor in graph.initializer:
        values.setdefault(tensor.name, to_torch(tensor))
    for node in graph.node:
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        inputs = [values[name] if name else None for name in node.input]
        if node.op_type == "If":
            branch = attributes["then_branch" if bool(inputs[0]) else "else_branch"]
            inner = run_graph(branch, dict(values), opset)
            made = [inner[output.name] for output in branch.output]
        else:
            attributes.update(opset=opset, outputs=len(node.output))
            made = OPERATORS[node.op_type](attributes, *inputs)
            made = made if isinstance(made, (list, tuple)) else [made]
        values.update((name, value) for name, value in zip(node.output, made) if name)
    return values


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("feeds")
    parser.add_argument("results")
    parser.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    parser.add_argument("--of", nargs="+", default=[])
    parser.add_argument("--wrt", nargs="+", default=[])
    asked = parser.parse_args()
    wide = getattr(torch, asked.dtype)
    WIDE.update({torch.float32: wide, torch.float16: wide, torch.float64: wide})
    model = onnx.load(asked.model)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    feeds = {name: torch.from_numpy(value) for name, value in load_file(asked.feeds).items()}
    feeds = {name: value.to(WIDE.get(value.dtype, value.dtype)) for name, value in feeds.items()}
    values = {entry.name: feeds[entry.name] for entry in model.graph.input if entry.name in feeds}
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in asked.wrt:
        values[name] = (values[name] if name in values else to_torch(held[name])).requires_grad_()
    leaves = [values[name] for name in asked.wrt]
    run_graph(model.graph, values, opset)
    total = sum((values[name] * feeds[f"cotangent.{name}"]).sum() for name in asked.of)
    gradients = torch.autograd.grad(total, leaves)
    results = {entry.name: values[entry.name] for entry in model.graph.output}
    results.update((f"gradient.{name}", gradient) for name, gradient in zip(asked.wrt, gradients))
    save_file({name: np.ascontiguousarray(value.detach().numpy()) for name, value in results.items()}, asked.results)


if __name__ == "__main__":
    main()
