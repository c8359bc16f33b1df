/** @file A lane as a step sees it: one search among those that share the calls of the models. */
import type { LanePrompt } from './models.ts';
import type { StepNoise } from './noise.ts';
import type { MethodOptions } from './options.ts';
import type { LaneState } from './state.ts';

export interface StepLane {
  readonly prompt: LanePrompt;
  readonly options: MethodOptions;
  readonly noise: StepNoise;
  readonly state: LaneState;
}

/** One row of the diffusion model's call. */
export interface GuidanceRow {
  readonly noisy: Float32Array;
  readonly timestep: number;
  readonly guidance: number;
}
