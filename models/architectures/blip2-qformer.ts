/**
 * @file The Q-Former: a small transformer in which learned queries read an image by cross-attention and share
 * self-attention with a text (Li et al. 2023, arXiv 2301.12597, section 3.1). Norm last, as in BERT. transformers'
 * Blip2QFormerModel.
 */
import { RefereeError } from '../../errors.ts';
import { activation } from '../nn/activation.ts';
import { attention, type TokenOrder } from '../nn/attention.ts';
import { linear, sizeOf } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import type { QFormerConfig } from './blip2-config.ts';

export interface QFormerInput {
  /** [B, Q + T, hidden_size]: queries first, then embedded text; either may be missing. */
  readonly tokens: Value;
  /** Q: how many of the tokens are queries. */
  readonly queries: number;
  /** Output of the vision tower, [B, N, encoder_hidden_size]; needed where there are queries. */
  readonly image?: Value | undefined;
  /** Added to the scores of self-attention. */
  readonly mask?: Value | undefined;
}

/** ids [B, T] int64 -> [B, T, hidden_size]: words plus positions from 0. Weights: "embeddings". */
export function embedText(b: GraphBuilder, scope: Scope, config: QFormerConfig, ids: Value): Value {
  const { hidden_size: width, max_position_embeddings: positions } = config;
  const length = sizeOf(ids, 1);
  if (length > positions) {
    throw new RefereeError('InvalidModel', `text of ${length} tokens, expected at most ${positions}`);
  }
  return scope.enter(b, 'embeddings', (w) => {
    const table = w.get(b, 'word_embeddings.weight', [config.vocab_size, width]);
    const places = w.get(b, 'position_embeddings.weight', [positions, width]);
    const used = length === positions ? places : op.slice(b, places, { starts: [0], ends: [length], axes: [0] });
    return op.add(b, op.gather(b, table, ids), used);
  });
}

/** -> [B, Q + T, hidden_size]. Weights: "layernorm", "encoder.layer.i". */
export function qformer(b: GraphBuilder, scope: Scope, config: QFormerConfig, input: QFormerInput): Value {
  let hidden = scope.enter(b, 'layernorm', (w) => layerNorm(b, w, input.tokens, config.layer_norm_eps));
  for (let layer = 0; layer < config.num_hidden_layers; layer += 1) {
    const tokens = hidden;
    const seesImage = layer % config.cross_attention_frequency === 0;
    hidden = scope.enter(b, `encoder.layer.${layer}`, (w) =>
      qformerLayer(b, w, config, { ...input, tokens, image: seesImage ? input.image : undefined }),
    );
  }
  return hidden;
}

function qformerLayer(b: GraphBuilder, weights: Scope, config: QFormerConfig, input: QFormerInput): Value {
  const { tokens, queries, image, mask } = input;
  const texts = sizeOf(tokens, 1) - queries;
  const attended = weights.enter(b, 'attention', (w) =>
    attentionBlock(b, w, config, { x: tokens, memory: tokens, mask }),
  );
  if (queries === 0) return feedForward(b, weights, config, { x: attended, suffix: '' });

  const [ofQueries, ofText] = texts === 0 ? [attended] : op.split(b, attended, [queries, texts], 1);
  const informed = image
    ? weights.enter(b, 'crossattention', (w) => attentionBlock(b, w, config, { x: ofQueries!, memory: image }))
    : ofQueries!;
  const queriesOut = feedForward(b, weights, config, { x: informed, suffix: querySuffix(weights) });
  return ofText
    ? op.concat(b, [queriesOut, feedForward(b, weights, config, { x: ofText, suffix: '' })], 1)
    : queriesOut;
}

/** Checkpoints without a path of its own for queries send them through the one for text. */
export function querySuffix(layer: Scope): '' | '_query' {
  return layer.contains('intermediate_query') ? '_query' : '';
}

export interface AttentionBlock {
  readonly x: Value;
  readonly memory: Value;
  readonly mask?: Value | undefined;
  readonly order?: TokenOrder | undefined;
}

/** norm(attention(x, memory) + x) */
export function attentionBlock(
  b: GraphBuilder,
  weights: Scope,
  config: QFormerConfig,
  { x, memory, mask, order }: AttentionBlock,
): Value {
  const mixed = weights.enter(b, 'attention', (w) => {
    const projected = (name: string, value: Value): Value =>
      w.enter(b, name, (p) => linear(b, p, value, config.hidden_size));
    return attention(b, {
      query: projected('query', x),
      key: projected('key', memory),
      value: projected('value', memory),
      heads: config.num_attention_heads,
      mask,
      order,
    });
  });
  return weights.enter(b, 'output', (w) => addAndNorm(b, w, config, { x: mixed, residual: x }));
}

/** norm(dense(act(dense(x))) + x): texts and queries have weights of their own. */
export function feedForward(
  b: GraphBuilder,
  weights: Scope,
  config: QFormerConfig,
  { x, suffix }: { readonly x: Value; readonly suffix: '' | '_query' },
): Value {
  const wide = weights.enter(b, `intermediate${suffix}.dense`, (w) => linear(b, w, x, config.intermediate_size));
  const act = activation(config.hidden_act);
  return weights.enter(b, `output${suffix}`, (w) => addAndNorm(b, w, config, { x: act(b, wide), residual: x }));
}

/** norm(dense(x) + residual) */
function addAndNorm(
  b: GraphBuilder,
  weights: Scope,
  config: QFormerConfig,
  { x, residual }: { readonly x: Value; readonly residual: Value },
): Value {
  const dense = weights.enter(b, 'dense', (w) => linear(b, w, x, config.hidden_size));
  return weights.enter(b, 'LayerNorm', (w) => layerNorm(b, w, op.add(b, dense, residual), config.layer_norm_eps));
}
