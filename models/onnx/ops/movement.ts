/**
 * @file Operators that move elements without changing them, and tensors made from shapes.
 */
import type { GraphBuilder } from '../builder.ts';
import type { Tensor } from '../dtype.ts';
import type { Value } from '../graph.ts';
import { int, ints, text } from '../graph.ts';
import type { Dim } from '../shapes.ts';
import { isStatic, sameShape } from '../shapes.ts';

/** Without `perm` all axes are reversed. */
export function transpose(b: GraphBuilder, x: Value, perm?: readonly number[]): Value {
  return b.node('Transpose', [x], perm ? { perm: ints(perm) } : {})[0]!;
}

/** Exchanges the last two axes. */
export function transposeMatrix(b: GraphBuilder, x: Value): Value {
  const rank = x.shape.length;
  return transpose(
    b,
    x,
    x.shape.map((_, axis) => (axis === rank - 2 ? rank - 1 : axis === rank - 1 ? rank - 2 : axis)),
  );
}

/**
 * Same elements under another shape. Sizes may be symbolic: one of them is written as -1, more are read from other values
 * at run time.
 */
export function reshape(b: GraphBuilder, x: Value, shape: readonly Dim[]): Value {
  if (sameShape(x.shape, shape)) return x;
  const symbolic = shape.filter((dim) => typeof dim === 'string');
  const isEmpty = shape.includes(0);
  const vector =
    symbolic.length === 1 && !isEmpty
      ? b.int64(shape.map((dim) => (typeof dim === 'number' ? dim : -1)))
      : b.shapeVector(shape);
  return b.node('Reshape', [x, vector], isEmpty ? { allowzero: int(1) } : {})[0]!;
}

/** Reshape to the contents of an int64 vector. */
export function reshapeTo(b: GraphBuilder, x: Value, shape: Value): Value {
  return b.node('Reshape', [x, shape], { allowzero: int(1) })[0]!;
}

/** The sizes of `x` as an int64 vector: a constant where they are known. */
export function shape(b: GraphBuilder, x: Value): Value {
  return isStatic(x.shape) ? b.int64(x.shape) : b.node('Shape', [x])[0]!;
}

export function concat(b: GraphBuilder, values: readonly Value[], axis: number): Value {
  return values.length === 1 ? values[0]! : b.node('Concat', values, { axis: int(axis) })[0]!;
}

/** Pieces of these sizes along `axis`. */
export function split(b: GraphBuilder, x: Value, sizes: readonly number[], axis: number): Value[] {
  return b.node('Split', [x, b.int64(sizes)], { axis: int(axis) }, sizes.length);
}

export interface SliceOptions {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  readonly steps?: readonly number[];
}

/** An end of `TO_THE_END` takes the rest of the axis. */
export const TO_THE_END = 2 ** 53 - 1;

export function slice(b: GraphBuilder, x: Value, { starts, ends, axes, steps }: SliceOptions): Value {
  return b.node('Slice', [x, b.int64(starts), b.int64(ends), b.int64(axes), steps && b.int64(steps)])[0]!;
}

/** Repeats axes of size 1; sizes may be symbolic. */
export function expand(b: GraphBuilder, x: Value, to: readonly Dim[]): Value {
  return sameShape(x.shape, to) ? x : b.node('Expand', [x, b.shapeVector(to)])[0]!;
}

/** Expand to the contents of an int64 vector. */
export function expandTo(b: GraphBuilder, x: Value, to: Value): Value {
  return b.node('Expand', [x, to])[0]!;
}

export function tile(b: GraphBuilder, x: Value, repeats: readonly number[]): Value {
  return b.node('Tile', [x, b.int64(repeats)])[0]!;
}

export function squeeze(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  return axes.length === 0 ? x : b.node('Squeeze', [x, b.int64(axes)])[0]!;
}

export function unsqueeze(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  return axes.length === 0 ? x : b.node('Unsqueeze', [x, b.int64(axes)])[0]!;
}

/** `pads`: begins of all axes, then ends; negative ones crop. */
export function pad(
  b: GraphBuilder,
  x: Value,
  pads: readonly number[],
  mode: 'constant' | 'reflect' | 'edge' = 'constant',
): Value {
  return b.node('Pad', [x, b.int64(pads)], { mode: text(mode) })[0]!;
}

/** Keeps the triangle below (or above) the k-th diagonal, zeros elsewhere. */
export function trilu(b: GraphBuilder, x: Value, { upper = true, k = 0 }: { upper?: boolean; k?: number } = {}): Value {
  return b.node('Trilu', [x, b.scalar(k, 'int64')], { upper: int(upper ? 1 : 0) })[0]!;
}

/** start, start + delta, ... below limit, of scalars of one type. */
export function range(b: GraphBuilder, start: Value, limit: Value, delta: Value): Value {
  return b.node('Range', [start, limit, delta])[0]!;
}

/** A tensor of `value` (one element) with the sizes in an int64 vector. */
export function constantOfShape(b: GraphBuilder, shapeVector: Value, value: Tensor): Value {
  return b.node('ConstantOfShape', [shapeVector], { value: { type: 'tensor', value } })[0]!;
}

/** Zeros with the type and shape of `x`. */
export function zerosLike(b: GraphBuilder, x: Value): Value {
  return expandTo(b, b.scalar(0, x.dtype), shape(b, x));
}
