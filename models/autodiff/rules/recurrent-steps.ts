/**
 * @file Values over all steps of a recurrent layer, [steps, batch, n]: products, gates, single steps.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { keepWhere } from '../select.ts';
import { asMatrix } from '../sizes.ts';

/** a^T z over all rows of [steps, batch, n] and [steps, batch, m]: [n, m] */
export function productOverRows(b: GraphBuilder, a: Value, z: Value): Value {
  return op.gemm(b, asMatrix(b, a), asMatrix(b, z), undefined, { transA: true });
}

/** x w^T + bias for all rows: [steps, batch, n] */
export function linear(b: GraphBuilder, x: Value, w: Value, bias?: Value): Value {
  const product = op.gemm(b, asMatrix(b, x), w, bias, { transB: true });
  return op.reshape(b, product, [...x.shape.slice(0, 2), w.shape[0]!]);
}

/** Parts of equal size along the last axis. */
export function gatesOf(b: GraphBuilder, x: Value, hidden: number, count: number): Value[] {
  return op.split(
    b,
    x,
    Array.from({ length: count }, () => hidden),
    x.shape.length - 1,
  );
}

/** [1, batch, ...] of every step. */
export function perStep(b: GraphBuilder, x: Value): Value[] {
  const steps = x.shape[0] as number;
  if (steps === 1) return [x];
  return op.split(
    b,
    x,
    Array.from({ length: steps }, () => 1),
    0,
  );
}

/** The value where a step counts, `otherwise` (a number) where it does not. */
export function masked(b: GraphBuilder, mask: Value | undefined, x: Value, otherwise: 0 | 1): Value {
  if (!mask) return x;
  return otherwise === 0 ? keepWhere(b, mask, x) : op.where(b, mask, x, b.scalar(1, x.dtype));
}

/** The sum of what is there; zeros in the shape of `like` if nothing is. */
export function total(b: GraphBuilder, parts: readonly (Value | undefined)[], like: Value): Value {
  const present = parts.filter((part) => part !== undefined);
  return present.length === 0 ? op.zerosLike(b, like) : op.sum(b, present);
}
