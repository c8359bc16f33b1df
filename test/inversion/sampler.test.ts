import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { type DdimConvention, ddimSteps } from '../../inversion/sampler.ts';
import { alphasCumprod, type NoiseScheduleConfig, type PredictionType } from '../../inversion/schedule.ts';
import { SCHEDULE } from './support/toy-models.ts';

interface StoredRun {
  readonly settings: {
    readonly beta_schedule: NoiseScheduleConfig['betaSchedule'];
    readonly beta_start: number;
    readonly beta_end: number;
    readonly steps_offset: number;
    readonly timestep_spacing: DdimConvention['timestepSpacing'];
    readonly set_alpha_to_one: boolean;
    readonly prediction_type: PredictionType;
    readonly num_train_timesteps: number;
    readonly num_inference_steps: number;
  };
  readonly sample_before: number[];
  readonly steps: {
    readonly timestep: number;
    readonly previous_timestep: number;
    readonly alpha_cumprod: number;
    readonly previous_alpha_cumprod: number;
    readonly sample_coefficient: number;
    readonly model_coefficient: number;
    readonly model_output: number[];
    readonly sample_after: number[];
  }[];
}

const stored = JSON.parse(readFileSync(new URL('../fixtures/scheduler.json', import.meta.url), 'utf8')) as {
  ddim: StoredRun[];
};

/** Coefficients are quotients of float64 numbers with a cancellation of one digit at most. */
const RTOL_FLOAT64 = 1e-12;

test.each(stored.ddim)('worked example: $settings.prediction_type, $settings.timestep_spacing', (run) => {
  const { settings } = run;
  const table = ddimSteps({
    alphasCumprod: alphasCumprod({
      betaSchedule: settings.beta_schedule,
      betaStart: settings.beta_start,
      betaEnd: settings.beta_end,
      trainTimesteps: settings.num_train_timesteps,
    }),
    predictionType: settings.prediction_type,
    convention: {
      stepsOffset: settings.steps_offset,
      setAlphaToOne: settings.set_alpha_to_one,
      timestepSpacing: settings.timestep_spacing,
    },
    steps: settings.num_inference_steps,
  });
  expect(table.length).toBe(run.steps.length);
  let sample = run.sample_before;
  run.steps.forEach((expected, i) => {
    const step = table[i]!;
    expect([step.timestep, step.previousTimestep]).toEqual([expected.timestep, expected.previous_timestep]);
    expect(step.alphaCumprod).toBeCloseTo(expected.alpha_cumprod, 12);
    expect(step.previousAlphaCumprod).toBeCloseTo(expected.previous_alpha_cumprod, 12);
    const error = Math.abs(step.sampleCoefficient - expected.sample_coefficient);
    expect(error).toBeLessThan(RTOL_FLOAT64 * Math.abs(expected.sample_coefficient));
    expect(Math.abs(step.modelCoefficient - expected.model_coefficient)).toBeLessThan(RTOL_FLOAT64);
    sample = sample.map((z, j) => step.sampleCoefficient * z + step.modelCoefficient * expected.model_output[j]!);
    // The library keeps its samples in float32.
    sample.forEach((z, j) => expect(Math.abs(z - expected.sample_after[j]!)).toBeLessThan(1e-5));
  });
});

test.each(['epsilon', 'v_prediction'] as const)(
  '%s: a model that knows the picture arrives at it',
  (predictionType) => {
    const table = ddimSteps({
      alphasCumprod: SCHEDULE,
      predictionType,
      convention: { stepsOffset: 0, setAlphaToOne: true, timestepSpacing: 'trailing' },
      steps: 25,
    });
    const picture = 0.7;
    let z = -1.3;
    for (const { alphaCumprod, sampleCoefficient, modelCoefficient } of table) {
      const [a, q] = [Math.sqrt(alphaCumprod), Math.sqrt(1 - alphaCumprod)];
      const noise = (z - a * picture) / q;
      z = sampleCoefficient * z + modelCoefficient * (predictionType === 'epsilon' ? noise : a * noise - q * picture);
    }
    expect(z).toBeCloseTo(picture, 10);
  },
);

test('evenly spaced timesteps include both ends', () => {
  const convention: DdimConvention = { stepsOffset: 0, setAlphaToOne: true, timestepSpacing: 'linspace' };
  const table = ddimSteps({ alphasCumprod: SCHEDULE, predictionType: 'epsilon', convention, steps: 4 });
  expect(table.map(({ timestep }) => timestep)).toEqual([999, 666, 333, 0]);
});

test('more steps than the schedule has timesteps for are refused', () => {
  const convention: DdimConvention = { stepsOffset: 1, setAlphaToOne: false, timestepSpacing: 'leading' };
  const settings = { alphasCumprod: SCHEDULE, predictionType: 'epsilon', convention } as const;
  expect(() => ddimSteps({ ...settings, steps: 1000 })).toThrow(
    'sampleSteps: expected at most 999 for this schedule, found 1000',
  );
  expect(ddimSteps({ ...settings, steps: 999 })).toHaveLength(999);
});
