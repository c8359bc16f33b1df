/**
 * @file Where a step's random choices come from. Philox is the default; a recorded search brings its own, so that the
 * very same code replays it.
 */
import { type CutoutParameters, drawCutouts } from './augment.ts';
import type { NoiseBank } from './noise-bank.ts';
import type { MethodOptions } from './options.ts';
import { normals, philoxKey, STREAMS, uniforms } from './random.ts';
import { timestepOf } from './schedule.ts';

/** The random choices of one lane. Every method is a pure function of its arguments: asked twice, it answers the same. */
export interface StepNoise {
  /** Standard normal; `candidate` numbers the samples of best-of and is 0 otherwise. */
  initialLatent(count: number, candidate: number): Float32Array;
  /** Diffusion timestep of the score distillation; `trained` timesteps exist. */
  timestep(step: number, options: MethodOptions, trained: number): number;
  /** eps of the score distillation, standard normal. */
  distillation(step: number, count: number): Float32Array;
  /** xi_A and xi_B of the update, standard normal. */
  stepA(step: number, count: number): Float32Array;
  stepB(step: number, count: number): Float32Array;
  /** Parameters of `options.cutouts` cutouts of `size` pixels. */
  cutouts(step: number, options: MethodOptions, size: number): CutoutParameters;
}

/** The choices that a seed stands for. `bank` needs the window 3 S S of the referee's image size. */
export function philoxNoise(seed: bigint | number, bank: NoiseBank): StepNoise {
  const key = philoxKey(seed);
  return {
    initialLatent: (count, candidate) => normals({ key, stream: STREAMS.initialLatent, step: candidate }, count),
    timestep: (step, options, trained) =>
      timestepOf(uniforms({ key, stream: STREAMS.timestep, step }, 1)[0]!, options, trained),
    distillation: (step, count) => normals({ key, stream: STREAMS.distillationNoise, step }, count),
    stepA: (step, count) => normals({ key, stream: STREAMS.stepNoiseA, step }, count),
    stepB: (step, count) => normals({ key, stream: STREAMS.stepNoiseB, step }, count),
    cutouts: (step, options, size) => drawCutouts({ key, step, options, size, bank }),
  };
}
