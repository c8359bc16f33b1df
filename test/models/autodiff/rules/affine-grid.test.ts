/**
 * @file AffineGrid: linear in theta, so its gradient by the cotangent is the operator itself.
 */
import { describe, expect, test } from 'vitest';

import { GraphBuilder } from '../../../../models/onnx/builder.ts';
import { int } from '../../../../models/onnx/graph.ts';
import type { Build } from '../check-gradient.ts';
import { checkGradient, randomTensor } from '../check-gradient.ts';

const grid =
  (sizes: readonly number[], corners: number): Build =>
  (b, [theta]) =>
    b.node('AffineGrid', [theta, b.int64(sizes)], { align_corners: int(corners) })[0]!;

describe.each<[readonly number[], readonly number[]]>([
  [
    [2, 2, 3],
    [2, 3, 4, 5],
  ],
  [
    [2, 3, 4],
    [2, 1, 3, 2, 4],
  ],
])('theta %j', (shape, sizes) => {
  test.each([0, 1])('align_corners %i: differences, and once more', async (corners) => {
    const theta = randomTensor(shape, 5, { dtype: 'float32' });
    await checkGradient(grid(sizes, corners), [theta], { isLinear: true });
    await checkGradient(grid(sizes, corners), [theta], { isLinear: true, order: 2 });
  });
});

test('a theta of another shape, or too few sizes, is refused', () => {
  const b = new GraphBuilder('grid');
  const node = (shape: readonly number[], sizes: readonly number[]): unknown =>
    b.node('AffineGrid', [b.input(`theta${shape.join('x')}`, 'float32', shape), b.int64(sizes)]);
  expect(() => node([2, 2, 4], [2, 1, 3, 4])).toThrow('theta has shape [2, 2, 4], expected [N, 2, 3] or [N, 3, 4]');
  expect(() => node([2, 3, 4], [2, 1, 3, 4])).toThrow('4 sizes, expected 5');
});
