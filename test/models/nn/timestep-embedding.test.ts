import { expect, test } from 'vitest';

import { silu } from '../../../models/nn/activation.ts';
import { Scope } from '../../../models/nn/scope.ts';
import { timestepEmbedding, timestepFeatures } from '../../../models/nn/timestep-embedding.ts';
import type { TimestepFeatures } from '../../../models/nn/timestep-embedding.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';
import { toNumbers } from '../../support/numbers.ts';
import { weightsOf } from '../../support/weights.ts';

/** Half a unit in the last place of float32: only the last rounding. */
const ROUNDED = { rtol: 6e-8, atol: 6e-8 };
const TIMESTEPS = [0, 1, 37, 500, 981, 999];

function reference(t: number, { width, flipSinToCos, freqShift }: TimestepFeatures): number[] {
  const half = Math.floor(width / 2);
  const angles = Array.from({ length: half }, (_, i) => t * Math.exp((-Math.log(10_000) * i) / (half - freqShift)));
  const [sines, cosines] = [angles.map((angle) => Math.sin(angle)), angles.map((angle) => Math.cos(angle))];
  const features = flipSinToCos ? [...cosines, ...sines] : [...sines, ...cosines];
  return width % 2 === 0 ? features : [...features, 0];
}

test.each<TimestepFeatures>([
  { width: 8, flipSinToCos: true, freqShift: 0 },
  { width: 8, flipSinToCos: false, freqShift: 1 },
  { width: 320, flipSinToCos: true, freqShift: 0 },
  { width: 9, flipSinToCos: true, freqShift: 0 },
  // Looked up instead of computed.
  { width: 8, flipSinToCos: true, freqShift: 0, below: 1000 },
  { width: 9, flipSinToCos: false, freqShift: 1, below: 1000 },
])('features are exact to the last bit of float32: %j', async (options) => {
  const t = options.below === undefined ? int64(TIMESTEPS) : float32(TIMESTEPS);
  const y = await evaluate({ t }, (b, values) => timestepFeatures(b, values['t']!, options));
  const expected = TIMESTEPS.flatMap((step) => reference(step, options));
  expectClose(y, float32(expected, [TIMESTEPS.length, options.width]), ROUNDED);
});

test('timesteps may be fractions', async () => {
  const options = { width: 8, flipSinToCos: true, freqShift: 0 };
  const t = float32([12.25]);
  const y = await evaluate({ t }, (b, values) => timestepFeatures(b, values['t']!, options));
  expectClose(y, float32(reference(12.25, options), [1, 8]), ROUNDED);
});

test('the embedding is two layers with an activation between, and one after where asked for', async () => {
  const weights = { 'linear_1.weight': noise([5, 4], 2), 'linear_2.weight': noise([5, 5], 3) };
  const source = await weightsOf(weights);
  const x = noise([1, 4]);
  const run = (postAct?: typeof silu): Promise<number[]> =>
    evaluate({ x }, (b, values) =>
      timestepEmbedding(b, new Scope(source), values['x']!, { width: 5, act: silu, postAct }),
    ).then(toNumbers);
  const activated = (v: number): number => v / (1 + Math.exp(-v));
  const product = (name: keyof typeof weights, v: readonly number[]): number[] =>
    Array.from({ length: 5 }, (_, row) =>
      v.reduce((sum, value, i) => sum + value * Number(weights[name].data[row * v.length + i]!), 0),
    );
  const expected = product('linear_2.weight', product('linear_1.weight', toNumbers(x)).map(activated));
  const found = await run();
  const after = await run(silu);
  expected.forEach((value, i) => {
    expect(found[i]).toBeCloseTo(value, 6);
    expect(after[i]).toBeCloseTo(activated(value), 6);
  });
});
