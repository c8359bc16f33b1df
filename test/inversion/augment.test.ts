import { describe, expect, test } from 'vitest';

import {
  type CutoutParameters,
  drawCutouts,
  selectCutouts,
  stackCutouts,
  warpExtremes,
} from '../../inversion/augment.ts';
import { noiseBank } from '../../inversion/noise-bank.ts';
import { type MethodOptions, resolveOptions, SD15_DEFAULTS, SHAPES_DEFAULTS } from '../../inversion/options.ts';
import { philoxKey } from '../../inversion/random.ts';

const SIZE = 16;
const BANK = noiseBank(3 * SIZE * SIZE);
const STEPS = 400;

function drawAt(step: number, options: MethodOptions = SD15_DEFAULTS, seed = 5n): CutoutParameters {
  return drawCutouts({ key: philoxKey(seed), step, options, size: SIZE, bank: BANK });
}

/** `value` of every step's parameters. */
function over<T>(value: (drawn: CutoutParameters) => T, options?: MethodOptions): T[] {
  return Array.from({ length: STEPS }, (_, step) => value(drawAt(step, options)));
}

/** Mean of `values`, checked to lie within four standard errors of `expected`. */
function expectMean(values: readonly number[], expected: number, deviation: number): void {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(Math.abs(mean - expected)).toBeLessThan((4 * deviation) / Math.sqrt(values.length));
}

describe('a step', () => {
  test('has arrays of n cutouts and of one lane', () => {
    const drawn = drawAt(3);
    const lengths = Object.fromEntries(
      Object.entries(drawn).map(([name, values]) => [name, (values as Float32Array).length]),
    );
    expect(lengths).toEqual({
      affine: 90,
      affineInverse: 90,
      perspective: 90,
      perspectiveInverse: 90,
      affineFlag: 10,
      perspectiveFlag: 10,
      jitterFlag: 10,
      jitterFactors: 40,
      jitterOrder: 4,
      eraseRectangle: 4,
      noiseFactor: 10,
      noise: 10 * 3 * SIZE * SIZE,
      noise2: 10 * 3 * SIZE * SIZE,
    });
  });

  test('is the same for the same seed and step, and another for another', () => {
    expect(drawAt(3)).toEqual(drawAt(3));
    expect(drawAt(4).affine).not.toEqual(drawAt(3).affine);
    expect(drawAt(3, SD15_DEFAULTS, 6n).noise).not.toEqual(drawAt(3).noise);
  });

  test('gives the first cutouts the same parameters however many there are', () => {
    const few = drawAt(3, { ...SD15_DEFAULTS, cutouts: 4 });
    expect(few).toEqual(selectCutouts(drawAt(3), [0, 1, 2, 3]));
  });

  test('holds both directions of each warp', () => {
    const { affine, affineInverse, perspective, perspectiveInverse } = drawAt(3);
    for (const [m, inverse] of [
      [affine, affineInverse],
      [perspective, perspectiveInverse],
    ] as const) {
      for (let i = 0; i < 10; i++) {
        const product = multiply(m.subarray(9 * i, 9 * i + 9), inverse.subarray(9 * i, 9 * i + 9));
        const identity = [1, 0, 0, 0, 1, 0, 0, 0, 1];
        // The inverse is that of the float32 matrix; entries go up to the size in pixels.
        product.forEach((value, j) => expect(Math.abs(value / product[8]! - identity[j]!)).toBeLessThan(1e-12));
      }
    }
  });
});

describe('distributions', () => {
  test('angles are uniform in plus or minus 30 degrees, shifts in plus or minus a tenth', () => {
    const degrees = over(({ affine }) => (Math.atan2(affine[3]!, affine[0]!) * 180) / Math.PI);
    expectMean(degrees, 0, 30 / Math.sqrt(3));
    expectMean(
      degrees.map((angle) => angle ** 2),
      300,
      Math.sqrt(30 ** 4 / 5 - 300 ** 2),
    );
    expect(Math.max(...degrees.map(Math.abs))).toBeLessThan(30.001);
    const shifts = over(({ affine: m }) => m[0]! * 7.5 + m[1]! * 7.5 + m[2]! - 7.5);
    expectMean(shifts, 0, 1.6 / Math.sqrt(3));
    expect(Math.max(...shifts.map(Math.abs))).toBeGreaterThan(1.5);
    expect(Math.max(...shifts.map(Math.abs))).toBeLessThan(1.6001);
  });

  test('four cutouts of ten are warped in perspective, half are jittered, all are moved', () => {
    const share = (name: 'perspectiveFlag' | 'jitterFlag' | 'affineFlag') =>
      over((drawn) => Array.from(drawn[name])).flat();
    expectMean(share('perspectiveFlag'), 0.4, Math.sqrt(0.24));
    expectMean(share('jitterFlag'), 0.5, 0.5);
    expect(share('affineFlag').every((flag) => flag === 1)).toBe(true);
  });

  test('a perspective moves corners inwards by at most a tenth of the size', () => {
    const moved = over(({ perspective: m, perspectiveFlag }) =>
      perspectiveFlag[0] === 0 ? [] : [m[2]! / m[8]!, m[5]! / m[8]!],
    ).flat();
    expect(Math.min(...moved)).toBeGreaterThan(0);
    expect(Math.max(...moved)).toBeLessThan(0.1 * SIZE);
    expectMean(moved, 0.05 * SIZE, (0.1 * SIZE) / Math.sqrt(12));
  });

  test('colour factors are about 1, the hue about 0, each in its own range', () => {
    const options = resolveOptions(SHAPES_DEFAULTS, {
      jitterBrightness: 0.1,
      jitterContrast: 0.2,
      jitterSaturation: 0.3,
    });
    const factors = over(({ jitterFactors }) => Array.from(jitterFactors.subarray(0, 4)), options);
    [
      [1, 0.1],
      [1, 0.2],
      [1, 0.3],
      [0, 0.02],
    ].forEach(([centre, range], j) => {
      const own = factors.map((values) => values[j]!);
      expectMean(own, centre!, range! / Math.sqrt(3));
      expect(Math.max(...own.map((value) => Math.abs(value - centre!)))).toBeLessThan(range! + 1e-6);
      expect(Math.max(...own.map((value) => Math.abs(value - centre!)))).toBeGreaterThan(range! * 0.95);
    });
  });

  test('all 24 orders of the jitter are drawn about equally often', () => {
    const counts = new Map<string, number>();
    for (let step = 0; step < 2400; step++) {
      const order = drawAt(step, { ...SD15_DEFAULTS, cutouts: 1 }).jitterOrder.join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    // Chi squared with 23 degrees of freedom: mean 23, standard deviation sqrt(46).
    const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
    expect(chiSquared).toBeLessThan(23 + 4 * Math.sqrt(46));
  });

  test('the erased rectangle lies within the cutout, has its area, and both aspects equally often', () => {
    const options = { ...SD15_DEFAULTS, cutouts: 1 };
    const size = 224;
    const bank = noiseBank(3 * size * size);
    const rectangles = Array.from({ length: STEPS }, (_, step) =>
      Array.from(drawCutouts({ key: philoxKey(5n), step, options, size, bank }).eraseRectangle),
    ) as [number, number, number, number][];
    for (const rectangle of rectangles) {
      const [top, left, height, width] = rectangle;
      expect(rectangle.every(Number.isInteger)).toBe(true);
      expect(Math.min(top, left)).toBeGreaterThanOrEqual(0);
      expect(Math.max(top + height, left + width)).toBeLessThanOrEqual(size);
      // Rounded sides, and a side cut at the image's: 0.4 of the area at aspect 3.3 is 1.15 sizes long.
      expect((height * width) / size ** 2).toBeGreaterThan(0.1 - 0.02);
      expect((height * width) / size ** 2).toBeLessThan(0.4 + 0.02);
      expect(height / width).toBeGreaterThan(0.3 - 0.02);
      expect(height / width).toBeLessThan(3.3 + 0.1);
    }
    expectMean(
      rectangles.map(([, , height, width]) => (height > width ? 1 : 0)),
      0.5,
      0.5,
    );
  });

  test('noise factors are uniform from 0, noise is standard normal with both signs', () => {
    expectMean(
      over(({ noiseFactor }) => noiseFactor[0]!),
      0.05,
      0.1 / Math.sqrt(12),
    );
    const values = over(({ noise, noise2 }) => [noise[0]!, noise2[100]!]).flat();
    expectMean(values, 0, 1);
    expectMean(
      values.map((value) => value ** 2),
      1,
      Math.sqrt(2),
    );
  });
});

test('what is switched off is the identity, a flag of 0, or zeros', () => {
  const drawn = drawAt(
    3,
    resolveOptions(SD15_DEFAULTS, {
      affineDegrees: 0,
      affineTranslation: 0,
      perspectiveDistortion: 0,
      jitterProbability: 0,
      eraseProbability: 0,
      noiseFactor: 0,
    }),
  );
  const identity = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  for (const matrices of [drawn.affine, drawn.affineInverse, drawn.perspective, drawn.perspectiveInverse]) {
    expect(Array.from(matrices)).toEqual(Array.from({ length: 10 }, () => identity).flat());
  }
  for (const zeros of [
    drawn.affineFlag,
    drawn.perspectiveFlag,
    drawn.jitterFlag,
    drawn.eraseRectangle,
    drawn.noiseFactor,
  ]) {
    expect(zeros.every((value) => value === 0)).toBe(true);
  }
});

test('stacked lanes lie one after the other', () => {
  const [a, b] = [drawAt(1), drawAt(2, { ...SD15_DEFAULTS, cutouts: 10 }, 9n)];
  const both = stackCutouts([a, b]);
  expect(both.affine).toEqual(Float32Array.of(...a.affine, ...b.affine));
  expect(both.jitterOrder).toEqual(Int32Array.of(...a.jitterOrder, ...b.jitterOrder));
  expect(both.eraseRectangle).toEqual(Float32Array.of(...a.eraseRectangle, ...b.eraseRectangle));
  expect(both.noise.subarray(10 * 3 * SIZE * SIZE)).toEqual(b.noise);
});

test('selected cutouts keep what they share', () => {
  const all = drawAt(1);
  const picked = selectCutouts(all, [7, 2]);
  expect(picked.jitterFactors).toEqual(
    Float32Array.of(...all.jitterFactors.subarray(28, 32), ...all.jitterFactors.subarray(8, 12)),
  );
  expect(picked.noise.length).toBe(2 * 3 * SIZE * SIZE);
  expect(picked.jitterOrder).toEqual(all.jitterOrder);
});

test('the extremes cover every warp that is drawn: no entry lies outside of theirs', () => {
  const { affine, perspective } = warpExtremes(SD15_DEFAULTS, SIZE);
  expect([affine.length, perspective.length]).toEqual([36, 256]);
  const corners = [0, SIZE - 1].flatMap((x) => [0, SIZE - 1].map((y) => [x, y] as const));
  for (const [x, y] of corners) {
    const reach = perspective.map((m) => place(m, x, y)[0]);
    for (const drawn of over(({ perspective: m }) => place(m, x, y)[0])) {
      expect(drawn).toBeGreaterThan(Math.min(...reach) - 1e-4);
      expect(drawn).toBeLessThan(Math.max(...reach) + 1e-4);
    }
  }
  const angles = affine.map((m) => Math.atan2(m[3]!, m[0]!));
  expect(Math.max(...angles)).toBeCloseTo(Math.PI / 6, 12);
  expect(Math.min(...angles)).toBeCloseTo(-Math.PI / 6, 12);
});

function place(m: ArrayLike<number>, x: number, y: number): [number, number] {
  const w = m[6]! * x + m[7]! * y + m[8]!;
  return [(m[0]! * x + m[1]! * y + m[2]!) / w, (m[3]! * x + m[4]! * y + m[5]!) / w];
}

function multiply(a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  return Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3) * 3, i % 3];
    return a[row]! * b[column]! + a[row + 1]! * b[column + 3]! + a[row + 2]! * b[column + 6]!;
  });
}
