/**
 * @file Central differences of a function of one tensor along a direction, with the step chosen by a sweep: the one whose
 * neighbours give the most similar numbers. Large steps see curvature and kinks, small ones rounding.
 */
import type { DType, Tensor } from '../../models/onnx/dtype.ts';
import { fromFloat16, toFloat16 } from '../../models/onnx/half.ts';

export interface DifferencesRequest {
  readonly x: Tensor;
  /** Direction, of the shape of x. */
  readonly v: Tensor;
  /** By x, as it is to be checked. */
  readonly gradient: Tensor;
  /** Size of an element of x. */
  readonly scale: number;
  readonly value: (x: Tensor) => Promise<number>;
}

export interface Derivative {
  readonly gradient: number;
  readonly differences: number;
  readonly step: number;
  readonly error: number;
  readonly uncertainty: number;
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

export async function byDifferences({ x, v, gradient, scale, value }: DifferencesRequest): Promise<Derivative> {
  const found: { step: number; differences: number; gradient: number; size: number }[] = [];
  for (const step of STEPS[hasDifferences(x.dtype) ? x.dtype : 'float32']) {
    const h = step * scale;
    const [above, below] = [moved(x, v, h), moved(x, v, -h)];
    const [to, from] = [realsOf(above), realsOf(below)];
    // The way that was really gone, after rounding.
    const way: Tensor = {
      dtype: 'float64',
      shape: v.shape,
      data: Float64Array.from(to, (element, at) => (element - from[at]!) / (2 * h)),
    };
    const differences = ((await value(above)) - (await value(below))) / (2 * h);
    const { value: along, size } = dot(way, gradient);
    found.push({ step, differences, gradient: along, size });
  }
  const spread = (at: number): number =>
    Math.max(...[at - 1, at + 1].map((other) => Math.abs(found[other]!.differences - found[at]!.differences)));
  let best = 1;
  for (let at = 2; at < found.length - 1; at += 1) if (spread(at) < spread(best)) best = at;
  const { step, differences, gradient: along, size } = found[best]!;
  const usual = Math.max(size, Math.abs(differences), Math.abs(along));
  const relative = (error: number): number => (error === 0 ? 0 : error / usual);
  return {
    gradient: along,
    differences,
    step,
    error: relative(Math.abs(along - differences)),
    uncertainty: relative(spread(best)),
  };
}

/** The elements of a tensor of real numbers. */
export function realsOf({ dtype, data }: Tensor): Float32Array | Float64Array {
  if (dtype === 'float16') return Float64Array.from(data as Uint16Array, fromFloat16);
  return data instanceof Float32Array || data instanceof Float64Array
    ? data
    : Float64Array.from(data as Int32Array, Number);
}

/** A tensor of these elements, rounded to the type. */
export function tensorOfReals(dtype: DType, shape: readonly number[], elements: ArrayLike<number>): Tensor {
  if (dtype === 'float64') return { dtype, shape, data: Float64Array.from(elements) };
  if (dtype === 'float16') return { dtype, shape, data: Uint16Array.from(elements, toFloat16) };
  return { dtype, shape, data: Float32Array.from(elements) };
}

/** The inner product, and its usual size if signs were random: the root of the sum of the squares of its terms. */
export function dot(a: Tensor, b: Tensor): { value: number; size: number } {
  const [x, y] = [realsOf(a), realsOf(b)];
  let [value, squares] = [0, 0];
  for (let at = 0; at < x.length; at += 1) {
    const term = x[at]! * y[at]!;
    value += term;
    squares += term * term;
  }
  return { value, size: Math.sqrt(squares) };
}

export function rootMeanSquare(x: Tensor): number {
  let squares = 0;
  for (const element of realsOf(x)) squares += element ** 2;
  return x.data.length === 0 ? 0 : Math.sqrt(squares / x.data.length);
}

function moved(x: Tensor, v: Tensor, h: number): Tensor {
  const [from, along] = [realsOf(x), realsOf(v)];
  return tensorOfReals(
    x.dtype,
    x.shape,
    Float64Array.from(from, (element, at) => element + h * along[at]!),
  );
}
