"""The layers of bench/layers.ts in plain PyTorch, eager and compiled, one thread.

Reads requests from standard input, one JSON object a line, and answers each with one line:
{"layer": ..., "mode": "eager" | "compile", "file": safetensors with the inputs} -> {"seconds": ..., "output": ..., "gradient": ...},
where the last two are sums of the output times the cotangent and of the input's gradient times the input.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

torch.set_num_threads(1)


def convolution(x, t):
    return F.conv2d(x, t["weight"], padding=1)


def attention(x, t):
    q, k, v = (x @ t[name].T for name in ("query", "key", "value"))
    b, n, c = x.shape
    heads = 8
    split = lambda y: y.view(b, n, heads, c // heads).transpose(1, 2)
    return F.scaled_dot_product_attention(split(q), split(k), split(v)).transpose(1, 2).reshape(b, n, c)


def norm_block(x, t):
    return F.conv2d(F.silu(group_norm(x, t)), t["weight"], padding=1)


def group_norm(x, t):
    return F.group_norm(x, 32, t["scale"], t["bias"], eps=1e-5)


def warp(x, t):
    """Bilinear, zeros outside, pixel centres at whole numbers: `inverse` maps destination pixels to source pixels."""
    n, _, h, w = x.shape
    ys, xs = torch.meshgrid(torch.arange(h, dtype=x.dtype), torch.arange(w, dtype=x.dtype), indexing="ij")
    pixels = torch.stack([xs.reshape(-1), ys.reshape(-1), torch.ones(h * w)])
    places = (t["inverse"].to(x.dtype) @ pixels)[:, :2].transpose(1, 2)
    grid = (2 * places + 1) / torch.tensor([w, h], dtype=x.dtype) - 1
    return F.grid_sample(x, grid.view(n, h, w, 2), mode="bilinear", padding_mode="zeros", align_corners=False)


LAYERS = {"convolution": convolution, "attention": attention, "group norm": group_norm, "norm block": norm_block, "warp": warp}
compiled, inputs = {}, {}

print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    name, mode = request["layer"], request["mode"]
    function = LAYERS[name]
    try:
        if mode == "compile":
            function = compiled.setdefault(name, torch.compile(function))
        tensors = inputs.setdefault(name, load_file(request["file"]))
        x = tensors["x"].detach().requires_grad_(True)
        begin = time.perf_counter()
        y = function(x, tensors)
        (gradient,) = torch.autograd.grad(y, x, tensors["cotangent"])
        seconds = time.perf_counter() - begin
        output = (y.detach().double() * tensors["cotangent"].double()).sum().item()
        product = (gradient.double() * x.detach().double()).sum().item()
        print(json.dumps({"seconds": seconds, "output": output, "gradient": product}), flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error).splitlines()[0][:200]}), flush=True)
