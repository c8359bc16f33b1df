import { expect, test } from 'vitest';

import { diffusionAt, distillationGradient, noisyLatent, timestepWeight } from '../../inversion/guidance.ts';

const diffusion = diffusionAt(0.64);
const latent = Float32Array.of(0.5, -2);
const noise = Float32Array.of(1, 0.25);

test('the noisy latent mixes with the roots of abar and 1 - abar', () => {
  expect(diffusion.a).toBeCloseTo(0.8, 15);
  expect(diffusion.q).toBeCloseTo(0.6, 15);
  expect(noisyLatent(latent, noise, diffusion)).toEqual(Float32Array.of(0.8 * 0.5 + 0.6, 0.8 * -2 + 0.6 * 0.25));
});

test('the weight is 2 unless exponents are given', () => {
  expect(timestepWeight(diffusion, { alphaExponent: 0, sigmaExponent: 0 })).toBe(2);
  expect(timestepWeight(diffusion, { alphaExponent: 1, sigmaExponent: 2 })).toBeCloseTo(2 * 0.8 * 0.36, 14);
});

test('the gradient is the weighted error of the noise over the area', () => {
  const output = Float32Array.of(1.5, 0.25);
  const noisy = noisyLatent(latent, noise, diffusion);
  const shared = { noisy, noise, diffusion, weight: 100, area: 4 };
  expect(distillationGradient({ ...shared, output, predictionType: 'epsilon' })).toEqual(Float32Array.of(12.5, 0));
});

test('a velocity stands for the noise a v + q z_t: the true velocity gives no gradient', () => {
  const noisy = noisyLatent(latent, noise, diffusion);
  const velocity = latent.map((z, i) => diffusion.a * noise[i]! - diffusion.q * z);
  const gradient = distillationGradient({
    output: velocity,
    predictionType: 'v_prediction',
    noisy,
    noise,
    diffusion,
    weight: 1,
    area: 1,
  });
  gradient.forEach((value) => expect(Math.abs(value)).toBeLessThan(1e-6));
});
