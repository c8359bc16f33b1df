import { expect, test } from 'vitest';

import { affineMatrix, imageCorners, perspectiveMatrix } from '../../../inversion/warp.ts';
import { holdsWeights, LARGEST_WINDOW, reachAt, windowFor } from '../../../models/nn/warp-window.ts';
import { pseudorandom } from '../../support/augment.ts';
import { toNumbers } from '../../support/numbers.ts';

/** Corners moved inwards by shares (0..1) of distortion S / 2. */
function inward(shares: readonly number[], distortion: number, size: number): Float64Array {
  const start = imageCorners(size, size);
  const inwards = [1, 1, -1, 1, -1, -1, 1, -1];
  return perspectiveMatrix(
    start,
    start.map((place, i) => place + (inwards[i]! * shares[i]! * distortion * size) / 2),
  );
}

/** 0..1 */
function* uniforms(seed: number): Generator<number, never> {
  for (let block = 0; ; block += 1) {
    for (const value of toNumbers(pseudorandom([4096], seed + block))) yield (value + 1) / 2;
  }
}

test('windows of the defaults: 3 for turns of 30 degrees and for a distortion of 0.2', () => {
  for (const size of [28, 64, 224]) {
    expect(windowFor({ maxDegrees: 30, maxDistortion: 0.2 }, size)).toEqual({ affine: 3, perspective: 3 });
  }
  expect(windowFor({ maxDegrees: 0, maxDistortion: 0 }, 64)).toEqual({ affine: 3, perspective: 3 });
});

test('what the corners of an image say of a window holds for all its pixels', () => {
  const size = 28;
  const pixels = Array.from({ length: size * size }, (_, at) => [at % size, Math.floor(at / size)] as const);
  const random = uniforms(40);
  const held = Array.from({ length: 300 }, () => {
    const shares = Array.from({ length: 8 }, () => random.next().value);
    const matrix = inward(shares, 0.9 * random.next().value, size);
    const isHeld = holdsWeights(3, matrix, size);
    if (isHeld) expect(2 * reachAt(matrix, pixels)).toBeLessThanOrEqual(3);
    return isHeld;
  });
  expect(new Set(held).size).toBe(2);
  expect(holdsWeights(3, affineMatrix({ degrees: 45, translation: [9, 9], center: [13.5, 13.5] }), size)).toBe(true);
  expect(holdsWeights(3, [2, 0, 0, 0, 2, 0, 0, 0, 1], size)).toBe(false);
  // The horizon crosses the image.
  expect(holdsWeights(3, [1, 0, 0, 0, 1, 0, -0.1, 0, 1], size)).toBe(false);
});

test('a turn of 45 degrees stretches a pixel most, by the square root of 2', () => {
  const pixels = [[3, 4]] as const;
  for (const degrees of [0, 15, 30, 45, 60, 90]) {
    const radians = (degrees * Math.PI) / 180;
    const matrix = affineMatrix({ degrees, translation: [5, -7], center: [31.5, 31.5] });
    expect(reachAt(matrix, pixels)).toBeCloseTo(Math.abs(Math.cos(radians)) + Math.sin(radians), 9);
  }
  expect(windowFor({ maxDegrees: 180, maxDistortion: 0 }, 64).affine).toBe(Math.ceil(2 * Math.SQRT2));
  expect(windowFor({ maxDegrees: 180, maxScale: 1.2, maxDistortion: 0 }, 64).affine).toBe(4);
});

test.each([
  [28, 0.2],
  [64, 0.1],
  [64, 0.2],
  [64, 0.3],
  [224, 0.4],
])('no perspective of %i pixels and distortion %f reaches beyond half the window', (size, distortion) => {
  const { perspective } = windowFor({ maxDegrees: 0, maxDistortion: distortion }, size);
  const random = uniforms(size);
  const next = (): number => random.next().value;
  let reach = 0;
  // Climbs from random corners and pixels; each step moves some of them.
  for (let climb = 0; climb < 12; climb += 1) {
    let shares = Array.from({ length: 8 }, next);
    let pixel: readonly [number, number] = [next() * (size - 1), next() * (size - 1)];
    let height = reachAt(inward(shares, distortion, size), [pixel]);
    for (let step = 0.5; step > 0.002; step *= 0.995) {
      const near = (value: number): number => Math.min(1, Math.max(0, value + (next() - 0.5) * step));
      const tried = shares.map((share) => (next() < 0.4 ? near(share) : share));
      const place = [near(pixel[0] / (size - 1)) * (size - 1), near(pixel[1] / (size - 1)) * (size - 1)] as const;
      const found = reachAt(inward(tried, distortion, size), [place]);
      if (found > height) [shares, pixel, height] = [tried, place, found];
    }
    reach = Math.max(reach, height);
  }
  expect(2 * reach).toBeLessThan(perspective);
  // The climb gets near the top, else it would show nothing; and a smaller window would not do.
  expect(2 * reach).toBeGreaterThan(perspective - 1);
});

test('ranges that need too large a window are refused', () => {
  expect(() => windowFor({ maxDegrees: 30, maxDistortion: 0.8 }, 64)).toThrow(
    `expected at most ${LARGEST_WINDOW} for the gathering adjoint`,
  );
  expect(() => windowFor({ maxDegrees: 30, maxScale: 9, maxDistortion: 0 }, 64)).toThrow('a warp stretches a pixel');
});

test.each([
  { maxDegrees: NaN, maxDistortion: 0.2 },
  { maxDegrees: -1, maxDistortion: 0.2 },
  { maxDegrees: 30, maxDistortion: 1 },
  { maxDegrees: 30, maxScale: 0, maxDistortion: 0 },
])('ranges that are none are refused: %o', (ranges) => {
  expect(() => windowFor(ranges, 64)).toThrow('ranges of the warps: found rotation');
});
