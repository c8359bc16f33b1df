import { describe, expect, test } from 'vitest';

import type { SearchReport } from '../../inversion/events.ts';
import type { AlignmentInput, GuidanceInput, SearchModels } from '../../inversion/models.ts';
import { resolveOptions, SHAPES_DEFAULTS } from '../../inversion/options.ts';
import { recordedNoise } from '../../inversion/recorded.ts';
import type { SearchState } from '../../inversion/state.ts';
import { step, type StepOutcome } from '../../inversion/step.ts';
import { toyModels, toyPrompt } from './support/toy-models.ts';
import { Reference, relativeError } from './support/tensors.ts';

/**
 * A recorded PyTorch search of 24 steps: its gradients are given to our step, everything around them is ours. Computed
 * there in float64 and stored as float32, so the inputs of a step are off by half a unit of float32 each.
 */
const recorded = new Reference('trajectory/reference-trajectory-0.safetensors');
const RTOL_FLOAT32 = 3 * 2 ** -23;
/** Errors of 24 steps add up. */
const RTOL_FREE_RUNNING = 24 * RTOL_FLOAT32;
const STEPS = 24;
const AREA = 64;

const options = resolveOptions(SHAPES_DEFAULTS, {
  steps: STEPS,
  refereeEnd: 20,
  emaStart: 8,
  emaRestart: 6,
  vlmWeight: 2,
});

const noise = recordedNoise((name) => recorded.get(`input.${name}`));

/** Models that answer step k as the recorded ones did; `asked` keeps what the diffusion model was given. */
function recordedModels(k: number): { models: SearchModels; asked: GuidanceInput[] } {
  const asked: GuidanceInput[] = [];
  const alphas = new Float64Array(1000);
  recorded.floats('input.timesteps').forEach((t, i) => (alphas[t] = recorded.floats('input.alphas_cumprod')[i]!));
  const models = toyModels({
    latentShape: [4, 8, 8],
    cutoutSize: 28,
    alphasCumprod: alphas,
    guidance: (input) => {
      asked.push(input);
      // g_sds = w 2 (e - eps)/(h w), solved for e.
      const weight = recorded.floats('output.sd_weight')[k]! * 2;
      const eps = recorded.row('input.eps', k);
      return Promise.resolve(recorded.row('output.g_sds', k).map((g, i) => (g * AREA) / weight + eps[i]!));
    },
    alignment: (input: AlignmentInput) => {
      expect(input.cutouts.noise).toEqual(recorded.row('input.noise', k));
      expect(input.weights.vlm).toEqual(Float32Array.of(2));
      return Promise.resolve({
        gradient: recorded.row('output.g_vlm', k),
        itm: new Float32Array(3).fill(recorded.floats('output.itm')[k]!),
        itg: new Float32Array(3).fill(recorded.floats('output.itg')[k]!),
      });
    },
  });
  return { models, asked };
}

async function advance(
  k: number,
  state: SearchState,
): Promise<{ state: SearchState; report: SearchReport; asked: GuidanceInput }> {
  const { models, asked } = recordedModels(k);
  const [outcome] = (await step([{ prompt: toyPrompt(0), options, noise, state }], models)) as [StepOutcome];
  if (!outcome.ok) throw outcome.error;
  return { state: outcome.state as SearchState, report: outcome.report as SearchReport, asked: asked[0]! };
}

function recordedState(k: number): SearchState {
  const latent = recorded.row('output.z_before', k);
  return { kind: 'search', step: k, latent, ema: k === 0 ? latent : recorded.row('output.ema', k - 1), lossScale: 1 };
}

const STEP_NUMBERS = Array.from({ length: STEPS }, (_, k) => k);

test.each(STEP_NUMBERS)('step %i from its recorded beginning', async (k) => {
  const { state, report, asked } = await advance(k, recordedState(k));
  expect(relativeError(state.latent, recorded.row('output.z', k))).toBeLessThan(RTOL_FLOAT32);
  expect(relativeError(state.ema, recorded.row('output.ema', k))).toBeLessThan(RTOL_FLOAT32);
  expect(relativeError([report.lr], [recorded.floats('output.lr')[k]!])).toBeLessThan(RTOL_FLOAT32);
  expect(relativeError([report.sdWeight], [recorded.floats('output.sd_weight')[k]!])).toBeLessThan(RTOL_FLOAT32);
  expect(relativeError([report.normSds], [recorded.floats('output.norm_sds')[k]!])).toBeLessThan(RTOL_FLOAT32);
  expect(report.timestep).toBe(recorded.floats('input.timesteps')[k]);
  expect(report.isRestart).toBe([7, 13, 19].includes(k));
  expect(state.step).toBe(k + 1);

  const [a, q] = [recorded.floats('input.alphas_cumprod')[k]!, 1 - recorded.floats('input.alphas_cumprod')[k]!].map(
    Math.sqrt,
  );
  const eps = recorded.row('input.eps', k);
  const noisy = recorded.row('output.z_before', k).map((z, i) => a! * z + q! * eps[i]!);
  expect(relativeError(asked.noisy, noisy)).toBeLessThan(RTOL_FLOAT32);
  expect(asked.timesteps).toEqual(Float32Array.of(report.timestep));
  expect(asked.guidance).toEqual(Float32Array.of(10));
});

describe('the referee phase', () => {
  test.each(STEP_NUMBERS.slice(0, 20))('step %i reports losses, norm and scale', async (k) => {
    const { report } = await advance(k, recordedState(k));
    expect(report.losses!.itm).toBeCloseTo(recorded.floats('output.itm')[k]!, 5);
    expect(report.losses!.itg).toBeCloseTo(recorded.floats('output.itg')[k]!, 5);
    expect(report.losses!.total).toBeCloseTo(recorded.floats('output.itm')[k]! + recorded.floats('output.itg')[k]!, 5);
    expect(relativeError([report.normVlm!], [recorded.floats('output.norm_vlm')[k]!])).toBeLessThan(RTOL_FLOAT32);
    expect(relativeError([report.scale!], [recorded.floats('output.scale')[k]!])).toBeLessThan(2 * RTOL_FLOAT32);
  });

  test.each(STEP_NUMBERS.slice(20))('step %i lies after it', async (k) => {
    const { report } = await advance(k, recordedState(k));
    expect([report.losses, report.normVlm, report.scale]).toEqual([undefined, undefined, undefined]);
  });
});

test('all steps in a row, with the recorded gradients, end where the recording ends', async () => {
  let state: SearchState = recordedState(0);
  for (const k of STEP_NUMBERS) ({ state } = await advance(k, state));
  expect(relativeError(state.latent, recorded.row('output.z', 23))).toBeLessThan(RTOL_FREE_RUNNING);
  expect(relativeError(state.ema, recorded.row('output.ema', 23))).toBeLessThan(RTOL_FREE_RUNNING);
});
