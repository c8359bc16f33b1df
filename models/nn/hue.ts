/**
 * @file Rotation of the hue as kornia's `adjust_hue`: to hue, saturation, value; the hue moved; and back. Nothing is
 * clamped. The way back is one formula for all six sectors: channel n (3 red, 1 green, -1 blue) is v - v s t(n + h) with
 * t(k) = clamp(2 - |k|, 0, 1), h in sixths of a turn and k modulo 6 in -3..3: where t is not constant, k is small and so
 * is its rounding.
 *
 * The adjoint is a closed form: in it the division by max - min cancels against the saturation, so it is exact for nearly
 * equal channels and finite for equal ones.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { lastNode, type WithAdjoints } from './own-adjoint.ts';

/** Added to the divisor of the saturation. */
const EPSILON = 1e-8;

export interface HueOptions {
  /** By how many turns the hue moves, [N, 1, 1]. */
  readonly turns: Value;
  /** Images for which this is false stay as they are, [N, 1, 1]. */
  readonly isOn: Value;
}

/** x [N, 3, P] in 0..1. */
export function rotateHue(b: GraphBuilder, x: Value, { turns, isOn }: HueOptions): WithAdjoints {
  const forward = rotate(b, x, turns);
  const output = op.where(b, isOn, forward.output, x);
  return {
    output,
    adjoints: [
      {
        // The whole rotation answers for x here; nothing flows back through its steps.
        node: lastNode(b, output),
        adjoint: (into, cotangent) => [
          undefined,
          undefined,
          () => op.where(into, isOn, rotateAdjoint(into, cotangent, forward), cotangent),
        ],
      },
    ],
  };
}

/** What the adjoint needs of the forward pass; planes are [N, 1, P]. */
interface Rotation {
  readonly output: Value;
  readonly channels: readonly [Value, Value, Value];
  readonly highest: Value;
  readonly lowest: Value;
  readonly chroma: Value;
  readonly isRed: Value;
  readonly isGreen: Value;
  /** Difference of the two other channels over the chroma, -1..1. */
  readonly slope: Value;
  /** v / (v + epsilon) */
  readonly fullness: Value;
  /** k and t(k) of the three channels, [N, 3, P]. */
  readonly phase: Value;
  readonly share: Value;
}

function rotate(b: GraphBuilder, x: Value, turns: Value): Rotation {
  const channels = op.split(b, x, [1, 1, 1], 1) as [Value, Value, Value];
  const [red, green, blue] = channels;
  const highest = op.max(b, op.max(b, red, green), blue);
  const lowest = op.min(b, op.min(b, red, green), blue);
  const chroma = op.sub(b, highest, lowest);
  // Of equal channels the first counts as the highest.
  const isRed = op.greaterOrEqual(b, red, highest);
  const isGreen = op.greaterOrEqual(b, green, highest);
  const choose = (ifRed: Value, ifGreen: Value, ifBlue: Value): Value =>
    op.where(b, isRed, ifRed, op.where(b, isGreen, ifGreen, ifBlue));
  const difference = choose(op.sub(b, green, blue), op.sub(b, blue, red), op.sub(b, red, green));
  const perChannel = (values: readonly number[]): Value => b.constant(float32(values, [1, 3, 1]));
  // n + 0, n + 2 and n + 4, modulo 6.
  const sector = choose(perChannel([3, 1, -1]), perChannel([-1, 3, 1]), perChannel([1, -1, 3]));
  const divisor = op.where(b, op.greater(b, chroma, b.scalar(0)), chroma, b.scalar(1));
  const slope = op.div(b, difference, divisor);
  const unwrapped = op.add(b, op.add(b, slope, op.mulScalar(b, turns, 6)), sector);
  const sixes = op.mulScalar(b, op.floor(b, op.addScalar(b, op.mulScalar(b, unwrapped, 1 / 6), 0.5)), 6);
  const phase = op.sub(b, unwrapped, sixes);
  const share = op.clip(b, op.sub(b, b.scalar(2), op.abs(b, phase)), { min: 0, max: 1 });
  const fullness = op.div(b, highest, op.addScalar(b, highest, EPSILON));
  const output = op.sub(b, highest, op.mul(b, op.mul(b, fullness, chroma), share));
  return { output, channels, highest, lowest, chroma, isRed, isGreen, slope, fullness, phase, share };
}

/**
 * With y_n = v - e c t_n, e = v / (v + epsilon), c = v - min, h = slope + sector and g the cotangent of y:
 * through the hue e (sum g t') (slope dc - d difference), through the chroma -e (sum g t) dc, through v sum g, and
 * -c epsilon / (v + epsilon)^2 (sum g t) through e.
 */
function rotateAdjoint(b: GraphBuilder, cotangent: Value, forward: Rotation): Value {
  const { highest, chroma, isRed, isGreen, slope, fullness, phase, share } = forward;
  const one = b.scalar(1);
  const float = (condition: Value): Value => op.cast(b, condition, 'float32');
  const ones = b.constant(float32([1, 1, 1], [1, 3]));
  const overChannels = (values: Value): Value => op.matMul(b, ones, values);
  const rising = op.and(b, op.greaterOrEqual(b, phase, b.scalar(-2)), op.less(b, phase, b.scalar(-1)));
  const falling = op.and(b, op.greater(b, phase, one), op.less(b, phase, b.scalar(2)));
  const shareSlope = op.sub(b, float(rising), float(falling));
  const sum = overChannels(cotangent);
  const byShare = overChannels(op.mul(b, cotangent, share));
  const byHue = op.mul(b, fullness, overChannels(op.mul(b, cotangent, shareSlope)));
  const toChroma = op.sub(b, op.mul(b, byHue, slope), op.mul(b, fullness, byShare));
  const emptiness = op.sub(b, one, fullness);
  const steepness = op.mul(b, op.div(b, chroma, op.addScalar(b, highest, EPSILON)), emptiness);
  const toHighest = op.sub(b, op.add(b, sum, toChroma), op.mul(b, steepness, byShare));

  const red = float(isRed);
  const green = float(op.and(b, isGreen, op.not(b, isRed)));
  const blue = op.sub(b, op.sub(b, one, red), green);
  const isHighest = op.concat(b, [red, green, blue], 1);
  // The hue rises with the channel that follows the highest one and falls with the other.
  const aroundHue = op.concat(b, [op.sub(b, green, blue), op.sub(b, blue, red), op.sub(b, red, green)], 1);
  const upper = op.add(b, op.mul(b, isHighest, toHighest), op.mul(b, aroundHue, byHue));
  return op.sub(b, upper, op.mul(b, isLowest(b, forward), toChroma));
}

/** 1 at the first of the lowest channels, [N, 3, P]. */
function isLowest(b: GraphBuilder, { channels: [red, green], lowest }: Rotation): Value {
  const isRed = op.lessOrEqual(b, red, lowest);
  const first = op.cast(b, isRed, 'float32');
  const second = op.cast(b, op.and(b, op.lessOrEqual(b, green, lowest), op.not(b, isRed)), 'float32');
  return op.concat(b, [first, second, op.sub(b, op.sub(b, b.scalar(1), first), second)], 1);
}
