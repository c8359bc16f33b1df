import { expect, test } from 'vitest';

import { groupNorm, layerNorm } from '../../../models/nn/norm.ts';
import { Scope } from '../../../models/nn/scope.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';
import { weightsOf } from '../../support/weights.ts';

const FLOAT32 = { rtol: 1e-5, atol: 2e-6 };

/** Normalises runs of `length` elements in float64, then scales and shifts by the element's channel. */
function reference(
  x: Tensor,
  { length, epsilon, channelOf }: { length: number; epsilon: number; channelOf: (at: number) => number },
  { weight, bias }: { weight: Tensor; bias?: Tensor },
): Tensor {
  const values = Array.from(x.data, Number);
  const y = values.map((value, at) => {
    const start = Math.floor(at / length) * length;
    const run = values.slice(start, start + length);
    const mean = run.reduce((sum, v) => sum + v, 0) / length;
    const variance = run.reduce((sum, v) => sum + (v - mean) ** 2, 0) / length;
    const channel = channelOf(at);
    const scaled = ((value - mean) / Math.sqrt(variance + epsilon)) * Number(weight.data[channel]!);
    return scaled + Number(bias?.data[channel] ?? 0);
  });
  return float32(y, x.shape);
}

test.each([1e-5, 0.5])('layer norm over the last axis, epsilon %d', async (epsilon) => {
  const weights = { weight: noise([6], 2), bias: noise([6], 3) };
  const source = await weightsOf(weights);
  const x = noise([2, 3, 6]);
  const y = await evaluate({ x }, (b, values) => layerNorm(b, new Scope(source), values['x']!, epsilon));
  expectClose(y, reference(x, { length: 6, epsilon, channelOf: (at) => at % 6 }, weights), FLOAT32);
});

test('layer norm without a shift', async () => {
  const weights = { weight: noise([6], 2) };
  const source = await weightsOf(weights);
  const x = noise([2, 6]);
  const y = await evaluate({ x }, (b, values) => layerNorm(b, new Scope(source), values['x']!, 1e-5));
  expectClose(y, reference(x, { length: 6, epsilon: 1e-5, channelOf: (at) => at % 6 }, weights), FLOAT32);
});

test.each([
  [1, 1e-6],
  [2, 1e-6],
  [2, 0.5],
  [6, 1e-5],
])('group norm with %d groups, epsilon %d', async (groups, epsilon) => {
  const weights = { weight: noise([6], 2), bias: noise([6], 3) };
  const source = await weightsOf(weights);
  const x = noise([2, 6, 3, 5]);
  const y = await evaluate({ x }, (b, values) => groupNorm(b, new Scope(source), values['x']!, { groups, epsilon }));
  const length = (6 / groups) * 15;
  const expected = reference(x, { length, epsilon, channelOf: (at) => Math.floor(at / 15) % 6 }, weights);
  expectClose(y, expected, FLOAT32);
});

test('channels that cannot be split into the groups are an error that names the norm', async () => {
  const source = await weightsOf({ 'norm1.weight': noise([6]), 'norm1.bias': noise([6]) });
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', ['B', 6, 2, 2]);
  expect(() => groupNorm(b, new Scope(source).child('norm1'), x, { groups: 4, epsilon: 1e-5 })).toThrow(
    'group norm norm1: 6 channels cannot be split into 4 groups',
  );
});
