/**
 * @file All that a lane carries from step to step, as plain data, and its form as named tensors for checkpoints. Random
 * numbers are no part of it: they are addressed by the step.
 */
import { quoted, RefereeError } from '../errors.ts';
import type { StepNoise } from './noise.ts';
import type { MethodOptions } from './options.ts';
import type { AdamState } from './update.ts';

/** Of the methods search and distil. Arrays are never changed in place: a state may be kept. */
export interface SearchState {
  readonly kind: 'search';
  /** Steps done, hence also the number of the next one. */
  readonly step: number;
  /** z, [C, h, w] */
  readonly latent: Float32Array;
  /** z_ema; the initial latent before the first step. */
  readonly ema: Float32Array;
  /** Factor on the referee's cotangents, a power of two; 1 where they are float32. */
  readonly lossScale: number;
  readonly adam?: AdamState;
}

/** Of the methods sample and best-of, whose candidates are drawn one after the other. */
export interface SampleState {
  readonly kind: 'sample';
  /** Steps done, over all candidates. */
  readonly step: number;
  /** The current candidate on its way; after the last step the last one. */
  readonly latent: Float32Array;
  /** The finished candidate with the highest score so far; best-of only. */
  readonly best?: Float32Array;
  /** ITM match probabilities of the finished candidates; empty for sample. */
  readonly scores: Float32Array;
}

export type LaneState = SearchState | SampleState;

/** Steps of the whole method: updates of a search, model calls of its samples. */
export function totalSteps(options: MethodOptions): number {
  switch (options.method) {
    case 'search':
    case 'distil':
      return options.steps;
    case 'sample':
      return options.sampleSteps;
    case 'best-of':
      return options.sampleSteps * options.candidates;
  }
}

/** `count` = C h w. `lossScale` is what the models ask for, 1 if they do not. */
export function initialState(options: MethodOptions, noise: StepNoise, { count, lossScale = 1 }: StateSize): LaneState {
  const drawn = noise.initialLatent(count, 0);
  if (options.method === 'sample' || options.method === 'best-of') {
    return { kind: 'sample', step: 0, latent: drawn, scores: new Float32Array(0) };
  }
  const latent = drawn.map((value) => options.initStd * value);
  return { kind: 'search', step: 0, latent, ema: latent, lossScale };
}

export interface StateSize {
  readonly count: number;
  readonly lossScale?: number;
}

/** The latent that becomes the picture: last or average by `readout`, the best candidate of best-of. */
export function readoutLatent(state: LaneState, options: MethodOptions): Float32Array {
  if (state.kind === 'sample') return state.best ?? state.latent;
  return options.readout === 'ema' ? state.ema : state.latent;
}

/** The form in which a store keeps a state: little-endian arrays with shapes. */
export interface StateTensor {
  readonly dtype: 'float32' | 'int64';
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

export type StateTensors = Readonly<Record<string, StateTensor>>;
export type LatentShape = readonly [number, number, number];

/** A state as named tensors. `stateFromTensors` gives back the same bytes. */
export function stateToTensors(state: LaneState, latentShape: LatentShape): StateTensors {
  const image = (data: Float32Array): StateTensor => ({ dtype: 'float32', shape: latentShape, data });
  const step: StateTensor = { dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(state.step)) };
  if (state.kind === 'sample') {
    const scores: StateTensor = { dtype: 'float32', shape: [state.scores.length], data: state.scores };
    return { step, latent: image(state.latent), scores, ...(state.best && { best: image(state.best) }) };
  }
  const lossScale: StateTensor = { dtype: 'float32', shape: [], data: Float32Array.of(state.lossScale) };
  const adam = state.adam && { adam_first: image(state.adam.first), adam_second: image(state.adam.second) };
  return { step, latent: image(state.latent), ema: image(state.ema), loss_scale: lossScale, ...adam };
}

/**
 * The state that a checkpoint holds, checked against the options it is to go on with.
 *
 * @throws RefereeError InvalidCheckpoint for a tensor that is missing, of another shape or dtype, or not finite, and for
 * a step outside of the method's.
 */
export function stateFromTensors(
  tensors: Readonly<Record<string, TensorLike>>,
  options: MethodOptions,
  latentShape: LatentShape,
): LaneState {
  const image = (name: string): Float32Array => floats(tensors, name, latentShape);
  const step = wholeNumber(tensors, 'step', totalSteps(options));
  if (options.method === 'search' || options.method === 'distil') {
    const lossScale = floats(tensors, 'loss_scale', [])[0]!;
    if (!(lossScale > 0)) throw invalid('loss_scale', 'a positive number', String(lossScale));
    const adam = 'adam_first' in tensors && { adam: { first: image('adam_first'), second: image('adam_second') } };
    return { kind: 'search', step, latent: image('latent'), ema: image('ema'), lossScale, ...adam };
  }
  const finished = options.method === 'best-of' ? Math.floor(step / options.sampleSteps) : 0;
  const best = finished > 0 && { best: image('best') };
  return { kind: 'sample', step, latent: image('latent'), scores: floats(tensors, 'scores', [finished]), ...best };
}

/** What a reader of safetensors gives. */
interface TensorLike {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: ArrayLike<number> | ArrayLike<bigint>;
}

function tensorOf(
  tensors: Readonly<Record<string, TensorLike>>,
  name: string,
  dtype: string,
  shape: readonly number[],
) {
  const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
  const expected = `${dtype} [${shape.join(', ')}]`;
  if (tensor === undefined) throw invalid(name, expected, 'nothing');
  const found = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
  if (found !== expected) throw invalid(name, expected, found);
  return tensor;
}

function floats(tensors: Readonly<Record<string, TensorLike>>, name: string, shape: readonly number[]): Float32Array {
  const { data } = tensorOf(tensors, name, 'float32', shape);
  const values = Float32Array.from(data as ArrayLike<number>);
  const bad = values.find((value) => !Number.isFinite(value));
  if (bad !== undefined) throw invalid(name, 'finite numbers', String(bad));
  return values;
}

function wholeNumber(tensors: Readonly<Record<string, TensorLike>>, name: string, max: number): number {
  const value = Number(tensorOf(tensors, name, 'int64', []).data[0]);
  if (value >= 0 && value <= max) return value;
  throw invalid(name, `a whole number from 0 to ${max}`, String(value));
}

function invalid(name: string, expected: string, found: string): RefereeError {
  return new RefereeError(
    'InvalidCheckpoint',
    `checkpoint: tensor ${quoted(name)}: expected ${expected}, found ${found}`,
  );
}
