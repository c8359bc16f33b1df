/**
 * @file Attention(Q, K, V) = softmax(softcap(Q K^T scale) + bias) V over heads, with a cache of earlier keys and values,
 * and the rotation of queries and keys by their places.
 */
import { dtypeOf } from '../dtype.ts';
import type { DType } from '../dtype.ts';
import type { Value } from '../graph.ts';
import { formatShape } from '../shapes.ts';
import * as op from '../ops.ts';
import type { Composite, CompositeContext, CompositeTable } from './composite.ts';
import { knownSize, problem, sequence, withRank } from './composite.ts';

/** [B, T, heads * size] to [B, heads, T, size]; with four axes as it is. */
function byHeads(context: CompositeContext, x: Value, attribute: string): Value {
  if (x.shape.length === 4) return x;
  const { b, attributes } = context;
  const heads = attributes.int(attribute, 0);
  const width = knownSize(context, x, 2);
  if (heads < 1 || width % heads !== 0) throw problem(context, `${attribute} ${heads} does not divide ${width}`);
  const apart = op.reshapeTo(b, x, op.concat(b, [sizes(context, x, 0, 2), b.int64([heads, width / heads])], 0));
  return op.transpose(b, apart, [0, 2, 1, 3]);
}

/** Sizes of axes `from` to before `to`, an int64 vector. */
function sizes({ b }: CompositeContext, x: Value, from: number, to: number): Value {
  const dims = x.shape.slice(from, to);
  if (dims.every((dim) => typeof dim === 'number')) return b.int64(dims);
  return b.node('Shape', [x], { start: { type: 'int', value: from }, end: { type: 'int', value: to } })[0]!;
}

/** 0, 1 ... below the size of an axis, int64. */
function places(context: CompositeContext, x: Value, axis: number): Value {
  const { b } = context;
  const dim = x.shape[axis]!;
  if (typeof dim === 'number') return sequence(b, dim);
  const size = op.squeeze(b, sizes(context, x, axis, axis + 1), [0]);
  return op.range(b, b.scalar(0, 'int64'), size, b.scalar(1, 'int64'));
}

/** Each head of keys or values as often as queries share it: [B, h, T, E] to [B, heads, T, E]. */
function repeated(context: CompositeContext, x: Value, heads: number): Value {
  const { b } = context;
  const own = knownSize(context, x, 1);
  if (own === heads) return x;
  if (own < 1 || heads % own !== 0) throw problem(context, `${heads} heads of queries over ${own} of keys`);
  const [batch, rest] = [sizes(context, x, 0, 1), sizes(context, x, 2, 4)];
  const all = op.concat(b, [batch, b.int64([own, heads / own]), rest], 0);
  return op.reshapeTo(
    b,
    op.expandTo(b, op.unsqueeze(b, x, [2]), all),
    op.concat(b, [batch, b.int64([heads]), rest], 0),
  );
}

/** 0 where the condition holds, -infinity elsewhere. */
function bias({ b }: CompositeContext, allowed: Value, dtype: DType): Value {
  return op.where(b, allowed, b.scalar(0, dtype), b.scalar(-Infinity, dtype));
}

/** The mask as an addend, with keys that it does not reach masked. */
function maskOf(context: CompositeContext, mask: Value, keys: Value): Value {
  const { b } = context;
  const isBool = mask.dtype === 'bool';
  const dtype = isBool ? keys.dtype : mask.dtype;
  const whole = isBool ? bias(context, mask, dtype) : mask;
  const [given, needed] = [mask.shape.at(-1)!, keys.shape[2]!];
  if (given === needed) return whole;
  const last = mask.shape.length - 1;
  const missing = op.sub(b, sizes(context, keys, 2, 3), sizes(context, mask, last, last + 1));
  const none = b.int64(Array.from({ length: 2 * last + 1 }, () => 0));
  return b.node('Pad', [whole, op.concat(b, [none, missing], 0), b.scalar(-Infinity, dtype)])[0]!;
}

/** All that is added to the products of queries and keys [B, heads, T, S]; undefined if nothing is. */
function biasOf(context: CompositeContext, q: Value, keys: Value): Value | undefined {
  const { b, attributes, optional } = context;
  const parts: Value[] = [];
  const mask = optional(3);
  if (mask) parts.push(maskOf(context, mask, keys));
  const lengths = optional(6);
  const column = (value: Value): Value => op.unsqueeze(b, value, [1]);
  const [left, right] = [attributes.int('left_window_size', -1), attributes.int('right_window_size', -1)];
  const isCausal = attributes.int('is_causal', 0) === 1;
  if (isCausal || left >= 0 || right >= 0) {
    const own = places(context, q, 2);
    const past = optional(4);
    // Queries stand at the end of what is there.
    const before = lengths && !past && op.sub(b, op.cast(b, lengths, 'int64'), sizes(context, q, 2, 3));
    const shifted = past ? op.add(b, own, sizes(context, past, 2, 3)) : own;
    const rows = before ? op.add(b, op.unsqueeze(b, before, [1, 2, 3]), column(own)) : column(shifted);
    const keyPlaces = places(context, keys, 2);
    if (isCausal) parts.push(bias(context, op.lessOrEqual(b, keyPlaces, rows), q.dtype));
    const distance = op.sub(b, rows, keyPlaces);
    if (left >= 0) parts.push(bias(context, op.lessOrEqual(b, distance, b.scalar(left, 'int64')), q.dtype));
    if (right >= 0) parts.push(bias(context, op.greaterOrEqual(b, distance, b.scalar(-right, 'int64')), q.dtype));
  }
  if (lengths) {
    const ends = op.unsqueeze(b, op.cast(b, lengths, 'int64'), [1, 2, 3]);
    parts.push(bias(context, op.less(b, places(context, keys, 2), ends), q.dtype));
  }
  return parts.length === 0
    ? undefined
    : op.sum(
        b,
        parts.map((part) => op.cast(b, part, q.dtype)),
      );
}

/** Softmax along the last axis, in the type that is asked for. A row of which all is masked is zero. */
function weightsOf(context: CompositeContext, scores: Value, added: Value | undefined): Value {
  const { b, attributes } = context;
  const asked = attributes.int('softmax_precision', 0);
  const dtype = asked === 0 ? scores.dtype : dtypeOf(asked);
  if (!dtype) throw problem(context, `softmax_precision ${asked} is no supported element type`);
  if (!added) return op.cast(b, op.softmax(b, op.cast(b, scores, dtype)), scores.dtype);
  const highest = op.reduceMax(b, added, { axes: [added.shape.length - 1] });
  const isMasked = op.equal(b, highest, b.scalar(-Infinity, added.dtype));
  // No infinities into such a row: its softmax and its gradient would be no numbers.
  const safe = op.where(b, isMasked, b.scalar(0, scores.dtype), op.add(b, scores, added));
  const weights = op.cast(b, op.softmax(b, op.cast(b, safe, dtype)), scores.dtype);
  return op.where(b, isMasked, b.scalar(0, scores.dtype), weights);
}

const attention: Composite = (context) => {
  const { b, attributes, optional, isAsked } = context;
  const given = withRank(context, 0, 3, 4);
  const q = byHeads(context, given, 'q_num_heads');
  const cached = (at: number, past: number): Value => {
    const own = byHeads(context, withRank(context, at, given.shape.length), 'kv_num_heads');
    const earlier = optional(past);
    return earlier ? op.concat(b, [earlier, own], 2) : own;
  };
  const [keys, values] = [cached(1, 4), cached(2, 5)];
  const heads = knownSize(context, q, 1);
  const scale = attributes.has('scale') ? attributes.float('scale', 1) : 1 / Math.sqrt(knownSize(context, q, 3));
  // Half of the scale on either side keeps products of half precision in range.
  const [ofQueries, ofKeys] = scale > 0 ? [Math.sqrt(scale), Math.sqrt(scale)] : [scale, 1];
  const scaledKeys = op.mulScalar(b, repeated(context, keys, heads), ofKeys);
  const products = op.matMul(b, op.mulScalar(b, q, ofQueries), op.transpose(b, scaledKeys, [0, 1, 3, 2]));
  const cap = attributes.float('softcap', 0);
  const capped = cap > 0 ? op.mulScalar(b, op.tanh(b, op.divScalar(b, products, cap)), cap) : products;
  const added = biasOf(context, q, keys);
  const weights = weightsOf(context, capped, added);
  const result = op.matMul(b, weights, repeated(context, values, heads));
  const shown = (): Value => {
    const stages = [products, capped, added ? op.add(b, capped, added) : capped, weights];
    const mode = attributes.int('qk_matmul_output_mode', 0);
    const stage = stages[mode];
    if (!stage) throw problem(context, `qk_matmul_output_mode ${mode}, expected 0 to 3`);
    return stage;
  };
  return [joined(context, result, given), keys, values, isAsked(3) ? shown() : undefined];
};

/** [B, heads, T, E] to [B, T, heads * E] where queries came so. */
function joined(context: CompositeContext, x: Value, given: Value): Value {
  if (given.shape.length === 4) return x;
  const { b } = context;
  const width = knownSize(context, x, 1) * knownSize(context, x, 3);
  const together = op.concat(b, [sizes(context, given, 0, 2), b.int64([width])], 0);
  return op.reshapeTo(b, op.transpose(b, x, [0, 2, 1, 3]), together);
}

/** Pairs of elements of every head, turned by the angles of their place: [B, heads, T, E] or [B, T, heads * E]. */
const rotaryEmbedding: Composite = (context) => {
  const { b, attributes, required, optional } = context;
  const given = withRank(context, 0, 3, 4);
  const x = byHeads(context, given, 'num_heads');
  const size = knownSize(context, x, 3);
  const turned = attributes.int('rotary_embedding_dim', 0) || size;
  if (turned > size || turned % 2 !== 0) throw problem(context, `rotary_embedding_dim ${turned} of ${size} elements`);
  const ids = optional(3);
  const angles = (at: number): Value => {
    const cache = required(at);
    const chosen = ids ? op.gather(b, cache, ids) : cache;
    if (chosen.shape.length !== 3) throw problem(context, `input ${at} has shape ${formatShape(cache.shape)}`);
    return op.unsqueeze(b, chosen, [1]);
  };
  const [cos, sin] = [angles(1), angles(2)];
  const isInterleaved = attributes.int('interleaved', 0) === 1;
  const part = (start: number, end: number, step = 1): Value =>
    op.slice(b, x, { starts: [start], ends: [end], axes: [3], steps: [step] });
  const half = turned / 2;
  const [x1, x2] = isInterleaved ? [part(0, turned, 2), part(1, turned, 2)] : [part(0, half), part(half, turned)];
  const real = op.sub(b, op.mul(b, cos, x1), op.mul(b, sin, x2));
  const imaginary = op.add(b, op.mul(b, sin, x1), op.mul(b, cos, x2));
  const together = isInterleaved ? woven(context, real, imaginary, turned) : op.concat(b, [real, imaginary], 3);
  return [joined(context, turned === size ? together : op.concat(b, [together, part(turned, size)], 3), given)];
};

/** a0 b0 a1 b1 ... along the last axis. */
function woven(context: CompositeContext, a: Value, z: Value, length: number): Value {
  const { b } = context;
  const pairs = op.concat(b, [op.unsqueeze(b, a, [4]), op.unsqueeze(b, z, [4])], 4);
  return op.reshapeTo(b, pairs, op.concat(b, [sizes(context, a, 0, 3), b.int64([length])], 0));
}

export const attentionComposites: CompositeTable = { Attention: attention, RotaryEmbedding: rotaryEmbedding };
