/**
 * @file Sizes and shapes of values as values: constants where they are known when the graph is built, read at run time
 * where they are not.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { elementCount } from '../onnx/dtype.ts';
import type { DType } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import { int } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { isStatic, sameShape } from '../onnx/shapes.ts';

/** Sizes of these axes as an int64 vector. */
export function sizesOf(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const dims = axes.map((axis) => x.shape[axis]!);
  if (isStatic(dims)) return b.int64(dims);
  return op.concat(
    b,
    axes.map((axis) => b.node('Shape', [x], { start: int(axis), end: int(axis + 1) })[0]!),
    0,
  );
}

/** Size of one axis as an int64 scalar. */
export function sizeOf(b: GraphBuilder, x: Value, axis: number): Value {
  const dim = x.shape[axis]!;
  if (typeof dim === 'number') return b.scalar(dim, 'int64');
  return op.squeeze(b, sizesOf(b, x, [axis]), [0]);
}

/** Number of elements along these axes together, a scalar of type `dtype`. */
export function countOf(b: GraphBuilder, x: Value, axes: readonly number[], dtype: DType): Value {
  const dims = axes.map((axis) => x.shape[axis]!);
  if (isStatic(dims)) return b.scalar(elementCount(dims), dtype);
  return op.cast(b, b.node('ReduceProd', [sizesOf(b, x, axes)], { keepdims: int(0) })[0]!, dtype);
}

/** The elements of `value` in the shape of `like`. */
export function reshapeLike(b: GraphBuilder, value: Value, like: Value): Value {
  if (sameShape(value.shape, like.shape)) return value;
  const open = like.shape.filter((dim) => typeof dim === 'string').length;
  if (open > 1 || (open === 1 && like.shape.includes(0))) return op.reshapeTo(b, value, op.shape(b, like));
  return op.reshape(b, value, like.shape);
}

/** Repeats axes of size 1 of `value` until it has the shape of `like`. */
export function expandLike(b: GraphBuilder, value: Value, like: Value): Value {
  return sameShape(value.shape, like.shape) ? value : op.expandTo(b, value, op.shape(b, like));
}

/** [..., rows] as a matrix [-1, columns] of the last axis. */
export function asMatrix(b: GraphBuilder, x: Value): Value {
  if (x.shape.length === 2) return x;
  const columns = x.shape.at(-1)!;
  if (typeof columns === 'number' && columns > 0) return op.reshapeTo(b, x, b.int64([-1, columns]));
  return b.node('Flatten', [x], { axis: int(-1) })[0]!;
}
