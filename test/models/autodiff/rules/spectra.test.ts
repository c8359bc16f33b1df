/**
 * @file Fourier transforms, which are linear, so that differences hold over any step.
 */
import { describe, test } from 'vitest';

import { int } from '../../../../models/onnx/graph.ts';
import type { Attributes } from '../../../../models/onnx/graph.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

interface Transform {
  readonly shape: readonly number[];
  readonly axis: number;
  readonly length?: number;
  readonly attributes?: Attributes;
}

const TRANSFORMS: readonly (readonly [string, Transform])[] = [
  ['of real numbers', { shape: [2, 7, 1], axis: 1 }],
  ['of complex numbers', { shape: [2, 6, 3, 2], axis: -3 }],
  ['cut', { shape: [2, 7, 2], axis: -2, length: 5 }],
  ['with zeros behind', { shape: [2, 5, 1], axis: 1, length: 9 }],
  ['half of the frequencies, an even number', { shape: [2, 8, 1], axis: 1, attributes: { onesided: int(1) } }],
  [
    'half of the frequencies, cut to an odd one',
    { shape: [8, 3, 1], axis: 0, length: 7, attributes: { onesided: int(1) } },
  ],
  ['the inverse', { shape: [2, 6, 2], axis: 1, attributes: { inverse: int(1) } }],
  ['the inverse, with zeros behind', { shape: [2, 6, 2], axis: 1, length: 8, attributes: { inverse: int(1) } }],
  [
    'real numbers from half of their frequencies',
    { shape: [2, 5, 2], axis: 1, attributes: { inverse: int(1), onesided: int(1) } },
  ],
  [
    'an odd number of them',
    { shape: [2, 5, 2], axis: 1, length: 9, attributes: { inverse: int(1), onesided: int(1) } },
  ],
];

describe('Fourier transforms', () => {
  test.each(TRANSFORMS)('%s', async (_, { shape, axis, length, attributes = {} }) => {
    await checkGradient(
      (b, [x]) => {
        const asked = length === undefined ? undefined : b.scalar(length, 'int64');
        return b.node('DFT', [x, asked, b.scalar(axis, 'int64')], attributes)[0]!;
      },
      [randomTensor(shape, 3, { dtype: 'float32' })],
      { isLinear: true },
    );
  });
});
