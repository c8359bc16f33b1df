/**
 * @file Central differences of a function of one tensor along a direction, with the step chosen by a sweep: the one whose
 * neighbours give the most similar numbers. Large steps see curvature and kinks, small ones rounding.
 */
import type { Tensor } from '../../models/onnx/dtype.ts';

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

/** Relative to the size of x: half decades for float32, decades for float64. */
const STEPS = {
  float32: [0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4],
  float64: [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7],
} as const;

export async function byDifferences({ x, v, gradient, scale, value }: DifferencesRequest): Promise<Derivative> {
  const found: { step: number; differences: number; gradient: number; size: number }[] = [];
  for (const step of STEPS[x.dtype === 'float64' ? 'float64' : 'float32']) {
    const h = step * scale;
    const [above, below] = [moved(x, v, h), moved(x, v, -h)];
    // The way that was really gone, after rounding.
    const way: Tensor = {
      dtype: 'float64',
      shape: v.shape,
      data: Float64Array.from(above.data, (to, at) => (to - below.data[at]!) / (2 * h)),
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

/** The inner product, and its usual size if signs were random: the root of the sum of the squares of its terms. */
export function dot(a: Tensor, b: Tensor): { value: number; size: number } {
  let [value, squares] = [0, 0];
  for (let at = 0; at < a.data.length; at += 1) {
    const term = Number(a.data[at]) * Number(b.data[at]);
    value += term;
    squares += term * term;
  }
  return { value, size: Math.sqrt(squares) };
}

export function rootMeanSquare({ data }: Tensor): number {
  let squares = 0;
  for (const element of data) squares += Number(element) ** 2;
  return data.length === 0 ? 0 : Math.sqrt(squares / data.length);
}

function moved(x: Tensor, v: Tensor, h: number): Tensor & { readonly data: Float32Array | Float64Array } {
  const data = x.dtype === 'float64' ? new Float64Array(x.data.length) : new Float32Array(x.data.length);
  for (let at = 0; at < data.length; at += 1) data[at] = Number(x.data[at]) + h * Number(v.data[at]);
  return { ...x, data };
}
