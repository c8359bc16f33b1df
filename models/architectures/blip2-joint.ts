/**
 * @file Matching and generation in one pass of the Q-Former. Both run the same layers on the same image and differ in
 * masks and in the first token of the text, so they are two rows of one batch: half the kernels, products twice as tall,
 * and an image's keys and values are there once for the queries of both.
 *
 * What no image has reached yet (the first self-attention, the text's first feed forward) is computed once per lane, not
 * per cutout; of the last layer only the matching queries and the generating text are continued.
 */
import { RefereeError } from '../../errors.ts';
import { paddingMask } from '../nn/attention.ts';
import { sizeOf } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimProduct, dimQuotient, type Dim } from '../onnx/shapes.ts';
import type { Blip2Config, QFormerConfig } from './blip2-config.ts';
import { attentionBlock, embedText, feedForward, querySuffix } from './blip2-qformer.ts';
import { generationMask, languageModelHead, matchingHead, queryTokens } from './blip2.ts';

export interface JointInput {
  /** Output of `visionTower` for all cutouts, lane-major, [B n, N, D]. */
  readonly image: Value;
  /** Texts of the lanes, [B, T] int64. */
  readonly ids: Value;
  /** The same with the decoder's first token. */
  readonly decoderIds: Value;
  /** 1 for a token, 0 for padding, [B, T] int64. */
  readonly mask: Value;
}

export interface JointOutput {
  /** Of matching, [B n, 2]. */
  readonly logits: Value;
  /** Of generation, [B n, T, vocabulary]. */
  readonly scores: Value;
}

/** Rows of the batch per image: matching, then generation. */
const TASKS = 2;

interface Pass {
  readonly b: GraphBuilder;
  readonly config: QFormerConfig;
  readonly image: Value;
  /** Q and T: queries and tokens of a text. */
  readonly sizes: { readonly queries: number; readonly texts: number };
  /** Rows of lanes [2 B, ...] to rows of cutouts [2 B n, ...]. */
  readonly perCutout: (x: Value) => Value;
}

/** [rows, Q, C] and [rows, T, C] */
interface Tokens {
  readonly queries: Value;
  readonly text: Value;
}

/** `matchingLogits` and `generationScores` of every cutout, the same numbers to rounding. */
export function matchAndGenerate(b: GraphBuilder, scope: Scope, config: Blip2Config, input: JointInput): JointOutput {
  const { image, ids, decoderIds, mask } = input;
  const { qformer_config: qformerConfig, num_query_tokens: queries } = config;
  const [lanes] = ids.shape as [Dim];
  const texts = sizeOf(ids, 1);
  const pass: Pass = {
    b,
    config: qformerConfig,
    image,
    sizes: { queries, texts },
    perCutout: (x) => repeatTasks(b, x, lanes, cutoutsPerLane(image.shape[0]!, lanes)),
  };
  const pairs = op.concat(b, [op.unsqueeze(b, ids, [1]), op.unsqueeze(b, decoderIds, [1])], 1);
  const rows = dimProduct([lanes, TASKS]);
  const text = embedText(b, scope, qformerConfig, op.reshape(b, pairs, [rows, texts]));
  const tokens = op.concat(b, [queryTokens(b, scope, config, rows), text], 1);
  const masks = taskMasks(b, mask, queries, texts);
  const last = scope.enter(b, 'qformer', (w) => layers(pass, w, tokens, masks));
  return {
    logits: b.scope('itm', () => matchingHead(b, scope, last.queries)),
    scores: b.scope('itg', () => languageModelHead(b, scope, config, last.text)),
  };
}

/** -> the matching queries [B n, Q, C] and the generating text [B n, T, C] after the last layer. */
function layers(pass: Pass, root: Scope, tokens: Value, masks: Value): Tokens {
  const { b, config, image, sizes, perCutout } = pass;
  const count = config.num_hidden_layers;
  const layer = (index: number, append: (w: Scope) => Tokens): Tokens =>
    root.enter(b, `encoder.layer.${index}`, append);
  const seesImage = (index: number): boolean => index % config.cross_attention_frequency === 0;
  const start = root.enter(b, 'layernorm', (w) => layerNorm(b, w, tokens, config.layer_norm_eps));
  const masksOfCutouts = perCutout(masks);
  let parts: Tokens | undefined;
  for (let index = 0; index < count; index += 1) {
    const isLast = index === count - 1;
    const before = parts;
    parts = layer(index, (w) => {
      const x = before ? op.concat(b, [before.queries, before.text], 1) : start;
      const mask = before ? masksOfCutouts : masks;
      const attended = w.enter(b, 'attention', (own) => attentionBlock(b, own, config, { x, memory: x, mask }));
      // Up to here the first layer has rows of lanes, and its text goes on with them.
      const whole = before ? attended : perCutout(attended);
      const { queries, text } = isLast ? ofTheirTask(b, whole, image, sizes) : apart(b, whole, sizes);
      const informed = seesImage(index) ? readImage(pass, w, queries) : queries;
      const feedText = (of: Value): Value => feedForward(b, w, config, { x: of, suffix: '' });
      return {
        queries: feedForward(b, w, config, { x: informed, suffix: querySuffix(w) }),
        text: before || isLast ? feedText(text) : perCutout(feedText(apart(b, attended, sizes).text)),
      };
    });
  }
  if (!parts) throw new RefereeError('InvalidModel', 'the Q-Former has no layers, expected at least one');
  return parts;
}

/** Both tasks' queries of an image are the queries of one cross-attention. */
function readImage({ b, config, image }: Pass, layer: Scope, queries: Value): Value {
  const [count, width] = [sizeOf(queries, 1), sizeOf(queries, 2)];
  const images = image.shape[0]!;
  const perImage = queries.shape[0] === images ? count : TASKS * count;
  const x = op.reshape(b, queries, [images, perImage, width]);
  const informed = layer.enter(b, 'crossattention', (w) => attentionBlock(b, w, config, { x, memory: image }));
  return op.reshape(b, informed, queries.shape);
}

function apart(b: GraphBuilder, x: Value, { queries, texts }: Pass['sizes']): Tokens {
  const [ofQueries, ofText] = op.split(b, x, [queries, texts], 1) as [Value, Value];
  return { queries: ofQueries, text: ofText };
}

/** [2 B n, Q + T, C] -> matching's queries, generation's text. */
function ofTheirTask(b: GraphBuilder, x: Value, image: Value, { queries, texts }: Pass['sizes']): Tokens {
  const pairs = op.reshape(b, x, [image.shape[0]!, TASKS * (queries + texts), sizeOf(x, 2)]);
  const [matching, , , generation] = op.split(b, pairs, [queries, texts, queries, texts], 1) as [
    Value,
    Value,
    Value,
    Value,
  ];
  return { queries: matching, text: generation };
}

/** mask [B, T] -> what is added to the scores of both tasks, [2 B, 1, Q + T, Q + T]. */
function taskMasks(b: GraphBuilder, mask: Value, queries: number, texts: number): Value {
  const [lanes] = mask.shape as [Dim];
  const length = queries + texts;
  const padding = op.pad(b, paddingMask(b, mask), [0, 0, 0, queries, 0, 0, 0, 0]);
  const none = b.constant(float32(new Float32Array(length * length), [1, 1, length, length]), 'mask');
  const tasks = op.concat(b, [none, generationMask(b, { queries, length })], 1);
  return op.reshape(b, op.add(b, tasks, padding), [dimProduct([lanes, TASKS]), 1, length, length]);
}

function repeatTasks(b: GraphBuilder, x: Value, lanes: Dim, cutouts: number): Value {
  const [, ...rest] = x.shape;
  const perLane = op.reshape(b, x, [lanes, 1, TASKS, ...rest]);
  const repeated = op.expand(b, perLane, [lanes, cutouts, TASKS, ...rest]);
  return op.reshape(b, repeated, [dimProduct([lanes, cutouts, TASKS]), ...rest]);
}

function cutoutsPerLane(images: Dim, lanes: Dim): number {
  const count = dimQuotient(images, lanes);
  if (typeof count === 'number') return count;
  throw new RefereeError('InvalidModel', `${images} images of ${lanes} texts, expected a known number per text`);
}
