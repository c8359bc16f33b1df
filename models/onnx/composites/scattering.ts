/**
 * @file Pieces put in place: patches of an image that overlap, and new entries of a cache.
 */
import { elementCount } from '../dtype.ts';
import type { Value } from '../graph.ts';
import { int } from '../graph.ts';
import { isStatic, normalAxis } from '../shapes.ts';
import * as op from '../ops.ts';
import type { Composite, CompositeContext, CompositeTable } from './composite.ts';
import { knownSize, problem, sequence, withRank } from './composite.ts';

/** Larger patches would need a matrix of gigabytes. */
const MOST_TAPS = 2 ** 12;

function numbersOf(context: CompositeContext, at: number): readonly number[] {
  const known = context.b.dimsOf(context.required(at));
  if (known && isStatic(known)) return known;
  throw problem(context, `input ${at} must be known`);
}

/**
 * Columns [N, C * taps, windows] to an image [N, C, H, W ...] in which overlapping elements are added: a transposed
 * convolution whose kernel puts each tap in its place.
 */
const col2Im: Composite = (context) => {
  const { b, attributes } = context;
  const x = withRank(context, 0, 3);
  const [image, kernel] = [numbersOf(context, 1), numbersOf(context, 2)];
  const ones = kernel.map(() => 1);
  const [strides, dilations] = [attributes.ints('strides') ?? ones, attributes.ints('dilations') ?? ones];
  const pads = attributes.ints('pads') ?? [...ones, ...ones].map(() => 0);
  if ([image, strides, dilations].some((list) => list.length !== kernel.length) || pads.length !== 2 * kernel.length) {
    throw problem(context, `a block of ${kernel.length} axes needs as many of each setting`);
  }
  const taps = elementCount(kernel);
  const columns = knownSize(context, x, 1);
  if (taps < 1 || taps > MOST_TAPS || columns % taps !== 0) {
    throw problem(context, `${columns} columns are no multiple of ${taps} taps, or more than ${MOST_TAPS}`);
  }
  const extents = kernel.map((size, axis) => (size - 1) * dilations[axis]! + 1);
  const spans = image.map((size, axis) => size + pads[axis]! + pads[axis + kernel.length]! - extents[axis]!);
  const windows = spans.map((span, axis) => Math.floor(span / strides[axis]!) + 1);
  if (windows.some((count) => count < 1)) throw problem(context, 'its blocks do not fit the image');
  const apart = op.reshapeTo(b, x, b.int64([-1, taps, ...windows]));
  // Made at run time: as a constant it would be written once for every such node.
  const [unit] = b.node('EyeLike', [op.expandTo(b, b.scalar(0, x.dtype), b.int64([taps, taps]))]);
  const kernels = op.reshapeTo(b, unit!, b.int64([taps, 1, ...kernel]));
  const added = op.convTranspose(b, apart, kernels, undefined, {
    strides,
    dilations,
    pads,
    outputPadding: spans.map((span, axis) => span % strides[axis]!),
  });
  return [
    op.reshapeTo(b, added, op.concat(b, [b.node('Shape', [x], FIRST)[0]!, b.int64([columns / taps, ...image])], 0)),
  ];
};

const FIRST = { start: { type: 'int', value: 0 }, end: { type: 'int', value: 1 } } as const;

/** New entries of a cache along an axis, from a place per batch entry on; `circular` goes on at its beginning. */
const tensorScatter: Composite = (context) => {
  const { b, attributes, where, required, optional } = context;
  const [cache, update] = [required(0), required(1)];
  const rank = cache.shape.length;
  const axis = normalAxis(attributes.int('axis', -2), rank, where);
  if (axis === 0 || update.shape.length !== rank) throw problem(context, 'cache and update do not fit');
  const count = knownSize(context, update, axis);
  const column = (value: Value, at: number): Value =>
    op.unsqueeze(
      b,
      value,
      cache.shape.flatMap((_, other) => (other === at ? [] : [other])),
    );
  const own = column(sequence(b, count), axis);
  const starts = optional(2);
  const places = starts ? op.add(b, column(op.cast(b, starts, 'int64'), 0), own) : own;
  const mode = attributes.string('mode', 'linear');
  if (mode !== 'linear' && mode !== 'circular') throw problem(context, `mode "${mode}" is not supported`);
  const length = b.node('Shape', [cache], {
    start: { type: 'int', value: axis },
    end: { type: 'int', value: axis + 1 },
  })[0]!;
  const inside = mode === 'circular' ? b.node('Mod', [places, length])[0]! : places;
  const all = op.expandTo(b, inside, op.shape(b, update));
  return [op.scatterElements(b, cache, all, update, { axis })];
};

/** Longer products would be written out as thousands of nodes. */
const MOST_FACTORS = 1024;

/** Products of all elements so far along an axis, one after the other. */
const cumProd: Composite = (context) => {
  const { b, attributes, where, required } = context;
  const x = required(0);
  const axis = normalAxis(numbersOf(context, 1)[0] ?? 0, x.shape.length, where);
  const count = knownSize(context, x, axis);
  if (count < 1 || count > MOST_FACTORS) throw problem(context, `${count} factors, expected 1 to ${MOST_FACTORS}`);
  const parts = b.node('Split', [x], { axis: int(axis), num_outputs: int(count) }, count);
  const isReversed = attributes.int('reverse', 0) === 1;
  const ordered = isReversed ? [...parts].reverse() : parts;
  const products: Value[] = [];
  for (const part of ordered) products.push(products.length === 0 ? part : op.mul(b, products.at(-1)!, part));
  const one = op.expandTo(b, op.cast(b, b.scalar(1), x.dtype), op.shape(b, parts[0]!));
  const shown = attributes.int('exclusive', 0) === 1 ? [one, ...products.slice(0, -1)] : products;
  return [op.concat(b, isReversed ? shown.reverse() : shown, axis)];
};

export const scatteringComposites: CompositeTable = {
  Col2Im: col2Im,
  TensorScatter: tensorScatter,
  CumProd: cumProd,
};
