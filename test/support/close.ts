/**
 * @file Comparison of tensors: |actual - expected| <= atol + rtol |expected| at every element, and if not, the element
 * that misses it by most.
 */
import { expect } from 'vitest';

import type { Tensor } from '../../models/onnx/dtype.ts';
import { toNumbers } from './numbers.ts';

export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

export interface Difference {
  /** Largest |actual - expected|. */
  readonly maxAbs: number;
  /** `maxAbs` over the largest |expected|. */
  readonly maxRel: number;
  /** Largest excess over the tolerance as a multiple of it: above 1 is a failure. */
  readonly worst: { readonly ratio: number; readonly index: readonly number[]; actual: number; expected: number };
}

/** How far two tensors of one shape are apart. Equal infinities and two NaN count as equal. */
export function difference(actual: Tensor, expected: Tensor, { rtol, atol }: Tolerance): Difference {
  const a = toNumbers(actual);
  const e = toNumbers(expected);
  let maxAbs = 0;
  let scale = 0;
  let worst = { ratio: 0, at: 0 };
  for (let at = 0; at < e.length; at += 1) {
    const [x, y] = [a[at]!, e[at]!];
    const isSame = x === y || (Number.isNaN(x) && Number.isNaN(y));
    const distance = isSame ? 0 : Math.abs(x - y);
    const error = Number.isNaN(distance) ? Infinity : distance;
    maxAbs = Math.max(maxAbs, error);
    if (Number.isFinite(y)) scale = Math.max(scale, Math.abs(y));
    const allowed = atol + rtol * Math.abs(y);
    const ratio = error === 0 ? 0 : Number.isFinite(allowed) ? error / allowed : Infinity;
    if (ratio > worst.ratio) worst = { ratio, at };
  }
  return {
    maxAbs,
    maxRel: maxAbs === 0 ? 0 : maxAbs / scale,
    worst: {
      ratio: worst.ratio,
      index: indexOf(worst.at, expected.shape),
      actual: a[worst.at] ?? NaN,
      expected: e[worst.at] ?? NaN,
    },
  };
}

/** Fails unless types, shapes and, within the tolerance, all elements agree. */
export function expectClose(actual: Tensor | undefined, expected: Tensor, tolerance: Tolerance, what = 'tensor'): void {
  expect(actual, `${what} is missing`).toBeDefined();
  expect({ dtype: actual!.dtype, shape: actual!.shape }, `type and shape of ${what}`).toEqual({
    dtype: expected.dtype,
    shape: expected.shape,
  });
  const { worst, maxAbs, maxRel } = difference(actual!, expected, tolerance);
  if (worst.ratio <= 1) return;
  expect.fail(
    `${what}: worst element [${worst.index.join(', ')}] is ${worst.actual}, expected ${worst.expected} ` +
      `(${worst.ratio.toPrecision(3)} times the tolerance rtol ${tolerance.rtol}, atol ${tolerance.atol}; ` +
      `largest error ${maxAbs.toPrecision(3)}, relative to the largest value ${maxRel.toPrecision(3)})`,
  );
}

function indexOf(flat: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = flat;
  for (const size of [...shape].reverse()) {
    index.unshift(size === 0 ? 0 : rest % size);
    rest = size === 0 ? 0 : Math.floor(rest / size);
  }
  return index;
}
