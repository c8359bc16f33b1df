/**
 * @file UNet2DConditionModel: the denoiser of Stable Diffusion (Rombach et al. 2022, arXiv 2112.10752). Structure and
 * weight names are those of diffusers' class of this name.
 */
import { RefereeError } from '../../errors.ts';
import { activation } from '../nn/activation.ts';
import { convolution } from '../nn/convolution.ts';
import { sizeOf } from '../nn/linear.ts';
import { groupNorm } from '../nn/norm.ts';
import { nearest } from '../nn/resize.ts';
import type { Scope } from '../nn/scope.ts';
import { timestepEmbedding, timestepFeatures } from '../nn/timestep-embedding.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimProduct } from '../onnx/shapes.ts';
import { residualBlock } from './residual-block.ts';
import { transformer2d } from './transformer-2d.ts';
import type { AttentionLevel, UnetConfig, UnetLevel } from './unet-2d-condition-config.ts';

export interface UnetInput {
  /** [B, in_channels, h, w] */
  readonly sample: Value;
  /** [B], or [] or [1] for one that all rows share; of any number type. */
  readonly timestep: Value;
  /** Timesteps are whole numbers from 0 and below this: their features are looked up in a table. Without it computed. */
  readonly timestepsBelow?: number;
  /** [B, T, cross_attention_dim] */
  readonly encoderHiddenStates: Value;
  /** [B, D], for models with addition_embed_type "text_time". */
  readonly textEmbeds?: Value | undefined;
  /** [B, 6], as above. */
  readonly timeIds?: Value | undefined;
}

/** What every block of one call shares. */
interface Pass {
  readonly b: GraphBuilder;
  readonly config: UnetConfig;
  /** Activated embedding of the timestep, [B, timeWidth]. */
  readonly timestep: Value;
  readonly context: Value;
}

/** -> [B, out_channels, h, w]: the noise, or whatever else the checkpoint was trained to predict. */
export function predict(b: GraphBuilder, scope: Scope, config: UnetConfig, input: UnetInput): Value {
  const { settings } = config;
  const act = activation(settings.act_fn);
  const centred = settings.center_input_sample ? op.subScalar(b, op.mulScalar(b, input.sample, 2), 1) : input.sample;
  const timestep = act(b, embedTimestep(b, scope, config, input));
  const pass: Pass = { b, config, timestep, context: input.encoderHiddenStates };

  const start = scope.enter(b, 'conv_in', (w) =>
    convolution(b, w, centred, { channels: config.down[0]!.channels, kernel: settings.conv_in_kernel }),
  );
  const skips = [start];
  config.down.forEach((level, index) => {
    scope.enter(b, `down_blocks.${index}`, (block) =>
      downBlock(pass, block, { level, skips, isLast: index === config.down.length - 1 }),
    );
  });
  let hidden = scope.enter(b, 'mid_block', (block) => middleBlock(pass, block, skips.at(-1)!));
  config.up.forEach((level, index) => {
    const isLast = index === config.up.length - 1;
    hidden = scope.enter(b, `up_blocks.${index}`, (block) => upBlock(pass, block, { level, skips, isLast, x: hidden }));
  });
  const normed = scope.enter(b, 'conv_norm_out', (w) => {
    const options = { groups: settings.norm_num_groups, epsilon: settings.norm_eps };
    return groupNorm(b, w, hidden, options);
  });
  return scope.enter(b, 'conv_out', (w) =>
    convolution(b, w, act(b, normed), { channels: settings.out_channels, kernel: settings.conv_out_kernel }),
  );
}

function embedTimestep(b: GraphBuilder, scope: Scope, config: UnetConfig, input: UnetInput): Value {
  const { settings, timeWidth: width, addition } = config;
  const features = (timesteps: Value, count: number, below?: number): Value =>
    timestepFeatures(b, timesteps, {
      ...(below !== undefined && { below }),
      width: count,
      flipSinToCos: settings.flip_sin_to_cos,
      freqShift: settings.freq_shift,
    });
  const postAct = settings.timestep_post_act == null ? undefined : activation(settings.timestep_post_act);
  let embedding = scope.enter(b, 'time_embedding', (w) =>
    timestepEmbedding(
      b,
      w,
      features(atLeastVector(b, input.timestep), config.down[0]!.channels, input.timestepsBelow),
      {
        width,
        act: activation(settings.act_fn),
        postAct,
      },
    ),
  );
  if (addition) {
    const { textEmbeds, timeIds } = input;
    if (!textEmbeds || !timeIds) {
      throw new RefereeError('InvalidModel', 'this U-Net needs the inputs text_embeds and time_ids');
    }
    const extra = scope.enter(b, 'add_embedding', (w) => {
      const flat = op.reshape(b, timeIds, [dimProduct(timeIds.shape)]);
      const times = addition.timeFeatures * sizeOf(timeIds, 1);
      const rows = op.reshape(b, features(flat, addition.timeFeatures), [timeIds.shape[0]!, times]);
      return timestepEmbedding(b, w, op.concat(b, [textEmbeds, rows], 1), { width, act: activation('silu') });
    });
    embedding = op.add(b, embedding, extra);
  }
  const last = settings.time_embedding_act_fn;
  return last == null ? embedding : activation(last)(b, embedding);
}

function atLeastVector(b: GraphBuilder, x: Value): Value {
  return x.shape.length === 0 ? op.reshape(b, x, [1]) : x;
}

interface Block {
  readonly level: UnetLevel;
  /** Outputs of the down path that up blocks take again, last in, first out. */
  readonly skips: Value[];
  readonly isLast: boolean;
}

function downBlock(pass: Pass, block: Scope, { level, skips, isLast }: Block): void {
  const { b, config } = pass;
  for (let layer = 0; layer < level.layers; layer += 1) {
    skips.push(layerOf(pass, block, { level, layer, x: skips.at(-1)! }));
  }
  if (isLast) return;
  // Without padding the library adds zeros right and below only.
  const given = config.settings.downsample_padding;
  const padding = given === 0 ? ([0, 0, 1, 1] as const) : given;
  const x = skips.at(-1)!;
  const smaller = block.enter(b, 'downsamplers.0.conv', (w) =>
    convolution(b, w, x, { channels: level.channels, kernel: 3, stride: 2, padding }),
  );
  skips.push(smaller);
}

function middleBlock(pass: Pass, block: Scope, x: Value): Value {
  const { b, config } = pass;
  const { middle } = config;
  if (!middle) return x;
  const outputScale = config.settings.mid_block_scale_factor;
  const first = residual(pass, block, { index: 0, x, channels: sizeOf(x, 1), outputScale });
  const level = middle.attention;
  if (!level) return first;
  const attended = block.enter(b, 'attentions.0', (w) => transformer(pass, w, { level, x: first, layer: 0 }));
  return residual(pass, block, { index: 1, x: attended, channels: sizeOf(x, 1), outputScale });
}

function upBlock(pass: Pass, block: Scope, { level, skips, isLast, x }: Block & { readonly x: Value }): Value {
  const { b } = pass;
  let hidden = x;
  for (let layer = 0; layer < level.layers; layer += 1) {
    const joined = op.concat(b, [hidden, skips.pop()!], 1);
    hidden = layerOf(pass, block, { level, layer, x: joined });
  }
  if (isLast) return hidden;
  return block.enter(b, 'upsamplers.0', (w) => {
    // The next skip says the size: twice this one, or one less where halving had rounded up.
    const next = skips.at(-1)!;
    const larger = nearest(b, hidden, { height: sizeOf(next, 2), width: sizeOf(next, 3) });
    return w.enter(b, 'conv', (conv) => convolution(b, conv, larger, { channels: level.channels, kernel: 3 }));
  });
}

/** A residual block and, where the level has them, transformer layers. */
function layerOf(
  pass: Pass,
  block: Scope,
  { level, layer, x }: { readonly level: UnetLevel; readonly layer: number; readonly x: Value },
): Value {
  const refined = residual(pass, block, { index: layer, x, channels: level.channels, outputScale: 1 });
  const { attention } = level;
  if (!attention) return refined;
  return block.enter(pass.b, `attentions.${layer}`, (w) =>
    transformer(pass, w, { level: attention, x: refined, layer }),
  );
}

function residual(
  { b, config, timestep }: Pass,
  block: Scope,
  options: { readonly index: number; readonly x: Value; readonly channels: number; readonly outputScale: number },
): Value {
  const { settings } = config;
  return block.enter(b, `resnets.${options.index}`, (w) =>
    residualBlock(b, w, options.x, {
      channels: options.channels,
      groups: settings.norm_num_groups,
      epsilon: settings.norm_eps,
      act: activation(settings.act_fn),
      timestep,
      outputScale: options.outputScale,
    }),
  );
}

function transformer(
  { b, config, context }: Pass,
  weights: Scope,
  { level, x, layer }: { readonly level: AttentionLevel; readonly x: Value; readonly layer: number },
): Value {
  const width = sizeOf(context, 2);
  if (width !== level.crossDim) {
    throw new RefereeError(
      'InvalidModel',
      `the context is ${width} wide, expected cross_attention_dim ${level.crossDim}`,
    );
  }
  return transformer2d(b, weights, x, {
    heads: level.heads,
    layers: level.layers[layer]!,
    groups: config.settings.norm_num_groups,
    context,
    onlyCrossAttention: level.onlyCrossAttention,
  });
}
