/**
 * @file BLIP-2's vision tower: EVA's ViT, norm first, with class token and learned positions (Fang et al. 2022, arXiv
 * 2211.07636; Li et al. 2023, arXiv 2301.12597). transformers' Blip2VisionModel.
 */
import { RefereeError } from '../../errors.ts';
import { activation } from '../nn/activation.ts';
import { attention, reorderTokens } from '../nn/attention.ts';
import { convolution } from '../nn/convolution.ts';
import { linear, linearParts, sizeOf } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { formatShape } from '../onnx/shapes.ts';
import type { Blip2VisionConfig } from './blip2-config.ts';

/** pixels [B, 3, S, S], normalised as the checkpoint's preprocessor says -> [B, 1 + patches, hidden_size]. */
export function visionTower(b: GraphBuilder, scope: Scope, config: Blip2VisionConfig, pixels: Value): Value {
  const { image_size: expected, layer_norm_eps: epsilon } = config;
  if (sizeOf(pixels, 2) !== expected || sizeOf(pixels, 3) !== expected) {
    const found = formatShape(pixels.shape);
    throw new RefereeError('InvalidModel', `vision tower: images are ${found}, expected ${expected} x ${expected}`);
  }
  let hidden = scope.enter(b, 'embeddings', (w) => embed(b, w, config, pixels));
  for (let layer = 0; layer < config.num_hidden_layers; layer += 1) {
    const x = hidden;
    hidden = scope.enter(b, `encoder.layers.${layer}`, (w) => encoderLayer(b, w, config, x));
  }
  const normed = scope.enter(b, 'post_layernorm', (w) => layerNorm(b, w, hidden, epsilon));
  return reorderTokens(b, normed);
}

/** -> [1 + patches, B, hidden_size]: inside the tower tokens come first. */
function embed(b: GraphBuilder, weights: Scope, config: Blip2VisionConfig, pixels: Value): Value {
  const { hidden_size: width, patch_size: patch } = config;
  const batch = pixels.shape[0]!;
  const tiles = weights.enter(b, 'patch_embedding', (w) =>
    convolution(b, w, pixels, { channels: width, kernel: patch, stride: patch, padding: 0 }),
  );
  const patches = sizeOf(tiles, 2) * sizeOf(tiles, 3);
  const tokens = op.transpose(b, op.reshape(b, tiles, [batch, width, patches]), [2, 0, 1]);
  const first = op.expand(b, weights.get(b, 'class_embedding', [1, 1, width]), [1, batch, width]);
  const positions = op.reshape(b, weights.get(b, 'position_embedding', [1, patches + 1, width]), [
    patches + 1,
    1,
    width,
  ]);
  return op.add(b, op.concat(b, [first, tokens], 0), positions);
}

function encoderLayer(b: GraphBuilder, weights: Scope, config: Blip2VisionConfig, x: Value): Value {
  const { hidden_size: width, layer_norm_eps: epsilon } = config;
  const act = activation(config.hidden_act);
  const normed = weights.enter(b, 'layer_norm1', (w) => layerNorm(b, w, x, epsilon));
  const attended = weights.enter(b, 'self_attn', (w) => {
    const [query, key, value] = w.enter(b, 'qkv', (p) => linearParts(b, p, normed, { parts: 3, features: width }));
    const heads = config.num_attention_heads;
    const mixed = attention(b, { query: query!, key: key!, value: value!, heads, order: 'tokens-first' });
    return w.enter(b, 'projection', (p) => linear(b, p, mixed, width));
  });
  const middle = op.add(b, x, attended);
  const normedAgain = weights.enter(b, 'layer_norm2', (w) => layerNorm(b, w, middle, epsilon));
  const out = weights.enter(b, 'mlp', (w) => {
    const wide = w.enter(b, 'fc1', (fc) => linear(b, fc, normedAgain, config.intermediate_size));
    return w.enter(b, 'fc2', (fc) => linear(b, fc, act(b, wide), width));
  });
  return op.add(b, middle, out);
}
