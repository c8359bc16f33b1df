"""The cutouts of a step in plain PyTorch: kornia's formulas, every random number given."""

import torch
import torch.nn.functional as F

GREY = (0.299, 0.587, 0.114)


def warp(x, inverse, flag):
    """Bilinear, zeros outside, pixel centres at whole numbers: `inverse` maps destination pixels to source pixels."""
    n, _, h, w = x.shape
    ys, xs = torch.meshgrid(torch.arange(h, dtype=x.dtype), torch.arange(w, dtype=x.dtype), indexing="ij")
    pixels = torch.stack([xs.reshape(-1), ys.reshape(-1), torch.ones(h * w)])
    places = (inverse.to(x.dtype) @ pixels).transpose(1, 2)
    places = places[..., :2] / places[..., 2:]
    grid = (2 * places + 1) / torch.tensor([w, h], dtype=x.dtype) - 1
    warped = F.grid_sample(x, grid.view(n, h, w, 2), mode="bilinear", padding_mode="zeros", align_corners=False)
    return torch.where(flag.view(-1, 1, 1, 1) > 0, warped, x)


def grey(x):
    return (x * torch.tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)


def hue(x, turns):
    highest, at = x.max(1, keepdim=True)
    chroma = highest - x.min(1, keepdim=True)[0]
    saturation = chroma / (highest + 1e-8)
    divisor = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    red, green, blue = (highest - x).split(1, 1)
    sixths = torch.cat([blue - green, red - blue + 2 * divisor, green - red + 4 * divisor], 1) / divisor
    h = (sixths.gather(1, at) / 6 % 1 + turns) % 1 * 6
    sector = h.floor() % 6
    part = h - h.floor()
    low = highest * (1 - saturation)
    falling = highest * (1 - part * saturation)
    rising = highest * (1 - (1 - part) * saturation)
    v, index = highest, sector.long()
    choices = (v, falling, low, low, rising, v, rising, v, v, falling, low, low, low, low, rising, v, v, falling)
    table = torch.cat(choices, 1)
    return table.gather(1, torch.cat([index, index + 6, index + 12], 1))


def jitter(x, factors, order, flag):
    """One order for all: the cheapest case for PyTorch, which needs a loop over lanes otherwise."""
    y = x.clamp(0, 1)
    brightness, contrast, saturation, turns = (column.view(-1, 1, 1, 1) for column in factors.unbind(1))
    for kind in order:
        if kind == 0:
            y = (y * brightness).clamp(0, 1)
        elif kind == 1:
            y = (y * contrast + (1 - contrast) * grey(y).mean((1, 2, 3), keepdim=True)).clamp(0, 1)
        elif kind == 2:
            y = (y * saturation + (1 - saturation) * grey(y)).clamp(0, 1)
        else:
            y = hue(y, turns)
    return torch.where(flag.view(-1, 1, 1, 1) > 0, y.clamp(0, 1), x)


def cutouts(image, t, order, size, mean, std):
    """image [B, 3, H, W] in 0..1 -> pixel values [B n, 3, size, size]; `t` holds the graph's inputs."""
    of = lambda name: t[f"cutouts.{name}"]
    lanes, n = image.shape[0], of("affineFlag").shape[0] // image.shape[0]
    x = image
    if image.shape[-1] != size:
        x = (F.adaptive_avg_pool2d(x, size) + F.adaptive_max_pool2d(x, size)) / 2
    x = x.repeat_interleave(n, 0)
    x = warp(x, of("affineInverse"), of("affineFlag"))
    x = warp(x, of("perspectiveInverse"), of("perspectiveFlag"))
    x = jitter(x, of("jitterFactors"), order, of("jitterFlag"))
    top, left, tall, wide = of("eraseRectangle").repeat_interleave(n, 0).view(lanes * n, 4, 1).unbind(1)
    places = torch.arange(size, dtype=x.dtype)
    inside = ((places >= top) & (places < top + tall))[:, None, :, None] & ((places >= left) & (places < left + wide))[:, None, None, :]
    x = torch.where(inside, torch.zeros(()), x)
    x = x + of("noiseFactor").view(-1, 1, 1, 1) * of("noise")
    x = x + of("noiseScale").repeat_interleave(n, 0).view(-1, 1, 1, 1) * of("noise2")
    return (x - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
