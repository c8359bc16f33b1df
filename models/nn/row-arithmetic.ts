/**
 * @file Sums and logarithms whose bytes do not depend on how many rows a call has. onnxruntime's kernels on CPUs add in
 * another order when the rows become one, or when a row's length does not fill vector registers; a product with a constant
 * vector, and four equal elements per row, do not.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { sizeOf } from './linear.ts';

/** Elements of a vector register of the smallest kind. */
const VECTOR = 4;

/** x [..., n] -> [...]: sum over the last axis. */
export function sumOfRow(b: GraphBuilder, x: Value): Value {
  return weighted(b, x, 1);
}

/** x [..., n] -> [...]: mean over the last axis. */
export function meanOfRow(b: GraphBuilder, x: Value): Value {
  return weighted(b, x, 1 / sizeOf(x, x.shape.length - 1));
}

/** x [B, m, n] -> [B, n]: mean over the middle axis. */
export function meanOfRows(b: GraphBuilder, x: Value): Value {
  return meanOfRow(b, op.transposeMatrix(b, x));
}

/** x [B] -> [B]: natural logarithm. */
export function logOfRows(b: GraphBuilder, x: Value): Value {
  const [rows] = x.shape;
  const filled = op.expand(b, op.unsqueeze(b, x, [1]), [rows!, VECTOR]);
  const logs = op.slice(b, op.log(b, filled), { starts: [0], ends: [1], axes: [1] });
  return op.squeeze(b, logs, [1]);
}

function weighted(b: GraphBuilder, x: Value, weight: number): Value {
  const axis = x.shape.length - 1;
  const length = sizeOf(x, axis);
  const weights = b.constant(float32(new Float32Array(length).fill(weight), [length, 1]));
  return op.squeeze(b, op.matMul(b, x, weights), [axis]);
}
