/**
 * @file A search whose random choices were recorded: the same step then replays it. Tensor names are those of recorded
 * trajectories; the first axis is the step, the second the cutout.
 */
import { RefereeError } from '../errors.ts';
import type { CutoutParameters } from './augment.ts';
import type { StepNoise } from './noise.ts';
import { invert } from './warp.ts';

/** A recorded tensor, of whichever dtype it was stored in. */
export interface RecordedTensor {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number> | ArrayLike<bigint>;
}

/**
 * Random choices out of the tensors z0, timesteps, eps, xi1, xi2, affine_matrix, affine_flag, perspective_matrix,
 * perspective_flag, jitter_flag, jitter_factors, jitter_order, erase_flag, erase_rectangle, noise_factor, noise, noise2.
 *
 * @throws RefereeError InvalidInput, here for a tensor that is missing, later for a step that was not recorded.
 */
export function recordedNoise(tensorOf: (name: string) => RecordedTensor | undefined): StepNoise {
  const tensor = (name: string): RecordedTensor => {
    const found = tensorOf(name);
    if (found !== undefined) return found;
    throw new RefereeError('InvalidInput', `recorded search: expected a tensor ${name}, found none`);
  };
  const rows = (name: string): ((step: number) => Float32Array) => {
    const { shape, data } = tensor(name);
    const [steps = 0, ...axes] = shape;
    const size = axes.reduce((product, axis) => product * axis, 1);
    return (step) => {
      if (step < steps) return Float32Array.from({ length: size }, (_, i) => Number(data[step * size + i]!));
      throw new RefereeError(
        'InvalidInput',
        `recorded search: expected at most ${steps} steps in ${name}, found step ${step}`,
      );
    };
  };
  const initial = Float32Array.from(tensor('z0').data as ArrayLike<number>, Number);
  const timestep = rows('timesteps');
  return {
    initialLatent: () => initial,
    timestep: (step) => timestep(step)[0]!,
    distillation: rows('eps'),
    stepA: rows('xi1'),
    stepB: rows('xi2'),
    cutouts: recordedCutouts(rows),
  };
}

function recordedCutouts(rows: (name: string) => (step: number) => Float32Array): (step: number) => CutoutParameters {
  const affine = rows('affine_matrix');
  const affineFlag = rows('affine_flag');
  const perspective = rows('perspective_matrix');
  const perspectiveFlag = rows('perspective_flag');
  const jitterFlag = rows('jitter_flag');
  const jitterFactors = rows('jitter_factors');
  const jitterOrder = rows('jitter_order');
  const eraseFlag = rows('erase_flag');
  const eraseRectangle = rows('erase_rectangle');
  const noiseFactor = rows('noise_factor');
  const noise = rows('noise');
  const noise2 = rows('noise2');
  return (step) => {
    const affine3x3 = Float32Array.from(eachOf(affine(step), 6, (m) => [...m, 0, 0, 1]));
    const perspective3x3 = perspective(step);
    const isErased = eraseFlag(step)[0] !== 0;
    return {
      affine: affine3x3,
      affineInverse: Float64Array.from(eachOf(affine3x3, 9, invert)),
      affineFlag: affineFlag(step),
      perspective: perspective3x3,
      perspectiveInverse: Float64Array.from(eachOf(perspective3x3, 9, invert)),
      perspectiveFlag: perspectiveFlag(step),
      jitterFlag: jitterFlag(step),
      jitterFactors: jitterFactors(step),
      jitterOrder: Int32Array.from(jitterOrder(step)),
      eraseRectangle: isErased ? eraseRectangle(step) : new Float32Array(4),
      noiseFactor: noiseFactor(step),
      noise: noise(step),
      noise2: noise2(step),
    };
  };
}

/** Every `size` values changed into others, one after the other. */
function eachOf(values: Float32Array, size: number, change: (part: Float32Array) => Iterable<number>): number[] {
  const parts = Array.from({ length: values.length / size }, (_, i) => values.subarray(i * size, (i + 1) * size));
  return parts.flatMap((part) => [...change(part)]);
}
