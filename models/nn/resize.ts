/**
 * @file Enlarging by repetition, as the up blocks of autoencoders and U-Nets do.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';

/** x [B, C, h, w] -> [B, C, height, width]: pixel i of n over m comes from pixel floor(i m / n). */
export function nearest(
  b: GraphBuilder,
  x: Value,
  { height, width }: { readonly height: number; readonly width: number },
): Value {
  return op.resize(b, x, [x.shape[0]!, x.shape[1]!, height, width], {
    mode: 'nearest',
    coordinateTransformationMode: 'asymmetric',
    nearestMode: 'floor',
  });
}
