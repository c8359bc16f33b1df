/**
 * @file Arithmetic on tensors of real numbers, whatever they are stored as.
 */
import type { DType, Tensor } from '../../models/onnx/dtype.ts';
import { fromFloat16, toFloat16 } from '../../models/onnx/half.ts';

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

/** Largest relative error of rounding to a type. */
const UNIT_ROUNDOFF: Partial<Record<DType, number>> = { float16: 2 ** -11, float32: 2 ** -24, float64: 2 ** -53 };

/**
 * Standard deviation of the inner product of a with b by the rounding of the elements of b to their type, were it uniform
 * and independent: the least that a computed b can have. Zero for whole numbers.
 */
export function roundingOfDot(a: Tensor, b: Tensor): number {
  return (dot(a, b).size * (UNIT_ROUNDOFF[b.dtype] ?? 0)) / Math.sqrt(3);
}

export function rootMeanSquare(x: Tensor): number {
  let squares = 0;
  for (const element of realsOf(x)) squares += element ** 2;
  return x.data.length === 0 ? 0 : Math.sqrt(squares / x.data.length);
}

/** x + h v, rounded to the type of x. */
export function moved(x: Tensor, v: Tensor, h: number): Tensor {
  const [from, along] = [realsOf(x), realsOf(v)];
  return tensorOfReals(
    x.dtype,
    x.shape,
    Float64Array.from(from, (element, at) => element + h * along[at]!),
  );
}

/** (to - from) / length, in float64. */
export function wayBetween(from: Tensor, to: Tensor, length: number): Tensor {
  const [a, b] = [realsOf(from), realsOf(to)];
  return {
    dtype: 'float64',
    shape: to.shape,
    data: Float64Array.from(b, (element, at) => (element - a[at]!) / length),
  };
}

/** Largest difference of two elements, over the largest element of `expected`; infinite where sizes or numbers are missing. */
export function errorOf(found: Tensor, expected: Tensor): number {
  const [a, b] = [realsOf(found), realsOf(expected)];
  if (a.length !== b.length) return Infinity;
  let [error, largest] = [0, 0];
  for (let at = 0; at < a.length; at += 1) {
    error = Math.max(error, Number.isNaN(a[at]! - b[at]!) ? Infinity : Math.abs(a[at]! - b[at]!));
    largest = Math.max(largest, Math.abs(b[at]!));
  }
  return error === 0 ? 0 : error / largest;
}
