import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { resolveOptions, SHAPES_DEFAULTS, SD15_DEFAULTS } from '../../inversion/options.ts';
import {
  alphasCumprod,
  cosine,
  distillationWeight,
  isRefereeStep,
  isRestart,
  learningRate,
  type NoiseScheduleConfig,
  timestepOf,
} from '../../inversion/schedule.ts';
import { Reference } from './support/tensors.ts';

/** Float64 against float64: a thousand products, in another order at most. */
const RTOL_FLOAT64 = 1e-13;
const FLOAT32_ROUNDING = 2 ** -24;

interface StoredSchedule {
  readonly beta_schedule: NoiseScheduleConfig['betaSchedule'];
  readonly beta_start: number;
  readonly beta_end: number;
  readonly num_train_timesteps: number;
  readonly rescale_betas_zero_snr: boolean;
  readonly alphas_cumprod: number[];
}

const stored = JSON.parse(readFileSync(new URL('../fixtures/scheduler.json', import.meta.url), 'utf8')) as {
  schedules: StoredSchedule[];
};

describe('noise schedules', () => {
  test.each(stored.schedules)('$beta_schedule, zero SNR $rescale_betas_zero_snr', (reference) => {
    const values = alphasCumprod({
      betaSchedule: reference.beta_schedule,
      betaStart: reference.beta_start,
      betaEnd: reference.beta_end,
      trainTimesteps: reference.num_train_timesteps,
      rescaleBetasZeroSnr: reference.rescale_betas_zero_snr,
    });
    expect(values.length).toBe(1000);
    reference.alphas_cumprod.forEach((expected, t) => {
      // The rescaled tail is a difference of nearly equal roots: absolute there.
      expect(Math.abs(values[t]! - expected), `t ${t}`).toBeLessThanOrEqual(RTOL_FLOAT64 * Math.max(expected, 1e-2));
    });
  });

  test('betas that are no variances are refused in one line', () => {
    const config = { betaSchedule: 'linear', betaStart: 0.1, betaEnd: 2, trainTimesteps: 10 } as const;
    expect(() => alphasCumprod(config)).toThrow(
      'noise schedule: expected betas between 0 and 1, found beta_start 0.1, beta_end 2',
    );
  });
});

describe('schedules of the search', () => {
  const trajectory = new Reference('trajectory/reference-trajectory-0.safetensors');
  const options = resolveOptions(SHAPES_DEFAULTS, { steps: 24, refereeEnd: 20, emaStart: 8, emaRestart: 6 });

  test('learning rate and distillation weight are those of the recorded search', () => {
    const [lr, weight] = [trajectory.floats('output.lr'), trajectory.floats('output.sd_weight')];
    for (let k = 0; k < 24; k++) {
      expect(Math.abs(learningRate(k, options) - lr[k]!)).toBeLessThanOrEqual(FLOAT32_ROUNDING);
      expect(Math.abs(distillationWeight(k, options) - weight[k]!)).toBeLessThanOrEqual(50 * FLOAT32_ROUNDING);
    }
  });

  test('the learning rate ends above its minimum, as its period counts the warm-up too', () => {
    // K = 160, warm-up 10: 1/2 (1 + cos(pi 149/160)) (1 - 1/2) + 1/2
    expect(learningRate(159, SD15_DEFAULTS)).toBeCloseTo(0.25 * (1 + Math.cos((Math.PI * 149) / 160)) + 0.5, 14);
    expect(learningRate(0, SD15_DEFAULTS)).toBe(0.1);
    expect(learningRate(9, SD15_DEFAULTS)).toBe(1);
    expect(learningRate(10, SD15_DEFAULTS)).toBe(1);
    expect(learningRate(0, { ...SD15_DEFAULTS, warmup: 0 })).toBe(1);
  });

  test('the cosine is constant outside of its range', () => {
    expect([0, 4, 7, 10, 99].map((k) => cosine(k, [800, 400], [4, 10]))).toEqual([
      800,
      800,
      expect.closeTo(600, 10),
      400,
      400,
    ]);
  });

  test('restarts follow steps 8, 14 and 20 of the recorded search', () => {
    const steps = Array.from({ length: 24 }, (_, k) => k);
    expect(steps.filter((k) => isRestart(k, options))).toEqual([7, 13, 19]);
    expect(steps.filter((k) => isRestart(k, { ...options, method: 'distil' }))).toEqual([]);
    expect(Array.from({ length: 160 }, (_, k) => k).filter((k) => isRestart(k, SD15_DEFAULTS))).toEqual([39, 99]);
  });

  test('the referee takes part from its start up to, not including, its end', () => {
    const range = { method: 'search', refereeStart: 2, refereeEnd: 4 } as const;
    expect([1, 2, 3, 4].map((k) => isRefereeStep(k, range))).toEqual([false, true, true, false]);
    expect(isRefereeStep(2, { ...range, method: 'distil' })).toBe(false);
  });

  test('timesteps lie in [tMin, min(tMax, trained) - 1)', () => {
    const ends = (tMax: number) => [2 ** -25, 1 - 2 ** -25].map((u) => timestepOf(u, { tMin: 50, tMax }, 1000));
    expect(ends(950)).toEqual([50, 948]);
    expect(ends(1000)).toEqual([50, 998]);
    expect(timestepOf(1 - 2 ** -25, { tMin: 5, tMax: 950 }, 100)).toBe(98);
  });
});
