import { expect, test } from 'vitest';

import { addNoise, blur } from '../../judge/disturb.ts';
import { PIXELS, SIZE } from '../../judge/picture.ts';
import { seededRandom } from '../../judge/random.ts';

test('blurring a point gives the Gaussian', () => {
  const point = new Float32Array(3 * PIXELS);
  const at = PIXELS + 30 * SIZE + 20;
  point[at] = 1;
  const blurred = blur(point, 1.5);
  const gaussian = (dx: number, dy: number): number => Math.exp(-(dx * dx + dy * dy) / 4.5) / (2 * Math.PI * 2.25);
  for (const [dx, dy] of [
    [0, 0],
    [1, 0],
    [-2, 3],
  ] as const) {
    expect(blurred[at + dy * SIZE + dx]).toBeCloseTo(gaussian(dx, dy), 3);
  }
  expect(blurred.subarray(0, PIXELS).every((value) => value === 0)).toBe(true);
});

test('blur keeps the sum, also at the border', () => {
  const corner = new Float32Array(3 * PIXELS);
  corner[0] = 1;
  expect(blur(corner, 2).reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
});

test('noise has the asked deviation and no mean', () => {
  const noise = addNoise(new Float32Array(3 * PIXELS), 0.1, seededRandom(8));
  const mean = noise.reduce((sum, value) => sum + value, 0) / noise.length;
  const variance = noise.reduce((sum, value) => sum + (value - mean) ** 2, 0) / noise.length;
  // Four standard errors of 12,288 numbers.
  expect(Math.abs(mean)).toBeLessThan((4 * 0.1) / Math.sqrt(noise.length));
  expect(Math.abs(Math.sqrt(variance) - 0.1)).toBeLessThan((4 * 0.1) / Math.sqrt(2 * noise.length));
});

test('seeded numbers fill 0..1 evenly and differ between seeds', () => {
  const random = seededRandom(1);
  const bins = new Array<number>(20).fill(0);
  for (let i = 0; i < 20_000; i += 1) bins[random.below(20)]! += 1;
  // Chi-squared with 19 degrees of freedom: 43.8 is exceeded once in a thousand.
  expect(bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(43.8);
  expect(seededRandom(1).next()).not.toBe(seededRandom(2).next());
});
