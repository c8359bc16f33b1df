/**
 * @file Normalisations with the checkpoint's scale and shift.
 */
import { RefereeError } from '../../errors.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { sizeOf } from './linear.ts';
import type { Scope } from './scope.ts';

/** Over the last axis. x [..., C]; weights: "weight" [C] and, if the checkpoint has it, "bias" [C]. */
export function layerNorm(b: GraphBuilder, weights: Scope, x: Value, epsilon: number): Value {
  const width = sizeOf(x, x.shape.length - 1);
  const scale = weights.get(b, 'weight', [width]);
  const bias = weights.has('bias') ? weights.get(b, 'bias', [width]) : undefined;
  return op.layerNormalization(b, x, scale, bias, { epsilon });
}

export interface GroupNormOptions {
  readonly groups: number;
  readonly epsilon: number;
}

/** Over each group of C / groups channels with all their pixels. x [B, C, H, W]; weights: "weight" [C], "bias" [C]. */
export function groupNorm(b: GraphBuilder, weights: Scope, x: Value, { groups, epsilon }: GroupNormOptions): Value {
  const channels = sizeOf(x, 1);
  if (channels % groups !== 0) {
    throw new RefereeError(
      'InvalidModel',
      `group norm ${weights.prefix.slice(0, -1)}: ${channels} channels cannot be split into ${groups} groups`,
    );
  }
  const scale = weights.get(b, 'weight', [channels]);
  const bias = weights.get(b, 'bias', [channels]);
  return op.groupNormalization(b, x, scale, bias, { numGroups: groups, epsilon });
}
