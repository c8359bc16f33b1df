/**
 * @file A pack between the shapes world and Stable Diffusion 1.5 with BLIP-2: half the widths of both, their depths, 256
 * pixels. The vision tower is half of BLIP-2's smaller one (ViT-L/14) in width, with its 24 layers and 224 pixels: the
 * larger one (ViT-g, 39 layers) at half width would take three quarters of the step. Four cutouts instead of ten, so
 * that a step takes some seconds on one thread.
 */

/** Changes when anything here does: folders are named after it. */
export const MID_VERSION = '1';

export const MID_CONFIGS = {
  unet: {
    _class_name: 'UNet2DConditionModel',
    sample_size: 32,
    in_channels: 4,
    out_channels: 4,
    block_out_channels: [160, 320, 640, 640],
    layers_per_block: 2,
    cross_attention_dim: 384,
    attention_head_dim: 8,
    norm_num_groups: 32,
    norm_eps: 1e-5,
    down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
    mid_block_type: 'UNetMidBlock2DCrossAttn',
    up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
    act_fn: 'silu',
    flip_sin_to_cos: true,
    freq_shift: 0,
    downsample_padding: 1,
  },
  vae: {
    _class_name: 'AutoencoderKL',
    in_channels: 3,
    out_channels: 3,
    latent_channels: 4,
    block_out_channels: [64, 128, 256, 256],
    layers_per_block: 2,
    norm_num_groups: 32,
    act_fn: 'silu',
    sample_size: 256,
    scaling_factor: 0.18215,
  },
  text_encoder: {
    model_type: 'clip_text_model',
    vocab_size: 49_408,
    hidden_size: 384,
    intermediate_size: 1536,
    num_hidden_layers: 12,
    num_attention_heads: 6,
    max_position_embeddings: 77,
    hidden_act: 'quick_gelu',
    layer_norm_eps: 1e-5,
  },
  referee: {
    model_type: 'blip-2',
    vision_config: {
      hidden_size: 512,
      intermediate_size: 2048,
      num_hidden_layers: 24,
      num_attention_heads: 8,
      image_size: 224,
      patch_size: 14,
      hidden_act: 'gelu',
      layer_norm_eps: 1e-6,
    },
    qformer_config: {
      vocab_size: 30_523,
      hidden_size: 384,
      num_hidden_layers: 12,
      num_attention_heads: 6,
      intermediate_size: 1536,
      hidden_act: 'gelu',
      max_position_embeddings: 512,
      layer_norm_eps: 1e-12,
      cross_attention_frequency: 2,
    },
    num_query_tokens: 32,
    image_text_hidden_size: 128,
  },
} as const;

export const MID_PREPROCESSOR = {
  image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
  image_std: [0.268_629_54, 0.261_302_58, 0.275_777_11],
};

export const MID_SCHEDULER = {
  num_train_timesteps: 1000,
  beta_start: 0.000_85,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  prediction_type: 'epsilon',
  set_alpha_to_one: false,
  steps_offset: 1,
};

const tokenizer = 'tokenizer';

export const MID_MANIFEST = {
  format: 1,
  name: 'mid',
  version: MID_VERSION,
  title: 'Random weights of half the widths of Stable Diffusion 1.5 and BLIP-2, 256 x 256 pixels: for measurements',
  licence: { spdx: 'Apache-2.0', parts: {} },
  size: { width: 256, height: 256 },
  parts: {
    decoder: { folder: 'vae' },
    unet: { folder: 'unet' },
    scheduler: 'scheduler/scheduler_config.json',
    textEncoder: { folder: 'text_encoder', tokenizer, tokens: 77 },
    referee: {
      folder: 'referee',
      tokenizer,
      tokens: 32,
      kind: 'blip2',
      preprocessor: 'referee/preprocessor_config.json',
      decoderStart: '[DEC]',
    },
  },
  closedVocabulary: false,
  defaults: { cutouts: 4 },
};
