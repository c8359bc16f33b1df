/**
 * @file Axes cropped or filled with zeros to a size, from the middle.
 */
import { normalAxis } from '../shapes.ts';
import * as op from '../ops.ts';
import type { Composite, CompositeTable } from './composite.ts';
import { problem } from './composite.ts';

const centerCropPad: Composite = (context) => {
  const { b, attributes, where, required } = context;
  const x = required(0);
  const rank = x.shape.length;
  const axes = attributes.ints('axes')?.map((axis) => normalAxis(axis, rank, where)) ?? x.shape.map((_, axis) => axis);
  const asked = b.dimsOf(required(1));
  if (asked?.length !== axes.length) throw problem(context, `expected ${axes.length} sizes that are known`);
  const begins = x.shape.map(() => 0);
  const ends = x.shape.map(() => 0);
  axes.forEach((axis, at) => {
    const [size, length] = [asked[at]!, x.shape[axis]!];
    if (size === length) return;
    if (typeof size !== 'number' || typeof length !== 'number') throw problem(context, 'sizes must be known');
    // Of an odd difference the larger half is at the end.
    const difference = size - length;
    begins[axis] = Math.trunc(difference / 2);
    ends[axis] = difference - begins[axis]!;
  });
  return [op.pad(b, x, [...begins, ...ends])];
};

export const croppingComposites: CompositeTable = { CenterCropPad: centerCropPad };
