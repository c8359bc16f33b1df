/**
 * @file Undoing a broadcast: the cotangent of a repeated element is the sum over its copies. One helper for every rule,
 * also where sizes are known at run time only.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import { int } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { sameShape } from '../onnx/shapes.ts';

/** Sums `g`, which has a shape that `like` was broadcast to, back to the shape of `like`. */
export function unbroadcast(b: GraphBuilder, g: Value, like: Value): Value {
  if (sameShape(g.shape, like.shape)) return g;
  const extra = g.shape.length - like.shape.length;
  // A symbol may stand for 1. A number above 1 was not repeated, whatever is known of g.
  const isOpen = like.shape.some((dim, axis) => typeof dim === 'string' && dim !== g.shape[axis + extra]);
  if (isOpen) return unbroadcastAtRunTime(b, g, like);
  const repeated = like.shape.flatMap((dim, axis) => (dim === 1 && g.shape[axis + extra] !== 1 ? [axis + extra] : []));
  const leading = axesBelow(extra);
  const axes = [...leading, ...repeated];
  if (repeated.length === 0) return op.reduceSum(b, g, { axes, keepdims: false });
  return op.squeeze(b, op.reduceSum(b, g, { axes }), leading);
}

/** Summing an axis of size 1 changes nothing, so all axes of size 1 are summed, found when sizes are known. */
function unbroadcastAtRunTime(b: GraphBuilder, g: Value, like: Value): Value {
  const extra = g.shape.length - like.shape.length;
  const sizes = op.shape(b, like);
  const ones = op.reshape(b, op.nonZero(b, op.equal(b, sizes, b.int64([1]))), [-1]);
  const axes = extra === 0 ? ones : op.concat(b, [b.int64(axesBelow(extra)), op.addScalar(b, ones, extra)], 0);
  const summed = b.node('ReduceSum', [g, axes], { keepdims: int(1), noop_with_empty_axes: int(1) })[0]!;
  return op.reshapeTo(b, summed, sizes);
}

function axesBelow(count: number): number[] {
  return Array.from({ length: count }, (_, axis) => axis);
}
