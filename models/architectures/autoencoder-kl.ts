/**
 * @file AutoencoderKL: images to latents and back (Rombach et al. 2022, arXiv 2112.10752). Structure and weight names are
 * those of diffusers' class of this name.
 */
import { z } from 'zod';

import { activation, silu } from '../nn/activation.ts';
import { attention } from '../nn/attention.ts';
import { convolution } from '../nn/convolution.ts';
import { linear, sizeOf } from '../nn/linear.ts';
import { groupNorm } from '../nn/norm.ts';
import { nearest } from '../nn/resize.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { activationName, configProblem, parseConfig, size, withDefault } from './config.ts';
import { residualBlock } from './residual-block.ts';

const schema = z.looseObject({
  in_channels: withDefault(size, 3),
  out_channels: withDefault(size, 3),
  latent_channels: withDefault(size, 4),
  block_out_channels: withDefault(z.array(size).min(1), [64]),
  layers_per_block: withDefault(size, 1),
  norm_num_groups: withDefault(size, 32),
  act_fn: withDefault(activationName, 'silu'),
  down_block_types: z.array(z.literal('DownEncoderBlock2D')).nullish(),
  up_block_types: z.array(z.literal('UpDecoderBlock2D')).nullish(),
  mid_block_add_attention: withDefault(z.boolean(), true),
  use_quant_conv: withDefault(z.boolean(), true),
  use_post_quant_conv: withDefault(z.boolean(), true),
  scaling_factor: withDefault(z.number().positive(), 0.18215),
  shift_factor: withDefault(z.number(), 0),
  latents_mean: z.array(z.number()).nullish(),
  latents_std: z.array(z.number().positive()).nullish(),
});

export type AutoencoderKlConfig = z.output<typeof schema>;

/** Epsilon of every group norm here; not a setting of the library. */
const EPSILON = 1e-6;
/** The library clamps the logarithm of the variance. */
const LOGVAR_RANGE = { min: -30, max: 20 } as const;

/** @throws RefereeError `InvalidModel` that names the field of `where` */
export function parseAutoencoderKlConfig(json: unknown, where: string): AutoencoderKlConfig {
  const config = parseConfig(schema, json, where);
  const levels = config.block_out_channels.length;
  for (const field of ['down_block_types', 'up_block_types'] as const) {
    const found = config[field]?.length ?? levels;
    if (found !== levels) throw configProblem(where, field, `has ${found} entries, block_out_channels has ${levels}`);
  }
  for (const field of ['latents_mean', 'latents_std'] as const) {
    const found = config[field]?.length ?? config.latent_channels;
    if (found !== config.latent_channels) {
      throw configProblem(where, field, `has ${found} entries, expected latent_channels, ${config.latent_channels}`);
    }
  }
  return config;
}

/** Pixels of the image per pixel of the latent, along each axis. */
export function downscaleFactor(config: AutoencoderKlConfig): number {
  return 2 ** (config.block_out_channels.length - 1);
}

/** latent [B, latent_channels, h, w], as it is -> image [B, out_channels, f h, f w] in about -1..1, not clamped. */
export function decode(b: GraphBuilder, scope: Scope, config: AutoencoderKlConfig, latent: Value): Value {
  const { block_out_channels: widths, latent_channels: latentChannels } = config;
  const start = config.use_post_quant_conv
    ? scope.enter(b, 'post_quant_conv', (w) => convolution(b, w, latent, { channels: latentChannels, kernel: 1 }))
    : latent;
  return scope.enter(b, 'decoder', (decoder) => {
    const widest = widths.at(-1)!;
    const convIn = decoder.enter(b, 'conv_in', (w) => convolution(b, w, start, { channels: widest, kernel: 3 }));
    const middle = decoder.enter(b, 'mid_block', (w) => midBlock(b, w, config, convIn));
    const levels = [...widths].reverse();
    const last = levels.reduce(
      (x, channels, level) =>
        decoder.enter(b, `up_blocks.${level}`, (block) => {
          const refined = residualBlocks(b, block, config, { x, channels, count: config.layers_per_block + 1 });
          return level === levels.length - 1 ? refined : upsample(b, block, refined);
        }),
      middle,
    );
    return head(b, decoder, config, { x: last, channels: config.out_channels });
  });
}

export interface LatentDistribution {
  /** [B, latent_channels, H / f, W / f] */
  readonly mean: Value;
  /** Natural logarithm of the variance, clamped to -30..20. */
  readonly logvar: Value;
}

/** image [B, in_channels, H, W] in -1..1 -> the normal distribution of its latent. */
export function encode(b: GraphBuilder, scope: Scope, config: AutoencoderKlConfig, image: Value): LatentDistribution {
  const { block_out_channels: widths, latent_channels: latentChannels } = config;
  const moments = scope.enter(b, 'encoder', (encoder) => {
    const convIn = encoder.enter(b, 'conv_in', (w) => convolution(b, w, image, { channels: widths[0]!, kernel: 3 }));
    const last = widths.reduce(
      (x, channels, level) =>
        encoder.enter(b, `down_blocks.${level}`, (block) => {
          const refined = residualBlocks(b, block, config, { x, channels, count: config.layers_per_block });
          return level === widths.length - 1 ? refined : downsample(b, block, refined);
        }),
      convIn,
    );
    const middle = encoder.enter(b, 'mid_block', (w) => midBlock(b, w, config, last));
    return head(b, encoder, config, { x: middle, channels: 2 * latentChannels });
  });
  const quantised = config.use_quant_conv
    ? scope.enter(b, 'quant_conv', (w) => convolution(b, w, moments, { channels: 2 * latentChannels, kernel: 1 }))
    : moments;
  const [mean, logvar] = op.split(b, quantised, [latentChannels, latentChannels], 1);
  return { mean: mean!, logvar: op.clip(b, logvar!, LOGVAR_RANGE) };
}

/** The latent as denoisers see it (about unit variance) -> the latent that `decode` takes. [B, latent_channels, h, w] */
export function unscaleLatent(b: GraphBuilder, config: AutoencoderKlConfig, latent: Value): Value {
  const { latents_mean: means, latents_std: deviations } = config;
  const perChannel = (values: readonly number[]): Value => b.constant(float32(values, [1, values.length, 1, 1]));
  if (means && deviations) {
    const factors = deviations.map((deviation) => deviation / config.scaling_factor);
    return op.add(b, op.mul(b, latent, perChannel(factors)), perChannel(means));
  }
  const scaled = op.divScalar(b, latent, config.scaling_factor);
  return config.shift_factor === 0 ? scaled : op.addScalar(b, scaled, config.shift_factor);
}

function head(
  b: GraphBuilder,
  weights: Scope,
  config: AutoencoderKlConfig,
  { x, channels }: { readonly x: Value; readonly channels: number },
): Value {
  const groups = config.norm_num_groups;
  const normed = weights.enter(b, 'conv_norm_out', (w) => groupNorm(b, w, x, { groups, epsilon: EPSILON }));
  return weights.enter(b, 'conv_out', (w) => convolution(b, w, silu(b, normed), { channels, kernel: 3 }));
}

function residualBlocks(
  b: GraphBuilder,
  block: Scope,
  config: AutoencoderKlConfig,
  { x, channels, count }: { readonly x: Value; readonly channels: number; readonly count: number },
): Value {
  const options = {
    channels,
    groups: config.norm_num_groups,
    epsilon: EPSILON,
    act: activation(config.act_fn),
  };
  let hidden = x;
  for (let layer = 0; layer < count; layer += 1) {
    const input = hidden;
    hidden = block.enter(b, `resnets.${layer}`, (w) => residualBlock(b, w, input, options));
  }
  return hidden;
}

function midBlock(b: GraphBuilder, weights: Scope, config: AutoencoderKlConfig, x: Value): Value {
  const options = {
    channels: sizeOf(x, 1),
    groups: config.norm_num_groups,
    epsilon: EPSILON,
    act: activation(config.act_fn),
  };
  const first = weights.enter(b, 'resnets.0', (w) => residualBlock(b, w, x, options));
  const attended = config.mid_block_add_attention
    ? weights.enter(b, 'attentions.0', (w) => spatialAttention(b, w, first, config.norm_num_groups))
    : first;
  return weights.enter(b, 'resnets.1', (w) => residualBlock(b, w, attended, options));
}

/** Every pixel attends to every pixel, one head, around an identity. Older checkpoints call the layers query, key ... */
function spatialAttention(b: GraphBuilder, weights: Scope, x: Value, groups: number): Value {
  const channels = sizeOf(x, 1);
  const pixels = sizeOf(x, 2) * sizeOf(x, 3);
  const normed = weights.enter(b, 'group_norm', (w) => groupNorm(b, w, x, { groups, epsilon: EPSILON }));
  const rows = op.transposeMatrix(b, op.reshape(b, normed, [x.shape[0]!, channels, pixels]));
  const projected = (names: readonly string[], value: Value): Value =>
    weights.enter(b, weights.firstOf(names), (w) => linear(b, w, value, channels));
  const mixed = attention(b, {
    query: projected(['query', 'to_q'], rows),
    key: projected(['key', 'to_k'], rows),
    value: projected(['value', 'to_v'], rows),
    heads: 1,
  });
  const out = projected(['proj_attn', 'to_out.0'], mixed);
  return op.add(b, x, op.reshape(b, op.transposeMatrix(b, out), [x.shape[0]!, channels, x.shape[2]!, x.shape[3]!]));
}

function upsample(b: GraphBuilder, block: Scope, x: Value): Value {
  return block.enter(b, 'upsamplers.0', (w) => {
    const larger = nearest(b, x, { height: 2 * sizeOf(x, 2), width: 2 * sizeOf(x, 3) });
    return w.enter(b, 'conv', (conv) => convolution(b, conv, larger, { channels: sizeOf(x, 1), kernel: 3 }));
  });
}

/** Halves the size; zeros are added right and below only. */
function downsample(b: GraphBuilder, block: Scope, x: Value): Value {
  return block.enter(b, 'downsamplers.0.conv', (w) =>
    convolution(b, w, x, { channels: sizeOf(x, 1), kernel: 3, stride: 2, padding: [0, 0, 1, 1] }),
  );
}
