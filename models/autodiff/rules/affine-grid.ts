/**
 * @file AffineGrid: a point of the grid is theta times (x, y, 1), a point of the grid of the identity and a one.
 */
import { float32 } from '../../onnx/dtype.ts';
import * as op from '../../onnx/ops.ts';
import type { RuleTable } from '../rule.ts';
import { sizesOf } from '../sizes.ts';

export const affineGridRules: RuleTable = {
  AffineGrid: ({ node, inputs: [theta, sizes], g }, b) => [
    () => {
      const axes = g.shape.length - 2;
      const rows = Array.from({ length: axes * (axes + 1) }, (_, at) => Number(at % (axes + 2) === 0));
      const identity = op.cast(b, b.constant(float32(rows, [1, axes, axes + 1]), 'identity'), theta.dtype);
      const rest = op.slice(b, sizes, { starts: [1], ends: [axes + 2], axes: [0] });
      const [grid] = b.node('AffineGrid', [identity, op.concat(b, [b.int64([1]), rest], 0)], node.attributes);
      const points = op.reshapeTo(b, grid!, b.int64([-1, axes]));
      const cotangents = op.reshapeTo(b, g, op.concat(b, [sizesOf(b, g, [0]), b.int64([-1, axes])], 0));
      const byPoint = op.matMul(b, op.transposeMatrix(b, cotangents), points);
      const byOne = op.unsqueeze(b, op.reduceSum(b, cotangents, { axes: [1], keepdims: false }), [2]);
      return op.concat(b, [byPoint, byOne], 2);
    },
    undefined,
  ],
};
