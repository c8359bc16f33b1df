import { describe, expect, test } from 'vitest';

import { movingAverage } from '../../inversion/average.ts';
import { type MethodOptions, resolveOptions, SHAPES_DEFAULTS } from '../../inversion/options.ts';
import { norm, updateLatent } from '../../inversion/update.ts';

const options: MethodOptions = resolveOptions(SHAPES_DEFAULTS, {
  vlmWeight: 2,
  zNoise: 0.5,
  lr: 0.25,
  warmup: 0,
  lrMin: 0.25,
});
const base = {
  latent: Float32Array.of(1, 2),
  step: 0,
  options,
  distillation: Float32Array.of(3, 4),
  noiseB: Float32Array.of(1, -1),
};
const referee = { gradient: Float32Array.of(0, 10), noiseA: Float32Array.of(2, 0) };

describe('worked by hand', () => {
  test('in the referee phase both lines act', () => {
    // |g_sds| = 5, |g_vlm| = 10, scale 1/2; first line: z - 1/4 (2 * 1/2 * (0, 10) + 1/2 (2, 0)) = (3/4, -1/2);
    // second line: - 1/4 (3, 4) + 1/2 (1, -1) = (1/2, -2).
    const { latent, scale, normSds, normVlm, lr } = updateLatent({ ...base, referee });
    expect([scale, normSds, normVlm, lr]).toEqual([0.5, 5, 10, 0.25]);
    expect(latent).toEqual(Float32Array.of(0.5, -2));
  });

  test('outside of it the noise is the late one', () => {
    const updated = updateLatent({ ...base, options: { ...options, zNoiseLate: 0.25 } });
    expect(updated.latent).toEqual(Float32Array.of(0.5, 0.75));
    expect(updated.scale).toBeUndefined();
  });

  test('the first step of Adam is one rate long, against the sign of the gradient', () => {
    const adam: MethodOptions = { ...options, optimiser: 'adam', zNoise: 0 };
    const latent = Float32Array.of(1, 2);
    const still = { ...base, latent, options: { ...adam, lr: 0.25 } };
    const first = updateLatent({
      ...still,
      referee: { gradient: Float32Array.of(-7, 10), noiseA: Float32Array.of(0, 0) },
    });
    // m/(1 - b1) = g, v/(1 - b2) = g^2: z + 1/4 and z - 1/4, then the distillation step of (3/4, 1).
    first.latent.forEach((z, i) => expect(z).toBeCloseTo([1 + 0.25 - 0.75, 2 - 0.25 - 1][i]!, 6));
    // The referee's (-7, 10) of norm sqrt(149) comes with the norm 5 of the distillation and the weight 2.
    const factor = (2 * 5) / Math.sqrt(149);
    first.adam!.first.forEach((m, i) => expect(m).toBeCloseTo(0.1 * factor * [-7, 10][i]!, 5));
    first.adam!.second.forEach((v, i) => expect(v).toBeCloseTo(0.001 * factor ** 2 * [49, 100][i]!, 5));
    const second = updateLatent({ ...still, step: 1, referee, adam: first.adam! });
    const expected = 0.9 * first.adam!.first[1]! + 0.1 * 10;
    expect(second.adam!.first[1]).toBeCloseTo(expected, 5);
  });
});

test('the size of the referee step does not depend on the size of its gradient', () => {
  const scaled = updateLatent({
    ...base,
    referee: { ...referee, gradient: referee.gradient.map((g) => g * 2 ** -40) },
  });
  expect(scaled.latent).toEqual(updateLatent({ ...base, referee }).latent);
});

test('norms do not overflow or underflow where float32 would', () => {
  expect(norm(Float32Array.of(3e38, 3e38)) / (Math.fround(3e38) * Math.SQRT2)).toBeCloseTo(1, 12);
  expect(norm(Float32Array.of(2 ** -140, 0))).toBe(2 ** -140);
});

describe('what ends a search', () => {
  const at = { ...base, step: 12 };

  test.each([
    [
      'the gradient of score distillation',
      { ...at, distillation: Float32Array.of(0, Number.NaN), referee },
      'NaN at element 1',
    ],
    [
      "the referee's gradient",
      { ...at, referee: { ...referee, gradient: Float32Array.of(-Infinity, 1) } },
      '-Infinity at element 0',
    ],
    [
      'the latent',
      {
        ...at,
        latent: Float32Array.of(3e38, 0),
        distillation: Float32Array.of(-3e38, 0),
        options: { ...options, lr: 100 },
      },
      'Infinity at element 0',
    ],
  ])('%s is not finite', (what, input, found) => {
    expect(() => updateLatent(input)).toThrow(
      expect.objectContaining({
        code: 'NonFinite',
        message: `step 12: expected finite numbers in ${what}, found ${found}`,
      }),
    );
  });

  test('the referee has no gradient', () => {
    expect(() => updateLatent({ ...at, referee: { ...referee, gradient: Float32Array.of(0, -0) } })).toThrow(
      expect.objectContaining({
        code: 'ZeroGradient',
        message: 'step 12: expected a gradient from the referee, found zeros only',
      }),
    );
  });
});

test('the average begins as the latent and then follows it', () => {
  const latent = Float32Array.of(1, 3);
  const first = movingAverage(Float32Array.of(9, 9), latent, 0, 0.75);
  expect(first).toEqual(latent);
  expect(movingAverage(first, Float32Array.of(5, -1), 1, 0.75)).toEqual(Float32Array.of(2, 2));
});
