import { describe, expect, test } from 'vitest';

import type { SampleReport, SearchReport } from '../../inversion/events.ts';
import type { StepLane } from '../../inversion/lane.ts';
import { philoxNoise } from '../../inversion/noise.ts';
import { resolveOptions } from '../../inversion/options.ts';
import { type LaneState, initialState, totalSteps } from '../../inversion/state.ts';
import { step, type StepOutcome } from '../../inversion/step.ts';
import {
  BANK,
  COUNT,
  cutoutFactor,
  quadratic,
  SCHEDULE,
  targetOf,
  TOY_DEFAULTS,
  toyModels,
  toyPrompt,
} from './support/toy-models.ts';

function lane(seed: number, overrides: object = {}, changes: Partial<LaneState> = {}): StepLane {
  const options = resolveOptions(TOY_DEFAULTS, overrides);
  const noise = philoxNoise(seed, BANK);
  const state = { ...initialState(options, noise, { count: COUNT }), ...changes } as LaneState;
  return { prompt: toyPrompt(seed / 8, seed / 16), options, noise, state };
}

async function stepOne(of: StepLane, models = toyModels()): Promise<StepOutcome> {
  return (await step([of], models))[0]!;
}

function good(outcome: StepOutcome): Extract<StepOutcome, { ok: true }> {
  if (!outcome.ok) throw outcome.error;
  return outcome;
}

function errorOf(outcome: StepOutcome): { code: string; message: string } {
  if (outcome.ok) throw new Error('the lane went on');
  return { code: outcome.error.code, message: outcome.error.message };
}

describe('calls', () => {
  test('lanes of all methods and phases share one call; the referee sees those in its phase', async () => {
    const models = toyModels();
    const lanes = [
      lane(1),
      lane(2, { method: 'distil' }),
      lane(3, { method: 'sample' }),
      lane(4, {}, { step: 60 }),
      lane(5),
    ];
    await step(lanes, models);
    expect(models.calls).toEqual({ guidance: [5], alignment: [2], score: [] });
  });

  test('lanes with other numbers of cutouts are asked in calls of their own', async () => {
    const models = toyModels();
    const lanes = [lane(1), lane(2, { cutouts: 5 }), lane(3)];
    const together = await step(lanes, models);
    expect(models.calls.alignment).toEqual([2, 1]);
    for (const [i, own] of lanes.entries()) expect(together[i]).toEqual(await stepOne(own));
  });

  test('the same lanes give the same bytes every time, and states stay as they were', async () => {
    const own = lane(1);
    const before = structuredClone(own.state);
    expect(await stepOne(own)).toEqual(await stepOne(own));
    expect(own.state).toEqual(before);
  });

  test('an answer of the wrong size is a bug, not a lane that failed', async () => {
    const models = toyModels({ guidance: () => Promise.resolve(new Float32Array(3)) });
    await expect(step([lane(1)], models)).rejects.toThrow('guidance: expected 1 x 18 values, found 3');
  });
});

describe('only the worst cutouts', () => {
  test('give loss and gradient with augTopk', async () => {
    const asked: number[][] = [];
    const models = toyModels({
      alignment: (input) => {
        const lossesInOrder = Array.from({ length: input.cutoutsPerLane }, (_, i) => cutoutFactor(input, i));
        asked.push(lossesInOrder);
        return Promise.resolve(quadratic(input));
      },
    });
    const { report } = good(await stepOne(lane(1, { cutouts: 6, augTopk: 2 }), models));
    const [all, chosen] = asked as [number[], number[]];
    expect(all.length).toBe(6);
    // Losses are the factors times a number above 0: the two largest, in their old order.
    const limit = [...all].sort((a, b) => b - a)[1]!;
    expect(chosen).toEqual(all.filter((factor) => factor >= limit));
    expect((report as SearchReport).losses!.perCutout.itm.length).toBe(2);
  });

  test('all of them are one pass', async () => {
    const models = toyModels();
    await stepOne(lane(1, { cutouts: 3, augTopk: 3 }), models);
    expect(models.calls.alignment).toEqual([1]);
  });
});

describe('loss scale', () => {
  /** Cotangents that overflow above a scale of 4, as half precision would. */
  const halfPrecision = () =>
    toyModels({
      alignment: (input) => {
        const answer = quadratic(input);
        const gradient = answer.gradient.map((g, i) => (input.weights.vlm[Math.floor(i / COUNT)]! > 4 ? Infinity : g));
        return Promise.resolve({ ...answer, gradient });
      },
    });

  test('a gradient that overflows is computed again at half the scale, its own lane only', async () => {
    const models = halfPrecision();
    const lanes = [lane(1, {}, { lossScale: 16 }), lane(2, {}, { lossScale: 4 })];
    const [first, second] = (await step(lanes, models)).map(good);
    expect(models.calls.alignment).toEqual([2, 1, 1]);
    expect(first!.state).toMatchObject({ lossScale: 4 });
    expect(second!.state).toMatchObject({ lossScale: 4 });
  });

  test('the scale leaves no trace in the latent', async () => {
    const [scaled, plain] = [
      good(await stepOne(lane(1, {}, { lossScale: 16 }), halfPrecision())),
      good(await stepOne(lane(1))),
    ];
    expect(scaled.state.latent).toEqual(plain.state.latent);
  });

  test('at a scale of 1 it is an error', async () => {
    const models = toyModels({
      alignment: (input) =>
        Promise.resolve({ ...quadratic(input), gradient: new Float32Array(input.lanes * COUNT).fill(NaN) }),
    });
    expect(errorOf(await stepOne(lane(1, {}, { lossScale: 8, step: 3 }), models))).toEqual({
      code: 'NonFinite',
      message: "step 3: expected finite numbers in the referee's gradient, found NaN at element 0",
    });
  });
});

describe('a lane that fails', () => {
  const models = () =>
    toyModels({
      alignment: (input) => {
        const answer = quadratic(input);
        input.prompts.forEach((prompt, i) => {
          if (targetOf(prompt) === 2 / 8) answer.gradient.fill(0, i * COUNT, (i + 1) * COUNT);
          if (targetOf(prompt) === 4 / 8) answer.itm[i * input.cutoutsPerLane + 1] = Number.NaN;
        });
        return Promise.resolve(answer);
      },
    });

  test('takes no other with it', async () => {
    const lanes = [1, 2, 3, 4].map((seed) => lane(seed, {}, { step: 9 }));
    const outcomes = await step(lanes, models());
    expect(errorOf(outcomes[1]!)).toEqual({
      code: 'ZeroGradient',
      message: 'step 9: expected a gradient from the referee, found zeros only',
    });
    expect(errorOf(outcomes[3]!)).toEqual({
      code: 'NonFinite',
      message: 'step 9: expected finite numbers in the matching loss, found NaN at element 1',
    });
    for (const i of [0, 2]) expect(outcomes[i]).toEqual(await stepOne(lanes[i]!));
  });

  test('may ask for more sample steps than the schedule has', async () => {
    const outcomes = await step([lane(1, { method: 'sample', sampleSteps: 1000 }), lane(2)], toyModels());
    expect(errorOf(outcomes[0]!).message).toBe('sampleSteps: expected at most 999 for this schedule, found 1000');
    expect(outcomes[1]!.ok).toBe(true);
  });

  test('may ask for a loss that the pack does not have', async () => {
    expect(errorOf(await stepOne(lane(1, { itcWeight: 1 })))).toEqual({
      code: 'InvalidOption',
      message: 'itcWeight: expected 0 as the pack has no contrastive loss, found 1',
    });
  });
});

describe('methods', () => {
  async function finish(own: StepLane, models = toyModels()) {
    const reports: (SearchReport | SampleReport)[] = [];
    let { state } = own;
    while (state.step < totalSteps(own.options)) {
      const outcome = good(await stepOne({ ...own, state }, models));
      reports.push(outcome.report);
      state = outcome.state;
    }
    return { state, reports };
  }

  test('sample arrives where its model believes the picture is', async () => {
    // The stand-in believes in the latent guidance * belief; DDIM ends at abar_0, sqrt(1 - abar_0) of noise left.
    const own = lane(8, { method: 'sample', sampleSteps: 20, sampleGuidance: 3 });
    const { state } = await finish(own);
    const belief = 3 * (8 / 16);
    state.latent.forEach((z) =>
      expect(Math.abs(z - Math.sqrt(SCHEDULE[0]!) * belief)).toBeLessThan(5 * Math.sqrt(1 - SCHEDULE[0]!)),
    );
  });

  test('best-of keeps the candidate with the highest score, and its first candidate is the sample of the seed', async () => {
    // A schedule that stays noisy, so that candidates differ.
    const noisy = () => toyModels({ ddim: { stepsOffset: 400, setAlphaToOne: false, timestepSpacing: 'leading' } });
    const scores: number[] = [];
    const latents: Float32Array[] = [];
    const base = noisy();
    const models = toyModels({
      ddim: base.ddim,
      score: async (input) => {
        const answer = await base.score(input);
        scores.push(answer[0]!);
        latents.push(input.latents);
        return answer;
      },
    });
    const { state, reports } = await finish(lane(3, { method: 'best-of', candidates: 5, sampleSteps: 2 }), models);
    if (state.kind !== 'sample') throw new Error('not a sample');
    expect(scores.length).toBe(5);
    expect(new Set(scores).size).toBe(5);
    expect(Array.from(state.scores)).toEqual(scores);
    expect(state.best).toEqual(latents[scores.indexOf(Math.max(...scores))]);
    expect(reports.map((report) => (report as SampleReport).candidate)).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    expect(reports.filter((report) => (report as SampleReport).score !== undefined).map(({ step: k }) => k)).toEqual([
      1, 3, 5, 7, 9,
    ]);
    const sample = await finish(lane(3, { method: 'sample', sampleSteps: 2 }), noisy());
    expect(latents[0]).toEqual(sample.state.latent);
  });

  test('distil never asks the referee and never restarts', async () => {
    const models = toyModels();
    const { reports } = await finish(lane(1, { method: 'distil' }), models);
    expect(models.calls.alignment).toEqual([]);
    expect(reports.length).toBe(64);
    expect(reports.some((report) => (report as SearchReport).isRestart)).toBe(false);
  });

  test('search moves towards what the referee wants', async () => {
    const own = lane(16, { zNoise: 0.01, guidance: 2 });
    const { state } = await finish(own);
    const distance = (z: Float32Array) => Math.sqrt(z.reduce((sum, v) => sum + (v - 2) ** 2, 0) / COUNT);
    expect(distance(state.latent)).toBeLessThan(0.5 * distance(own.state.latent));
  });
});
