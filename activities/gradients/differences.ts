/**
 * @file Central differences of a function of one tensor along a direction, with the step chosen by a sweep: the one whose
 * neighbours give the most similar numbers. Large steps see curvature and kinks, small ones rounding.
 */
import type { DType, Tensor } from '../../models/onnx/dtype.ts';
import { dot, moved, wayBetween } from './reals.ts';

export interface DifferencesRequest {
  readonly x: Tensor;
  /** Direction, of the shape of x. */
  readonly v: Tensor;
  /** By x, as it is to be checked. */
  readonly gradient: Tensor;
  /** Size of an element of x. */
  readonly scale: number;
  readonly value: (x: Tensor) => Promise<number>;
  /**
   * Standard deviation of a value that its rounding has at least. Where the direction moves outputs by less than they are
   * rounded to, all steps may give the same value, and the sweep sees no noise at all. Default 0.
   */
  readonly leastNoise?: number;
}

export interface Derivative {
  /** v . gradient: what is to be checked. */
  readonly gradient: number;
  readonly differences: number;
  /** Of the differences, relative to the size of an element of x. */
  readonly step: number;
  /** |gradient - differences| over the usual size of such a derivative. */
  readonly error: number;
  /** How far differences with neighbouring steps are from each other, over the same size. */
  readonly uncertainty: number;
  /** What of that rounding explains; the rest is curvature and kinks. */
  readonly rounding: number;
  /** How far the differences of both sides are from each other, over the same size: kinks, where it is far. */
  readonly apart: number;
}

export interface Sweep extends Derivative {
  /** That errors are relative to. */
  readonly usual: number;
  /** Standard deviation of a value of the function, by rounding. */
  readonly noise: number;
}

/**
 * Relative to the size of x: half decades for float32, decades for float64. Half precision has three digits, which smaller
 * steps lose.
 */
const STEPS = {
  float32: [0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4],
  float16: [1, 0.5, 0.25, 0.125, 0.06, 0.03],
  float64: [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7],
} as const;

/** Element types of which differences are taken. */
export function hasDifferences(dtype: DType): dtype is keyof typeof STEPS {
  return dtype in STEPS;
}

/** Steps that differences of a tensor of this type are taken with, largest first. */
export function stepsOf(dtype: DType): readonly number[] {
  return STEPS[hasDifferences(dtype) ? dtype : 'float32'];
}

/** By rounding: of a difference over 2 h between two values with this noise. */
export function roundingOf(noise: number, h: number): number {
  return (Math.SQRT2 * noise) / (2 * h);
}

interface Row {
  readonly step: number;
  readonly h: number;
  readonly differences: number;
  readonly gradient: number;
  readonly size: number;
  /** f(x + hv) - 2 f(x) + f(x - hv) */
  readonly second: number;
}

export async function byDifferences(request: DifferencesRequest): Promise<Sweep> {
  const { x, v, gradient, scale, value, leastNoise = 0 } = request;
  const middle = await value(x);
  const found: Row[] = [];
  for (const step of stepsOf(x.dtype)) {
    const h = step * scale;
    const [above, below] = [moved(x, v, h), moved(x, v, -h)];
    const [up, down] = [await value(above), await value(below)];
    // The way that was really gone, after rounding.
    const { value: along, size } = dot(wayBetween(below, above, 2 * h), gradient);
    found.push({ step, h, differences: (up - down) / (2 * h), gradient: along, size, second: up - 2 * middle + down });
  }
  const spread = (at: number): number =>
    Math.max(...[at - 1, at + 1].map((other) => Math.abs(found[other]!.differences - found[at]!.differences)));
  let best = 1;
  for (let at = 2; at < found.length - 1; at += 1) if (spread(at) < spread(best)) best = at;
  const { step, h, differences, gradient: along, size, second } = found[best]!;
  const usual = Math.max(size, Math.abs(differences), Math.abs(along));
  const relative = (error: number): number => (error === 0 ? 0 : Math.abs(error) / usual);
  const noise = Math.max(noiseOf(found), leastNoise);
  return {
    gradient: along,
    differences,
    step,
    error: relative(along - differences),
    uncertainty: relative(spread(best)),
    rounding: relative(roundingOf(noise, h)),
    apart: relative(second / h),
    usual,
    noise,
  };
}

/**
 * From the smallest steps, in two ways: second differences are three values of weights 1, -2, 1; between two steps the
 * differences themselves change. Curvature and kinks can only add, a kink at the point itself to the first way alone.
 */
function noiseOf(rows: readonly Row[]): number {
  const smallest = rows.slice(-3);
  const ofSecond = smallest.map(({ second }) => second / Math.sqrt(6));
  const ofChange = smallest.slice(1).map(({ differences, h }, at) => {
    const larger = smallest[at]!;
    return ((differences - larger.differences) * Math.SQRT2) / Math.hypot(1 / h, 1 / larger.h);
  });
  return Math.min(rootMean(ofSecond), rootMean(ofChange));
}

/** The root of the mean of the squares. */
function rootMean(values: readonly number[]): number {
  return Math.hypot(...values) / Math.sqrt(values.length);
}
