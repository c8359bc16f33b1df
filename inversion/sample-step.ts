/**
 * @file One step of one lane of sample or best-of: a DDIM step of the current candidate; best-of scores each finished
 * candidate and keeps the best. Candidates follow one another in one lane, so that a lane's cost per step is the same
 * for every method.
 */
import type { SampleReport } from './events.ts';
import { assertFinite } from './finite.ts';
import type { GuidanceRow, StepLane } from './lane.ts';
import type { SearchModels } from './models.ts';
import { ddimSteps, type DdimStep } from './sampler.ts';
import { type SampleState, totalSteps } from './state.ts';

export interface SampleDraw extends GuidanceRow {
  readonly candidate: number;
  readonly ddim: DdimStep;
}

/** Where the lane's next step is, and what to ask of the diffusion model. */
export function drawSample({ options }: StepLane, { step, latent }: SampleState, models: SearchModels): SampleDraw {
  const { alphasCumprod, predictionType, ddim: convention } = models;
  const { sampleSteps: steps, sampleGuidance: guidance } = options;
  const ddim = ddimSteps({ alphasCumprod, predictionType, convention, steps })[step % steps]!;
  return { noisy: latent, timestep: ddim.timestep, guidance, ddim, candidate: Math.floor(step / steps) };
}

/** The candidate one step further: z <- sampleCoefficient z + modelCoefficient o. */
export function advanceSample(
  state: SampleState,
  { ddim, candidate }: SampleDraw,
  output: Float32Array,
): { state: SampleState; report: SampleReport } {
  const { sampleCoefficient, modelCoefficient, timestep } = ddim;
  const latent = state.latent.map((z, i) => sampleCoefficient * z + modelCoefficient * output[i]!);
  assertFinite(latent, state.step, 'the latent');
  const report: SampleReport = { kind: 'sample', step: state.step, candidate, timestep };
  return { state: { ...state, step: state.step + 1, latent }, report };
}

/** Whether the step that led to `state` finished a candidate that the referee has to score. */
export function isScoreDue({ options }: StepLane, { step }: SampleState): boolean {
  return options.method === 'best-of' && step % options.sampleSteps === 0;
}

/** `state` with its finished candidate scored, kept if it is the best, and the next candidate begun. The first wins ties. */
export function keepBest({ options, noise }: StepLane, state: SampleState, score: number): SampleState {
  assertFinite(Float32Array.of(score), state.step - 1, "the referee's score");
  const isBest = state.best === undefined || score > Math.max(...state.scores);
  const scores = Float32Array.of(...state.scores, score);
  const isLast = state.step === totalSteps(options);
  return {
    kind: 'sample',
    step: state.step,
    latent: isLast ? state.latent : noise.initialLatent(state.latent.length, scores.length),
    best: isBest ? state.latent : state.best,
    scores,
  };
}
