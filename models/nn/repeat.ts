/**
 * @file Copies of every row, side by side: lanes become cutouts. The adjoint adds the copies up one after the other, so
 * that a lane's sum is the same whatever the number of lanes.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimProduct, type Dim } from '../onnx/shapes.ts';
import { lastNode, type WithAdjoints } from './own-adjoint.ts';

/** x [B, ...] to [B * copies, ...], row r at r * copies up to, not including, (r + 1) * copies. */
export function repeatRows(b: GraphBuilder, x: Value, copies: number): WithAdjoints {
  if (copies === 1) return { output: x, adjoints: [] };
  const repeated = copied(b, x, 0, copies);
  const node = lastNode(b, repeated);
  const single = Array.from({ length: copies }, () => 1);
  return {
    output: joined(b, repeated, 0),
    adjoints: [{ node, adjoint: (into, cotangent) => [() => op.sum(into, op.split(into, cotangent, single, 1))] }],
  };
}

/** The same along any axis, for values that nothing is differentiated by. */
export function repeatAlong(
  b: GraphBuilder,
  x: Value,
  { axis, copies }: { readonly axis: number; readonly copies: number },
): Value {
  return joined(b, copied(b, x, axis, copies), axis);
}

/** An axis of copies behind `axis`. */
function copied(b: GraphBuilder, x: Value, axis: number, copies: number): Value {
  const shape = [...x.shape.slice(0, axis + 1), copies, ...x.shape.slice(axis + 1)];
  return op.expand(b, op.unsqueeze(b, x, [axis + 1]), shape);
}

/** `axis` and the one behind it as one. */
function joined(b: GraphBuilder, x: Value, axis: number): Value {
  const [rows, copies] = x.shape.slice(axis, axis + 2) as [Dim, Dim];
  return op.reshape(b, x, [...x.shape.slice(0, axis), dimProduct([rows, copies]), ...x.shape.slice(axis + 2)]);
}
