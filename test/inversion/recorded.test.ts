import { expect, test } from 'vitest';

import { SHAPES_DEFAULTS } from '../../inversion/options.ts';
import { recordedNoise } from '../../inversion/recorded.ts';
import { Reference } from './support/tensors.ts';

const recorded = new Reference('trajectory/reference-trajectory-0.safetensors');
const noise = recordedNoise((name) => recorded.get(`input.${name}`));

test('a step gets its own rows', () => {
  expect(noise.timestep(5, SHAPES_DEFAULTS, 1000)).toBe(recorded.floats('input.timesteps')[5]);
  expect(noise.distillation(23, 256)).toEqual(recorded.row('input.eps', 23));
  expect(noise.stepA(2, 256)).toEqual(recorded.row('input.xi1', 2));
  expect(noise.stepB(2, 256)).toEqual(recorded.row('input.xi2', 2));
  expect(noise.initialLatent(256, 0)).toEqual(recorded.floats('input.z0'));
});

test('matrices become 3x3 and get their inverses', () => {
  const { affine, affineInverse, perspective, jitterOrder } = noise.cutouts(7, SHAPES_DEFAULTS, 28);
  const stored = recorded.row('input.affine_matrix', 7);
  expect(affine.subarray(9, 18)).toEqual(Float32Array.of(...stored.subarray(6, 12), 0, 0, 1));
  expect(perspective).toEqual(recorded.row('input.perspective_matrix', 7));
  expect(Array.from(jitterOrder).sort()).toEqual([0, 1, 2, 3]);
  // Where the matrix takes the pixel (3, 20), the inverse brings it back from.
  const at = (m: Float32Array | Float64Array, x: number, y: number) =>
    [m[0]! * x + m[1]! * y + m[2]!, m[3]! * x + m[4]! * y + m[5]!] as const;
  const [x, y] = at(affineInverse, ...at(affine, 3, 20));
  expect(Math.abs(x - 3) + Math.abs(y - 20)).toBeLessThan(1e-12);
});

test('a rectangle whose flag is 0 erases nothing', () => {
  const flags = recorded.floats('input.erase_flag');
  expect(new Set(flags).size).toBe(2);
  flags.forEach((flag, k) => {
    const rectangle = noise.cutouts(k, SHAPES_DEFAULTS, 28).eraseRectangle;
    expect(rectangle).toEqual(flag === 0 ? new Float32Array(4) : recorded.row('input.erase_rectangle', k));
  });
});

test('what was not recorded is an error that names it', () => {
  expect(() => noise.distillation(24, 256)).toThrow('recorded search: expected at most 24 steps in eps, found step 24');
  const without = (missing: string) =>
    recordedNoise((name) => (name === missing ? undefined : recorded.get(`input.${name}`)));
  expect(() => without('xi2')).toThrow('recorded search: expected a tensor xi2, found none');
});
