import { expect, test } from 'vitest';

import { poolToSize } from '../../../models/nn/pool-to-size.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import { augmentFixture, expectAsStated, expectWithin, gradientOf, pseudorandom } from '../../support/augment.ts';
import { tensorOf } from '../../support/fixtures.ts';
import { runGraph } from '../../support/run-graph.ts';

async function pool(image: Tensor, size: number, { cotangent, own = true }: { cotangent: Tensor; own?: boolean }) {
  const b = new GraphBuilder('pool');
  const x = b.input('x', 'float32', ['B', ...image.shape.slice(1)]);
  const g = b.input('g', 'float32', ['B', ...cotangent.shape.slice(1)]);
  const { output, adjoints } = poolToSize(b, x, size);
  b.output('y', output);
  b.output('gradient', gradientOf(b, { value: output, cotangent: g }, { wrt: x, adjoints: own ? adjoints : [] }));
  return runGraph(b.build(), { x: image, g: cotangent });
}

test.each([
  ['pool-40x52-to-16x16', 16],
  ['pool-32x32-to-14x14', 14],
])('agrees with torch: %s', async (name, size) => {
  const fixture = augmentFixture(name);
  const cotangent = tensorOf(fixture, 'cotangent.image');
  const result = await pool(tensorOf(fixture, 'input.image'), size, { cotangent });
  expectAsStated(name, 'output.image', result['y']);
  expectAsStated(name, 'gradient.image', result['gradient']);
});

test('gathered cotangents are those of the general rule', async () => {
  const image = pseudorandom([2, 3, 23, 31], 1);
  const cotangent = pseudorandom([2, 3, 9, 9], 2);
  const own = await pool(image, 9, { cotangent });
  const general = await pool(image, 9, { cotangent, own: false });
  expectWithin(own['gradient'], general['gradient']!, 1e-6, 'gradient');
});

test('the first of equal pixels in reading order takes the cotangent of the maximum', async () => {
  // One window over four pixels, then windows that share a column: 0-1 and 1-2.
  const whole = await pool(float32([5, 7, 7, 7], [1, 1, 2, 2]), 1, { cotangent: float32([8], [1, 1, 1, 1]) });
  expect([...whole['y']!.data]).toEqual([6.75]);
  expect([...whole['gradient']!.data]).toEqual([1, 5, 1, 1]);
  const shared = await pool(float32([1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 3, 3]), 2, {
    cotangent: float32([8, 0, 0, 0], [1, 1, 2, 2]),
  });
  expect([...shared['gradient']!.data]).toEqual([5, 1, 0, 1, 1, 0, 0, 0, 0]);
});

test('an image of that size is returned as it is', () => {
  const b = new GraphBuilder('pool');
  const x = b.input('x', 'float32', ['B', 3, 14, 14]);
  expect(poolToSize(b, x, 14)).toEqual({ output: x, adjoints: [] });
  expect(b.nodes).toEqual([]);
});

test('an image of unknown size is refused', () => {
  const b = new GraphBuilder('pool');
  const x = b.input('x', 'float32', ['B', 3, 'H', 14]);
  expect(() => poolToSize(b, x, 7)).toThrow('pooling of x: the height and width of the image must be known');
});
