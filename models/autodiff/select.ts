/**
 * @file A cotangent under a truth value: kept or set to zero. Selecting, not multiplying, keeps an infinite cotangent out.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';

/** g where the condition holds, zero elsewhere. */
export function keepWhere(b: GraphBuilder, condition: Value, g: Value): Value {
  return op.where(b, condition, g, b.scalar(0, g.dtype));
}

/** Zero where the condition holds, g elsewhere. */
export function dropWhere(b: GraphBuilder, condition: Value, g: Value): Value {
  return op.where(b, condition, b.scalar(0, g.dtype), g);
}
