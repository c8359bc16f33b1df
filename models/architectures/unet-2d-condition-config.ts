/**
 * @file The settings of UNet2DConditionModel, resolved to one record per block, so that building a block asks no
 * questions. Defaults are the library's; what would change the computation and is not supported is refused by name.
 */
import { z } from 'zod';

import {
  activationName,
  configProblem,
  only,
  parseConfig,
  perLevel,
  positive,
  size,
  unset,
  withDefault,
} from './config.ts';

const DOWN_BLOCKS = ['CrossAttnDownBlock2D', 'DownBlock2D'] as const;
const UP_BLOCKS = ['CrossAttnUpBlock2D', 'UpBlock2D'] as const;
const MIDDLE_BLOCKS = ['UNetMidBlock2DCrossAttn', 'UNetMidBlock2D'] as const;

const schema = z.looseObject({
  in_channels: withDefault(size, 4),
  out_channels: withDefault(size, 4),
  center_input_sample: withDefault(z.boolean(), false),
  flip_sin_to_cos: withDefault(z.boolean(), true),
  freq_shift: withDefault(z.number(), 0),
  down_block_types: withDefault(z.array(z.enum(DOWN_BLOCKS)).min(1), [
    ...Array<'CrossAttnDownBlock2D'>(3).fill('CrossAttnDownBlock2D'),
    'DownBlock2D',
  ]),
  // Null means that there is none; only an absent key means the default.
  mid_block_type: z.enum(MIDDLE_BLOCKS).nullable().default('UNetMidBlock2DCrossAttn'),
  up_block_types: withDefault(z.array(z.enum(UP_BLOCKS)).min(1), [
    'UpBlock2D',
    ...Array<'CrossAttnUpBlock2D'>(3).fill('CrossAttnUpBlock2D'),
  ]),
  only_cross_attention: withDefault(perLevel(z.boolean()), false),
  block_out_channels: withDefault(z.array(size).min(1), [320, 640, 1280, 1280]),
  layers_per_block: withDefault(perLevel(size), 2),
  downsample_padding: withDefault(z.int().min(0), 1),
  mid_block_scale_factor: withDefault(positive, 1),
  act_fn: withDefault(activationName, 'silu'),
  norm_num_groups: size.default(32),
  norm_eps: withDefault(positive, 1e-5),
  cross_attention_dim: withDefault(perLevel(size), 1280),
  transformer_layers_per_block: withDefault(z.union([size, z.array(perLevel(size))]), 1),
  reverse_transformer_layers_per_block: z.array(perLevel(size)).nullish(),
  attention_head_dim: withDefault(perLevel(size), 8),
  num_attention_heads: perLevel(size).nullish(),
  addition_embed_type: z.literal('text_time').nullish(),
  addition_time_embed_dim: size.nullish(),
  projection_class_embeddings_input_dim: size.nullish(),
  time_embedding_dim: size.nullish(),
  time_embedding_act_fn: activationName.nullish(),
  timestep_post_act: activationName.nullish(),
  conv_in_kernel: withDefault(size, 3),
  conv_out_kernel: withDefault(size, 3),
  time_embedding_type: only('positional'),
  resnet_time_scale_shift: only('default'),
  attention_type: only('default'),
  dual_cross_attention: only(false),
  class_embeddings_concat: only(false),
  class_embed_type: unset,
  num_class_embeds: unset,
  encoder_hid_dim: unset,
  encoder_hid_dim_type: unset,
});

type Settings = z.output<typeof schema>;

export interface AttentionLevel {
  readonly heads: number;
  /** Transformer layers after each residual block. */
  readonly layers: readonly number[];
  readonly crossDim: number;
  readonly onlyCrossAttention: boolean;
}

/** One down or up block. */
export interface UnetLevel {
  readonly channels: number;
  /** Residual blocks. */
  readonly layers: number;
  readonly attention: AttentionLevel | undefined;
}

export interface UnetConfig {
  readonly settings: Settings;
  readonly down: readonly UnetLevel[];
  readonly up: readonly UnetLevel[];
  /** A middle block has two residual blocks around attention, one without attention, or there is none. */
  readonly middle: { readonly attention: AttentionLevel | undefined } | undefined;
  /** Width of the timestep's embedding. */
  readonly timeWidth: number;
  /** Further conditioning by a pooled text and six numbers (Stable Diffusion XL). */
  readonly addition: { readonly timeFeatures: number; readonly inputWidth: number } | undefined;
}

/** @throws RefereeError `InvalidModel` that names the field of `where` */
export function parseUnetConfig(json: unknown, where: string): UnetConfig {
  const settings = parseConfig(schema, json, where);
  const widths = settings.block_out_channels;
  const count = widths.length;
  const spread = <T>(field: string, value: T | readonly T[]): readonly T[] => {
    const list: readonly T[] = isList(value) ? value : Array.from({ length: count }, () => value);
    if (list.length !== count) {
      throw configProblem(where, field, `has ${list.length} entries, block_out_channels has ${count}`);
    }
    return list;
  };
  const downTypes = spread('down_block_types', settings.down_block_types);
  const upTypes = spread('up_block_types', settings.up_block_types);
  const layers = spread('layers_per_block', settings.layers_per_block);
  // The library's old name for the number of heads; the width of a head follows from it.
  const headField = settings.num_attention_heads == null ? 'attention_head_dim' : 'num_attention_heads';
  const heads = spread(headField, settings.num_attention_heads ?? settings.attention_head_dim);
  const crossDims = spread('cross_attention_dim', settings.cross_attention_dim);
  const onlyCross = spread('only_cross_attention', settings.only_cross_attention);
  const depths = spread<number | readonly number[]>(
    'transformer_layers_per_block',
    settings.transformer_layers_per_block,
  );
  const upDepths = upwardDepths(where, settings, depths);

  const attentionAt = (level: number, depth: number | readonly number[], blocks: number): AttentionLevel => {
    const list = isList(depth) ? depth : Array.from({ length: blocks }, () => depth);
    if (list.length !== blocks) {
      const message = `has ${list.length} entries for a block with ${blocks} layers`;
      throw configProblem(where, 'transformer_layers_per_block', message);
    }
    if (widths[level]! % heads[level]! !== 0) {
      throw configProblem(
        where,
        headField,
        `gives ${heads[level]} heads, which do not divide ${widths[level]} channels`,
      );
    }
    const [crossDim, onlyCrossAttention] = [crossDims[level]!, onlyCross[level]!];
    return { heads: heads[level]!, layers: list, crossDim, onlyCrossAttention };
  };
  const down = widths.map((channels, level): UnetLevel => {
    const hasAttention = downTypes[level] === 'CrossAttnDownBlock2D';
    const attention = hasAttention ? attentionAt(level, depths[level]!, layers[level]!) : undefined;
    return { channels, layers: layers[level]!, attention };
  });
  const up = widths.map((_, index): UnetLevel => {
    const level = count - 1 - index;
    const blocks = layers[level]! + 1;
    const hasAttention = upTypes[index] === 'CrossAttnUpBlock2D';
    const attention = hasAttention ? attentionAt(level, upDepths[index]!, blocks) : undefined;
    return { channels: widths[level]!, layers: blocks, attention };
  });
  const middleAttention =
    settings.mid_block_type === 'UNetMidBlock2DCrossAttn'
      ? { ...attentionAt(count - 1, depths[count - 1]!, 1), onlyCrossAttention: false }
      : undefined;
  return {
    settings,
    down,
    up,
    middle: settings.mid_block_type === null ? undefined : { attention: middleAttention },
    timeWidth: settings.time_embedding_dim ?? 4 * widths[0]!,
    addition: additionOf(where, settings),
  };
}

/** Transformer layers of the up blocks, in their order. */
function upwardDepths(
  where: string,
  settings: Settings,
  depths: readonly (number | readonly number[])[],
): readonly (number | readonly number[])[] {
  const given = settings.reverse_transformer_layers_per_block;
  if (given) {
    if (given.length === depths.length) return given;
    const message = `has ${given.length} entries, block_out_channels has ${depths.length}`;
    throw configProblem(where, 'reverse_transformer_layers_per_block', message);
  }
  if (depths.some((depth) => isList(depth))) {
    throw configProblem(where, 'reverse_transformer_layers_per_block', 'is missing, but the down blocks have lists');
  }
  return [...depths].reverse();
}

function additionOf(where: string, settings: Settings): UnetConfig['addition'] {
  if (settings.addition_embed_type == null) return undefined;
  const { addition_time_embed_dim: timeFeatures, projection_class_embeddings_input_dim: inputWidth } = settings;
  if (timeFeatures == null)
    throw configProblem(where, 'addition_time_embed_dim', 'is missing, addition_embed_type asks for it');
  if (inputWidth == null) {
    throw configProblem(where, 'projection_class_embeddings_input_dim', 'is missing, addition_embed_type asks for it');
  }
  return { timeFeatures, inputWidth };
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
