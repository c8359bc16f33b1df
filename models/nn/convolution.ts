/**
 * @file Convolutions over images, with the checkpoint's kernel and, if it has one, bias.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { sizeOf } from './linear.ts';
import type { Scope } from './scope.ts';

export interface ConvolutionOptions {
  readonly channels: number;
  /** Width and height of the kernel. */
  readonly kernel: number;
  readonly stride?: number;
  /** Zeros on every side, or [top, left, bottom, right]. Default: what keeps the size at stride 1 and an odd kernel. */
  readonly padding?: number | readonly [number, number, number, number];
}

/** x [B, in, H, W] -> [B, channels, H', W']. Weights: "weight" [channels, in, kernel, kernel], "bias" [channels]. */
export function convolution(b: GraphBuilder, weights: Scope, x: Value, options: ConvolutionOptions): Value {
  const { channels, kernel, stride = 1, padding = Math.floor((kernel - 1) / 2) } = options;
  const weight = weights.get(b, 'weight', [channels, sizeOf(x, 1), kernel, kernel]);
  const bias = weights.has('bias') ? weights.get(b, 'bias', [channels]) : undefined;
  const pads = typeof padding === 'number' ? [padding, padding, padding, padding] : padding;
  return op.conv(b, x, weight, bias, { strides: [stride, stride], pads });
}
