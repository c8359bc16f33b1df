import { expect, test } from 'vitest';

import { erase } from '../../../models/nn/erase.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import { asFloat32, augmentFixture, expectAsStated, gradientOf } from '../../support/augment.ts';
import { tensorOf } from '../../support/fixtures.ts';
import { runGraph } from '../../support/run-graph.ts';

async function run(image: Tensor, rectangles: Tensor, g: Tensor) {
  const b = new GraphBuilder('erase');
  const shape = ['R', ...image.shape.slice(1)];
  const x = b.input('x', 'float32', shape);
  const cotangent = b.input('g', 'float32', shape);
  const output = erase(b, x, b.input('rectangles', 'float32', ['R', 4]));
  b.output('y', output);
  b.output('gradient', gradientOf(b, { value: output, cotangent }, { wrt: x }));
  return runGraph(b.build(), { x: image, rectangles, g });
}

test('a rectangle per image agrees with kornia', async () => {
  const fixture = augmentFixture('erase-per-image');
  const rectangles = asFloat32(tensorOf(fixture, 'input.rectangles'));
  const result = await run(tensorOf(fixture, 'input.image'), rectangles, tensorOf(fixture, 'cotangent.image'));
  expectAsStated('erase-per-image', 'output.image', result['y']);
  expectAsStated('erase-per-image', 'gradient.image', result['gradient']);
});

test('one rectangle for all images of a lane agrees with kornia', async () => {
  const fixture = augmentFixture('erase-shared');
  const image = tensorOf(fixture, 'input.image');
  const [n, channels, height, width] = image.shape as [number, number, number, number];
  const asLane = (tensor: Tensor): Tensor => asFloat32(tensor, [1, n * channels, height, width]);
  const rectangle = asFloat32(tensorOf(fixture, 'input.rectangle'), [1, 4]);
  const result = await run(asLane(image), rectangle, asLane(tensorOf(fixture, 'cotangent.image')));
  expectAsStated('erase-shared', 'output.image', asFloat32(result['y']!, image.shape));
  expectAsStated('erase-shared', 'gradient.image', asFloat32(result['gradient']!, image.shape));
});

test('a rectangle without height erases nothing, one of the whole image all', async () => {
  const image = float32([1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 2, 2]);
  const result = await run(image, float32([1, 0, 0, 2, 0, 0, 2, 2], [2, 4]), image);
  expect([...result['y']!.data]).toEqual([1, 2, 3, 4, 0, 0, 0, 0]);
  expect([...result['gradient']!.data]).toEqual([1, 2, 3, 4, 0, 0, 0, 0]);
});
