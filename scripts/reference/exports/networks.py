"""Networks of torchvision, timm and transformers with random weights, and small programs of single operators: a name, how
to make a module of one input and one output, and the shape of that input."""
import torch
import torch.nn as nn
import torch.nn.functional as F

NETWORKS = {}
PICTURE = (1, 3, 64, 64)
LARGE = (1, 3, 224, 224)


class Function(nn.Module):
    """A function of one tensor; what is not a tensor of the result is left out."""

    def __init__(self, function, module=None):
        super().__init__()
        self.function, self.module = function, module

    def forward(self, x):
        return self.function(x) if self.module is None else self.function(self.module, x)


def register(name, make, shape):
    NETWORKS[name] = (make, shape)


def torchvision_model(name, shape=PICTURE, **settings):
    def make():
        from torchvision.models import get_model

        return get_model(name, weights=None, **settings)

    register(f"torchvision/{name}", make, shape)


def torchvision_segmentation(name):
    def make():
        from torchvision.models import get_model

        module = get_model(name, weights=None, weights_backbone=None)
        return Function(lambda m, x: m(x)["out"], module)

    register(f"torchvision/{name}", make, PICTURE)


def timm_model(name, shape=PICTURE, **settings):
    def make():
        import timm

        return timm.create_model(name, pretrained=False, **settings)

    register(f"timm/{name}", make, shape)


def transformers_model(name, shape=(1, 10, 32), feed="inputs_embeds", model=None, config=None, more=None, **settings):
    def make():
        import transformers

        made = getattr(transformers, config or f"{name}Config")(**settings)
        module = getattr(transformers, model or f"{name}Model")(made)

        def call(m, x):
            result = m(**{feed: x}, **(more(x) if more else {}), return_dict=False)
            return result if torch.is_tensor(result) else result[0]

        return Function(call, module)

    register(f"transformers/{name}", make, shape)


def operators(name, function, shape=(2, 6, 8, 8)):
    register(f"operators/{name}", lambda: Function(function), shape)


for each in """resnet18 mobilenet_v2 mobilenet_v3_small shufflenet_v2_x0_5 squeezenet1_1 efficientnet_b0 regnet_x_400mf
               mnasnet0_5 convnext_tiny densenet121 swin_t swin_v2_t""".split():
    torchvision_model(each)
torchvision_model("maxvit_t", LARGE)
torchvision_model("r3d_18", (1, 3, 4, 32, 32))
torchvision_model("googlenet", aux_logits=False, init_weights=False)
torchvision_model("inception_v3", (1, 3, 96, 96), aux_logits=False, init_weights=False)
for each in ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "fcn_resnet50"]:
    torchvision_segmentation(each)

timm_model("vit_tiny_patch16_224", img_size=64)
for each in """mobilevit_xxs mobileone_s0 repvgg_a0 poolformer_s12 edgenext_xx_small fastvit_t8 xcit_nano_12_p16_224
               twins_pcpvt_small ghostnet_100 hrnet_w18_small efficientvit_b0 mobilenetv4_conv_small nf_resnet50 ecaresnet26t
               gcresnext26ts tresnet_m dla34 vovnet39a convmixer_768_32 davit_tiny focalnet_tiny_srf inception_next_atto
               rdnet_tiny starnet_s1 swiftformer_xs repghostnet_050 mambaout_femto hgnetv2_b0 caformer_s18
               pvt_v2_b0""".split():
    timm_model(each)
for each in """mixer_s32_224 levit_128s resmlp_12_224 pit_ti_224 eva02_tiny_patch14_224 hiera_tiny_224 tiny_vit_5m_224
               efficientformer_l1 efficientvit_m0 visformer_tiny gmlp_s16_224 volo_d1_224 nest_tiny sequencer2d_s
               coat_tiny""".split():
    timm_model(each, LARGE)
timm_model("crossvit_tiny_240", (1, 3, 240, 240))
for each in ["halonet26t", "botnet26t_256", "lambda_resnet26t"]:
    timm_model(each, (1, 3, 256, 256))

LAYERS = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
TEXT = dict(LAYERS, vocab_size=100)
for each in ["Bert", "Roberta", "RoFormer", "MPNet", "XLMRoberta", "Camembert", "Ernie", "Nystromformer", "MegatronBert"]:
    transformers_model(each, **TEXT)
transformers_model("Electra", embedding_size=32, **TEXT)
transformers_model("ConvBert", embedding_size=32, **TEXT)
transformers_model("DistilBert", dim=32, n_layers=2, n_heads=4, hidden_dim=64, vocab_size=100)
transformers_model("Albert", embedding_size=32, **TEXT)
transformers_model("DebertaV2", relative_attention=True, pos_att_type=["p2c", "c2p"], **TEXT)
transformers_model("Deberta", relative_attention=True, pos_att_type=["p2c", "c2p"], **TEXT)
transformers_model("ModernBert", pad_token_id=0, **TEXT)
transformers_model("GPT2", n_embd=32, n_layer=2, n_head=4, vocab_size=100, use_cache=False)
transformers_model("GPTNeoX", use_cache=False, **TEXT)
transformers_model("Bloom", hidden_size=32, n_layer=2, n_head=4, vocab_size=100, use_cache=False)
DECODER = dict(TEXT, num_key_value_heads=2, use_cache=False, head_dim=8, pad_token_id=0)
for each in """Llama Mistral Gemma Gemma2 Qwen2 Qwen3 Phi Phi3 Olmo Cohere StableLm Mixtral Qwen2Moe Granite Starcoder2 Nemotron
               Glm""".split():
    transformers_model(each, **DECODER)
transformers_model("Gemma3Text", config="Gemma3TextConfig", model="Gemma3TextModel", **DECODER)
transformers_model("OPT", word_embed_proj_dim=32, ffn_dim=64, use_cache=False, **{k: v for k, v in TEXT.items() if k != "intermediate_size"})
transformers_model("T5", model="T5EncoderModel", d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, vocab_size=100)
STATE = dict(hidden_size=32, num_hidden_layers=2, vocab_size=100, state_size=4, use_cache=False)
transformers_model("Mamba", **STATE)
transformers_model("Mamba2", num_heads=4, head_dim=16, n_groups=1, chunk_size=8, **STATE)
for each in ["Wav2Vec2", "Hubert", "WavLM"]:
    transformers_model(each, (1, 3200), "input_values", conv_dim=(16,) * 7, **LAYERS)
transformers_model("AST", (1, 64, 32), "input_values", max_length=64, num_mel_bins=32, **LAYERS)
VISION = dict(LAYERS, image_size=32, patch_size=8)
for each in ["ViT", "CLIPVision", "SiglipVision", "Dinov2", "Beit", "DeiT"]:
    transformers_model(each, (1, 3, 32, 32), "pixel_values", **VISION)
transformers_model("Swin", (1, 3, 32, 32), "pixel_values", image_size=32, patch_size=2, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4)
transformers_model(
    "Segformer", PICTURE, "pixel_values", model="SegformerForSemanticSegmentation", hidden_sizes=[16, 16, 32, 32], depths=[1] * 4,
    num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16,
)
transformers_model(
    "Whisper", (1, 16, 60), "input_features", d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4,
    decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, num_mel_bins=16, max_source_positions=30, vocab_size=100,
    pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, begin_suppress_tokens=None, suppress_tokens=None,
    use_cache=False, more=lambda x: {"decoder_input_ids": torch.zeros(1, 4, dtype=torch.long)},
)
transformers_model(
    "DPT", (1, 3, 32, 32), "pixel_values", model="DPTForDepthEstimation", **dict(VISION, num_hidden_layers=4),
    backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16, reassemble_factors=[4, 2, 1, 0.5],
)
transformers_model(
    "SamVision", PICTURE, "pixel_values", hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=64, patch_size=8,
    mlp_dim=64, output_channels=16, window_size=4, global_attn_indexes=[1],
)

TRANSPOSED = (0, 2, 3, 1)
operators("patches", lambda x: F.fold(F.unfold(x, 3, padding=1), (8, 8), 3, padding=1))
operators("bicubic", lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"))
operators("bicubic, corners", lambda x: F.interpolate(x, size=(13, 5), mode="bicubic", align_corners=True))
operators("smoothed bilinear", lambda x: F.interpolate(x, size=(5, 5), mode="bilinear", antialias=True))
operators("area", lambda x: F.interpolate(x, size=(4, 4), mode="area"))
operators("nearest", lambda x: F.interpolate(x, size=(13, 5), mode="nearest-exact"))
operators("pools to a size", lambda x: F.adaptive_avg_pool2d(x, (4, 2)) + F.adaptive_max_pool2d(x, (4, 2)))
operators("cumulative", lambda x: torch.cumsum(x, 1))
operators("sort", lambda x: torch.sort(x, dim=-1)[0] * torch.arange(8))
operators("top", lambda x: torch.topk(x, 3, dim=1)[0])
operators("log of sums", lambda x: torch.logsumexp(x, -1) + torch.logcumsumexp(x, -1).sum(-1))
operators("norms", lambda x: F.group_norm(x, 3) + F.instance_norm(x) + F.layer_norm(x, (8, 8)) + F.local_response_norm(x, 3))
operators("exponentials", lambda x: F.celu(x) + F.selu(x) + F.mish(x) + F.softsign(x) + F.logsigmoid(x) + F.elu(x) + F.silu(x) + F.tanhshrink(x))
operators("gates", lambda x: F.hardswish(x) + F.hardsigmoid(x) + F.relu6(x) + F.glu(torch.cat([x, x], 1), 1) + F.gelu(x, approximate="tanh"))
operators("sampled", lambda x: F.grid_sample(x, torch.tanh(x[:, :2].permute(TRANSPOSED)), align_corners=False)
          + F.grid_sample(x, torch.tanh(x[:, :2].permute(TRANSPOSED)), mode="bicubic", padding_mode="reflection", align_corners=True))
operators("warped", lambda x: F.grid_sample(x, F.affine_grid(x[:, 0, :2, :3], [2, 6, 8, 8], align_corners=False), align_corners=False))
operators("shuffled", lambda x: F.pixel_unshuffle(F.pixel_shuffle(x[:, :4], 2), 2))
operators("padded", lambda x: sum(F.pad(x, (1, 2, 3, 1), mode=mode) for mode in ["reflect", "replicate", "circular", "constant"]))
operators("sums of products", lambda x: torch.einsum("bchw,bdhw->bcd", x, x) @ torch.einsum("bchw->bcw", x))
operators("scattered", lambda x: torch.zeros_like(x).scatter_add(1, (torch.arange(6).view(1, 6, 1, 1).expand(2, 6, 8, 8) * 5) % 6, x))
operators("chosen", lambda x: x[:, [0, 2], 1:, ::2] * x[:, torch.tensor([1, 5])][:, :, :7, :4] + x.index_select(1, torch.tensor([0, 5]))[:, :, 1:, ::2])
operators("masked", lambda x: x.masked_fill(x > 0.5, -1.0) + torch.where(x > 0, x**2, torch.exp(x)))
operators("put", lambda x: torch.index_put(x, (torch.tensor([0, 1]), torch.tensor([2, 3])), x[:, 0] * 2))
operators("deviations", lambda x: F.normalize(x, dim=1) + x.norm(dim=(2, 3), keepdim=True) + x.abs().amax(1, keepdim=True) + x.std(1, keepdim=True))
operators("distances", lambda x: torch.cdist(x.flatten(2), x.flatten(2) + 1))
operators("causal attention", lambda x: F.scaled_dot_product_attention(x, x * 0.5, x * x, is_causal=True))
operators("masked attention", lambda x: F.scaled_dot_product_attention(x, x * 0.5, x * x, attn_mask=torch.arange(8)[:, None] >= torch.arange(8)))
operators("trigonometry", lambda x: torch.sin(x) + torch.atan(x) + torch.sinh(x) + torch.asinh(x) + torch.atan2(x, x * x + 1) + torch.erf(x))
operators("remainders", lambda x: torch.fmod(x, 0.7) + torch.remainder(x, 0.3) + torch.sign(x) * x + torch.rsqrt(x * x + 1) + torch.log1p(x * x))
operators("turned", lambda x: torch.flip(x, (2, 3)) + torch.roll(x, (1, 2), (2, 3)) + x.tril() + x.triu(1) + x.transpose(2, 3))
operators("diagonals", lambda x: torch.diagonal(x, dim1=2, dim2=3) + torch.einsum("bcii->bci", x))
operators("spectra", lambda x: torch.stft(x.reshape(2, 384), 64, 16, window=torch.hann_window(64), return_complex=False))
operators("losses", lambda x: F.cross_entropy(x, torch.arange(128).view(2, 8, 8) % 6) + F.smooth_l1_loss(x, x * 0.3 + 1)
          + F.kl_div(F.log_softmax(x, 1), F.softmax(x * 2, 1)) + F.binary_cross_entropy_with_logits(x, torch.sigmoid(x)))
operators("split and joined", lambda x: torch.stack(torch.unbind(x, 1)[::-1], 2).sum(1) + torch.cat(x.chunk(4, 3), 1).mean() + torch.cat(x.split([1, 5], 1)[::-1], 1).mean())


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer, self.head = getattr(nn, kind)(16, 12, 2, bidirectional=True, batch_first=True), nn.Linear(24, 5)

    def forward(self, x):
        return self.head(self.layer(x)[0])


for each in ["LSTM", "GRU", "RNN"]:
    register(f"layers/{each}", lambda kind=each: Recurrent(kind), (2, 7, 16))
register(
    "layers/encoder and decoder of a picture",
    lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.PReLU(8), nn.Conv2d(8, 16, 3, 2, 1, groups=2), nn.LeakyReLU(), nn.MaxPool2d(3, 1, 1),
        nn.ConvTranspose2d(16, 8, 3, 2, 1, 1), nn.ELU(), nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    ),
    (1, 3, 16, 16),
)
register("layers/volumes", lambda: nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool3d(2), nn.ConvTranspose3d(4, 2, 2, 2), nn.MaxPool3d(2)), (1, 2, 8, 8, 8))
register("layers/encoder of a text", lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2), (2, 5, 16))
register("layers/transformer", lambda: Function(lambda m, x: m(x, x * 0.5), nn.Transformer(16, 4, 1, 1, 32, batch_first=True)), (2, 5, 16))
