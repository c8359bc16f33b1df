/**
 * @file Copies of every row, side by side: lanes become cutouts. The adjoint adds the copies up one after the other, so
 * that a lane's sum is the same whatever the number of lanes.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimProduct } from '../onnx/shapes.ts';
import { lastNode, type WithAdjoints } from './own-adjoint.ts';

/** x [B, ...] to [B * copies, ...], row r at r * copies up to, not including, (r + 1) * copies. */
export function repeatRows(b: GraphBuilder, x: Value, copies: number): WithAdjoints {
  if (copies === 1) return { output: x, adjoints: [] };
  const [rows, ...rest] = x.shape as [Value['shape'][number], ...Value['shape']];
  const repeated = op.expand(b, op.unsqueeze(b, x, [1]), [rows, copies, ...rest]);
  const node = lastNode(b, repeated);
  const single = Array.from({ length: copies }, () => 1);
  return {
    output: op.reshape(b, repeated, [dimProduct([rows, copies]), ...rest]),
    adjoints: [{ node, adjoint: (into, cotangent) => [() => op.sum(into, op.split(into, cotangent, single, 1))] }],
  };
}
