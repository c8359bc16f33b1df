/**
 * @file Axes cropped or filled with zeros to a size, from the middle.
 */
import type { GraphBuilder } from '../builder.ts';
import type { Value } from '../graph.ts';
import { formatShape, normalAxis } from '../shapes.ts';
import * as op from '../ops.ts';
import type { Composite, CompositeTable } from './composite.ts';
import { problem } from './composite.ts';

const centerCropPad: Composite = (context) => {
  const { b, attributes, where, required } = context;
  const x = required(0);
  const rank = x.shape.length;
  const axes = attributes.ints('axes')?.map((axis) => normalAxis(axis, rank, where)) ?? x.shape.map((_, axis) => axis);
  const sizes = required(1);
  const asked = b.dimsOf(sizes);
  if (sizes.shape.length !== 1 || (asked && asked.length !== axes.length)) {
    throw problem(context, `found sizes of ${formatShape(sizes.shape)}, expected [${axes.length}]`);
  }
  const isKnown = axes.every((axis, at) => {
    const [size, length] = [asked?.[at], x.shape[axis]!];
    return size === length || (typeof size === 'number' && typeof length === 'number');
  });
  if (!isKnown || !asked) return [padded(b, x, sizes, axes)];
  const begins = x.shape.map(() => 0);
  const ends = x.shape.map(() => 0);
  axes.forEach((axis, at) => {
    if (asked[at] === x.shape[axis]) return;
    // Of an odd difference the larger half is at the end.
    const difference = Number(asked[at]) - Number(x.shape[axis]);
    begins[axis] = Math.trunc(difference / 2);
    ends[axis] = difference - begins[axis];
  });
  return [op.pad(b, x, [...begins, ...ends])];
};

/** The same of sizes that run time knows. */
function padded(b: GraphBuilder, x: Value, sizes: Value, axes: readonly number[]): Value {
  const lengths = op.gather(b, op.shape(b, x), b.int64(axes));
  const difference = op.sub(b, op.cast(b, sizes, 'int64'), lengths);
  const half = op.mul(b, op.sign(b, difference), op.div(b, op.abs(b, difference), b.int64([2])));
  const pads = op.concat(b, [half, op.sub(b, difference, half)], 0);
  return b.node('Pad', [x, pads, undefined, b.int64(axes)])[0]!;
}

export const croppingComposites: CompositeTable = { CenterCropPad: centerCropPad };
