import { expect, test } from 'vitest';

import { ACTIVATION_NAMES, activation } from '../../../models/nn/activation.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate } from '../../support/evaluate.ts';
import { toNumbers } from '../../support/numbers.ts';

const FLOAT32 = { rtol: 3e-6, atol: 3e-7 };

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const geluTanh = (x: number): number => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** By its Taylor series, good to 1e-12 for |x| <= 3. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 80; n += 1) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const FORMULAS: Readonly<Record<string, (x: number) => number>> = {
  silu: (x) => x * sigmoid(x),
  swish: (x) => x * sigmoid(x),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_fast: geluTanh,
  quick_gelu: (x) => x * sigmoid(1.702 * x),
  relu: (x) => Math.max(0, x),
  mish: (x) => x * Math.tanh(Math.log1p(Math.exp(x))),
};

test.each(ACTIVATION_NAMES)('%s is its formula', async (name) => {
  const x = float32(Array.from({ length: 65 }, (_, i) => (i - 32) / 8));
  const y = await evaluate({ x }, (b, values) => activation(name)(b, values['x']!));
  expectClose(y, float32(toNumbers(x).map((value) => FORMULAS[name]!(value))), FLOAT32);
});

test('an unknown name is an error that lists the known ones', () => {
  expect(() => activation('snake')).toThrow('activation "snake" is not supported, expected one of silu, swish, gelu');
  expect(() => activation('toString')).toThrow('activation "toString" is not supported');
});
