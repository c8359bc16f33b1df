import { expect, test } from 'vitest';

import { philoxNoise } from '../../inversion/noise.ts';
import { resolveOptions, SHAPES_DEFAULTS } from '../../inversion/options.ts';
import { normals, philoxKey, STREAMS, uniforms } from '../../inversion/random.ts';
import { BANK, SIZE } from './support/toy-models.ts';

const SEED = 0xfedcba9876543210n;
const key = philoxKey(SEED);
const noise = philoxNoise(SEED, BANK);
const options = resolveOptions(SHAPES_DEFAULTS);

test('every choice comes from its own stream', () => {
  const from = (stream: (typeof STREAMS)[keyof typeof STREAMS], step: number) => normals({ key, stream, step }, 20);
  expect(noise.initialLatent(20, 3)).toEqual(from(STREAMS.initialLatent, 3));
  expect(noise.distillation(9, 20)).toEqual(from(STREAMS.distillationNoise, 9));
  expect(noise.stepA(9, 20)).toEqual(from(STREAMS.stepNoiseA, 9));
  expect(noise.stepB(9, 20)).toEqual(from(STREAMS.stepNoiseB, 9));
  const [u] = uniforms({ key, stream: STREAMS.timestep, step: 9 }, 1);
  // [50, 949)
  expect(noise.timestep(9, options, 1000)).toBe(50 + Math.floor(u! * 899));
});

/** Which uniform of a cutout's twenty is what: checkpoints are resumed under the same numbers. */
test('the places of a cutout in the augmentation stream do not move', () => {
  const drawn = noise.cutouts(9, options, SIZE);
  const u = uniforms({ key, stream: STREAMS.augmentation, step: 9 }, 60);
  for (let i = 0; i < 3; i++) {
    const own = u.subarray(i * 20, i * 20 + 20);
    const m = drawn.affine.subarray(i * 9, i * 9 + 9);
    const centre = (SIZE - 1) / 2;
    expect((Math.atan2(m[3]!, m[0]!) * 180) / Math.PI).toBeCloseTo((2 * own[0]! - 1) * 15, 4);
    expect(m[0]! * centre + m[1]! * centre + m[2]! - centre).toBeCloseTo((2 * own[1]! - 1) * 0.1 * SIZE, 4);
    expect(m[3]! * centre + m[4]! * centre + m[5]! - centre).toBeCloseTo((2 * own[2]! - 1) * 0.1 * SIZE, 4);
    expect(drawn.perspectiveFlag[i]).toBe(own[4]! < 0.4 ? 1 : 0);
    if (own[4]! < 0.4) {
      // The upper left corner, inwards by up to half of 0.2 of the size.
      const [, , x, , , y] = drawn.perspective.subarray(i * 9, i * 9 + 9);
      expect([x, y]).toEqual([expect.closeTo(own[5]! * 0.1 * SIZE, 5), expect.closeTo(own[6]! * 0.1 * SIZE, 5)]);
    }
    expect(drawn.jitterFlag[i]).toBe(own[13]! < 0.5 ? 1 : 0);
    expect(drawn.jitterFactors[i * 4]).toBeCloseTo(0.9 + 0.2 * own[14]!, 6);
    expect(drawn.jitterFactors[i * 4 + 3]).toBeCloseTo(0.02 * (2 * own[17]! - 1), 7);
    expect(drawn.noiseFactor[i]).toBeCloseTo(0.1 * own[18]!, 7);
  }
});
