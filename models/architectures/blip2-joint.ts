/**
 * @file Matching and generation in one pass of the Q-Former. Both run the same layers on the same image and differ in
 * masks and in the first token of the text, so they are two rows of one batch: half the kernels, products twice as tall,
 * and an image's keys and values are there once for the queries of both.
 *
 * Tokens come first, [T, rows, C], for the attention's products; rows are those of matching, then those of generation.
 *
 * What no image has reached yet (the first self-attention, the text's first feed forward) is computed once per lane, not
 * per cutout; of the last layer only the matching queries and the generating text are continued.
 */
import { RefereeError } from '../../errors.ts';
import { paddingMask, reorderTokens } from '../nn/attention.ts';
import { sizeOf } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import { repeatAlong } from '../nn/repeat.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimProduct, dimQuotient, type Dim } from '../onnx/shapes.ts';
import type { Blip2Config, QFormerConfig } from './blip2-config.ts';
import { attentionBlock, embedText, feedForward, querySuffix } from './blip2-qformer.ts';
import { generationMask, languageModelHead, matchingHead } from './blip2.ts';

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
  /** [N, B n, D] */
  readonly image: Value;
  /** B n */
  readonly images: Dim;
  /** Q and T: queries and tokens of a text. */
  readonly sizes: { readonly queries: number; readonly texts: number };
  /** Rows of lanes, 2 B along `axis`, to rows of cutouts, 2 B n. */
  readonly perCutout: (x: Value, axis: number) => Value;
}

/** [Q, rows, C] and [T, rows, C] */
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
  const images = image.shape[0]!;
  const copies = cutoutsPerLane(images, lanes);
  const pass: Pass = {
    b,
    config: qformerConfig,
    image: reorderTokens(b, image),
    images,
    sizes: { queries, texts },
    perCutout: (x, axis) => repeatAlong(b, x, { axis, copies }),
  };
  const rows = dimProduct([TASKS, lanes]);
  const text = reorderTokens(b, embedText(b, scope, qformerConfig, op.concat(b, [ids, decoderIds], 0)));
  const tokens = op.concat(b, [queryTokens(b, scope, config, rows), text], 0);
  const masks = taskMasks(b, mask, queries, texts);
  const last = scope.enter(b, 'qformer', (w) => layers(pass, w, tokens, masks));
  return {
    logits: b.scope('itm', () => matchingHead(b, scope, reorderTokens(b, last.queries))),
    scores: b.scope('itg', () => languageModelHead(b, scope, config, reorderTokens(b, last.text))),
  };
}

/** [Q, rows, C] */
function queryTokens(b: GraphBuilder, scope: Scope, config: Blip2Config, rows: Dim): Value {
  const { num_query_tokens: queries } = config;
  const width = config.qformer_config.hidden_size;
  const tokens = op.reshape(b, scope.get(b, 'query_tokens', [1, queries, width]), [queries, 1, width]);
  return op.expand(b, tokens, [queries, rows, width]);
}

/** -> the matching queries [Q, B n, C] and the generating text [T, B n, C] after the last layer. */
function layers(pass: Pass, root: Scope, tokens: Value, masks: Value): Tokens {
  const { b, config, images, sizes, perCutout } = pass;
  const count = config.num_hidden_layers;
  const layer = (index: number, append: (w: Scope) => Tokens): Tokens =>
    root.enter(b, `encoder.layer.${index}`, append);
  const seesImage = (index: number): boolean => index % config.cross_attention_frequency === 0;
  const start = root.enter(b, 'layernorm', (w) => layerNorm(b, w, tokens, config.layer_norm_eps));
  const masksOfCutouts = perCutout(masks, 0);
  let parts: Tokens | undefined;
  for (let index = 0; index < count; index += 1) {
    const isLast = index === count - 1;
    const before = parts;
    parts = layer(index, (w) => {
      const x = before ? op.concat(b, [before.queries, before.text], 0) : start;
      const mask = before ? masksOfCutouts : masks;
      // Equally many of both tasks are continued as one batch.
      const isShort = isLast && before !== undefined && sizes.queries === sizes.texts;
      const asking = isShort ? continued(b, { x, mask }, pass) : { x, mask };
      const block = { ...asking, memory: x, order: 'tokens-first' } as const;
      const attended = w.enter(b, 'attention', (own) => attentionBlock(b, own, config, block));
      // Up to here the first layer has rows of lanes, and its text goes on with them.
      const whole = before ? attended : perCutout(attended, 1);
      const both = isShort ? { queries: whole, text: whole } : apart(b, whole, sizes);
      const { queries, text } = isLast ? ofTheirTask(b, both, images) : both;
      const informed = seesImage(index) ? readImage(pass, w, queries) : queries;
      const feedText = (of: Value): Value => feedForward(b, w, config, { x: of, suffix: '' });
      return {
        queries: feedForward(b, w, config, { x: informed, suffix: querySuffix(w) }),
        text: before || isLast ? feedText(text) : perCutout(feedText(apart(b, attended, sizes).text), 1),
      };
    });
  }
  if (!parts) throw new RefereeError('InvalidModel', 'the Q-Former has no layers, expected at least one');
  return parts;
}

/** Both tasks' queries of an image are the queries of one cross-attention. */
function readImage({ b, config, image, images }: Pass, layer: Scope, queries: Value): Value {
  const [count, width] = [sizeOf(queries, 0), sizeOf(queries, 2)];
  const perImage = queries.shape[1] === images ? count : TASKS * count;
  const x = op.reshape(b, queries, [perImage, images, width]);
  const block = { x, memory: image, order: 'tokens-first' } as const;
  const informed = layer.enter(b, 'crossattention', (w) => attentionBlock(b, w, config, block));
  return op.reshape(b, informed, queries.shape);
}

function apart(b: GraphBuilder, x: Value, { queries, texts }: Pass['sizes']): Tokens {
  const [ofQueries, ofText] = op.split(b, x, [queries, texts], 0) as [Value, Value];
  return { queries: ofQueries, text: ofText };
}

/** Rows of both tasks, 2 B n -> matching's queries, generation's text, B n. */
function ofTheirTask(b: GraphBuilder, { queries, text }: Tokens, images: Dim): Tokens {
  return {
    queries: rowsOf(b, queries, { axis: 1, task: 0, images }),
    text: rowsOf(b, text, { axis: 1, task: 1, images }),
  };
}

/** Matching's queries and generation's text, [Q, 2 B n, C], with their rows of the mask: nothing else is continued. */
function continued(
  b: GraphBuilder,
  { x, mask }: { readonly x: Value; readonly mask: Value },
  { sizes, images }: Pass,
): { readonly x: Value; readonly mask: Value } {
  const chosen = ofTheirTask(b, apart(b, x, sizes), images);
  const lines = op.split(b, mask, [sizes.queries, sizes.texts], 2);
  const masks = lines.map((part, task) => rowsOf(b, part, { axis: 0, task, images }));
  return { x: op.concat(b, [chosen.queries, chosen.text], 1), mask: op.concat(b, masks, 0) };
}

/** Of 2 B n rows along `axis` those of a task. */
function rowsOf(
  b: GraphBuilder,
  x: Value,
  { axis, task, images }: { readonly axis: number; readonly task: number; readonly images: Dim },
): Value {
  const tasks = op.reshape(b, x, [...x.shape.slice(0, axis), TASKS, images, ...x.shape.slice(axis + 1)]);
  return op.squeeze(b, op.slice(b, tasks, { starts: [task], ends: [task + 1], axes: [axis] }), [axis]);
}

/** mask [B, T] -> what is added to the scores of both tasks, [2 B, 1, Q + T, Q + T]. */
function taskMasks(b: GraphBuilder, mask: Value, queries: number, texts: number): Value {
  const [lanes] = mask.shape as [Dim];
  const length = queries + texts;
  const padding = op.pad(b, paddingMask(b, mask), [0, 0, 0, queries, 0, 0, 0, 0]);
  const none = b.constant(float32(new Float32Array(length * length), [1, 1, length, length]), 'mask');
  const tasks = op.concat(b, [none, generationMask(b, { queries, length })], 0);
  const both = op.add(b, tasks, op.reshape(b, padding, [1, lanes, 1, length]));
  return op.reshape(b, both, [dimProduct([TASKS, lanes]), 1, length, length]);
}

function cutoutsPerLane(images: Dim, lanes: Dim): number {
  const count = dimQuotient(images, lanes);
  if (typeof count === 'number') return count;
  throw new RefereeError('InvalidModel', `${images} images of ${lanes} texts, expected a known number per text`);
}
