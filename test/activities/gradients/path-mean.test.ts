/**
 * @file The mean of a gradient along a way, of functions whose kinks and derivatives are known in closed form:
 * f(x) = sum over i of a_i |u . x - t_i|, with numerous kinks, few, or none of them in the middle of the way.
 */
import { expect, test } from 'vitest';

import { byDifferences } from '../../../activities/gradients/differences.ts';
import { byPath } from '../../../activities/gradients/path-mean.ts';
import { seededRandom, type Random } from '../../../judge/random.ts';
import { float32, type Tensor } from '../../../models/onnx/dtype.ts';
import { realsOf } from '../../../activities/gradients/reals.ts';

const SIZE = 16;
const TOLERANCE = 0.01;
const CASES = 1000;

interface Kinked {
  /** u */
  readonly along: readonly number[];
  readonly value: (x: Tensor) => number;
  readonly gradient: (x: Tensor) => Tensor;
}

/** Rounded to float32, as a network's are. */
function kinked(kinks: number, random: Random): Kinked {
  const along = Array.from({ length: SIZE }, () => random.normal());
  const weights = Array.from({ length: kinks }, () => random.normal());
  const places = Array.from({ length: kinks }, () => 4 * random.normal());
  const at = (x: Tensor): number => along.reduce((total, element, i) => total + element * realsOf(x)[i]!, 0);
  const sum = (of: (distance: number) => number, place: number): number =>
    weights.reduce((total, weight, i) => total + weight * of(place - places[i]!), 0);
  return {
    along,
    value: (x) => Math.fround(sum(Math.abs, at(x))),
    gradient: (x) => {
      const slope = sum(Math.sign, at(x));
      return float32(
        Float32Array.from(along, (element) => slope * element),
        [SIZE],
      );
    },
  };
}

type Verdict = 'agrees' | 'differs' | 'unclear';

async function verdictOf({ along, value, gradient }: Kinked, factor: number, random: Random): Promise<Verdict> {
  const x = float32(
    Float32Array.from(along, () => random.normal()),
    [SIZE],
  );
  // Never across u, where all derivatives are small.
  const v = float32(
    Float32Array.from(along, (element) => Math.sign(element) * Math.abs(random.normal())),
    [SIZE],
  );
  const wrong = (at: Tensor): Tensor =>
    float32(
      Float32Array.from(gradient(at).data as Float32Array, (element) => factor * element),
      [SIZE],
    );
  const common = { x, v, scale: 1, value: (at: Tensor): Promise<number> => Promise.resolve(value(at)) };
  const sweep = await byDifferences({ ...common, gradient: wrong(x) });
  const gradientAt = (at: Tensor): Promise<Tensor> => Promise.resolve(wrong(at));
  const { error, uncertainty } = await byPath({ ...common, sweep, tolerance: TOLERANCE, gradientAt });
  if (error > TOLERANCE + uncertainty) return 'differs';
  return error <= TOLERANCE && uncertainty <= TOLERANCE ? 'agrees' : 'unclear';
}

async function count(kinks: number, factor: number): Promise<Record<Verdict, number>> {
  const random = seededRandom(kinks);
  const found = { agrees: 0, differs: 0, unclear: 0 };
  for (let at = 0; at < CASES; at += 1) found[await verdictOf(kinked(kinks, random), factor, random)] += 1;
  return found;
}

test.each([3, 30, 300])('a right gradient of a function with %i kinks hardly ever differs', async (kinks) => {
  const { differs, agrees } = await count(kinks, 1);
  expect(differs).toBeLessThanOrEqual(2);
  expect(agrees).toBeGreaterThan(0.8 * CASES);
});

test.each([3, 30, 300])('a tenth more than the gradient of a function with %i kinks does not agree', async (kinks) => {
  const { differs, agrees } = await count(kinks, 1.1);
  expect(agrees).toBeLessThanOrEqual(0.02 * CASES);
  expect(differs).toBeGreaterThan(0.8 * CASES);
});
