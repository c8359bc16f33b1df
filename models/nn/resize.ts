/**
 * @file Enlarging by repetition, as the up blocks of autoencoders and U-Nets do.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimQuotient, isStatic, type Dim } from '../onnx/shapes.ts';

/** x [B, C, h, w] -> [B, C, height, width]: pixel i of n over m comes from pixel floor(i m / n). */
export function nearest(
  b: GraphBuilder,
  x: Value,
  { height, width }: { readonly height: number; readonly width: number },
): Value {
  const [n, channels, ...from] = x.shape as [Dim, Dim, Dim, Dim];
  const options = { mode: 'nearest', coordinateTransformationMode: 'asymmetric', nearestMode: 'floor' } as const;
  const factors = [height, width].map((size, at) => dimQuotient(size, from[at]!) ?? 'no whole one');
  // Whole factors are constants; sizes would be put together at run time, by kernels that GPUs leave to the CPU.
  if (isStatic(factors)) return op.resizeBy(b, x, [1, 1, ...factors], options);
  return op.resize(b, x, [n, channels, height, width], options);
}
