"""The two calls of a search step in plain PyTorch, one thread: the guided output of the UNet, and the referees' gradient by the latent.

Reads requests from standard input, one JSON object a line, and answers each with one line:
{"do": "open", "pack": folder} -> {"openSeconds": ...};
{"do": "guidance" | "alignment", "mode": "eager" | "compile", "file": inputs, "out": results} -> {"seconds": ..., "peak": bytes};
{"do": "peak-product", "size": n} -> {"seconds": ...}. Inputs and results are safetensors files; an empty "out" writes none.
"""

import json
import resource
import sys
import time

import torch
from safetensors.torch import load_file, save_file

from cutouts import cutouts
from models import checkpoint, decode, denoise, losses, vision_tower

torch.set_num_threads(1)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def guidance(pack, t):
    with torch.no_grad():
        twice = lambda x: torch.cat([x, x])
        context = torch.cat([t["context_null"], t["context_prompt"]])
        empty, full = denoise(*pack["unet"], twice(t["noisy"]), twice(t["timesteps"]), context).chunk(2)
        return {"output": empty + t["guidance"].view(-1, 1, 1, 1) * (full - empty)}


def alignment(pack, t):
    config, w = pack["referee"]
    latents = t["latents"].detach().requires_grad_(True)
    image = (decode(*pack["decoder"], latents) / 2 + 0.5).clamp(0, 1)
    preprocessor = pack["preprocessor"]
    size = config["vision_config"]["image_size"]
    pixels = cutouts(image, t, size, preprocessor["image_mean"], preprocessor["image_std"])
    n = pixels.shape[0] // latents.shape[0]
    each = lambda name: t[name].repeat_interleave(n, 0)
    seen = vision_tower(config["vision_config"], w("vision_model"), pixels)
    texts = (each("referee_ids"), each("decoder_ids"), each("referee_mask"), each("label_smoothing"))
    itm, itg = losses(config, w, seen, *texts)
    total = (each("weight_itm")[:, 0] * itm).sum() + (each("weight_itg")[:, 0] * itg).sum()
    (gradient,) = torch.autograd.grad(total, latents)
    return {"itm": itm.detach(), "itg": itg.detach(), "gradient": gradient}


def read(path):
    with open(path) as file:
        return json.load(file)


def opened(folder):
    parts = read(f"{folder}/manifest.json")["parts"]
    of = lambda name: checkpoint(f"{folder}/{parts[name]['folder']}")
    preprocessor = read(f"{folder}/{parts['referee']['preprocessor']}")
    return {"unet": of("unet"), "decoder": of("decoder"), "referee": of("referee"), "preprocessor": preprocessor}


FUNCTIONS = {"guidance": guidance, "alignment": alignment}
pack, compiled, inputs = None, {}, {}


def answer(request):
    global pack
    begin = time.perf_counter()
    if request["do"] == "open":
        pack = opened(request["pack"])
        return {"openSeconds": time.perf_counter() - begin, "peak": peak()}
    if request["do"] == "peak-product":
        a, b = torch.rand(2, int(request["size"]), int(request["size"])).unbind()
        begin = time.perf_counter()
        a @ b
        return {"seconds": time.perf_counter() - begin, "peak": peak()}
    name = request["do"]
    function = FUNCTIONS[name]
    if request["mode"] == "compile":
        function = compiled.setdefault(name, torch.compile(function))
    tensors = inputs.setdefault(request["file"], load_file(request["file"]))
    begin = time.perf_counter()
    results = function(pack, tensors)
    seconds = time.perf_counter() - begin
    if request["out"]:
        save_file({key: value.contiguous() for key, value in results.items()}, request["out"])
    return {"seconds": seconds, "peak": peak()}


print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    try:
        print(json.dumps(answer(json.loads(line))), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}), flush=True)
