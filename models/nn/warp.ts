/**
 * @file Warps of images by a matrix per image: bilinear sampling at the places that the inverse matrix gives, the pixel
 * convention of kornia's `warp_affine` and `warp_perspective` (pixel centres at whole numbers, y downwards). Places and
 * weights have the type of the inverse matrix, float32 or float64; images and cotangents are float32 in any case.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { RefereeError } from '../../errors.ts';
import { floating, projectPixels } from './homography.ts';
import { lastNode, type OwnAdjoint, type WithAdjoints } from './own-adjoint.ts';
import { warpAdjointGather } from './warp-adjoint.ts';

export interface WarpInputs {
  /** Source pixel to destination pixel, [N, 3, 3]. */
  readonly forward: Value;
  /** Destination pixel to source pixel, [N, 3, 3], float32 or float64. */
  readonly inverse: Value;
  /** 0 leaves the image exactly as it is, [N]. All images are warped without it. */
  readonly flag?: Value;
}

export interface WarpOptions {
  readonly kind: 'affine' | 'perspective';
  /** What lies outside the image. */
  readonly paddingMode?: 'zeros' | 'border' | 'reflection';
  /** Tells the padding apart only: `reflection` mirrors at the outer edges of the border pixels, or at their centres. */
  readonly alignCorners?: boolean;
  /** Side of the window of the gathering adjoint (see `windowFor`). Without it the adjoint is GridSample's own. */
  readonly window?: number;
}

export interface Warped extends WithAdjoints {
  /** GridSample's grid, [N, H, W, 2], in the type of the inverse matrix. */
  readonly grid: Value;
}

/** x [N, C, H, W] with known C, H, W. */
export function warp(b: GraphBuilder, x: Value, inputs: WarpInputs, options: WarpOptions): Warped {
  const { kind, paddingMode = 'zeros', alignCorners = false, window } = options;
  const [, channels, height, width] = x.shape;
  if (typeof channels !== 'number' || typeof height !== 'number' || typeof width !== 'number') {
    throw new RefereeError('InvalidModel', `warp of ${x.name}: channels, height and width must be known`);
  }
  if (window !== undefined && paddingMode !== 'zeros') {
    throw new RefereeError(
      'InvalidModel',
      `warp of ${x.name}: the gathering adjoint pads with zeros, not ${paddingMode}`,
    );
  }
  const scale = [2 / (alignCorners ? width - 1 : width), 2 / (alignCorners ? height - 1 : height)] as const;
  const planes = projectPixels(b, inputs.inverse, { kind, height, width, scale });
  const grid = op.transpose(b, planes, [0, 2, 3, 1]);
  // The operator wants one type for both.
  const precise = op.gridSample(b, op.cast(b, x, grid.dtype), grid, { paddingMode, alignCorners });
  const sampledBy = lastNode(b, precise);
  const sampled = op.cast(b, precise, x.dtype);
  const isOn = inputs.flag && isSet(b, inputs.flag);
  const output = isOn ? op.where(b, isOn, sampled, x) : sampled;
  if (window === undefined) return { output, grid, adjoints: [] };
  const gatherInto = (into: GraphBuilder, cotangent: Value): Value => {
    const places = (): Value => sourcePlaces(into, planes, { height, width, alignCorners });
    const { forward, inverse } = inputs;
    return warpAdjointGather(into, cotangent, { places, forward, inverse, kind, window });
  };
  // With a flag the choice answers for the image, whichever way it was chosen: one selection instead of two and a sum.
  const own: OwnAdjoint = isOn
    ? {
        node: lastNode(b, output),
        adjoint: (into, g) => [undefined, undefined, () => op.where(into, isOn, gatherInto(into, g), g)],
      }
    : {
        node: sampledBy,
        adjoint: (into, g) => [() => op.cast(into, gatherInto(into, op.cast(into, g, x.dtype)), g.dtype), undefined],
      };
  return { output, grid, adjoints: [own] };
}

/** A flag [N] as a condition [N, 1, 1, 1]. */
export function isSet(b: GraphBuilder, flag: Value): Value {
  return op.greater(b, op.reshape(b, flag, [flag.shape[0]!, 1, 1, 1]), b.scalar(0, flag.dtype));
}

interface SourceOptions {
  readonly height: number;
  readonly width: number;
  readonly alignCorners: boolean;
}

/** Source pixels [N, 2, H, W] of normalised planes, by the very operations with which GridSample finds them. */
function sourcePlaces(b: GraphBuilder, planes: Value, { height, width, alignCorners }: SourceOptions): Value {
  const perAxis = (x: number, y: number): Value => b.constant(floating(planes.dtype, [x, y], [1, 2, 1, 1]));
  const fromZero = op.addScalar(b, planes, 1);
  if (alignCorners) return op.mul(b, op.divScalar(b, fromZero, 2), perAxis(width - 1, height - 1));
  return op.divScalar(b, op.subScalar(b, op.mul(b, fromZero, perAxis(width, height)), 1), 2);
}
