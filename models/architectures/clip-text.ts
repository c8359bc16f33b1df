/**
 * @file CLIPTextModel, with or without its projection: the text encoder of Stable Diffusion (Radford et al. 2021, arXiv
 * 2103.00020). Structure and weight names are those of transformers' classes of these names.
 */
import { z } from 'zod';

import { RefereeError } from '../../errors.ts';
import { activation } from '../nn/activation.ts';
import { attention, causalMask, paddingMask } from '../nn/attention.ts';
import { linear, sizeOf } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { int } from '../onnx/graph.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { activationName, configProblem, parseConfig, positive, size, withDefault } from './config.ts';

const schema = z.looseObject({
  vocab_size: withDefault(size, 49_408),
  hidden_size: withDefault(size, 512),
  intermediate_size: withDefault(size, 2048),
  projection_dim: withDefault(size, 512),
  num_hidden_layers: withDefault(size, 12),
  num_attention_heads: withDefault(size, 8),
  max_position_embeddings: withDefault(size, 77),
  hidden_act: withDefault(activationName, 'quick_gelu'),
  layer_norm_eps: withDefault(positive, 1e-5),
  eos_token_id: withDefault(z.int(), 49_407),
});

export type ClipTextConfig = z.output<typeof schema>;

/** Configs of the first published checkpoints say 2; it stands for "the largest id", which is where their texts end. */
const LEGACY_EOS = 2;

/** @throws RefereeError `InvalidModel` that names the field of `where` */
export function parseClipTextConfig(json: unknown, where: string): ClipTextConfig {
  const config = parseConfig(schema, json, where);
  if (config.hidden_size % config.num_attention_heads !== 0) {
    throw configProblem(where, 'num_attention_heads', `must divide hidden_size, ${config.hidden_size}`);
  }
  return config;
}

export interface ClipTextOutput {
  /** [B, T, hidden_size], after the final norm. */
  readonly lastHiddenState: Value;
  /** [B, hidden_size]: `lastHiddenState` where the text ends. */
  readonly poolerOutput: Value;
  /** [B, T, hidden_size]: before the last layer, no final norm. */
  readonly penultimate: Value;
  /** [B, projection_dim], if the checkpoint has a projection. */
  readonly textEmbeds: Value | undefined;
}

export interface ClipTextInput {
  /** [B, T] int64, T fixed and at most max_position_embeddings. */
  readonly ids: Value;
  /** [B, T] int64, 0 for padding that no position shall see. Stable Diffusion gives none: attention is causal anyway. */
  readonly mask?: Value | undefined;
}

/** Weights with or without the prefix "text_model", as the libraries' versions differ. */
export function encodeText(
  b: GraphBuilder,
  scope: Scope,
  config: ClipTextConfig,
  input: ClipTextInput,
): ClipTextOutput {
  const { lastHiddenState, penultimate } = scope.contains('text_model')
    ? scope.enter(b, 'text_model', (tower) => encode(b, tower, config, input))
    : encode(b, scope, config, input);
  const poolerOutput = pool(b, config, { ids: input.ids, hidden: lastHiddenState });
  const textEmbeds = scope.contains('text_projection')
    ? scope.enter(b, 'text_projection', (w) => linear(b, w, poolerOutput, config.projection_dim))
    : undefined;
  return { lastHiddenState, poolerOutput, penultimate, textEmbeds };
}

function encode(
  b: GraphBuilder,
  tower: Scope,
  config: ClipTextConfig,
  { ids, mask: keep }: ClipTextInput,
): Pick<ClipTextOutput, 'lastHiddenState' | 'penultimate'> {
  const order = causalMask(b, sizeOf(ids, 1));
  const mask = keep ? op.add(b, order, paddingMask(b, keep)) : order;
  let hidden = tower.enter(b, 'embeddings', (w) => embed(b, w, config, ids));
  let penultimate = hidden;
  for (let layer = 0; layer < config.num_hidden_layers; layer += 1) {
    penultimate = hidden;
    hidden = tower.enter(b, `encoder.layers.${layer}`, (w) => encoderLayer(b, w, config, { x: penultimate, mask }));
  }
  const lastHiddenState = tower.enter(b, 'final_layer_norm', (w) => layerNorm(b, w, hidden, config.layer_norm_eps));
  return { lastHiddenState, penultimate };
}

function embed(b: GraphBuilder, weights: Scope, config: ClipTextConfig, ids: Value): Value {
  const { hidden_size: width, max_position_embeddings: positions } = config;
  const length = sizeOf(ids, 1);
  if (length > positions) {
    throw new RefereeError('InvalidModel', `text of ${length} tokens, expected at most ${positions}`);
  }
  const table = weights.get(b, 'token_embedding.weight', [config.vocab_size, width]);
  const places = weights.get(b, 'position_embedding.weight', [positions, width]);
  const used = length === positions ? places : op.slice(b, places, { starts: [0], ends: [length], axes: [0] });
  return op.add(b, op.gather(b, table, ids), used);
}

/** Norm first: x + attention(norm(x)), then the same with two linear layers. */
function encoderLayer(
  b: GraphBuilder,
  weights: Scope,
  config: ClipTextConfig,
  { x, mask }: { readonly x: Value; readonly mask: Value },
): Value {
  const { hidden_size: width, layer_norm_eps: epsilon } = config;
  const act = activation(config.hidden_act);
  const normed = weights.enter(b, 'layer_norm1', (w) => layerNorm(b, w, x, epsilon));
  const attended = weights.enter(b, 'self_attn', (w) => {
    const projected = (name: string, value: Value): Value => w.enter(b, name, (p) => linear(b, p, value, width));
    const mixed = attention(b, {
      query: projected('q_proj', normed),
      key: projected('k_proj', normed),
      value: projected('v_proj', normed),
      heads: config.num_attention_heads,
      mask,
    });
    return projected('out_proj', mixed);
  });
  const middle = op.add(b, x, attended);
  const normedAgain = weights.enter(b, 'layer_norm2', (w) => layerNorm(b, w, middle, epsilon));
  const out = weights.enter(b, 'mlp', (w) => {
    const wide = w.enter(b, 'fc1', (fc) => linear(b, fc, normedAgain, config.intermediate_size));
    return w.enter(b, 'fc2', (fc) => linear(b, fc, act(b, wide), width));
  });
  return op.add(b, middle, out);
}

/** The row of `hidden` at the first end-of-text token. */
function pool(
  b: GraphBuilder,
  config: ClipTextConfig,
  { ids, hidden }: { readonly ids: Value; readonly hidden: Value },
): Value {
  const end = config.eos_token_id;
  const marked = end === LEGACY_EOS ? ids : op.equal(b, ids, b.scalar(end, 'int64'));
  const place = b.node('ArgMax', [op.cast(b, marked, 'int32')], { axis: int(1), keepdims: int(1) })[0]!;
  return op.gatherNd(b, hidden, place, 1);
}
