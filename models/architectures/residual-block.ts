/**
 * @file The residual block of autoencoders and U-Nets: norm, activation, convolution, twice, around an identity or a 1x1
 * convolution; a U-Net adds the timestep's embedding between the two. diffusers' ResnetBlock2D, time_scale_shift "default".
 */
import type { Activation } from '../nn/activation.ts';
import { convolution } from '../nn/convolution.ts';
import { linear, sizeOf } from '../nn/linear.ts';
import { groupNorm } from '../nn/norm.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';

export interface ResidualBlock {
  readonly channels: number;
  readonly groups: number;
  readonly epsilon: number;
  readonly act: Activation;
  /** Activated embedding of the timestep, [B, E]. */
  readonly timestep?: Value | undefined;
  /** The sum of both branches is divided by it. */
  readonly outputScale?: number;
}

/**
 * x [B, C, H, W] -> [B, channels, H, W]. Weights: "norm1", "conv1", "norm2", "conv2", where there is a timestep
 * "time_emb_proj", where the number of channels changes "conv_shortcut".
 */
export function residualBlock(b: GraphBuilder, weights: Scope, x: Value, options: ResidualBlock): Value {
  const { channels, groups, epsilon, act, timestep, outputScale = 1 } = options;
  const normed = (name: string, value: Value): Value =>
    act(
      b,
      weights.enter(b, name, (w) => groupNorm(b, w, value, { groups, epsilon })),
    );
  const convolved = (name: string, value: Value, kernel = 3): Value =>
    weights.enter(b, name, (w) => convolution(b, w, value, { channels, kernel }));

  let hidden = convolved('conv1', normed('norm1', x));
  if (timestep) {
    const shift = weights.enter(b, 'time_emb_proj', (w) => linear(b, w, timestep, channels));
    hidden = op.add(b, hidden, op.unsqueeze(b, shift, [2, 3]));
  }
  hidden = convolved('conv2', normed('norm2', hidden));
  const hasShortcut = sizeOf(x, 1) !== channels || weights.contains('conv_shortcut');
  const sum = op.add(b, hasShortcut ? convolved('conv_shortcut', x, 1) : x, hidden);
  return outputScale === 1 ? sum : op.divScalar(b, sum, outputScale);
}
