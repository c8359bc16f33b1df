/**
 * @file What a search needs of the frozen models: a pack's graphs as functions over L lanes. Whoever owns a device
 * implements it; everything in this room is written against it, so a test may put closed forms in its place.
 *
 * Arrays are row-major float32 unless stated, the first axis runs over lanes. An implementation must compute each lane
 * from that lane's rows alone: the bytes of a lane must not depend on its neighbours.
 */
import type { CutoutParameters } from './augment.ts';
import type { DdimConvention } from './sampler.ts';
import type { PredictionType } from './schedule.ts';

/** What the models know of a lane's prompt: computed once per prompt, constant over its search. */
export interface LanePrompt {
  /** Text context of the empty (or negative) prompt, [T, D]. */
  readonly contextNull: Float32Array;
  /** Text context of prefix + prompt, [T, D]. */
  readonly contextPrompt: Float32Array;
  /** The referee's tokens of the prompt, padded, [N]. */
  readonly refereeIds: BigInt64Array;
  /** 1 where `refereeIds` is a token, 0 where it is padding, [N]. */
  readonly refereeMask: BigInt64Array;
  /** `refereeIds` with the decoder's start token in the first place, [N]. */
  readonly decoderIds: BigInt64Array;
}

/** Weights of one lane's losses; each array is [L]. */
export interface LossWeights {
  readonly itm: Float32Array;
  readonly itg: Float32Array;
  readonly itc: Float32Array;
  /** Factor of the whole loss (`vlmWeight`, times the loss scale where gradients are in half precision). */
  readonly vlm: Float32Array;
  /** Smoothing of the targets of ITG, 0..1. */
  readonly labelSmoothing: Float32Array;
}

export interface AlignmentInput {
  /** L, the number of lanes of this call. */
  readonly lanes: number;
  /** n, the number of cutouts of every lane of this call. */
  readonly cutoutsPerLane: number;
  /** [L, C, h, w], in the scaled space of the diffusion model. */
  readonly latents: Float32Array;
  /** L prompts. */
  readonly prompts: readonly LanePrompt[];
  /** Of all lanes, stacked: first axes are L * n (lane-major) or, for what a lane's cutouts share, L. */
  readonly cutouts: CutoutParameters;
  /** Factor of the second pixel noise, [L]. */
  readonly noiseScale: Float32Array;
  readonly weights: LossWeights;
}

export interface AlignmentOutput {
  /** d/dz of vlm * (mean over the lane's cutouts of itm ITM + itg ITG + itc ITC), [L, C, h, w]. */
  readonly gradient: Float32Array;
  /** Unweighted losses of every cutout, [L * n]. */
  readonly itm: Float32Array;
  readonly itg: Float32Array;
  /** Absent where the graph does not compute it; then every `weights.itc` must be 0. */
  readonly itc?: Float32Array;
}

export interface GuidanceInput {
  readonly lanes: number;
  /** Noisy latents z_t, [L, C, h, w]. */
  readonly noisy: Float32Array;
  /** Whole numbers, [L]. */
  readonly timesteps: Float32Array;
  /** Classifier-free guidance scale g, [L]. */
  readonly guidance: Float32Array;
  readonly prompts: readonly LanePrompt[];
}

export interface ScoreInput {
  readonly lanes: number;
  /** [L, C, h, w] */
  readonly latents: Float32Array;
  readonly prompts: readonly LanePrompt[];
}

export interface SearchModels {
  /** C, h, w */
  readonly latentShape: readonly [number, number, number];
  /** S, the referee's image size in pixels. */
  readonly cutoutSize: number;
  /** Of the diffusion model's noise schedule, one value per training timestep (`alphasCumprod` of schedule.ts). */
  readonly alphasCumprod: Float64Array;
  readonly predictionType: PredictionType;
  /** How the pack's scheduler counts timesteps; used by the methods that sample. */
  readonly ddim: DdimConvention;
  /** Factor on cotangents that a new lane starts with, a power of two; 1 (the default) where gradients are float32. */
  readonly initialLossScale?: number;

  /** Losses of the referees and the gradient of their weighted sum. */
  alignment(input: AlignmentInput): Promise<AlignmentOutput>;
  /** Guided output of the diffusion model, o_u + g (o_c - o_u), in the model's own prediction type, [L, C, h, w]. */
  guidance(input: GuidanceInput): Promise<Float32Array>;
  /** Probability 0..1 that the decoded, un-augmented image matches the prompt (ITM), [L]. */
  score(input: ScoreInput): Promise<Float32Array>;
  /** Images [L, 3, H, W] in 0..1. */
  decode(latents: Float32Array, lanes: number): Promise<Float32Array>;
}
