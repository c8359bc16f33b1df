/**
 * @file The transformer inside a U-Net: pixels as tokens, self-attention, cross-attention to the text, a gated feed
 * forward. diffusers' Transformer2DModel with BasicTransformerBlock.
 */
import { gelu } from '../nn/activation.ts';
import { attention, reorderTokens } from '../nn/attention.ts';
import { linear, sizeOf } from '../nn/linear.ts';
import { groupNorm, layerNorm } from '../nn/norm.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';

export interface Transformer {
  readonly heads: number;
  readonly layers: number;
  readonly groups: number;
  /** [B, T, D] */
  readonly context: Value;
  /** The first attention of a layer looks at the context too, not at the pixels. */
  readonly onlyCrossAttention: boolean;
}

/** Not settings of the library. */
const GROUP_NORM_EPSILON = 1e-6;
const LAYER_NORM_EPSILON = 1e-5;
/** Width of the feed forward over the width of the tokens. */
const EXPANSION = 4;

/**
 * x [B, C, H, W] -> the same shape. "proj_in" and "proj_out" may be linear layers or 1x1 convolutions: both are the same
 * product.
 */
export function transformer2d(b: GraphBuilder, weights: Scope, x: Value, options: Transformer): Value {
  const channels = sizeOf(x, 1);
  const [batch, height, width] = [x.shape[0]!, sizeOf(x, 2), sizeOf(x, 3)];
  const normed = weights.enter(b, 'norm', (w) =>
    groupNorm(b, w, x, { groups: options.groups, epsilon: GROUP_NORM_EPSILON }),
  );
  // Tokens first: [pixels, B, C].
  const tokens = op.transpose(b, op.reshape(b, normed, [batch, channels, height * width]), [2, 0, 1]);
  const inner = { ...options, context: reorderTokens(b, options.context) };
  let hidden = weights.enter(b, 'proj_in', (w) => linear(b, w, tokens, channels));
  for (let layer = 0; layer < options.layers; layer += 1) {
    const input = hidden;
    hidden = weights.enter(b, `transformer_blocks.${layer}`, (w) => transformerBlock(b, w, input, inner));
  }
  const out = weights.enter(b, 'proj_out', (w) => linear(b, w, hidden, channels));
  return op.add(b, x, op.reshape(b, op.transpose(b, out, [1, 2, 0]), [batch, channels, height, width]));
}

function transformerBlock(b: GraphBuilder, weights: Scope, x: Value, options: Transformer): Value {
  const { heads, context, onlyCrossAttention } = options;
  const normed = (name: string, value: Value): Value =>
    weights.enter(b, name, (w) => layerNorm(b, w, value, LAYER_NORM_EPSILON));
  const attended = (name: string, value: Value, memory: Value): Value =>
    weights.enter(b, name, (w) => attentionLayer(b, w, { x: value, memory, heads }));

  const first = normed('norm1', x);
  const afterSelf = op.add(b, x, attended('attn1', first, onlyCrossAttention ? context : first));
  const afterCross = op.add(b, afterSelf, attended('attn2', normed('norm2', afterSelf), context));
  const fed = weights.enter(b, 'ff.net', (w) => gatedFeedForward(b, w, normed('norm3', afterCross)));
  return op.add(b, afterCross, fed);
}

function attentionLayer(
  b: GraphBuilder,
  weights: Scope,
  { x, memory, heads }: { readonly x: Value; readonly memory: Value; readonly heads: number },
): Value {
  const channels = sizeOf(x, 2);
  const projected = (name: string, value: Value): Value => weights.enter(b, name, (w) => linear(b, w, value, channels));
  const mixed = attention(b, {
    query: projected('to_q', x),
    key: projected('to_k', memory),
    value: projected('to_v', memory),
    heads,
    order: 'tokens-first',
  });
  return projected('to_out.0', mixed);
}

/** GEGLU (Shazeer 2020, arXiv 2002.05202): one half of a linear layer times gelu of the other. */
function gatedFeedForward(b: GraphBuilder, weights: Scope, x: Value): Value {
  const channels = sizeOf(x, 2);
  const inner = EXPANSION * channels;
  const both = weights.enter(b, '0.proj', (w) => linear(b, w, x, 2 * inner));
  const [value, gate] = op.split(b, both, [inner, inner], 2);
  return weights.enter(b, '2', (w) => linear(b, w, op.mul(b, value!, gelu(b, gate!)), channels));
}
