/**
 * @file A linear map along one axis, as a matrix product.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';

/** Replaces `axis` of x, of size n, by the product with a matrix [n, m]. */
export function mapAxis(b: GraphBuilder, x: Value, matrix: Value, axis: number): Value {
  const last = x.shape.length - 1;
  if (axis === last) return op.matMul(b, x, matrix);
  if (axis === last - 1) return op.matMul(b, op.transposeMatrix(b, matrix), x);
  const exchange = x.shape.map((_, at) => (at === axis ? last : at === last ? axis : at));
  return op.transpose(b, op.matMul(b, op.transpose(b, x, exchange), matrix), exchange);
}
