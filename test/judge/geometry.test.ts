import { describe, expect, test } from 'vitest';

import { AREAS, DISTANCES, PERIODS, REACHES, coverage, distanceFrom } from '../../judge/geometry.ts';
import { seededRandom } from '../../judge/random.ts';
import { SHAPES } from '../../judge/scene.ts';

const STEP = 1 / 400;

describe.each(SHAPES)('%s', (shape) => {
  const points: (readonly [number, number])[] = [];
  for (let y = -1.5 + STEP / 2; y < 1.5; y += STEP) {
    for (let x = -1.5 + STEP / 2; x < 1.5; x += STEP) points.push([x, y]);
  }
  const inside = points.filter(([x, y]) => DISTANCES[shape](x, y, 1) < 0);

  test('area and reach are those of its points', () => {
    expect(Math.abs(inside.length * STEP ** 2 - AREAS[shape])).toBeLessThan(3e-3);
    const furthest = inside.reduce((reach, [x, y]) => Math.max(reach, Math.hypot(x, y)), 0);
    expect(Math.abs(furthest - REACHES[shape])).toBeLessThan(2 * STEP);
  });

  test('its centre of gravity is its centre', () => {
    const mean = (axis: 0 | 1): number => inside.reduce((sum, point) => sum + point[axis], 0) / inside.length;
    expect(Math.abs(mean(0))).toBeLessThan(1e-3);
    expect(Math.abs(mean(1))).toBeLessThan(1e-3);
  });

  test('is the same after a period, moved and scaled as a whole', () => {
    const random = seededRandom(1);
    const object = { shape, x: 30, y: 20, radius: 8, angle: 0.3 };
    const [distance, turned] = [distanceFrom(object), distanceFrom({ ...object, angle: 0.3 + PERIODS[shape] })];
    for (let i = 0; i < 200; i += 1) {
      const [x, y] = [random.uniform(-12, 12), random.uniform(-12, 12)];
      expect(turned(30 + x, 20 + y)).toBeCloseTo(distance(30 + x, 20 + y), 9);
      const double = distanceFrom({ ...object, x: 0, y: 0, radius: 16 })(2 * x, 2 * y);
      expect(double).toBeCloseTo(2 * distance(30 + x, 20 + y), 9);
    }
  });
});

test('a pixel is covered from half a pixel inside to half a pixel outside', () => {
  expect([-2, -0.5, -0.25, 0, 0.5, 2].map(coverage)).toEqual([1, 1, 0.75, 0.5, 0, 0]);
});

test('a triangle stands on its base', () => {
  expect(DISTANCES.triangle(0, -1.2, 1)).toBeLessThan(0);
  expect(DISTANCES.triangle(0, 0.7, 1)).toBeGreaterThan(0);
});
