"""Networks to ONNX files by both of PyTorch's exporters, with their gradients by autograd in float64 and float32.

Usage: export.py <folder> <name>...    (all of networks.py without a name)

Prints a line of JSON for each: {"name", "point": file with x, cotangent, y, gradient, gradient32, or null, "error",
"files": {exporter: file}, "refused": {exporter: first line of its error}}.
"""
import json
import logging
import os
import re
import sys
import warnings

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from networks import NETWORKS

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
torch.set_num_threads(1)
EXPORTERS = {"TorchScript": dict(dynamo=False, opset_version=17), "dynamo": dict(dynamo=True, external_data=False, verbose=False)}
fused_batch_norm = F.batch_norm


def plain_batch_norm(x, mean, variance, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """PyTorch 2.15's own is wrong on the way back where the cotangent is transposed: batch_norm(x).flatten(2).mT."""
    if training:
        return fused_batch_norm(x, mean, variance, weight, bias, training, momentum, eps)
    axes = [1, -1] + [1] * (x.dim() - 2)
    scale = torch.rsqrt(variance + eps) * (1 if weight is None else weight)
    y = (x - mean.view(axes)) * scale.view(axes)
    return y if bias is None else y + bias.view(axes)


def gradient(module, x, cotangent, dtype):
    module, x = module.to(dtype), x.to(dtype).requires_grad_(True)
    F.batch_norm = plain_batch_norm
    try:
        y = module(x)
    finally:
        F.batch_norm = fused_batch_norm
    return y.detach().float(), torch.autograd.grad(y, x, cotangent.to(dtype))[0].float()


def first_line(error):
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return (plain.splitlines() or [type(error).__name__])[0][:200]


def export(name, folder):
    make, shape = NETWORKS[name]
    stem = os.path.join(folder, re.sub(r"\W+", "-", name))
    told = {"name": name, "point": None, "error": None, "files": {}, "refused": {}}
    try:
        torch.manual_seed(0)
        module = make().eval()
        random = torch.Generator().manual_seed(1)
        x = torch.randn(shape, generator=random)
        with torch.no_grad():
            cotangent = torch.randn(module(x).shape, generator=random)
        for exporter, settings in EXPORTERS.items():
            file = f"{stem}.{exporter}.onnx"
            try:
                torch.onnx.export(module, (x,), file, input_names=["x"], output_names=["y"], **settings)
                told["files"][exporter] = file
            except Exception as error:  # exporters raise whatever they meet
                told["refused"][exporter] = first_line(error)
        _, rounded = gradient(module, x, cotangent, torch.float32)
        y, exact = gradient(module, x, cotangent, torch.float64)
        tensors = {"x": x, "cotangent": cotangent, "y": y, "gradient": exact, "gradient32": rounded}
        save_file({key: value.detach().clone().contiguous() for key, value in tensors.items()}, f"{stem}.safetensors")
        told["point"] = f"{stem}.safetensors"
    except Exception as error:  # a network that cannot be made says so, the others go on
        told["error"] = first_line(error)
    return told


# Exporters print what they think of a module: lines of ours alone go to standard output.
told_to = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for wanted in sys.argv[2:] or NETWORKS:
    print(json.dumps(export(wanted, sys.argv[1])), file=told_to, flush=True)
