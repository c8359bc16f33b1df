/** @file What a running search tells: one event per thing that happened, as plain data. */
import type { RefereeError } from '../errors.ts';
import type { LaneState } from './state.ts';

/** Losses of one lane in one step: means over its cutouts, and each cutout's own. */
export interface LossReport {
  readonly itm: number;
  readonly itg: number;
  readonly itc?: number;
  /** Weighted sum of the means; what the gradient belongs to, up to vlmWeight. */
  readonly total: number;
  readonly perCutout: { readonly itm: Float32Array; readonly itg: Float32Array; readonly itc?: Float32Array };
}

/** One update of search or distil. */
export interface SearchReport {
  readonly kind: 'search';
  /** From 0. */
  readonly step: number;
  /** Diffusion timestep of the distillation. */
  readonly timestep: number;
  /** lr_k */
  readonly lr: number;
  /** sd_weight_k */
  readonly sdWeight: number;
  /** |g_sds| */
  readonly normSds: number;
  /** Absent outside of the referee phase, like `normVlm` and `scale`. */
  readonly losses?: LossReport;
  /** |g_vlm| */
  readonly normVlm?: number;
  /** |g_sds| / |g_vlm| */
  readonly scale?: number;
  readonly isRestart: boolean;
}

/** One model call of sample or best-of. */
export interface SampleReport {
  readonly kind: 'sample';
  /** From 0, over all candidates. */
  readonly step: number;
  readonly candidate: number;
  readonly timestep: number;
  /** ITM match probability of the candidate that this step finished; best-of only. */
  readonly score?: number;
}

export type StepReport = SearchReport | SampleReport;

interface LaneEvent {
  /** Of the request. */
  readonly id: string;
  /** Steps done. */
  readonly step: number;
}

/** The lane took its place; `step` is above 0 when it resumes. */
export interface StartedEvent extends LaneEvent {
  readonly kind: 'started';
}

export interface StepEvent extends LaneEvent {
  readonly kind: 'step';
  readonly report: StepReport;
  readonly state: LaneState;
}

/** The state should be stored now: at the interval, or because the search was asked to stop. */
export interface CheckpointEvent extends LaneEvent {
  readonly kind: 'checkpoint';
  readonly reason: 'interval' | 'drain';
  readonly state: LaneState;
}

export interface DoneEvent extends LaneEvent {
  readonly kind: 'done';
  readonly state: LaneState;
  /** The latent that becomes the picture. */
  readonly latent: Float32Array;
}

/** The lane left with an error; others go on. */
export interface FailedEvent extends LaneEvent {
  readonly kind: 'failed';
  readonly error: RefereeError;
  /** The last good one. */
  readonly state: LaneState;
}

/** The lane left because it was asked to, with steps still to do; others go on. */
export interface LeftEvent extends LaneEvent {
  readonly kind: 'left';
  readonly state: LaneState;
}

export type SearchEvent = StartedEvent | StepEvent | CheckpointEvent | DoneEvent | FailedEvent | LeftEvent;
