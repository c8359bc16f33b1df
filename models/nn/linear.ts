/**
 * @file Linear layers: y = x W^T + b over the last axis, as one Gemm that reads W as the checkpoint stores it and adds
 * the bias on the way; all leading axes are rows.
 */
import { RefereeError } from '../../errors.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimProduct, formatShape } from '../onnx/shapes.ts';
import type { Scope } from './scope.ts';

/**
 * x [..., in] -> [..., features]. Weights: "weight" [features, in] (or a 1x1 convolution's [features, in, 1, 1]) and, if
 * the checkpoint has it, "bias" [features].
 */
export function linear(b: GraphBuilder, weights: Scope, x: Value, features: number): Value {
  const width = sizeOf(x, x.shape.length - 1);
  const weight = weights.get(b, 'weight', [features, width]);
  const bias = weights.has('bias') ? weights.get(b, 'bias', [features]) : undefined;
  const leading = x.shape.slice(0, -1);
  const rows = op.reshape(b, x, [dimProduct(leading), width]);
  return op.reshape(b, op.gemm(b, rows, weight, bias, { transB: true }), [...leading, features]);
}

/**
 * `linear` of [..., features * parts] in equal parts, each [..., features], as a product each: nothing is split up
 * afterwards, nor put together for the adjoint.
 */
export function linearParts(
  b: GraphBuilder,
  weights: Scope,
  x: Value,
  { parts, features }: { readonly parts: number; readonly features: number },
): Value[] {
  const width = sizeOf(x, x.shape.length - 1);
  const leading = x.shape.slice(0, -1);
  const rows = op.reshape(b, x, [dimProduct(leading), width]);
  const all = parts * features;
  return Array.from({ length: parts }, (_, part) => {
    const range = { from: part * features, count: features };
    const weight = weights.getRows(b, 'weight', [all, width], range);
    const bias = weights.has('bias') ? weights.getRows(b, 'bias', [all], range) : undefined;
    return op.reshape(b, op.gemm(b, rows, weight, bias, { transB: true }), [...leading, features]);
  });
}

/** An axis whose size must be known when the graph is built. */
export function sizeOf(x: Value, axis: number): number {
  const size = x.shape[axis];
  if (typeof size === 'number') return size;
  throw new RefereeError(
    'InvalidModel',
    `value ${x.name}: axis ${axis} of ${formatShape(x.shape)} must have a fixed size`,
  );
}
