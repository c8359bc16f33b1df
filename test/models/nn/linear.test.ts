import { expect, test } from 'vitest';

import { linear, linearParts, sizeOf } from '../../../models/nn/linear.ts';
import { Scope } from '../../../models/nn/scope.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import * as op from '../../../models/onnx/ops.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';
import { weightsOf } from '../../support/weights.ts';

const FLOAT32 = { rtol: 1e-6, atol: 1e-6 };

/** Straight from the formula, in float64. */
function reference(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const width = x.shape.at(-1)!;
  const features = weight.shape[0]!;
  const rows = x.data.length / width;
  const y = new Float64Array(rows * features);
  for (let row = 0; row < rows; row += 1) {
    for (let f = 0; f < features; f += 1) {
      let sum = Number(bias?.data[f] ?? 0);
      for (let i = 0; i < width; i += 1) sum += Number(x.data[row * width + i]!) * Number(weight.data[f * width + i]!);
      y[row * features + f] = sum;
    }
  }
  return float32(y, [...x.shape.slice(0, -1), features]);
}

test.each([[[2, 3]], [[2, 5, 3]], [[2, 4, 5, 3]]])(
  'multiplies the last axis of %j and adds the bias',
  async (shape) => {
    const weights = { weight: noise([4, 3], 2), bias: noise([4], 3) };
    const source = await weightsOf(weights);
    const x = noise(shape);
    const y = await evaluate({ x }, (b, values) => linear(b, new Scope(source), values['x']!, 4));
    expectClose(y, reference(x, weights.weight, weights.bias), FLOAT32);
  },
);

test('works without a bias, and with the kernel of a 1x1 convolution', async () => {
  const weight = noise([4, 3], 2);
  const x = noise([2, 5, 3]);
  for (const shape of [
    [4, 3],
    [4, 3, 1, 1],
  ]) {
    const source = await weightsOf({ weight: { ...weight, shape } });
    const y = await evaluate({ x }, (b, values) => linear(b, new Scope(source), values['x']!, 4));
    expectClose(y, reference(x, weight), FLOAT32);
  }
});

test.each([true, false])('parts of one weight are products of their own, bias %s', async (hasBias) => {
  const weights = { weight: noise([6, 3], 2), ...(hasBias && { bias: noise([6], 3) }) };
  const source = await weightsOf(weights);
  const x = noise([2, 5, 3]);
  const y = await evaluate({ x }, (b, values) =>
    op.concat(b, linearParts(b, new Scope(source), values['x']!, { parts: 3, features: 2 }), 2),
  );
  expectClose(y, reference(x, weights.weight, weights.bias), FLOAT32);
});

test('a size that is not fixed is an error that names the value', () => {
  const x = new GraphBuilder('g').input('x', 'float32', ['B', 3]);
  expect(sizeOf(x, 1)).toBe(3);
  expect(() => sizeOf(x, 0)).toThrow('value x: axis 0 of [B, 3] must have a fixed size');
});
