import { describe, expect, test } from 'vitest';

import { philoxNoise } from '../../inversion/noise.ts';
import { resolveOptions, SHAPES_DEFAULTS } from '../../inversion/options.ts';
import {
  initialState,
  type LaneState,
  readoutLatent,
  type StateTensors,
  stateFromTensors,
  stateToTensors,
  totalSteps,
} from '../../inversion/state.ts';
import { BANK } from './support/toy-models.ts';

const SHAPE = [1, 1, 2] as const;
const options = resolveOptions(SHAPES_DEFAULTS);
const bestOf = resolveOptions(SHAPES_DEFAULTS, { method: 'best-of', candidates: 3, sampleSteps: 10 });
const search: LaneState = {
  kind: 'search',
  step: 7,
  latent: Float32Array.of(1, 2),
  ema: Float32Array.of(3, 4),
  lossScale: 1024,
  adam: { first: Float32Array.of(5, 6), second: Float32Array.of(7, 8) },
};
const sample: LaneState = {
  kind: 'sample',
  step: 21,
  latent: Float32Array.of(1, 2),
  best: Float32Array.of(3, 4),
  scores: Float32Array.of(0.25, 0.5),
};

test('totals by method', () => {
  const total = (overrides: object) => totalSteps(resolveOptions(SHAPES_DEFAULTS, overrides));
  expect(total({ method: 'search' })).toBe(64);
  expect(total({ method: 'distil', steps: 9 })).toBe(9);
  expect(total({ method: 'sample' })).toBe(50);
  expect(total({ method: 'best-of', candidates: 8 })).toBe(400);
});

test('a search starts from scaled noise, a sample from unit noise of the same seed', () => {
  const noise = philoxNoise(3n, BANK);
  const wide = initialState({ ...options, initStd: 2 }, noise, { count: 8 });
  const unit = initialState(bestOf, noise, { count: 8 });
  expect(wide.latent).toEqual(unit.latent.map((value) => 2 * value));
  expect(wide).toMatchObject({ kind: 'search', step: 0, lossScale: 1 });
  expect(initialState(options, noise, { count: 8, lossScale: 512 })).toMatchObject({ lossScale: 512 });
});

test('the picture comes from the latent, the average or the best candidate', () => {
  expect(readoutLatent(search, { ...options, readout: 'latent' })).toEqual(Float32Array.of(1, 2));
  expect(readoutLatent(search, { ...options, readout: 'ema' })).toEqual(Float32Array.of(3, 4));
  expect(readoutLatent(sample, bestOf)).toEqual(Float32Array.of(3, 4));
});

describe('tensors', () => {
  const { adam: _, ...plain } = search;

  test.each([
    ['search', plain, options],
    ['search with Adam', search, options],
    ['best-of in its third candidate', sample, bestOf],
    [
      'best-of in its first',
      { kind: 'sample', step: 9, latent: Float32Array.of(1, 2), scores: new Float32Array(0) },
      bestOf,
    ],
  ] as const)('%s comes back as it went', (_name, state, its) => {
    expect(stateFromTensors(stateToTensors(state, SHAPE), its, SHAPE)).toEqual(state);
  });

  test.each([
    ['nothing', { latent: undefined }, 'tensor "latent": expected float32 [1, 1, 2], found nothing'],
    [
      'another shape',
      { ema: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) } },
      'tensor "ema": expected float32 [1, 1, 2], found float32 [2]',
    ],
    [
      'another dtype',
      { step: { dtype: 'float32', shape: [], data: Float32Array.of(1) } },
      'tensor "step": expected int64 [], found float32 []',
    ],
    [
      'not a number',
      { latent: { dtype: 'float32', shape: SHAPE, data: Float32Array.of(1, Number.NaN) } },
      'tensor "latent": expected finite numbers, found NaN',
    ],
    [
      'a step too late',
      { step: { dtype: 'int64', shape: [], data: BigInt64Array.of(65n) } },
      'tensor "step": expected a whole number from 0 to 64, found 65',
    ],
    [
      'a negative step',
      { step: { dtype: 'int64', shape: [], data: BigInt64Array.of(-1n) } },
      'tensor "step": expected a whole number from 0 to 64, found -1',
    ],
    [
      'a scale of zero',
      { loss_scale: { dtype: 'float32', shape: [], data: Float32Array.of(0) } },
      'tensor "loss_scale": expected a positive number, found 0',
    ],
  ])('%s is refused', (_name, change, message) => {
    const changed = { ...stateToTensors(search, SHAPE), ...change } as StateTensors;
    expect(() => stateFromTensors(changed, options, SHAPE)).toThrow(
      expect.objectContaining({ code: 'InvalidCheckpoint', message: `checkpoint: ${message}` }),
    );
  });

  test('the state of another method is refused', () => {
    expect(() => stateFromTensors(stateToTensors(sample, SHAPE), options, SHAPE)).toThrow(
      'checkpoint: tensor "loss_scale"',
    );
    expect(() => stateFromTensors(stateToTensors(search, SHAPE), bestOf, SHAPE)).toThrow('checkpoint: tensor "scores"');
  });
});
