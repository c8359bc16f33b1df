/**
 * @file Colour jitter as kornia's `ColorJitter`: brightness, contrast, saturation, hue, in an order that is an input, so
 * that one graph serves all 24 orders.
 *
 * Brightness, contrast and saturation are one operation, clamp(M x + c m, 0, 1) with a 3 x 3 matrix M of the colours, a
 * number c and the image's mean grey m; with M = 1 and c = 0 it does nothing. The hue is the expensive one and is there
 * once: three places before it and three after it hold the others, and those that the order leaves empty do nothing.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Tensor } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimQuotient, type Dim } from '../onnx/shapes.ts';
import { RefereeError } from '../../errors.ts';
import type { TakeRows } from './flagged-rows.ts';
import { rotateHue } from './hue.ts';
import { lastNode, type OwnAdjoint, type WithAdjoints } from './own-adjoint.ts';

export interface JitterInputs {
  /** Brightness, contrast and saturation factors, hue shift in turns, [B * n, 4]. */
  readonly factors: Value;
  /** A permutation of 0 brightness, 1 contrast, 2 saturation, 3 hue per lane, int32 [B, 4]. */
  readonly order: Value;
  /** 0 leaves the cutout exactly as it is, [B * n]. */
  readonly flag: Value;
}

/** Red, green and blue of the grey. */
const GREY = [0.299, 0.587, 0.114] as const;

/** Places of the order that stand before the hue, then those that stand after it. */
const PLACES = [0, 1, 2, 1, 2, 3];

/** Row h: which of the places come into use if the hue is the h-th of the order. */
const IN_USE = [0, 1, 2, 3].map((h) => PLACES.map((place, i) => ((i < 3 ? place < h : place > h) ? 1 : 0)));

/**
 * x [B * n, 3, H, W], clamped to 0..1 before and after. Where x is only some of the cutouts, `take` takes the same ones of
 * the inputs.
 */
export function colourJitter(
  b: GraphBuilder,
  x: Value,
  { factors, order, flag }: JitterInputs,
  take: TakeRows = (value) => value,
): WithAdjoints {
  const [cutouts, , height, width] = x.shape as [Dim, 3, number, number];
  const blends = planBlends(b, { factors, order, take });
  const isOn = op.greater(b, op.reshape(b, take(flag), [cutouts, 1, 1]), b.scalar(0, flag.dtype));
  const turns = op.reshape(b, op.slice(b, take(factors), { starts: [3], ends: [4], axes: [1] }), [cutouts, 1, 1]);
  const adjoints: OwnAdjoint[] = [];
  const apply = (from: Value, blend: Blend): Value => {
    const blended = blendColours(b, from, { ...blend, height, width });
    adjoints.push(...blended.adjoints);
    return blended.output;
  };
  const flat = op.reshape(b, x, [cutouts, 3, height * width]);
  const before = blends.slice(0, 3).reduce(apply, op.clip(b, flat, { min: 0, max: 1 }));
  const rotated = rotateHue(b, before, { turns, isOn });
  adjoints.push(...rotated.adjoints);
  const after = blends.slice(3).reduce(apply, rotated.output);
  const jittered = op.where(b, isOn, op.clip(b, after, { min: 0, max: 1 }), flat);
  return { output: op.reshape(b, jittered, [cutouts, 3, height, width]), adjoints };
}

interface Blend {
  /** [N, 3, 3] */
  readonly matrix: Value;
  /** Weight of the mean grey, [N, 1, 1]. */
  readonly meanWeight: Value;
}

interface BlendInputs extends Pick<JitterInputs, 'factors' | 'order'> {
  readonly take: TakeRows;
}

/** The six places of the order. */
function planBlends(b: GraphBuilder, { factors, order, take }: BlendInputs): Blend[] {
  const [cutouts] = factors.shape as [Dim];
  const [lanes] = order.shape as [Dim];
  const perLane = dimQuotient(cutouts, lanes);
  if (perLane === undefined) throw new RefereeError('InvalidModel', `jitter: ${cutouts} cutouts of ${lanes} lanes`);
  const kinds: Tensor = { dtype: 'int32', shape: [1, 1, 4], data: Int32Array.of(0, 1, 2, 3) };
  const isKind = op.cast(b, op.equal(b, op.reshape(b, order, [lanes, 4, 1]), b.constant(kinds)), 'float32');
  const hueAt = op.reshape(b, op.slice(b, isKind, { starts: [3], ends: [4], axes: [2] }), [lanes, 4]);
  const inUse = op.matMul(b, hueAt, b.constant(float32(IN_USE.flat(), [4, 6])));
  const kindAt = op.gather(b, op.slice(b, isKind, { starts: [0], ends: [3], axes: [2] }), b.int64(PLACES), 1);
  const chosen = op.mul(b, kindAt, op.reshape(b, inUse, [lanes, 6, 1]));
  const deviations = op.subScalar(b, op.slice(b, factors, { starts: [0], ends: [3], axes: [1] }), 1);
  const perPlace = op.mul(
    b,
    op.reshape(b, deviations, [lanes, perLane, 1, 3]),
    op.reshape(b, chosen, [lanes, 1, 6, 3]),
  );
  const rows = op.matMul(b, op.reshape(b, perPlace, [cutouts, 6, 3]), b.constant(float32(COEFFICIENTS, [3, 10])));
  const coefficients = take(op.add(b, rows, b.constant(float32([...IDENTITY, 0]))));
  const [taken] = coefficients.shape as [Dim];
  return op.split(b, coefficients, [1, 1, 1, 1, 1, 1], 1).map((place): Blend => {
    const [matrix, meanWeight] = op.split(b, place, [9, 1], 2) as [Value, Value];
    return { matrix: op.reshape(b, matrix, [taken, 3, 3]), meanWeight };
  });
}

const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];

/**
 * Matrix and weight of the mean by which a factor f = 1 + d of each kind differs from doing nothing, per unit of d:
 * brightness f x; contrast f x + (1 - f) mean; saturation f x + (1 - f) grey of the pixel.
 */
const COEFFICIENTS = [
  ...[...IDENTITY, 0],
  ...[...IDENTITY, -1],
  ...[...IDENTITY.map((value, at) => value - GREY[at % 3]!), 0],
];

/** clamp(M x + c m, 0, 1) of x [N, 3, H W]. */
function blendColours(
  b: GraphBuilder,
  x: Value,
  { matrix, meanWeight, height, width }: Blend & { readonly height: number; readonly width: number },
): WithAdjoints {
  const weights = GREY.flatMap((weight) => Array.from({ length: height }, () => weight / (height * width)));
  const mean = weightedSum(b, x, { height, width, weights });
  const shift = op.mul(b, meanWeight, mean);
  const shifted = op.add(b, op.matMul(b, matrix, x), shift);
  const even = weights.map(() => 1);
  const adjoint: OwnAdjoint['adjoint'] = (into, cotangent) => [
    () => cotangent,
    () => weightedSum(into, cotangent, { height, width, weights: even }),
  ];
  const node = lastNode(b, shifted);
  return { output: op.clip(b, shifted, { min: 0, max: 1 }), adjoints: [{ node, adjoint }] };
}

interface SumOptions {
  readonly height: number;
  readonly width: number;
  /** Of the 3 * height lines of an image. */
  readonly weights: readonly number[];
}

/**
 * Sum over an image of its lines' sums times their weights, [N, 3, H W] to [N, 1, 1]. As products with constants: those
 * add an image's pixels in an order that does not depend on the number of images, which ReduceSum does not promise.
 */
function weightedSum(b: GraphBuilder, x: Value, { height, width, weights }: SumOptions): Value {
  const [n] = x.shape as [Dim];
  const ones = Array.from({ length: width }, () => 1);
  const lines = op.matMul(b, op.reshape(b, x, [n, 3, height, width]), b.constant(float32(ones, [width, 1])));
  const flat = op.reshape(b, lines, [n, 1, 3 * height]);
  return op.matMul(b, flat, b.constant(float32(weights, [3 * height, 1])));
}
