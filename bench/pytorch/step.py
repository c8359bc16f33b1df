"""The two calls of a search step in plain PyTorch, one thread: the guided output of the UNet, and the referees' gradient by the latent.

Reads requests from standard input, one JSON object a line, and answers each with one line:
{"do": "open", "pack": folder, "device": "cpu" | "cuda"} -> {"openSeconds": ..., "peak": bytes};
{"do": "guidance" | "alignment", "mode": "eager" | "compile", "file": inputs, "out": results} -> {"seconds": ..., "peak": bytes};
{"do": "peak-product", "size": n} -> {"seconds": ...}. Inputs and results are safetensors files; an empty "out" writes none.
"""

import json
import sys
import time

import torch
from safetensors.torch import load_file, save_file

from cutouts import cutouts
from models import checkpoint, decode, denoise, losses, vision_tower

torch.set_num_threads(1)


def peak():
    """Largest size of this process, in the GPU's memory if it computes there. Not ru_maxrss, which begins with that of the process that started this one."""
    if torch.get_default_device().type == "cuda":
        return torch.cuda.max_memory_reserved()
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024


def denoised(pack, t):
    twice = lambda x: torch.cat([x, x])
    context = torch.cat([t["context_null"], t["context_prompt"]])
    empty, full = denoise(*pack["unet"], twice(t["noisy"]), twice(t["timesteps"]), context).chunk(2)
    return empty + t["guidance"].view(-1, 1, 1, 1) * (full - empty)


def aligned(pack, t, latents, order):
    """Losses of every cutout, and the sum that is differentiated."""
    config, w = pack["referee"]
    image = (decode(*pack["decoder"], latents) / 2 + 0.5).clamp(0, 1)
    preprocessor = pack["preprocessor"]
    size = config["vision_config"]["image_size"]
    pixels = cutouts(image, t, order, size, preprocessor["image_mean"], preprocessor["image_std"])
    n = pixels.shape[0] // latents.shape[0]
    texts = [t[name].repeat_interleave(n, 0) for name in ("referee_ids", "decoder_ids", "referee_mask", "label_smoothing")]
    weights = [t[name].repeat_interleave(n, 0)[:, 0] for name in ("weight_itm", "weight_itg")]
    seen = vision_tower(config["vision_config"], w("vision_model"), pixels)
    itm, itg = losses(config, w, seen, *texts)
    return (weights[0] * itm).sum() + (weights[1] * itg).sum(), itm, itg


def guidance(pack, t, function):
    with torch.no_grad():
        return {"output": function(pack, t)}


def alignment(pack, t, function):
    # Outside of what is compiled: the compiler stops at both, and would begin anew in every call.
    order = tuple(t["cutouts.jitterOrder"][0].tolist())
    latents = t["latents"].detach().requires_grad_(True)
    total, itm, itg = function(pack, t, latents, order)
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


def now():
    """Seconds, when all that was asked for until now is done."""
    if torch.get_default_device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


CALLS = {"guidance": (guidance, denoised), "alignment": (alignment, aligned)}
pack, compiled, inputs = None, {}, {}


def answer(request):
    global pack
    begin = now()
    if request["do"] == "open":
        torch.set_default_device(request["device"])
        pack = opened(request["pack"])
        return {"openSeconds": now() - begin, "peak": peak()}
    if request["do"] == "peak-product":
        a, b = torch.rand(2, int(request["size"]), int(request["size"])).unbind()
        begin = now()
        a @ b
        return {"seconds": now() - begin, "peak": peak()}
    name = request["do"]
    call, function = CALLS[name]
    if request["mode"] == "compile":
        if name not in compiled:
            compiled[name] = torch.compile(function, fullgraph=True)
        function = compiled[name]
    tensors = inputs.setdefault(request["file"], load_file(request["file"], str(torch.get_default_device())))
    begin = now()
    results = call(pack, tensors, function)
    seconds = now() - begin
    if request["out"]:
        save_file({key: value.contiguous() for key, value in results.items()}, request["out"])
    return {"seconds": seconds, "peak": peak()}


print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    try:
        print(json.dumps(answer(json.loads(line))), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}), flush=True)
