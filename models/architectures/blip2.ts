/**
 * @file BLIP-2 as a referee (Li et al. 2023, arXiv 2301.12597, section 3.2): image-text matching (itm), contrast (itc),
 * image-grounded text generation (itg), each on the output of the vision tower, and their losses. transformers'
 * Blip2ForImageTextRetrieval; the head for generation is that of the original Q-Former checkpoint.
 */
import { activation } from '../nn/activation.ts';
import { fixedMask, paddingMask } from '../nn/attention.ts';
import { linear, sizeOf } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import { logOfRows, meanOfRow, meanOfRows, sumOfRow } from '../nn/row-arithmetic.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import type { Dim } from '../onnx/shapes.ts';
import type { Blip2Config } from './blip2-config.ts';
import { embedText, qformer } from './blip2-qformer.ts';

export { visionTower } from './blip2-vision.ts';

export interface TextTokens {
  /** [B, T], whole numbers, T fixed. */
  readonly ids: Value;
  /** [B, T], whole numbers: 1 for a token, 0 for padding. */
  readonly mask: Value;
}

export interface ImageAndText extends TextTokens {
  /** Output of `visionTower`, [B, N, D]. */
  readonly image: Value;
}

/** Class of the matching head that means "the text fits". */
const MATCH = 1;
/** Keeps the logarithm of a probability finite; as the code of the method has it. */
const MATCH_EPSILON = 1e-8;
/** Places where checkpoints keep the language-model head. */
const HEAD_NAMES = ['cls.predictions', 'qformer.cls.predictions', 'lm_head'];

/** -> logits [B, 2]: queries and text see each other; the head on every query, then the mean over the queries. */
export function matchingLogits(b: GraphBuilder, scope: Scope, config: Blip2Config, input: ImageAndText): Value {
  const { num_query_tokens: queries, qformer_config: qformerConfig } = config;
  const tokens = queriesAndText(b, scope, config, input);
  // Queries are never masked: zeros before what hides the text's padding.
  const mask = op.pad(b, paddingMask(b, input.mask), [0, 0, 0, queries, 0, 0, 0, 0]);
  const hidden = scope.enter(b, 'qformer', (w) =>
    qformer(b, w, qformerConfig, { tokens, queries, image: input.image, mask }),
  );
  return matchingHead(b, scope, op.slice(b, hidden, { starts: [0], ends: [queries], axes: [1] }));
}

/** Queries [B, Q, hidden_size] -> logits [B, 2]. */
export function matchingHead(b: GraphBuilder, scope: Scope, queries: Value): Value {
  const logits = scope.enter(b, 'itm_head', (w) => linear(b, w, queries, 2));
  return meanOfRows(b, logits);
}

/** logits [B, 2] -> [B]: probability of a match. */
export function matchProbabilities(b: GraphBuilder, logits: Value): Value {
  const match = op.slice(b, op.softmax(b, logits), { starts: [MATCH], ends: [MATCH + 1], axes: [1] });
  return op.squeeze(b, match, [1]);
}

/** logits [B, 2] -> losses [B]: -log(probability of a match + 1e-8). */
export function matchingLosses(b: GraphBuilder, logits: Value): Value {
  return op.neg(b, logOfRows(b, op.addScalar(b, matchProbabilities(b, logits), MATCH_EPSILON)));
}

export interface Contrast {
  /** [I, Q, image_text_hidden_size], unit length. */
  readonly imageEmbeds: Value;
  /** [T, image_text_hidden_size], unit length. */
  readonly textEmbeds: Value;
  /** [I, T]: the largest cosine over the queries. */
  readonly logitsPerImage: Value;
}

/** Every image against every text; their numbers may differ. */
export function contrast(b: GraphBuilder, scope: Scope, config: Blip2Config, input: ImageAndText): Contrast {
  const imageEmbeds = imageFeatures(b, scope, config, input.image);
  const textEmbeds = textFeatures(b, scope, config, input);
  const cosines = op.matMul(b, imageEmbeds, op.transposeMatrix(b, textEmbeds));
  return { imageEmbeds, textEmbeds, logitsPerImage: op.reduceMax(b, cosines, { axes: [1], keepdims: false }) };
}

/** Every image with its own text -> losses [B]: 1 - the largest cosine over the queries. */
export function contrastLosses(b: GraphBuilder, scope: Scope, config: Blip2Config, input: ImageAndText): Value {
  const imageEmbeds = imageFeatures(b, scope, config, input.image);
  const textEmbeds = op.unsqueeze(b, textFeatures(b, scope, config, input), [2]);
  const cosines = op.squeeze(b, op.matMul(b, imageEmbeds, textEmbeds), [2]);
  return op.sub(b, b.scalar(1), op.reduceMax(b, cosines, { axes: [1], keepdims: false }));
}

/** Output of `visionTower` [B, N, D] -> [B, Q, image_text_hidden_size], unit length. */
export function imageFeatures(b: GraphBuilder, scope: Scope, config: Blip2Config, image: Value): Value {
  const { num_query_tokens: queries, qformer_config: qformerConfig } = config;
  const tokens = queryTokens(b, scope, config, image.shape[0]!);
  const hidden = scope.enter(b, 'qformer', (w) => qformer(b, w, qformerConfig, { tokens, queries, image }));
  const width = config.image_text_hidden_size;
  return unitLength(
    b,
    scope.enter(b, 'vision_projection', (w) => linear(b, w, hidden, width)),
  );
}

/** -> [B, image_text_hidden_size], unit length: the first token's output, of the text alone. */
export function textFeatures(b: GraphBuilder, scope: Scope, config: Blip2Config, { ids, mask }: TextTokens): Value {
  const tokens = embedText(b, scope, config.qformer_config, ids);
  const hidden = scope.enter(b, 'qformer', (w) =>
    qformer(b, w, config.qformer_config, { tokens, queries: 0, mask: paddingMask(b, mask) }),
  );
  const first = op.squeeze(b, op.slice(b, hidden, { starts: [0], ends: [1], axes: [1] }), [1]);
  const width = config.image_text_hidden_size;
  return unitLength(
    b,
    scope.enter(b, 'text_projection', (w) => linear(b, w, first, width)),
  );
}

/**
 * ids: the text with its first token replaced by the decoder's -> scores [B, T, vocabulary]. Queries see queries; text
 * position i sees all queries and the text up to itself that is not padding.
 */
export function generationScores(b: GraphBuilder, scope: Scope, config: Blip2Config, input: ImageAndText): Value {
  const { num_query_tokens: queries, qformer_config: qformerConfig } = config;
  const tokens = queriesAndText(b, scope, config, input);
  const texts = sizeOf(input.ids, 1);
  const length = queries + texts;
  const order = generationMask(b, { queries, length });
  const padding = op.pad(b, paddingMask(b, input.mask), [0, 0, 0, queries, 0, 0, 0, 0]);
  const mask = op.add(b, order, padding);
  const hidden = scope.enter(b, 'qformer', (w) =>
    qformer(b, w, qformerConfig, { tokens, queries, image: input.image, mask }),
  );
  const ofText = op.slice(b, hidden, { starts: [queries], ends: [length], axes: [1] });
  return languageModelHead(b, scope, config, ofText);
}

/** Queries see queries; text position i sees all queries and the text up to itself. [1, 1, length, length] */
export function generationMask(b: GraphBuilder, { queries, length }: { queries: number; length: number }): Value {
  return fixedMask(
    b,
    { rows: length, columns: length },
    (row, column) => column < queries || (row >= queries && column <= row),
  );
}

export interface GenerationLoss {
  /** [B]: mean over a row's tokens. */
  readonly rows: Value;
  /** []: mean over all tokens of all rows, so that a longer text has more weight. */
  readonly mean: Value;
}

/**
 * Cross entropy of position i against token i + 1, where that is not padding. With label smoothing s the target is
 * (1 - s) of the token and s of the uniform distribution over the vocabulary; s is one number, or one per row, [B, 1].
 */
export function generationLoss(
  b: GraphBuilder,
  scores: Value,
  { ids, mask, labelSmoothing = 0 }: TextTokens & { readonly labelSmoothing?: number | Value },
): GenerationLoss {
  const length = sizeOf(ids, 1);
  // Slices of whole numbers are what not every GPU has.
  const next = b.int64(Array.from({ length: length - 1 }, (_, at) => at + 1));
  const targets = op.gather(b, ids, next, 1);
  const counts = op.slice(b, op.cast(b, mask, 'float32'), { starts: [1], ends: [length], axes: [1] });
  const logs = op.logSoftmax(b, op.slice(b, scores, { starts: [0], ends: [length - 1], axes: [1] }));
  const chosen = op.squeeze(b, op.gatherElements(b, logs, op.unsqueeze(b, targets, [2]), 2), [2]);
  const smoothed = (): Value => {
    const mean = meanOfRow(b, logs);
    const share = typeof labelSmoothing === 'number' ? b.scalar(labelSmoothing) : labelSmoothing;
    return op.add(b, chosen, op.mul(b, share, op.sub(b, mean, chosen)));
  };
  const logLikelihood = labelSmoothing === 0 ? chosen : smoothed();
  const losses = op.mul(b, op.neg(b, logLikelihood), counts);
  const totals = sumOfRow(b, losses);
  const numbers = sumOfRow(b, counts);
  // A text without targets has loss 0.
  const mean = (total: Value, number: Value): Value => op.div(b, total, op.max(b, number, b.scalar(1)));
  const overall = (rows: Value): Value => op.reduceSum(b, rows, { keepdims: false });
  return { rows: mean(totals, numbers), mean: mean(overall(totals), overall(numbers)) };
}

/** Text [B, T, hidden_size] -> scores [B, T, vocabulary]. */
export function languageModelHead(b: GraphBuilder, scope: Scope, config: Blip2Config, hidden: Value): Value {
  const { hidden_size: width, vocab_size: words, hidden_act: act, layer_norm_eps: epsilon } = config.qformer_config;
  return scope.enter(b, scope.firstOf(HEAD_NAMES), (head) => {
    const dense = head.enter(b, 'transform.dense', (w) => linear(b, w, hidden, width));
    const normed = head.enter(b, 'transform.LayerNorm', (w) => layerNorm(b, w, activation(act)(b, dense), epsilon));
    const scores = head.enter(b, 'decoder', (w) => linear(b, w, normed, words));
    // BERT keeps the decoder's bias one level up.
    return !head.has('decoder.bias') && head.has('bias') ? op.add(b, scores, head.get(b, 'bias', [words])) : scores;
  });
}

/** [B, Q, hidden_size] */
export function queryTokens(b: GraphBuilder, scope: Scope, config: Blip2Config, batch: Dim): Value {
  const { num_query_tokens: queries } = config;
  const width = config.qformer_config.hidden_size;
  return op.expand(b, scope.get(b, 'query_tokens', [1, queries, width]), [batch, queries, width]);
}

function queriesAndText(b: GraphBuilder, scope: Scope, config: Blip2Config, { image, ids }: ImageAndText): Value {
  const queries = queryTokens(b, scope, config, image.shape[0]!);
  return op.concat(b, [queries, embedText(b, scope, config.qformer_config, ids)], 1);
}

/** x / |x| over the last axis; a zero vector stays zero. */
function unitLength(b: GraphBuilder, x: Value): Value {
  const length = op.reduceL2(b, x, { axes: [-1] });
  return op.div(b, x, op.max(b, length, b.scalar(1e-12)));
}
