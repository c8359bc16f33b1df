/**
 * @file Random shapes for gradient checks.
 */
import fc from 'fast-check';

import type { Known } from './check-gradient.ts';

/** Every run opens a session: few runs, many axes. */
export const RUNS = 25;

export const seeds = fc.integer({ min: 0, max: 1e6 });
export const knowns = fc.constantFrom<Known>('static', 'open');

export const shapes = (minLength: number, maxLength: number, max = 4): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max }), { minLength, maxLength });

/** Maps of -1..1 that keep kinks and poles at a distance. */
export const awayFromZero = (x: number): number => x + (x < 0 ? -0.3 : 0.3);
export const positive = (x: number): number => Math.abs(x) + 0.3;

/** Shapes that broadcast against each other: axes of a common shape, some left out in front, some of size 1. */
export const broadcasts = (count: number): fc.Arbitrary<number[][]> =>
  shapes(0, 4, 3).chain((common) =>
    fc.array(
      fc
        .tuple(fc.integer({ min: 0, max: common.length }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
        .map(([skipped, ones]) => common.slice(skipped).map((size, axis) => (ones[axis] ? 1 : size))),
      { minLength: count, maxLength: count },
    ),
  );
