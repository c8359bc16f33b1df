/**
 * @file From an image to what a referee looks at: noise on the pixels, then the referee's normalisation.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';

/** x + factor noise of x and noise [R, C, H, W], one factor per row, [R]. */
export function addNoise(b: GraphBuilder, x: Value, { factor, noise }: { factor: Value; noise: Value }): Value {
  return op.add(b, x, op.mul(b, op.reshape(b, factor, [factor.shape[0]!, 1, 1, 1]), noise));
}

export interface Normalisation {
  /** One number per channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** (x - mean) / std per channel of x [N, C, H, W]. */
export function normalise(b: GraphBuilder, x: Value, { mean, std }: Normalisation): Value {
  const perChannel = (values: readonly number[]): Value => b.constant(float32(values, [1, values.length, 1, 1]));
  return op.div(b, op.sub(b, x, perChannel(mean)), perChannel(std));
}
