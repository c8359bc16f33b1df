"""The models of a pack in plain PyTorch, as functions of dictionaries of weights: names and numbers of diffusers and transformers."""

import json
import math
import os

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


class Weights:
    """Tensors of a checkpoint by name, seen from a prefix."""

    def __init__(self, tensors, prefix="", places=None):
        self.tensors, self.prefix = tensors, prefix
        # Every beginning of a name, so that looking for one takes no time that would count as PyTorch's.
        self.places = places or {".".join(parts[:n]) for parts in (key.split(".") for key in tensors) for n in range(1, len(parts))}

    def __call__(self, name):
        return Weights(self.tensors, f"{self.prefix}{name}.", self.places)

    def __getattr__(self, name):
        return self.tensors.get(self.prefix + name)

    def __contains__(self, name):
        return f"{self.prefix}{name}" in self.places


def checkpoint(folder):
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    name = next(name for name in ("diffusion_pytorch_model", "model") if os.path.exists(f"{folder}/{name}.safetensors"))
    return config, Weights({key: value.float() for key, value in load_file(f"{folder}/{name}.safetensors", str(torch.get_default_device())).items()})


def linear(w, x):
    weight = w.weight
    return F.linear(x, weight.flatten(1) if weight.dim() == 4 else weight, w.bias)


def conv(w, x, stride=1):
    return F.conv2d(x, w.weight, w.bias, stride=stride, padding=w.weight.shape[-1] // 2)


def group_norm(w, x, groups, epsilon):
    return F.group_norm(x, groups, w.weight, w.bias, epsilon)


def layer_norm(w, x, epsilon):
    return F.layer_norm(x, x.shape[-1:], w.weight, w.bias, epsilon)


def attention(q, k, v, heads, mask=None):
    batch, width = q.shape[0], q.shape[2] // heads
    split = lambda x: x.view(batch, -1, heads, width).transpose(1, 2)
    mixed = F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=mask)
    return mixed.transpose(1, 2).reshape(q.shape)


def residual_block(w, x, groups, epsilon, time=None):
    h = conv(w("conv1"), F.silu(group_norm(w("norm1"), x, groups, epsilon)))
    if time is not None:
        h = h + linear(w("time_emb_proj"), time)[:, :, None, None]
    h = conv(w("conv2"), F.silu(group_norm(w("norm2"), h, groups, epsilon)))
    return h + (conv(w("conv_shortcut"), x) if "conv_shortcut" in w else x)


def enlarged(w, x):
    return conv(w("conv"), F.interpolate(x, scale_factor=2.0, mode="nearest"))


def decode(config, root, latents):
    """Latents as the diffusion model sees them -> image, about -1..1."""
    groups, levels = config["norm_num_groups"], len(config["block_out_channels"])
    w = root("decoder")
    x = conv(w("conv_in"), conv(root("post_quant_conv"), latents / config["scaling_factor"]))
    x = residual_block(w("mid_block.resnets.0"), x, groups, 1e-6)
    a = w("mid_block.attentions.0")
    rows = group_norm(a("group_norm"), x, groups, 1e-6).flatten(2).transpose(1, 2)
    mixed = attention(linear(a("to_q"), rows), linear(a("to_k"), rows), linear(a("to_v"), rows), 1)
    x = x + linear(a("to_out.0"), mixed).transpose(1, 2).reshape(x.shape)
    x = residual_block(w("mid_block.resnets.1"), x, groups, 1e-6)
    for level in range(levels):
        for layer in range(config["layers_per_block"] + 1):
            x = residual_block(w(f"up_blocks.{level}.resnets.{layer}"), x, groups, 1e-6)
        if level < levels - 1:
            x = enlarged(w(f"up_blocks.{level}.upsamplers.0"), x)
    return conv(w("conv_out"), F.silu(group_norm(w("conv_norm_out"), x, groups, 1e-6)))


def transformer(w, x, context, heads, groups):
    b, c, height, width = x.shape
    t = conv(w("proj_in"), group_norm(w("norm"), x, groups, 1e-6)).flatten(2).transpose(1, 2)
    block = w("transformer_blocks.0")
    for name, norm in (("attn1", "norm1"), ("attn2", "norm2")):
        a, normed = block(name), layer_norm(block(norm), t, 1e-5)
        memory = normed if name == "attn1" else context
        mixed = attention(linear(a("to_q"), normed), linear(a("to_k"), memory), linear(a("to_v"), memory), heads)
        t = t + linear(a("to_out.0"), mixed)
    value, gate = linear(block("ff.net.0.proj"), layer_norm(block("norm3"), t, 1e-5)).chunk(2, -1)
    t = t + linear(block("ff.net.2"), value * F.gelu(gate))
    return x + conv(w("proj_out"), t.transpose(1, 2).reshape(b, c, height, width))


def denoise(config, w, x, timesteps, context):
    """UNet2DConditionModel of Stable Diffusion 1.5's form."""
    groups, epsilon, heads = config["norm_num_groups"], config["norm_eps"], config["attention_head_dim"]
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    half = widths[0] // 2
    angles = timesteps.double()[:, None] * torch.exp(-math.log(10000) * torch.arange(half).double() / half)
    features = torch.cat([angles.cos(), angles.sin()], 1).float()
    embedding = w("time_embedding")
    time = F.silu(linear(embedding("linear_2"), F.silu(linear(embedding("linear_1"), features))))

    def layer(block, index, x):
        x = residual_block(block(f"resnets.{index}"), x, groups, epsilon, time)
        name = f"attentions.{index}"
        return transformer(block(name), x, context, heads, groups) if name in block else x

    x = conv(w("conv_in"), x)
    skips = [x]
    for level in range(len(widths)):
        block = w(f"down_blocks.{level}")
        for index in range(layers):
            x = layer(block, index, x)
            skips.append(x)
        if level < len(widths) - 1:
            x = conv(block("downsamplers.0.conv"), x, stride=2)
            skips.append(x)
    middle = w("mid_block")
    x = layer(middle, 0, x)
    x = residual_block(middle("resnets.1"), x, groups, epsilon, time)
    for level in range(len(widths)):
        block = w(f"up_blocks.{level}")
        for index in range(layers + 1):
            x = layer(block, index, torch.cat([x, skips.pop()], 1))
        if level < len(widths) - 1:
            x = enlarged(block("upsamplers.0"), x)
    return conv(w("conv_out"), F.silu(group_norm(w("conv_norm_out"), x, groups, epsilon)))


def vision_tower(config, w, pixels):
    epsilon, heads, patch = config["layer_norm_eps"], config["num_attention_heads"], config["patch_size"]
    e = w("embeddings")
    rows = F.conv2d(pixels, e("patch_embedding").weight, e("patch_embedding").bias, stride=patch).flatten(2).transpose(1, 2)
    x = torch.cat([e.class_embedding.expand(pixels.shape[0], -1, -1), rows], 1) + e.position_embedding
    for index in range(config["num_hidden_layers"]):
        layer = w(f"encoder.layers.{index}")
        q, k, v = linear(layer("self_attn.qkv"), layer_norm(layer("layer_norm1"), x, epsilon)).chunk(3, -1)
        x = x + linear(layer("self_attn.projection"), attention(q, k, v, heads))
        wide = linear(layer("mlp.fc1"), layer_norm(layer("layer_norm2"), x, epsilon))
        x = x + linear(layer("mlp.fc2"), F.gelu(wide))
    return layer_norm(w("post_layernorm"), x, epsilon)


def qformer(config, w, image, ids, mask):
    """Queries and text [R, Q + T, C] after the last layer; mask [R, 1, 1 or Q + T, Q + T] is added to the scores."""
    c = config["qformer_config"]
    epsilon, heads, queries = c["layer_norm_eps"], c["num_attention_heads"], config["num_query_tokens"]

    def attend(block, x, memory, added=None):
        a = block("attention")
        mixed = attention(linear(a("query"), x), linear(a("key"), memory), linear(a("value"), memory), heads, added)
        return layer_norm(block("output.LayerNorm"), linear(block("output.dense"), mixed) + x, epsilon)

    def feed(layer, suffix, x):
        out = layer(f"output{suffix}")
        wide = F.gelu(linear(layer(f"intermediate{suffix}.dense"), x))
        return layer_norm(out("LayerNorm"), linear(out("dense"), wide) + x, epsilon)

    e = w("embeddings")
    text = F.embedding(ids, e("word_embeddings").weight) + e("position_embeddings").weight[: ids.shape[1]]
    x = torch.cat([w.query_tokens.expand(ids.shape[0], -1, -1), text], 1)
    x = layer_norm(w("qformer.layernorm"), x, epsilon)
    for index in range(c["num_hidden_layers"]):
        layer = w(f"qformer.encoder.layer.{index}")
        x = attend(layer("attention"), x, x, mask)
        of_queries, of_text = x[:, :queries], x[:, queries:]
        if index % c["cross_attention_frequency"] == 0:
            of_queries = attend(layer("crossattention"), of_queries, image)
        x = torch.cat([feed(layer, "_query", of_queries), feed(layer, "", of_text)], 1)
    return x


def losses(config, w, image, ids, decoder_ids, mask, smoothing):
    """Matching and caption loss of every image with its own text, each [R]."""
    rows, texts = ids.shape
    queries = config["num_query_tokens"]
    seen = torch.cat([torch.ones(rows, queries, dtype=torch.bool), mask != 0], 1)[:, None, None, :]
    hidden = qformer(config, w, image, ids, seen)
    match = linear(w("itm_head"), hidden[:, :queries]).mean(1).softmax(-1)[:, 1]
    order = torch.ones(queries + texts, queries + texts, dtype=torch.bool).tril()
    order[:, :queries] = True
    order[:queries, queries:] = False
    hidden = qformer(config, w, image, decoder_ids, order[None, None] & seen)
    head = w("cls.predictions")
    dense = F.gelu(linear(head("transform.dense"), hidden[:, queries:]))
    normed = layer_norm(head("transform.LayerNorm"), dense, config["qformer_config"]["layer_norm_eps"])
    logs = (linear(head("decoder"), normed) + head.bias)[:, :-1].log_softmax(-1)
    chosen = logs.gather(2, ids[:, 1:, None])[..., 0]
    likelihood = chosen + smoothing * (logs.mean(-1) - chosen)
    counts = (mask[:, 1:] != 0).float()
    return -(match + 1e-8).log(), -(likelihood * counts).sum(1) / counts.sum(1).clamp_min(1)
